"""A trained estimator proposes what it tells, at each note of a target, and a match uses it."""

import numpy as np
import pytest
import torch

from synthproxy.audio.io import write_audio
from synthproxy.corpus import Rendering
from synthproxy.corpus.parts import LearnedFrom
from synthproxy.errors import IncompatibleError
from synthproxy.matching.estimators.checkpoint import EstimatorInfo, save_estimator
from synthproxy.matching.estimators.network import Estimator, EstimatorSizes, LevelBounds
from synthproxy.matching.estimators.proposing import TrainedEstimator
from synthproxy.matching.retrieval import as_heard
from synthproxy.matching.target import read_target, read_targets
from synthproxy.report.match_folder import MatchOrder, run_match
from synthproxy.synths import Note, get_synth

RATE = 32_000
SIZES = EstimatorSizes(channels=(4, 8), features=16)
LEARNED = Rendering(Note(60, 100, 0.1), 0.2, 0.05)


@pytest.fixture
def checkpoint(tmp_path, heard_corpus):
    corpus = heard_corpus.info
    info = EstimatorInfo(corpus.synth, corpus.space, LEARNED, None, SIZES, LearnedFrom.of(corpus, None))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        estimator = Estimator(info.space, LevelBounds(-75.0, 12.0), SIZES)
    save_estimator(tmp_path / "estimator.safetensors", estimator, info)
    return tmp_path / "estimator.safetensors"


@pytest.fixture
def tones(tmp_path):
    paths = [tmp_path / "low.wav", tmp_path / "high.wav"]
    for path, hertz in zip(paths, (220, 440), strict=True):
        write_audio(path, 0.2 * np.sin(np.arange(RATE // 2) * 2 * np.pi * hertz / RATE).astype(np.float32), RATE)
    return paths


def test_it_tells_a_preset_at_each_note_of_what_is_brought_to_what_it_knows(checkpoint, tones):
    trained, synth, target = TrainedEstimator.load(checkpoint), get_synth("dexed-paper"), read_target(tones[0])
    found = trained.propose(synth, target)
    assert [c.note for c in found] == target.notes
    assert {c.origin for c in found} == {"estimator"}
    for candidate in found:
        audio = as_heard(target, candidate.note.pitch - LEARNED.note.pitch, LEARNED.seconds, RATE)
        assert len(audio) == round(LEARNED.seconds * RATE)
        np.testing.assert_array_equal(candidate.preset, trained.estimator.estimate(audio[None])[0])
    both = trained.propose(synth, read_targets(tones))
    assert len(both) == 2 * len(target.notes)
    assert [c.key for c in both[: len(found)]] == [c.key for c in found]


def test_presets_are_of_the_synth_that_is_played_and_other_synths_are_refused(checkpoint, tones):
    trained, synth = TrainedEstimator.load(checkpoint), get_synth("dexed")
    synth.space.validate(np.stack([c.preset for c in trained.propose(synth, read_target(tones[0]))]))
    with pytest.raises(IncompatibleError, match="cannot be played"):
        trained.propose(get_synth("vital"), read_target(tones[0]))


def test_a_match_tries_what_it_tells(checkpoint, tmp_path, monkeypatch):
    synth, note = get_synth("dexed-paper"), Note(57, 100, 0.3)
    preset = synth.space.snap(synth.space.from_names({"op2_output_level": 0.7}))
    write_audio(tmp_path / "target.wav", synth.render(preset, note, 0.5, RATE), RATE)
    monkeypatch.setattr(Estimator, "estimate", lambda _, audio: np.tile(preset, (len(audio), 1)))
    order = MatchOrder(
        tmp_path / "target.wav", "dexed-paper", renders=40, pitch=57, duration=0.3, unaided=True, estimator=checkpoint
    )
    found = run_match(order, tmp_path / "found", workers=1)
    best = found["candidates"][0]
    assert best["origin"] == "estimator"
    assert best["distances"]["level_matched"]["a_mean"] < 1e-3
