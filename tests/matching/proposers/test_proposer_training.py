"""Training a proposer learns, stops without loss, continues to the same bits, and keeps its best."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.matching.proposers.checkpoint import load_proposer, save_proposer
from synthproxy.matching.proposers.learning import VALIDATION_SEED, HiddenPresets, ProposerTask
from synthproxy.matching.proposers.network import hide
from synthproxy.matching.proposers.training import loss_weights, open_noted_corpora, segments_of, train_proposer
from synthproxy.matching.training import train_by_recipe
from synthproxy.proxies.tokens import to_soft
from synthproxy.training.folder import STATE_FORM
from synthproxy.training.tensors import read_tensors

STEPS = 3 * 5
CHECKPOINTS = ("last", "best_loss", "best_loss_from_nothing")


def weights(folder, name="last"):
    return load_proposer(folder / f"{name}.safetensors")[0].state_dict()


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
def whole(tmp_path, make_proposer_recipe):
    result = train_proposer(make_proposer_recipe(), tmp_path / "whole")
    assert (result.status, result.step) == ("finished", STEPS)
    return tmp_path / "whole"


def test_a_run_leaves_what_it_promises(whole, make_proposer_recipe):
    names = {path.name.split(".")[0] for path in whole.iterdir()}
    assert names == {"recipe", "metrics", *CHECKPOINTS, "state", "events"}
    rows = metrics(whole)
    assert [row["step"] for row in rows] == [5, 10, 15]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["loss_from_nothing"] < rows[0]["loss_from_nothing"]
    assert all(0 < row[name] < 1 for row in rows for name in ("accuracy", "accuracy_from_nothing"))
    info = load_proposer(whole / "last.safetensors")[1]
    assert ([note.pitch for note in info.notes], info.segments, info.seconds) == ([48, 72], 4, 0.2)
    assert [corpus.size for corpus in info.learned_from] == [96, 64]
    training, _ = open_noted_corpora(make_proposer_recipe())
    network, _ = load_proposer(whole / "last.safetensors")
    np.testing.assert_array_equal(network.usual.numpy(), network.code.usual(training.everything()[0]))
    for name in ("loss", "loss_from_nothing"):
        assert load_proposer(whole / f"best_{name}.safetensors")[1].metrics[name] == min(row[name] for row in rows)
    again = train_proposer(make_proposer_recipe(), whole)
    assert again.status == "already finished"
    assert again.best["loss"] == min(row["loss"] for row in rows)


@pytest.mark.parametrize("at", [1, 5, 12, 14])
def test_a_stopped_and_continued_run_ends_with_the_same_bits(tmp_path, make_proposer_recipe, whole, at):
    stopped = train_proposer(make_proposer_recipe(), tmp_path / "parts", stop=lambda step: step == at)
    assert (stopped.status, stopped.step) == ("stopped", at)
    torch.manual_seed(99)  # whatever happens in between
    assert train_proposer(make_proposer_recipe(), tmp_path / "parts").status == "finished"
    assert_same_run(tmp_path / "parts", whole)


def test_so_does_a_killed_run_that_reads_blocks(tmp_path, make_proposer_recipe, noted_corpora):
    corpus = {"train": (noted_corpora["low"], noted_corpora["high"]), "block": 100}

    def die(step):
        if step == 12:
            raise RuntimeError("killed")
        return False

    train_proposer(make_proposer_recipe(corpus=corpus), tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train_proposer(make_proposer_recipe(corpus=corpus), tmp_path / "parts", stop=die)
    assert train_proposer(make_proposer_recipe(corpus=corpus), tmp_path / "parts").status == "finished"
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1")
def test_a_signal_stops_after_the_step_and_saves(tmp_path, make_proposer_recipe):
    def send(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGUSR1)
        return False

    result = train_proposer(make_proposer_recipe(), tmp_path / "run", stop=send)
    assert (result.status, result.step) in [("stopped", 4), ("stopped", 5)]
    assert (tmp_path / "run" / "state.safetensors").is_file()


def test_validation_scores_are_cross_entropies_written_out(make_proposer_recipe, whole):
    proposer, info = load_proposer(whole / "last.safetensors")
    _, validation = open_noted_corpora(make_proposer_recipe())
    presets, embeddings, notes = validation.everything()
    known = hide(info.space, len(presets), np.random.default_rng(VALIDATION_SEED))
    row = metrics(whole)[-1]
    for name, told in (("", known), ("_from_nothing", np.zeros_like(known))):
        with torch.no_grad():
            sounds, soft = torch.from_numpy(embeddings).float(), to_soft(info.space, torch.from_numpy(presets))
            logits = proposer(sounds, torch.from_numpy(notes), soft, torch.from_numpy(told))
        missed, right = [], []
        for column, code in enumerate(proposer.code.parameters):
            hidden = ~told[:, column]
            classes = code.classes(presets[hidden, column].astype(np.float64))
            wanted = torch.from_numpy(code.weights()[classes]).float()
            found = logits[torch.from_numpy(hidden), column, : code.size]
            missed += F.cross_entropy(found, wanted, reduction="none").tolist()
            right += (found.argmax(dim=1).numpy() == classes).tolist()
        assert row[f"loss{name}"] == pytest.approx(np.mean(missed), rel=1e-4)
        assert row[f"accuracy{name}"] == pytest.approx(np.mean(right), abs=1e-3)


def test_the_network_knows_where_embeddings_of_all_corpora_lie(make_proposer_recipe, whole):
    training, _ = open_noted_corpora(make_proposer_recipe())
    channels = training.everything()[1].astype(np.float64).reshape(len(training) * 4, -1)
    spread = load_proposer(whole / "last.safetensors")[0].hearing.standardised
    np.testing.assert_allclose(spread.mean.numpy(), channels.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(spread.deviation.numpy(), channels.std(axis=0, ddof=1), rtol=1e-3)


def gradients(folder):
    """What AdamW keeps of the gradients of a first step, one after the other."""
    tensors, _ = read_tensors(folder / "state.safetensors", STATE_FORM)
    return torch.cat([t.flatten() for name, t in tensors.items() if name.endswith(".exp_avg")]) / 0.1


def test_gradients_are_scaled_down_to_the_norm_that_is_given(tmp_path, make_proposer_recipe):
    found = {}
    for most in (None, 1e-3, 1e3):
        folder = tmp_path / str(most)
        train_proposer(make_proposer_recipe(training={"gradient_clip": most}), folder, stop=lambda _: True)
        found[most] = gradients(folder)
    norm = found[None].norm()
    assert norm > 0.01
    torch.testing.assert_close(found[1e-3], found[None] * 1e-3 / norm, rtol=1e-3, atol=1e-9)
    assert torch.equal(found[1e3], found[None])


def test_mixed_precision_trains(tmp_path, make_proposer_recipe, whole):
    train_proposer(make_proposer_recipe(training={"precision": "bf16-mixed"}), tmp_path / "run")
    assert {tensor.dtype for tensor in weights(tmp_path / "run").values()} == {torch.float32}
    assert metrics(tmp_path / "run")[-1]["loss"] == pytest.approx(metrics(whole)[-1]["loss"], rel=0.05)


def test_noise_is_added_in_training_only(tmp_path, make_proposer_recipe, whole):
    train_proposer(make_proposer_recipe(training={"noise": 0.0}), tmp_path / "run")
    assert metrics(tmp_path / "run")[-1]["training_loss"] != metrics(whole)[-1]["training_loss"]
    training, validation = open_noted_corpora(make_proposer_recipe())
    proposer, info = load_proposer(whole / "last.safetensors")
    task = ProposerTask(proposer, 0.5, torch.ones(info.space.size), HiddenPresets.of(validation), info)
    assert task.scores(0) == replace(task, noise=0.0).scores(0)
    with training.batches(160, 0) as batches:
        batch = tuple(torch.from_numpy(column) for column in batches.batch(0, 0))
    asked = []

    def noting(sounds, *rest):
        asked.append(sounds)
        return proposer(sounds, *rest)

    task.loss(noting, batch, 0)
    deviation = proposer.hearing.standardised.deviation
    added = (asked[0] - batch[1].float()).view(len(batch[1]), -1, len(deviation)) / deviation
    assert added.std() == pytest.approx(0.5, rel=0.02)
    assert added.mean() == pytest.approx(0.0, abs=0.01)


def test_some_parameters_may_count_more(make_proposer_recipe, whole):
    training, validation = open_noted_corpora(make_proposer_recipe())
    proposer, info = load_proposer(whole / "last.safetensors")
    weigh = {"algorithm": 7.0, "operators.2": 2.5}
    task = ProposerTask(proposer, 0.0, loss_weights(info.space, weigh), HiddenPresets.of(validation), info)
    with training.batches(160, 0) as batches:
        presets, sounds, notes, classes, known = (torch.from_numpy(column) for column in batches.batch(0, 0))
    found = task.loss(proposer, (presets, sounds, notes, classes, known), 0)
    missed = proposer.missed(proposer(sounds.float(), notes, to_soft(info.space, presets), known), classes)
    counts = torch.tensor([weigh.get(p.name, weigh.get(p.group, 1.0)) for p in info.space.free])
    torch.testing.assert_close(found, (missed * counts)[~known].sum() / counts.expand_as(missed)[~known].sum())


def test_training_may_begin_with_another_proposer(tmp_path, make_proposer_recipe, whole, trained_on_other_sounds):
    again = make_proposer_recipe(training={"begin": whole / "last.safetensors"}, proposer={"reading": 8})
    train_proposer(again, tmp_path / "on", stop=lambda step: step == 5)
    before, after = metrics(whole), metrics(tmp_path / "on")
    assert after[0]["loss"] < 0.5 * (before[0]["loss"] + before[-1]["loss"])
    with pytest.raises(IncompatibleError, match=r"other\.safetensors: of other presets, or heard by another"):
        train_proposer(make_proposer_recipe(training={"begin": trained_on_other_sounds}), tmp_path / "other")
    other_sizes = make_proposer_recipe(training={"begin": whole / "last.safetensors"}, proposer={"width": 8})
    with pytest.raises(InvalidInputError, match=r"last\.safetensors: .* is wider"):
        train_proposer(other_sizes, tmp_path / "other")
    for pattern in ("nothing", "op1_velocity_sensitivity"):
        with pytest.raises(InvalidInputError, match=pattern):
            train_proposer(make_proposer_recipe(training={"weights": {pattern: 2.0}}), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_wider_network_begins_with_a_narrower_as_a_part_of_it(tmp_path, make_proposer_recipe):
    narrow = make_proposer_recipe(proposer={"reading": 8}, training={"epochs": 1})
    train_proposer(narrow, tmp_path / "narrow")
    standing = {"begin": tmp_path / "narrow/last.safetensors", "learning_rate": 1e-6}
    train_proposer(make_proposer_recipe(proposer={"reading": 12}, training=standing), tmp_path / "wide")
    before, after = (load_proposer(tmp_path / name / "last.safetensors")[0] for name in ("narrow", "wide"))
    assert before.reading is not None
    assert after.reading is not None
    torch.testing.assert_close(after.reading.first.weight[:8], before.reading.first.weight, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.reading.last.weight[:, :8], before.reading.last.weight, atol=1e-4, rtol=0)
    assert after.reading.first.weight.shape[0] == 12


@pytest.fixture
def trained_on_other_sounds(tmp_path, whole):
    proposer, info = load_proposer(whole / "last.safetensors")
    save_proposer(tmp_path / "other.safetensors", proposer, replace(info, audio_model_identity="another"))
    return tmp_path / "other.safetensors"


def test_corpora_that_do_not_belong_together_are_refused(tmp_path, make_proposer_recipe, whole, heard_corpus):
    other = {"validation": (heard_corpus.path,)}
    with pytest.raises(IncompatibleError, match="audio model differs"):
        train_proposer(make_proposer_recipe(corpus=other), tmp_path / "run")
    with pytest.raises(InvalidInputError, match="3 tokens of a sound must divide its 4 segments"):
        train_proposer(make_proposer_recipe(proposer={"tokens": 3}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(IncompatibleError, match=r"another recipe \(.*recipe\.proposer\.width"):
        train_proposer(make_proposer_recipe(proposer={"width": 32}), whole)


def test_audio_models_say_how_many_parts_of_a_clip_they_keep_apart():
    assert [segments_of(name) for name in ("mel@16", "mel", "mn04_mel@8", "mel@log16", "mel@max")] == [16, 1, 8, 16, 1]


def test_a_table_makes_a_recipe_that_of_a_proposer(tmp_path, noted_corpora):
    (tmp_path / "recipe.toml").write_text(
        f"""
        [proposer]
        tokens = 2
        width = 16
        [corpus]
        train = ["{noted_corpora["low"]}"]
        validation = ["{noted_corpora["low-validation"]}"]
        [training]
        batch_size = 32
        epochs = 1
        learning_rate = 1e-2
        """
    )
    result = train_by_recipe(tmp_path / "recipe.toml", tmp_path / "run", ["machine.threads=1"])
    assert (result.status, result.step) == ("finished", 3)
