"""Training an estimator learns, weighs its losses as scheduled, stops without loss, and continues to the same bits."""

import json
import math
import os
import signal

import numpy as np
import pytest
import torch

from synthproxy.corpus.parts import rows_of_parts
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.matching.distances import distances
from synthproxy.matching.estimators.checkpoint import load_estimator
from synthproxy.matching.estimators.decoding import hard_presets
from synthproxy.matching.estimators.losses import ParameterLoss, PerceptualLoss
from synthproxy.matching.estimators.training import open_heard_corpora, player_of, train_estimator
from synthproxy.proxies.checkpoint import load_checkpoint, save_checkpoint
from synthproxy.synths import get_synth

STEPS = 3 * 10
CHECKPOINTS = ("last", "best_loss", "best_a_mean")


def weights(folder, name="last"):
    return load_estimator(folder / f"{name}.safetensors")[0].state_dict()


def metrics(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "presets_per_second")} for row in rows]


def assert_same_run(folder, other):
    for name in CHECKPOINTS:
        ours, theirs = weights(folder, name), weights(other, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name
    assert metrics(folder) == metrics(other)


@pytest.fixture
def whole(tmp_path, make_recipe):
    result = train_estimator(make_recipe(), tmp_path / "whole")
    assert (result.status, result.step) == ("finished", STEPS)
    return tmp_path / "whole"


def test_a_run_leaves_what_it_promises(whole):
    names = {path.name.split(".")[0] for path in whole.iterdir()}
    assert names == {"recipe", "metrics", *CHECKPOINTS, "state", "events"}
    rows = metrics(whole)
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {"numerical_error", "categorical_accuracy", "a_mean_in_batches", "stft"} <= rows[0].keys()
    for name in ("loss", "a_mean"):
        assert load_estimator(whole / f"best_{name}.safetensors")[1].metrics[name] == min(row[name] for row in rows)


@pytest.mark.parametrize("at", [1, 10, 17, 29])
def test_a_stopped_and_continued_run_ends_with_the_same_bits(tmp_path, make_recipe, whole, at):
    stopped = train_estimator(make_recipe(), tmp_path / "parts", stop=lambda step: step == at)
    assert (stopped.status, stopped.step) == ("stopped", at)
    torch.manual_seed(99)  # whatever happens in between
    assert train_estimator(make_recipe(), tmp_path / "parts").status == "finished"
    assert_same_run(tmp_path / "parts", whole)


@pytest.mark.parametrize("block", [None, 40])
def test_so_does_a_killed_run_that_draws_choices_and_reads_blocks(tmp_path, make_recipe, block):
    split = {"together": "preset", "most": 160}
    corpus = {"block": block, "split": split}
    recipe = make_recipe(corpus=corpus, loss={"schedule": "aloss", "gradient": "gumbel", "snap": True})

    def die(step):
        if step == 25:
            raise RuntimeError("killed")
        return False

    train_estimator(recipe, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train_estimator(recipe, tmp_path / "parts", stop=die)
    assert train_estimator(recipe, tmp_path / "parts").status == "finished"
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1")
def test_a_signal_stops_after_the_step_and_saves(tmp_path, make_recipe):
    def send(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGUSR1)
        return False

    result = train_estimator(make_recipe(), tmp_path / "run", stop=send)
    assert (result.status, result.step) in [("stopped", 4), ("stopped", 5)]
    assert (tmp_path / "run" / "state.safetensors").is_file()


def test_validation_scores_are_those_of_the_losses_and_distances_written_out(make_recipe, whole, proxy_checkpoint):
    estimator, info = load_estimator(whole / "last.safetensors")
    training, validation = open_heard_corpora(make_recipe().corpus)
    presets, embeddings, levels = (np.concatenate(c) for c in zip(*validation.in_order(1_000), strict=True))
    with torch.no_grad():
        outputs = estimator(torch.from_numpy(levels).float())
        parameter = ParameterLoss(info.space)(outputs, torch.from_numpy(presets)).total
        perceptual = PerceptualLoss(load_checkpoint(proxy_checkpoint)[0])(outputs, torch.from_numpy(embeddings))
    row = metrics(whole)[-1]
    assert row["parameter_loss"] == pytest.approx(float(parameter), rel=1e-5)
    assert row["perceptual_loss"] == pytest.approx(float(perceptual), rel=1e-5)
    assert row["loss"] == pytest.approx(0.5 * float(parameter) + 5 * float(perceptual), rel=1e-5)
    rows = np.linspace(0, len(presets) - 1, 6).round().astype(int)
    player = player_of(training)
    sounds, targets = (player.play(p[rows])[0] for p in (hard_presets(info.space, outputs), presets))
    each = [distances(sound, target).a_mean for sound, target in zip(sounds, targets, strict=True)]
    assert row["a_mean"] == pytest.approx(np.mean(each), rel=1e-4)


def test_bounds_are_those_of_the_training_part(make_recipe, whole):
    training, _ = open_heard_corpora(make_recipe().corpus)
    levels = np.concatenate([levels for _, _, levels in training.in_order(100)])
    assert load_estimator(whole / "last.safetensors")[0].bounds.tolist() == [levels.min(), levels.max()]


@pytest.mark.parametrize(("gradient", "arrives"), [("published", False), ("soft", True), ("straight-through", True)])
def test_the_perceptual_loss_reaches_categories_unless_as_published(tmp_path, make_recipe, gradient, arrives):
    losses = {"schedule": "aloss", "gradient": gradient}
    training = {"weight_decay": 0.0, "batch_size": 16, "epochs": 1, "learning_rate": 7e-3, "rendered": 1}
    train_estimator(make_recipe(loss=losses, training=training), tmp_path / "run")
    train_estimator(make_recipe(loss=losses, training=training), tmp_path / "start", stop=lambda step: step == 1)
    after, before = weights(tmp_path / "run"), weights(tmp_path / "start")
    scale = [key for key in after if key.endswith(".weight")][-1]
    categories = after[scale][92:] - before[scale][92:]
    assert bool(categories.abs().max() > 0) == arrives
    assert (after[scale][:92] != before[scale][:92]).any()


def test_losses_without_a_proxy_need_none(tmp_path, make_recipe):
    recipe = make_recipe(loss={"schedule": "ploss"})
    alone = recipe.model_copy(update={"proxy": None})
    train_estimator(recipe, tmp_path / "heard")
    train_estimator(alone, tmp_path / "alone")
    ours, theirs = weights(tmp_path / "alone"), weights(tmp_path / "heard")
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert "perceptual_loss" not in metrics(tmp_path / "alone")[0]
    assert metrics(tmp_path / "heard")[0]["perceptual_loss"] > 0
    with pytest.raises(InvalidInputError, match="proxy: missing"):
        train_estimator(make_recipe().model_copy(update={"proxy": None}), tmp_path / "none")


def test_weights_of_the_losses_follow_the_schedule(tmp_path, make_recipe):
    train_estimator(make_recipe(loss={"schedule": "switch"}), tmp_path / "run")
    rows = metrics(tmp_path / "run")
    assert rows[0]["parameter_weight"] == pytest.approx(8 / 9)  # one of nine steps of the change is done
    assert (rows[-1]["parameter_weight"], rows[-1]["perceptual_weight"]) == (0, 10)
    assert rows[-1]["loss"] == pytest.approx(10 * rows[-1]["perceptual_loss"])


def test_the_learning_rate_falls_when_the_distance_does_not(tmp_path, make_recipe):
    training = {"learning_rate": 7e-3, "batch_size": 16, "epochs": 8, "rendered": 2}
    train_estimator(make_recipe(training=training, schedule={"patience": 0, "factor": 0.5}), tmp_path / "run")
    rows, best, rate = metrics(tmp_path / "run"), math.inf, 7e-3
    for row in rows:
        assert row["learning_rate"] == pytest.approx(rate)
        rate *= 1 if row["a_mean"] < best * (1 - 1e-4) else 0.5
        best = min(best, row["a_mean"])
    assert rate < 7e-3


def test_a_folder_of_another_recipe_corpus_or_proxy_is_refused(tmp_path, make_recipe, whole, proxy_checkpoint):
    with pytest.raises(IncompatibleError, match=r"another recipe \(.*recipe\.loss\.gradient"):
        train_estimator(make_recipe(loss={"schedule": "mix", "gradient": "soft"}), whole)
    proxy, info = load_checkpoint(proxy_checkpoint)
    save_checkpoint(tmp_path / "other.safetensors", proxy, info.setting, {"l1": 0.5})
    with pytest.raises(IncompatibleError, match=r"corpora\.proxy\.metrics"):
        train_estimator(make_recipe(proxy={"checkpoint": tmp_path / "other.safetensors"}), whole)


def test_an_estimator_of_the_real_engine_learns(tmp_path, make_recipe, heard_corpus):
    training = {"batch_size": 32, "epochs": 12, "learning_rate": 7e-3, "rendered": 24, "epochs_per_validation": 4}
    sizes = {"channels": (8, 16, 32), "features": 64, "dropout": 0.0}
    corpus = {"train": heard_corpus.path, "split": {"together": "preset"}}
    recipe = make_recipe(training=training, estimator=sizes, corpus=corpus, loss={"schedule": "ploss"})
    train_estimator(recipe, tmp_path / "run")
    rows = metrics(tmp_path / "run")
    space = get_synth("dexed-paper").space
    numerical = [i for i, parameter in enumerate(space.free) if parameter.kind.value == "numerical"]
    parts = rows_of_parts(heard_corpus, recipe.corpus.split)
    middle = heard_corpus.presets()[parts["train"]][:, numerical].mean(axis=0)
    error = np.abs(heard_corpus.presets()[parts["validation"]][:, numerical] - middle).mean()
    assert rows[-1]["training_loss"] < 0.9 * rows[0]["training_loss"]
    assert rows[-1]["parameter_loss"] < rows[0]["parameter_loss"]
    assert rows[-1]["numerical_error"] < 1.05 * error
