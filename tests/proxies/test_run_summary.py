"""Reading a run's folder: real runs, interrupted ones, and folders that are none."""

import json
import shutil
from pathlib import Path

import pytest

from synthproxy.errors import InvalidInputError
from synthproxy.proxies import count_parameters
from synthproxy.proxies.checkpoint import count_saved_parameters, load_checkpoint, save_checkpoint
from synthproxy.proxies.run_summary import read_run
from synthproxy.proxies.training import train_on_examples


@pytest.fixture
def run(tmp_path, small_space, make_examples, make_recipe) -> Path:
    """The folder of a run of a second."""
    examples = make_examples(small_space, 64, 6, 0), make_examples(small_space, 32, 6, 1)
    train_on_examples(make_recipe(), *examples, tmp_path / "run")
    return tmp_path / "run"


def test_a_finished_run_is_read_from_its_folder_alone(run, small_space):
    found = read_run(run)
    assert (found.proxy, found.synth, found.audio_model) == ("hn-oh", "small", "bands")
    assert found.parameters == count_parameters("hn-oh", small_space, 6, width=16, blocks=2)
    assert (found.training_size, found.validation["size"]) == (64, 32)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(found.metrics) == len(rows) == 6
    assert found.last("presets") == rows[-1]["presets"] == 192
    assert (found.best("mrr"), found.best("l1")) == (max(r["mrr"] for r in rows), min(r["l1"] for r in rows))
    assert found.last("mrr") == rows[-1]["mrr"]


def test_speed_is_over_the_whole_run(run):
    rows = [{"step": 1, "presets": 100, "seconds": 2.0}, {"step": 2, "presets": 300, "seconds": 12.0}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 3, "pre')
    assert read_run(run).presets_per_second == 25.0


def test_a_run_before_its_first_validation_has_gaps(run):
    for file in ("metrics.jsonl", "best_mrr.safetensors", "best_l1.safetensors", "last.safetensors"):
        (run / file).unlink()
    found = read_run(run)
    assert (found.parameters, found.best("mrr"), found.last("l1"), found.presets_per_second) == (None,) * 4
    assert found.proxy == "hn-oh"


def test_numbers_that_are_none_are_left_out(run):
    (run / "metrics.jsonl").write_text('{"step": 1, "l1": NaN, "mrr": 0.5, "note": "x"}\n')
    assert read_run(run).metrics == ({"step": 1, "mrr": 0.5},)


def test_parameters_are_not_told_of_an_architecture_that_has_changed(run, small_space, monkeypatch):
    file = run / "best_mrr.safetensors"
    assert count_saved_parameters(file) == count_parameters("hn-oh", small_space, 6, width=16, blocks=2)
    proxy, info = load_checkpoint(file)
    proxy.sizes = {**proxy.sizes, "blocks": 3}
    save_checkpoint(file, proxy, info.setting)
    assert count_saved_parameters(file) is None
    monkeypatch.setattr("synthproxy.proxies.zoo._BUILT_IN", {})
    assert count_saved_parameters(file) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", "not the recipe of a training run, or damaged"),
        ("[]", "not the recipe of a training run, or damaged"),
        ('{"recipe": {}, "corpora": {"train": {}}}', "KeyError"),
    ],
)
def test_a_damaged_recipe_is_named(run, text, words):
    (run / "recipe.json").write_text(text)
    with pytest.raises(InvalidInputError, match=words) as error:
        read_run(run)
    assert str(run / "recipe.json") in str(error.value)


def test_folders_that_are_no_runs_and_damaged_checkpoints_are_refused(run, tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(InvalidInputError, match="not the folder of a training run"):
            read_run(path)
    shutil.copy(run / "recipe.json", run / "best_mrr.safetensors")
    with pytest.raises(InvalidInputError, match=r"best_mrr\.safetensors: not a whole safetensors file"):
        read_run(run)
