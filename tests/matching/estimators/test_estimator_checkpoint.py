"""Estimators come back from their files as they were, with all that playing their presets needs."""

import json

import numpy as np
import pytest
import torch

from synthproxy.corpus import Rendering
from synthproxy.corpus.parts import Split
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.matching.estimators.checkpoint import (
    FORMAT,
    EstimatorInfo,
    LearnedFrom,
    load_estimator,
    playing_synth,
    save_estimator,
)
from synthproxy.matching.estimators.network import Estimator, EstimatorSizes, LevelBounds
from synthproxy.synths import Note, get_synth
from synthproxy.training.tensors import checkpoint_form, read_tensors, write_tensors

SIZES = EstimatorSizes(channels=(4, 8), features=16, dropout=0.1)


@pytest.fixture
def info(heard_corpus) -> EstimatorInfo:
    corpus = heard_corpus.info
    learned = LearnedFrom.of(corpus, Split(together="preset", most=100))
    rendering = Rendering(Note(50, 90, 0.1), 0.2, 0.05)
    return EstimatorInfo(corpus.synth, corpus.space, rendering, None, SIZES, learned, {"a_mean": 2.5})


@pytest.fixture
def saved(tmp_path, info):
    estimator = Estimator(info.space, LevelBounds(-75.5, 12.25), SIZES).eval()
    save_estimator(tmp_path / "e.safetensors", estimator, info)
    return tmp_path / "e.safetensors", estimator


def test_an_estimator_comes_back_with_what_is_known_of_it(saved, info):
    path, estimator = saved
    loaded, about = load_estimator(path)
    assert about == info
    assert about.learned_from.split == Split(together="preset", most=100)
    assert not loaded.training
    sounds = 0.1 * np.random.default_rng(0).standard_normal((3, 6_400)).astype(np.float32)
    np.testing.assert_array_equal(loaded.estimate(sounds), estimator.estimate(sounds))
    assert loaded.bounds.tolist() == [-75.5, 12.25]
    assert about.synth_to_play().name == "dexed-paper"


def test_the_file_explains_itself(saved):
    _, about = read_tensors(saved[0], FORMAT)
    assert json.loads(json.dumps(about)) == about
    assert (about["synth"], about["bounds"], about["sizes"]["features"]) == ("dexed-paper", [-75.5, 12.25], 16)
    assert about["rendering"]["note"] == {"pitch": 50, "velocity": 90, "duration": 0.1}
    assert checkpoint_form(saved[0]) == FORMAT


def test_kinds_of_checkpoints_are_told_apart(saved, proxy_checkpoint, tmp_path):
    assert checkpoint_form(proxy_checkpoint) == "synthproxy-proxy"
    with pytest.raises(InvalidInputError, match="not one of the form"):
        load_estimator(proxy_checkpoint)
    (tmp_path / "cut.safetensors").write_bytes(saved[0].read_bytes()[:1_000])
    for path, words in ((tmp_path / "none", "no such file"), (tmp_path / "cut.safetensors", "not a whole")):
        with pytest.raises(InvalidInputError, match=words):
            checkpoint_form(path)
        with pytest.raises(InvalidInputError, match=words):
            load_estimator(path)


@pytest.mark.parametrize("change", [{"sizes": {"features": 17}}, {"bounds": [0]}, {"rendering": {}}, {"space": {}}])
def test_a_file_that_does_not_fit_its_description_is_refused(saved, tmp_path, change):
    tensors, about = read_tensors(saved[0], FORMAT)
    write_tensors(tmp_path / "odd.safetensors", tensors, {**about, **change})
    with pytest.raises(InvalidInputError, match=r"odd\.safetensors: "):
        load_estimator(tmp_path / "odd.safetensors")


def test_loading_draws_nothing(saved):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_estimator(saved[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_synth_of_another_space_is_refused(mixed_space):
    with pytest.raises(IncompatibleError, match="dexed-paper: the preset space"):
        playing_synth("dexed-paper", mixed_space, None)


def test_a_corpus_of_other_sounds_is_refused(heard_corpus, info):
    with pytest.raises(IncompatibleError, match="what: note differs"):
        info.require_same(heard_corpus.info, "what")
    assert info.learned_from.is_of(heard_corpus)
    assert get_synth("dexed-paper").space == info.space
