"""Tuning finds what is better, can be killed and shared, and says what is wrong before it begins."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.tuning import read_tuning, tune

pytest.importorskip("optuna", reason="pip install 'synthproxy[tuning]' to tune")

TEXT = """
[study]
trials = 5
quasi_random = 3
prune = false

[search]
"training.learning_rate" = { low = 1e-6, high = 1e-2, log = true }
"training.betas.0" = { low = 0.8, high = 0.95 }
"proxy.sizes.blocks" = { low = 1, high = 2 }
"proxy.sizes.width" = { choices = [8, 16] }

[proxy]
name = "hn-oh"

[corpus]
train = "CORPORA/train"
validation = "CORPORA/validation"

[training]
batch_size = 32
epochs = 2
learning_rate = 1e-3
validations_per_epoch = 1

[schedule]
kind = "cosine"
warmup_steps = 1
"""


@pytest.fixture
def recipe(corpora: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT.replace("CORPORA", str(corpora)), encoding="utf8")
    return path


def trials(folder: Path) -> list[dict[str, object]]:
    return json.loads((folder / "trials.json").read_text(encoding="utf8"))


def test_a_study_goes_on_where_it_stood_and_keeps_no_networks(recipe: Path, tmp_path: Path) -> None:
    first = tune(recipe, tmp_path / "study", most=2)
    assert (first.finished, first.pruned, first.failed, first.interrupted) == (2, 0, 0, False)
    result = tune(recipe, tmp_path / "study")
    assert result.finished == 5
    rows = trials(tmp_path / "study")
    assert [row["trial"] for row in rows] == [0, 1, 2, 3, 4]
    assert result.best_mrr == max(row["mrr"] for row in rows)
    assert set(result.best) == {
        "training.learning_rate",
        "training.betas.0",
        "proxy.sizes.blocks",
        "proxy.sizes.width",
    }
    assert len({row["training.learning_rate"] for row in rows}) == 5
    assert not list((tmp_path / "study").rglob("*.safetensors"))
    run = json.loads((tmp_path / "study" / "trials" / "0000" / "recipe.json").read_text())["recipe"]
    assert run["training"]["betas"][0] == rows[0]["training.betas.0"]
    again = tune(recipe, tmp_path / "study")
    assert (again.finished, again.best) == (5, result.best)


def test_two_processes_share_a_study_and_one_may_be_killed(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("trials = 5", "trials = 6"))
    command = [sys.executable, "-m", "synthproxy.cli", "tune", str(recipe), "--out", str(tmp_path / "study"), "--json"]
    killed, other = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))
    limit = time.monotonic() + 60
    while not (tmp_path / "study" / "trials").exists() and time.monotonic() < limit and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    out, _ = other.communicate(timeout=100)
    killed.communicate()
    assert other.returncode == 0
    assert 6 <= json.loads(out)["finished"] <= 7


def test_sizes_that_do_not_fit_cost_one_trial_each(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text().replace('name = "hn-oh"', 'name = "tfm"\n\n[proxy.sizes]\nlayers = 1\nfeed_forward = 8')
    text = text.replace('"proxy.sizes.blocks" = { low = 1, high = 2 }', '"proxy.sizes.heads" = { choices = [4, 5] }')
    recipe.write_text(text)
    result = tune(recipe, tmp_path / "study")
    assert result.failed >= 1
    assert result.finished + result.failed == 5
    assert result.best["proxy.sizes.heads"] == 4


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("trials = 5", "trials = 0", "study.trials"),
        ("low = 0.8, high = 0.95", "low = 0.8, high = 0.7", "low must be below high"),
        ("low = 0.8, high = 0.95", "low = 0.8, high = 1.5", "training.betas"),
        ("training.betas.0", "training.betas.7", "betas"),
        ("training.betas.0", "training.beta", "no such key; did you mean betas"),
        ("proxy.sizes.blocks", "proxy.sizes.depth", "has no size 'depth'"),
        ("choices = [8, 16]", "choices = []", "choices"),
        ('name = "hn-oh"', 'name = "hn"', "unknown proxy"),
    ],
)
def test_mistakes_are_found_before_the_first_trial(
    recipe: Path, tmp_path: Path, before: str, after: str, words: str
) -> None:
    recipe.write_text(recipe.read_text().replace(before, after))
    with pytest.raises(InvalidInputError, match=words) as caught:
        tune(recipe, tmp_path / "study")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_a_folder_of_another_study_is_refused(recipe: Path, tmp_path: Path) -> None:
    tune(recipe, tmp_path / "study", most=1)
    recipe.write_text(recipe.read_text().replace("epochs = 2", "epochs = 3"))
    with pytest.raises(InvalidInputError, match="study of another recipe"):
        tune(recipe, tmp_path / "study")


def test_study_without_tables_takes_the_published_numbers(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().split("[study]")[0] + "[search]" + recipe.read_text().split("[search]")[1])
    study = read_tuning(recipe)[0].study
    assert (study.trials, study.quasi_random, study.seed) == (203, 128, 42)
