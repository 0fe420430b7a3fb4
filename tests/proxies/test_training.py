"""Training learns, stops without loss, and continues to the same bits."""

import json
import os
import signal
import threading

import numpy as np
import pytest
import torch

from synthproxy.corpus import Corpus
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.proxies import Examples, make_proxy
from synthproxy.proxies.checkpoint import load_checkpoint, save_checkpoint
from synthproxy.proxies.evaluation import evaluate
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.streaming import StreamedExamples
from synthproxy.proxies.training import train, train_on_examples
from synthproxy.training.run import Plan

STEPS = 3 * (100 // 16)


@pytest.fixture
def data(small_space, make_examples):
    return make_examples(small_space, 100, 4, 1), make_examples(small_space, 30, 4, 2)


def weights(folder, name="last"):
    return load_checkpoint(folder / f"{name}.safetensors")[0].state_dict()


def metrics(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "presets_per_second")} for row in rows]


def assert_same_run(folder, other):
    for name in ("last", "best_l1", "best_mrr"):
        ours, theirs = weights(folder, name), weights(other, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name
    assert metrics(folder) == metrics(other)


@pytest.fixture
def whole(tmp_path, make_recipe, data):
    result = train_on_examples(make_recipe(), *data, tmp_path / "whole")
    assert (result.status, result.step) == ("finished", STEPS)
    return tmp_path / "whole"


def test_a_run_leaves_what_it_promises(whole):
    names = {path.name.split(".")[0] for path in whole.iterdir()}
    assert {"recipe", "metrics", "last", "best_l1", "best_mrr", "state", "events"} == names
    rows = metrics(whole)
    assert [row["step"] for row in rows] == [3, 6, 9, 12, 15, 18]
    assert rows[-1]["training_loss"] < rows[0]["training_loss"]
    info = load_checkpoint(whole / "last.safetensors")[1]
    assert info.metrics["l1"] == rows[-1]["l1"]
    assert info.setting.audio_model == "bands"


@pytest.mark.parametrize("at", [1, 5, 6, 7, 17])
def test_a_stopped_and_continued_run_ends_with_the_same_bits(tmp_path, make_recipe, data, whole, at):
    folder = tmp_path / "stopped"
    stopped = train_on_examples(make_recipe(), *data, folder, stop=lambda step: step == at)
    assert (stopped.status, stopped.step) == ("stopped", at)
    assert "the same command continues" in stopped.message
    torch.manual_seed(99)  # whatever happens in between
    assert train_on_examples(make_recipe(), *data, folder).status == "finished"
    assert_same_run(folder, whole)


def test_a_killed_and_continued_run_ends_with_the_same_bits(tmp_path, make_recipe, data, whole):
    def die(step):
        if step == 11:  # the last save was after step 6, the last validation after step 9
            raise RuntimeError("killed")
        return False

    folder = tmp_path / "killed"
    with pytest.raises(RuntimeError, match="killed"):
        train_on_examples(make_recipe(), *data, folder, stop=die)
    assert [row["step"] for row in metrics(folder)] == [3, 6, 9]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1')  # a line that was cut short
    assert train_on_examples(make_recipe(), *data, folder).status == "finished"
    assert_same_run(folder, whole)


def test_another_seed_gives_other_weights(tmp_path, make_recipe, data, whole):
    train_on_examples(
        make_recipe(training={"seed": 1, "batch_size": 16, "learning_rate": 4e-3}),
        *data,
        tmp_path / "b",
        stop=lambda step: step == 2,
    )
    ours, theirs = weights(tmp_path / "b"), weights(whole)
    assert not torch.equal(ours["network.1.weight"], theirs["network.1.weight"])


def test_a_finished_run_does_nothing_when_run_again(make_recipe, data, whole):
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
    result = train_on_examples(make_recipe(), *data, whole)
    assert result.status == "already finished"
    assert "nothing was done" in result.message
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_a_folder_of_another_recipe_or_corpus_is_refused(
    tmp_path, make_recipe, make_examples, small_space, data, whole
):
    other = make_recipe(proxy={"name": "mlp-oh", "sizes": {}})
    with pytest.raises(IncompatibleError, match=r"another recipe \(.*recipe\.proxy\.name"):
        train_on_examples(other, *data, whole)
    with pytest.raises(IncompatibleError, match=r"corpora\.train"):
        train_on_examples(make_recipe(), make_examples(small_space, 100, 4, 7), data[1], whole)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "poem.txt").write_text("roses are red")
    with pytest.raises(InvalidInputError, match="nor one of a run"):
        train_on_examples(make_recipe(), *data, tmp_path / "notes")


def test_a_time_limit_ends_with_a_validation_and_can_be_raised(tmp_path, make_recipe, data, whole):
    short = make_recipe(machine={"accelerator": "cpu", "threads": 1, "max_minutes": 1e-9})
    result = train_on_examples(short, *data, tmp_path / "short")
    assert (result.status, result.step) == ("time limit", 1)
    assert [row["step"] for row in metrics(tmp_path / "short")] == [1]
    assert train_on_examples(short, *data, tmp_path / "short").status == "already finished"
    assert train_on_examples(make_recipe(), *data, tmp_path / "short").status == "finished"
    ours, theirs = weights(tmp_path / "short"), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_stops_after_the_step_and_saves(tmp_path, make_recipe, data, name):
    handler = signal.getsignal(getattr(signal, name))

    def send(step):
        if step == 4:
            os.kill(os.getpid(), getattr(signal, name))
        return False

    result = train_on_examples(make_recipe(), *data, tmp_path / "run", stop=send)
    assert (result.status, result.step) in [("stopped", 4), ("stopped", 5)]
    assert (tmp_path / "run" / "state.safetensors").is_file()
    assert signal.getsignal(getattr(signal, name)) is handler


def test_training_works_outside_the_main_thread(tmp_path, make_recipe, data):
    results = []
    thread = threading.Thread(target=lambda: results.append(train_on_examples(make_recipe(), *data, tmp_path / "run")))
    thread.start()
    thread.join()
    assert results[0].status == "finished"


def test_progress_is_quiet_off_a_terminal_and_shown_on_demand(tmp_path, make_recipe, data, capfd):
    train_on_examples(make_recipe(), *data, tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")
    train_on_examples(make_recipe(), *data, tmp_path / "shown", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "presets/s" in err
    assert "MRR" in err


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_saved(tmp_path, make_recipe, data):
    recipe = make_recipe(
        training={"batch_size": 16, "learning_rate": 1e30, "epochs": 3, "loss": "mse"},
        proxy={"name": "mlp-oh", "sizes": {"width": 8, "layers": 1}},
    )
    with pytest.raises(InvalidInputError, match=r"lower training\.learning_rate"):
        train_on_examples(recipe, *data, tmp_path / "run")


def test_fine_tuning_starts_from_the_weights_of_a_checkpoint(tmp_path, make_recipe, data, whole):
    start = whole / "best_l1.safetensors"
    proxy = {"name": "hn-oh", "sizes": {"width": 16, "blocks": 2}, "start_from": start}
    recipe = make_recipe(proxy=proxy, training={"batch_size": 16, "learning_rate": 1e-9, "epochs": 1})
    train_on_examples(recipe, *data, tmp_path / "tuned", stop=lambda step: step == 1)
    ours, theirs = weights(tmp_path / "tuned"), weights(whole, "best_l1")
    assert torch.allclose(ours["network.1.weight"], theirs["network.1.weight"], atol=1e-6)
    other = make_recipe(proxy={**proxy, "sizes": {"width": 8, "blocks": 2}})
    with pytest.raises(InvalidInputError, match="other sizes"):
        train_on_examples(other, *data, tmp_path / "other")


def test_corpora_that_do_not_fit_are_refused(tmp_path, make_recipe, make_examples, small_space, tal_space, data):
    with pytest.raises(IncompatibleError, match="preset spaces differ"):
        train_on_examples(make_recipe(), data[0], make_examples(tal_space, 30, 4, 0), tmp_path / "a")
    with pytest.raises(InvalidInputError, match=r"16 is more than the 10 presets"):
        train_on_examples(make_recipe(), data[0].first(10), data[1], tmp_path / "b")
    with pytest.raises(InvalidInputError, match="4 values each"):
        train_on_examples(make_recipe(), data[0], make_examples(small_space, 30, 5, 0), tmp_path / "c")
    assert not any(tmp_path.iterdir())


def test_validations_divide_every_epoch(make_recipe):
    plan = Plan.of(make_recipe(training={"batch_size": 10, "learning_rate": 1, "epochs": 2}), 109)
    assert (plan.steps_per_epoch, plan.total_steps) == (10, 20)
    assert [step for step in range(1, 21) if plan.validates_after(step)] == [5, 10, 15, 20]
    assert [step for step in range(1, 21) if plan.ends_epoch(step)] == [10, 20]


@pytest.mark.parametrize("name", ["tfm", "hn-ptgru", "hn-pt"])
def test_other_architectures_train_and_continue_too(tmp_path, make_recipe, data, name):
    sizes = {
        "tfm": {"width": 8, "heads": 2, "layers": 2, "feed_forward": 16},
        "hn-ptgru": {"token": 8, "hidden": 4, "width": 8, "blocks": 2},
        "hn-pt": {"token": 4, "width": 8, "blocks": 2},
    }[name]
    recipe = make_recipe(proxy={"name": name, "sizes": sizes})
    train_on_examples(recipe, *data, tmp_path / "whole")
    train_on_examples(recipe, *data, tmp_path / "parts", stop=lambda step: step == 8)
    train_on_examples(recipe, *data, tmp_path / "parts")
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_mixed_precision_trains(tmp_path, make_recipe, data):
    options = {"batch_size": 16, "epochs": 2, "learning_rate": 4e-3, "precision": "bf16-mixed"}
    result = train_on_examples(make_recipe(training=options), *data, tmp_path / "run")
    assert result.status == "finished"
    assert weights(tmp_path / "run")["network.1.weight"].dtype == torch.float32


def test_a_proxy_of_the_real_engine_beats_the_mean_and_chance(tmp_path, make_recipe, rendered_examples):
    training, validation = rendered_examples
    recipe = make_recipe(
        proxy={"name": "hn-oh", "sizes": {"width": 128, "blocks": 3}},
        training={"batch_size": 64, "epochs": 20, "learning_rate": 4e-3, "validations_per_epoch": 1},
    )
    train_on_examples(recipe, training, validation, tmp_path / "run")
    proxy = load_checkpoint(tmp_path / "run" / "best_l1.safetensors")[0]
    result = evaluate(proxy, validation, training=training)
    assert result.score.l1 < 0.95 * result.baselines["mean"].l1
    assert result.score.l1 < 0.95 * result.baselines["nearest preset"].l1
    assert result.score.validation.interval.low > result.chance.validation


def test_training_reads_corpora_from_disk(tmp_path, make_recipe):
    corpus = pytest.importorskip("synthproxy.corpus")
    if not hasattr(corpus, "generate"):
        pytest.skip("the corpus room is not there yet")
    with pytest.raises(InvalidInputError):
        train(make_recipe(corpus={"train": tmp_path / "none", "validation": tmp_path / "none"}), tmp_path / "run")


def test_a_checkpoint_of_an_untrained_proxy_can_be_saved(tmp_path, data, small_space):
    proxy = make_proxy("mlp-oh", small_space, 4, width=4)
    save_checkpoint(tmp_path / "new.safetensors", proxy, data[0].setting)
    assert np.array_equal(
        load_checkpoint(tmp_path / "new.safetensors")[0].embed(data[1].presets), proxy.embed(data[1].presets)
    )


PARALLEL = """
[proxy]
name = "tfm"
sizes = { width = 16, layers = 1, heads = 2, feed_forward = 16 }

[corpus]
train = "CORPORA/train"
validation = "CORPORA/validation"

[training]
batch_size = 32
epochs = 3
learning_rate = 1e-3

[schedule]
kind = "plateau"
patience = 0

[machine]
accelerator = "cpu"
threads = 1
"""


def test_two_processes_train_as_one_does(process, corpora, tmp_path):
    (tmp_path / "recipe.toml").write_text(PARALLEL.replace("CORPORA", str(corpora)))
    for devices in (1, 2):
        outcome = process(f"train recipe.toml --out run{devices} --set machine.devices={devices}", tmp_path)
        assert outcome.code == 0, outcome.err
        assert outcome.out == f"finished after 12 of 12 steps; checkpoints are in run{devices}\n"
    one, two = (weights(tmp_path / f"run{devices}") for devices in (1, 2))
    assert all(torch.allclose(one[key], two[key], atol=2e-4) for key in one)
    rows = [metrics(tmp_path / f"run{devices}") for devices in (1, 2)]
    assert [row["learning_rate"] for row in rows[0]] == [row["learning_rate"] for row in rows[1]]
    assert [row["l1"] for row in rows[0]] == pytest.approx([row["l1"] for row in rows[1]], abs=1e-4)


# Corpora that are read while they are learned from

IN_BLOCKS = {"batch_size": 100, "epochs": 2, "learning_rate": 4e-3}


@pytest.fixture(scope="module")
def stored(tmp_path_factory, small_space, make_examples, store_examples):
    """Corpora of four shards, the last one short, and of one."""
    folder = tmp_path_factory.mktemp("stored")
    store_examples(folder / "train", make_examples(small_space, 1_710, 4, 1))
    store_examples(folder / "validation", make_examples(small_space, 30, 4, 2))
    return folder


@pytest.fixture
def in_blocks(make_recipe, stored):
    """A recipe of 34 steps; every epoch falls into blocks of two shards or three."""

    def make(block=600):
        corpus = {"train": stored / "train", "validation": stored / "validation", "block": block}
        return make_recipe(training=IN_BLOCKS, corpus=corpus)

    return make


@pytest.fixture
def streamed(tmp_path, in_blocks):
    assert train(in_blocks(), tmp_path / "streamed").step == 34
    return tmp_path / "streamed"


@pytest.mark.parametrize("at", [1, 10, 11, 17, 30])
def test_a_streamed_run_that_was_stopped_ends_with_the_same_bits(tmp_path, in_blocks, streamed, at):
    assert train(in_blocks(), tmp_path / "stopped", stop=lambda step: step == at).step == at
    assert train(in_blocks(), tmp_path / "stopped").status == "finished"
    assert_same_run(tmp_path / "stopped", streamed)


def test_a_streamed_run_that_was_killed_ends_with_the_same_bits(tmp_path, in_blocks, streamed):
    def die(step):
        if step == 27:
            raise RuntimeError("killed")
        return False

    with pytest.raises(RuntimeError, match="killed"):
        train(in_blocks(), tmp_path / "killed", stop=die)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("blocks")]
    assert train(in_blocks(), tmp_path / "killed").status == "finished"
    assert_same_run(tmp_path / "killed", streamed)


def test_a_streamed_run_learns_what_one_in_memory_does(tmp_path, in_blocks, streamed):
    assert train(in_blocks(block=None), tmp_path / "memory").step == 34
    (blocks, memory) = (metrics(folder)[-1]["l1"] for folder in (streamed, tmp_path / "memory"))
    assert blocks == pytest.approx(memory, rel=0.1)
    assert metrics(streamed)[0]["l1"] != metrics(tmp_path / "memory")[0]["l1"]
    with pytest.raises(IncompatibleError, match=r"recipe\.corpus\.block"):
        train(in_blocks(), tmp_path / "memory")
    with pytest.raises(IncompatibleError, match=r"recipe\.corpus\.block"):
        train(in_blocks(block=512), streamed)


def test_a_run_in_memory_is_the_same_run_as_before_there_were_blocks(in_blocks):
    assert in_blocks().identity()["corpus"]["block"] == 600
    assert in_blocks(block=None).identity()["corpus"].keys() == {"train", "validation"}


def test_another_corpus_to_stream_is_refused(tmp_path, in_blocks, streamed, stored, store_examples, make_examples):
    examples = StreamedExamples.from_corpus(Corpus.open(stored / "train"), 600)
    fewer = store_examples(tmp_path / "other", make_examples(examples.setting.space, 1_709, 4, 1))
    validation = Examples.from_corpus(Corpus.open(stored / "validation"))
    assert train_on_examples(in_blocks(), examples, validation, streamed).status == "already finished"
    with pytest.raises(IncompatibleError, match=r"corpora\.train\.items, corpora\.train\.size\)"):
        train_on_examples(in_blocks(), StreamedExamples.from_corpus(fewer, 600), validation, streamed)


def test_two_processes_stream_as_one_does(process, stored, tmp_path):
    text = PARALLEL.replace("CORPORA", str(stored)).replace("batch_size = 32", "batch_size = 190")
    (tmp_path / "recipe.toml").write_text(text)
    outcome = process("train recipe.toml --out two --set machine.devices=2 --set corpus.block=600", tmp_path)
    assert outcome.code == 0, outcome.err
    train(TrainingRecipe.read(tmp_path / "recipe.toml", ["corpus.block=600"]), tmp_path / "one")
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    assert all(torch.allclose(one[key], two[key], atol=2e-4) for key in one)


def test_batch_norms_that_cannot_be_shared_are_refused(process, corpora, tmp_path):
    text = PARALLEL.replace("CORPORA", str(corpora)).replace("tfm", "hn-oh")
    (tmp_path / "recipe.toml").write_text(text.replace("layers = 1, heads = 2, feed_forward = 16", "blocks = 2"))
    outcome = process("train recipe.toml --out run --set machine.devices=2", tmp_path)
    assert outcome.code == 2
    assert "cannot share; take one, or a proxy without batch norms" in outcome.err


def test_an_evaluation_is_written_as_tables_and_a_plot(process, corpora, tmp_path):
    (tmp_path / "recipe.toml").write_text(PARALLEL.replace("CORPORA", str(corpora)))
    assert process("train recipe.toml --out run", tmp_path).code == 0
    outcome = process(f"evaluate run/last.safetensors --corpus {corpora / 'train'} --out found --json", tmp_path)
    assert outcome.code == 0, outcome.err
    written = json.loads((tmp_path / "found" / "scores.json").read_text())
    assert written["score"] == json.loads(outcome.out)["score"]
    assert len(written["worst"]) == 20
    for name in ("scores", "directions", "galleries", "worst"):
        assert all((tmp_path / "found" / f"{name}.{suffix}").stat().st_size for suffix in ("md", "csv", "tex"))
