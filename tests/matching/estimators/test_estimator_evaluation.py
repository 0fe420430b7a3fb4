"""Estimators are judged beside their baselines, by presets that they have not learned from and by recorded sounds."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from synthproxy.audio.io import write_audio
from synthproxy.audio.levels import MelLevels
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, generate
from synthproxy.corpus.parts import rows_of_parts
from synthproxy.errors import FailedRenderError, IncompatibleError, InvalidInputError
from synthproxy.matching.distances import distances
from synthproxy.matching.estimators.baselines import mean_preset, nearest_by_levels, random_presets
from synthproxy.matching.estimators.checkpoint import load_estimator
from synthproxy.matching.estimators.evaluation import (
    evaluate_estimator,
    learned_presets,
    part_of_corpus,
    targets_of_corpus,
    targets_of_folder,
)
from synthproxy.matching.estimators.heard import HeardPresets
from synthproxy.matching.estimators.training import train_estimator
from synthproxy.matching.playing import Player
from synthproxy.matching.scores import embedding_distances
from synthproxy.synths import Note, get_synth

RATE = 32_000
LEVEL_ERROR = 0.05


@pytest.fixture
def trained(tmp_path, make_recipe):
    """An estimator that has learned a little."""
    train_estimator(make_recipe(loss={"schedule": "ploss"}), tmp_path / "run")
    return load_estimator(tmp_path / "run" / "last.safetensors")


@pytest.fixture
def player(trained) -> Player:
    return Player(trained[1].synth_to_play(), trained[1].rendering)


# Baselines


def test_the_mean_preset_has_means_and_commonest_values(mixed_space):
    presets = mixed_space.sample(np.random.default_rng(0), 101)
    mean = mean_preset(mixed_space, presets)
    mixed_space.validate(mean[None])
    columns = {parameter.name: column for column, parameter in enumerate(mixed_space.free)}
    assert mean[columns["level"]] == pytest.approx(presets[:, columns["level"]].mean(), abs=1e-6)
    for name in ("shape", "mode", "sync", "mute"):
        values, counts = np.unique(presets[:, columns[name]], return_counts=True)
        assert counts[values == mean[columns[name]]] == counts.max()
    with pytest.raises(InvalidInputError, match="no presets"):
        mean_preset(mixed_space, presets[:0])


def test_nearest_by_levels_is_that_of_scipy(heard_corpus):
    known = HeardPresets.all_of(heard_corpus)
    presets, _, levels = (np.concatenate(c) for c in zip(*known.in_order(1_000), strict=True))
    queries = 0.6 * levels[:20].astype(np.float32) + 0.4 * levels[20:40]
    distance = cdist(queries.reshape(20, -1), levels.reshape(len(levels), -1).astype(np.float64))
    np.testing.assert_array_equal(nearest_by_levels(queries, known), presets[distance.argmin(axis=1)])
    np.testing.assert_array_equal(nearest_by_levels(levels[:9].astype(np.float32), known), presets[:9])


def test_random_presets_are_some_of_the_known(heard_corpus):
    known = heard_corpus.presets()
    drawn = random_presets(known, 50, seed=1)
    assert {preset.tobytes() for preset in drawn} <= {preset.tobytes() for preset in known}
    assert len({preset.tobytes() for preset in drawn}) > 30
    np.testing.assert_array_equal(drawn, random_presets(known, 50, seed=1))


# Playing


def test_presets_are_played_as_the_corpus_had_them(heard_corpus, player):
    sounds, failed = player.play(heard_corpus.presets()[:5])
    assert failed == 0
    levels = heard_corpus.read_columns(0, heard_corpus.counting(), ("levels",))[0][:5]
    np.testing.assert_allclose(MelLevels()(torch.from_numpy(sounds)).numpy(), levels, atol=LEVEL_ERROR)


def test_every_match_may_have_its_own_note(heard_corpus, player):
    presets = np.tile(heard_corpus.presets()[:1], (2, 1))
    sounds, _ = player.play(presets, [player.rendering.note, Note(72, 100, 0.1)])
    np.testing.assert_array_equal(sounds[0], player.play(presets[:1])[0][0])
    assert np.abs(sounds[0] - sounds[1]).max() > 0.01


def test_what_cannot_be_played_is_silent_and_counted(heard_corpus, player):
    class Refuses:
        """The real engine, but for one preset."""

        def __init__(self, synth, refused):
            self.synth, self.refused = synth, refused

        def render(self, preset, *settings):
            if (preset == self.refused).all():
                raise FailedRenderError("no")
            return self.synth.render(preset, *settings)

    presets = heard_corpus.presets()[:3]
    sounds, failed = Player(Refuses(player.synth, presets[1]), player.rendering).play(presets)
    assert failed == 1
    assert not sounds[1].any()
    assert sounds[0].any()


# What to judge by


def test_by_default_only_the_test_part_of_its_own_corpus_is_taken(heard_corpus, trained, player):
    _, info = trained
    part, rows = part_of_corpus(info, heard_corpus)
    parts = rows_of_parts(heard_corpus, info.learned_from.split)
    assert part == "test"
    np.testing.assert_array_equal(rows, parts["test"])
    targets = targets_of_corpus(heard_corpus, rows, player, most=20)
    assert len(targets) == 20
    inside = {preset.tobytes() for preset in heard_corpus.presets()[parts["test"]]}
    assert {preset.tobytes() for preset in targets.presets} <= inside
    np.testing.assert_array_equal(learned_presets(info, heard_corpus).rows, parts["train"])
    assert part_of_corpus(info, heard_corpus, "all")[1].all()


def test_of_another_corpus_all_is_taken(tmp_path, heard_corpus, trained):
    _, info = trained
    model, rendering = get_audio_model("mel"), heard_corpus.info.rendering
    generate(tmp_path / "other", get_synth("dexed-paper"), model, size=8, seed=9, rendering=rendering)
    other = Corpus.open(tmp_path / "other")
    part, rows = part_of_corpus(info, other)
    assert part == "all"
    assert rows.sum() == 8
    with pytest.raises(InvalidInputError, match="leave out --part test"):
        part_of_corpus(info, other, "test")
    with pytest.raises(InvalidInputError, match="has not learned from this corpus"):
        learned_presets(info, other)
    generate(tmp_path / "dexed", get_synth("dexed"), model, size=8, seed=9, rendering=rendering)
    with pytest.raises(IncompatibleError, match="synth differs"):
        part_of_corpus(info, Corpus.open(tmp_path / "dexed"))


@pytest.fixture
def nsynth(tmp_path):
    """Two tones in the form of NSynth, and one more file that it does not list."""
    (tmp_path / "nsynth" / "audio").mkdir(parents=True)
    for name, hertz in (("low", 220.0), ("high", 440.0), ("extra", 880.0)):
        tone = 0.2 * np.sin(2 * np.pi * hertz * np.arange(3_200) / 16_000)
        write_audio(tmp_path / "nsynth" / "audio" / f"{name}.wav", tone.astype(np.float32), 16_000)
    notes = {"low": {"pitch": 57, "velocity": 75}, "high": {"pitch": 69, "velocity": 127}}
    (tmp_path / "nsynth" / "examples.json").write_text(json.dumps(notes))
    return tmp_path / "nsynth"


def test_recorded_sounds_are_clips_with_their_own_notes_if_asked(nsynth, player):
    targets = targets_of_folder(nsynth, player, most=10, own_notes=True)
    assert list(targets.names) == ["high", "low"]
    assert targets.audio.shape == (2, round(0.2 * RATE))
    assert [(note.pitch, note.velocity) for note in targets.notes] == [(69, 127), (57, 75)]
    assert targets_of_folder(nsynth, player, most=1).notes is None
    with pytest.raises(InvalidInputError, match="leave out --own-notes"):
        targets_of_folder(nsynth / "audio", player, most=10, own_notes=True)


# Scores


def test_scores_are_those_of_the_played_matches(heard_corpus, trained, player):
    estimator, info = trained
    _, rows = part_of_corpus(info, heard_corpus)
    targets, model = targets_of_corpus(heard_corpus, rows, player, most=10), get_audio_model("mfcc40")
    learned = learned_presets(info, heard_corpus)
    found = evaluate_estimator(estimator, targets, player, learned=learned, audio_model=model)
    names = ["estimator", "nearest neighbour", "mean preset", "random preset", "true preset again"]
    assert list(found.scores) == names
    scores = found.scores["estimator"]
    presets = estimator.estimate(targets.audio)
    sounds, _ = player.play(presets)
    pairs = list(zip(sounds, targets.audio, strict=True))
    for name, matched in (("a_mean", False), ("a_mean_level_matched", True)):
        expected = [distances(sound, target, level_matched=matched).a_mean for sound, target in pairs]
        np.testing.assert_allclose(scores.sounds.by_clip[name], expected, rtol=1e-4)
    heard = embedding_distances(model, sounds, targets.audio)
    np.testing.assert_allclose(scores.sounds.by_clip["embedding"], heard, rtol=1e-5)
    again = found.scores["true preset again"]
    assert again.sounds.by_clip["a_mean"].max() < 1e-6
    assert again.parameters.categorical_accuracy == 1
    nearest = found.scores["nearest neighbour"].sounds.by_clip["a_mean"].mean()
    assert nearest < found.scores["random preset"].sounds.by_clip["a_mean"].mean()
    assert json.loads(json.dumps(found.to_dict()))["scores"]["estimator"]["per_clip"]["a_mean"]["cases"] == 10


def test_recorded_sounds_have_no_true_preset_and_baselines_need_what_was_learned_from(nsynth, trained, player):
    targets = targets_of_folder(nsynth, player, most=10)
    found = evaluate_estimator(trained[0], targets, player)
    assert list(found.scores) == ["estimator"]
    assert found.scores["estimator"].parameters is None
