"""What comes with the package: it is whole, small, of this version's space, of use, and nobody else's."""

from pathlib import Path

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
from synthproxy.synths import Note, Synth, get_synth
from synthproxy.synths.space import Floats

RATE = 32_000
LARGEST = 25 * 2**20


@pytest.fixture(scope="module")
def shipped(synth) -> TrainedProposer:
    path = shipped_proposer(synth)
    assert path is not None
    return TrainedProposer.load(path)


def nearer_than_chance(folder: Path, synth: Synth, proposer: TrainedProposer, preset: Floats, note: Note) -> None:
    """What is drawn for the sound of a preset must be nearer to it than random presets, the nearest and the median."""
    write_audio(folder / "target.wav", synth.render(preset, note, 1.0, RATE), RATE)
    target = read_target(folder / "target.wav", pitch=note.pitch, duration=note.duration)
    generator = np.random.default_rng(0)
    with Bench(synth, target.audio, 1) as bench:
        ours = bench.score(proposer.propose(synth, proposer.hear(target), 64, MatchSettings.temperatures, generator))
        others = bench.score(random_candidates(synth.space, target.notes, 64, generator))
    assert np.median([c.distance for c in ours]) < 0.8 * np.median([c.distance for c in others])
    assert min(c.distance for c in ours) < 0.9 * min(c.distance for c in others)


def test_the_networks_are_small_and_of_this_version(synth, shipped):
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < LARGEST
    assert shipped.info.space == synth.space
    assert shipped_proposer(get_synth("dexed-paper")) == shipped_proposer(synth)
    assert shipped_proposer(get_synth("vital")) is None


def test_the_network_of_amsynth_is_of_this_version(amsynth):
    path = shipped_proposer(amsynth)
    assert path is not None
    assert TrainedProposer.load(path).info.space == amsynth.space


def test_a_definition_of_the_users_that_has_its_name_gets_nothing(tmp_path):
    file = tmp_path / "mine.toml"
    for name in ("amsynth", "dexed"):
        file.write_text(
            f'name = "{name}"\n[plugin]\nfiles = ["/usr/lib/mine.so"]\n[[parameters]]\nname = "mood"\nindex = 0\n'
        )
        mine = get_synth(str(file))
        assert mine.name == name
        assert shipped_proposer(mine) is None
        assert len(shipped_presets(mine)) == 0


def test_what_it_draws_for_a_short_bass_of_amsynth_is_nearer_than_what_chance_does(tmp_path, amsynth):
    short = {"amp_decay": 0.4, "amp_sustain": 0.0, "filter_cutoff": 0.4, "filter_env_amount": 0.6, "osc_mix": 0.2}
    preset = amsynth.space.snap(amsynth.space.from_names(short))
    path = shipped_proposer(amsynth)
    assert path is not None
    nearer_than_chance(tmp_path, amsynth, TrainedProposer.load(path), preset, Note(40, 100, 0.5))


@pytest.mark.parametrize("pitch", [48, 72])
def test_what_it_draws_for_a_plucked_sound_is_nearer_than_what_chance_does(tmp_path, synth, shipped, pitch):
    dying = {f"op{n}_eg_rate_{k}": 0.4 for n in (1, 2) for k in (2, 3)}
    silent = {f"op{n}_eg_level_{k}": 0.0 for n in (1, 2) for k in (3, 4)}
    bright = {"op2_output_level": 0.8, "op2_f_coarse": 3 / 31, "feedback": 3 / 7}
    note, preset = Note(pitch, 100, 0.5), synth.space.snap(synth.space.from_names({**dying, **silent, **bright}))
    nearer_than_chance(tmp_path, synth, shipped, preset, note)


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
