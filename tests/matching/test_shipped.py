"""What comes with the package: it is whole, small, of this version's space, of use, and nobody else's."""

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.matching.candidates import Bench
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.search import random_candidates
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.shipped import FOLDER, shipped_presets, shipped_proposer
from synthproxy.matching.target import read_target
from synthproxy.report.match_folder import MatchOrder, run_match
from synthproxy.synths import Note, get_synth

RATE = 32_000
LARGEST = 25 * 2**20


@pytest.fixture(scope="module")
def shipped(synth) -> TrainedProposer:
    path = shipped_proposer(synth)
    assert path is not None
    return TrainedProposer.load(path)


def test_the_networks_are_small_and_of_this_version(synth, shipped):
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < LARGEST
    assert shipped.info.space == synth.space
    assert shipped_proposer(get_synth("dexed-paper")) == shipped_proposer(synth)
    assert shipped_proposer(get_synth("vital")) is None


@pytest.mark.parametrize("pitch", [48, 72])
def test_what_it_draws_for_a_plucked_sound_is_nearer_than_what_chance_does(tmp_path, synth, shipped, pitch):
    dying = {f"op{n}_eg_rate_{k}": 0.4 for n in (1, 2) for k in (2, 3)}
    silent = {f"op{n}_eg_level_{k}": 0.0 for n in (1, 2) for k in (3, 4)}
    bright = {"op2_output_level": 0.8, "op2_f_coarse": 3 / 31, "feedback": 3 / 7}
    note, preset = Note(pitch, 100, 0.5), synth.space.snap(synth.space.from_names({**dying, **silent, **bright}))
    write_audio(tmp_path / "target.wav", synth.render(preset, note, 1.0, RATE), RATE)
    target = read_target(tmp_path / "target.wav", pitch=pitch, duration=0.5)
    generator = np.random.default_rng(0)
    with Bench(synth, target.audio, 1) as bench:
        ours = bench.score(shipped.propose(synth, target, 64, MatchSettings.temperatures, generator))
        others = bench.score(random_candidates(synth.space, target.notes, 64, generator))
    assert np.median([c.distance for c in ours]) < 0.8 * np.median([c.distance for c in others])
    assert min(c.distance for c in ours) < 0.9 * min(c.distance for c in others)


def test_shipped_presets_sound_and_differ(synth):
    presets = shipped_presets(synth)
    assert presets.shape == (len(np.unique(presets, axis=0)), synth.space.size)
    assert len(presets) > 64
    sounds = [synth.render(preset, Note(), 1.0, RATE) for preset in presets[::8]]
    assert all(np.abs(sound).max() > 0.01 for sound in sounds)
    assert shipped_presets(get_synth("dexed-paper")).shape[1] == get_synth("dexed-paper").space.size
    assert len(shipped_presets(get_synth("vital"))) == 0


def test_no_shipped_preset_is_a_voice_of_other_people(synth, shared_folder):
    known = {
        preset.vector.tobytes() for preset in synth.read_presets(shared_folder / "data" / "dx7_voices.npz", Note())
    }
    assert not [preset for preset in shipped_presets(synth) if preset.tobytes() in known]


def test_a_match_asks_both_unless_it_is_to_be_unaided(tmp_path, synth):
    preset = synth.space.snap(synth.space.from_names({"op2_output_level": 0.7}))
    write_audio(tmp_path / "target.wav", synth.render(preset, Note(60, 100, 0.3), 0.5, RATE), RATE)
    asked = {}
    for unaided in (False, True):
        order = MatchOrder(tmp_path / "target.wav", renders=60, pitch=60, duration=0.3, unaided=unaided, top=60)
        found = run_match(order, tmp_path / f"unaided-{unaided}", workers=1)
        asked[unaided] = {row["origin"] for row in found["candidates"]}
    assert {"proposer", "shipped"} <= asked[False]
    assert not {"proposer", "shipped"} & asked[True]
