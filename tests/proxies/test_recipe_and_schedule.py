"""Recipes are checked as a whole; learning rates follow the published formula."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.tuning import read_tuning
from synthproxy.synths import synth_names
from synthproxy.training.schedule import CosineSchedule, PlateauSchedule, RestartSchedule

RECIPES = Path(__file__).parents[2] / "recipes"

GOOD = """
[proxy]
name = "hn-oh"
[corpus]
train = "."
validation = "."
[training]
learning_rate = 4e-3
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


def test_what_is_not_given_is_as_published(write):
    recipe = TrainingRecipe.read(write(GOOD))
    assert (recipe.training.loss, recipe.training.batch_size, recipe.training.epochs) == ("l1", 512, 30)
    assert recipe.training.weight_decay == 0
    assert recipe.schedule == RestartSchedule(warmup_steps=7_500, first_cycle_epochs=10, minimum=2e-6)


def test_overrides_are_toml_or_text(write):
    overrides = ["training.epochs=12", "proxy.name=tfm", "proxy.sizes.width=64", "training.betas=[0.5, 0.6]"]
    recipe = TrainingRecipe.read(write(GOOD), [*overrides, 'schedule.kind="cosine"', "machine.max_minutes=1.5"])
    assert (recipe.training.epochs, recipe.proxy.name, recipe.proxy.sizes) == (12, "tfm", {"width": 64})
    assert (recipe.training.betas, recipe.machine.max_minutes) == ((0.5, 0.6), 1.5)
    assert isinstance(recipe.schedule, CosineSchedule)


BAD = """
colour = "red"
[proxy]
name = "hn-ho"
[corpus]
train = "nowhere/at/all"
[training]
bach_size = 512
batch_size = 1
epochs = 4
learning_rate = "fast"
betas = [0.9, 1.0]
loss = "l3"
epsilon = nan
[schedule]
kind = "cosine-restart"
first_cycle_epochs = 10
warmup_steps = -1
"""


def test_all_mistakes_are_reported_at_once(write):
    with pytest.raises(InvalidInputError) as caught:
        TrainingRecipe.read(write(BAD), ["training.threads", "training.seed.x=3", "machine.threads=0"])
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        "colour: no such key",
        "proxy.name: unknown proxy 'hn-ho'; did you mean hn-oh",
        "corpus.train: there is no nowhere/at/all",
        "corpus.validation: missing",
        "training.bach_size: no such key; did you mean batch_size?",
        "training.batch_size: must be greater than or equal to 2, got 1",
        "training.learning_rate: must be number",
        "training.betas: both must lie in [0, 1)",
        "training.loss: must be 'l1' or 'mse', got 'l3'",
        "training.epsilon: must be",
        "schedule.first_cycle_epochs: must be at most training.epochs (4), got 10",
        "schedule.warmup_steps: must be greater than or equal to 0, got -1",
        "'training.threads': an override is section.key=value",
        "training.seed: must be",
        "machine.threads: must be greater than or equal to 1, got 0",
    ):
        assert words in message, words


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["proxy.sizes.depth=3"], "has no size 'depth'"),
        (["schedule.kind=linear"], "schedule.kind: must be 'cosine', 'cosine-restart' or 'plateau'"),
        (["schedule.warmup_steps=3"], "schedule.kind: must be 'cosine', 'cosine-restart' or 'plateau'"),
        (["proxy=3"], "proxy: must be"),
        (["proxy.start_from=none.safetensors"], "proxy.start_from: there is no none.safetensors"),
        (["training.epochs=3"], r"schedule.first_cycle_epochs: must be at most training.epochs \(3\), got 10"),
        (["proxy.name.x=3"], "name is a value, not a section"),
    ],
)
def test_mistakes_in_overrides_are_explained(write, overrides, words):
    with pytest.raises(InvalidInputError, match=words):
        TrainingRecipe.read(write(GOOD), overrides)


def test_a_file_that_is_no_recipe_is_named(write, tmp_path):
    with pytest.raises(InvalidInputError, match="cannot be read"):
        TrainingRecipe.read(tmp_path / "none.toml")
    with pytest.raises(InvalidInputError, match="not TOML"):
        TrainingRecipe.read(write("[proxy\n"))
    with pytest.raises(InvalidInputError, match="training: missing; proxy: missing; corpus: missing"):
        TrainingRecipe.read(write(""))


TUNING = sorted(RECIPES.rglob("*-tuning*.toml"))


@pytest.mark.parametrize("path", TUNING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_our_tuning_recipes_are_sound_and_say_how_to_run_them(path, tmp_path):
    text = path.read_text()
    assert f"synthproxy tune {path.relative_to(RECIPES.parent)} --out " in text.splitlines()[0]
    here = tmp_path / path.name
    here.write_text(re.sub(r'"(corpora|runs)/[^"]*"', '"."', text))
    tuning, tables = read_tuning(here)
    assert path.stem.startswith(tables["proxy"]["name"])
    published = 100 if "handcrafted" in path.stem else 203
    assert tuning.study.trials == (20 if "laptop" in path.stem else published)


OTHERS = [*TUNING, *RECIPES.rglob("estimator*.toml"), *RECIPES.rglob("proposer*.toml")]
TRAINING = sorted({*RECIPES.rglob("*.toml")} - {*OTHERS})


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_our_recipes_are_sound_and_say_how_to_run_them(path):
    text = path.read_text()
    assert f"synthproxy train {path.relative_to(RECIPES.parent)} --out " in text.splitlines()[0]
    start = ["proxy.start_from=."] if "start_from" in text else []
    validation = [] if "split" in text else ["corpus.validation=."]
    recipe = TrainingRecipe.read(path, ["corpus.train=.", *validation, *start])
    assert path.stem.startswith(recipe.proxy.name)
    assert path.parent.name in synth_names()
    assert ("laptop" in path.stem) == (recipe.training.epochs < 30)


def test_there_are_recipes():
    for synth in ("dexed-paper", "diva", "talnm"):
        names = {path.stem for path in (RECIPES / synth).glob("*.toml")}
        for proxy in ("mlp-oh", "hn-oh", "hn-pt", "hn-ptgru", "tfm"):
            assert {proxy, f"{proxy}-laptop", f"{proxy}-tuning", f"{proxy}-tuning-laptop"} <= names


def test_restart_schedule_is_the_published_one_for_batches_of_512():
    schedule, peak, minimum = RestartSchedule(), 4e-3, 2e-6
    rates = {step: schedule.learning_rate(step, peak, 20_000, 600_000) for step in range(0, 600_000, 2_500)}
    assert all(rates[step] == peak for step in (0, 2_500, 5_000, 7_500))
    for step, rate in rates.items():
        if 7_500 <= step < 200_000:
            r, m, part = 1.0, minimum / peak, (step - 7_500) / 192_500
            assert rate == pytest.approx(peak * (m + 0.5 * (r - m) * (1 + math.cos(math.pi * part))), rel=1e-12)
        if step >= 200_000:
            r, m, part = 1.0, minimum / peak, (step - 200_000) / 400_000
            assert rate == pytest.approx(peak * (r + 0.5 * (m - r) * (1 - math.cos(math.pi * part))), rel=1e-12)
    assert rates[200_000] == peak
    assert schedule.learning_rate(199_999, peak, 20_000, 600_000) == pytest.approx(minimum, rel=1e-3)
    assert schedule.learning_rate(600_000, peak, 20_000, 600_000) == minimum


def test_cosine_schedule_rises_in_a_line_and_falls_to_the_minimum():
    schedule = CosineSchedule(warmup_steps=4, minimum=0.1)
    rates = [schedule.learning_rate(step, 1.0, 10, 14) for step in range(15)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[9] == pytest.approx(0.55)
    assert rates[14] == 0.1
    assert CosineSchedule(warmup_steps=100).learning_rate(300, 1.0, 10, 50) == 2e-6


def test_plateau_schedule_decides_as_the_one_of_torch():
    losses = np.random.default_rng(0).normal(1.0, 0.02, 80) - 0.3 * (1 - np.exp(-np.arange(80) / 10))
    schedule = PlateauSchedule(factor=0.5, patience=3, minimum=0.01)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=3, min_lr=0.01)
    for count, loss in enumerate(losses, 1):
        theirs.step(loss)
        ours = schedule.learning_rate(1000 + count, 1.0, 10, 2000, losses[:count].tolist())
        assert ours == pytest.approx(theirs.get_last_lr()[0])
    assert ours == 0.01
    rise = PlateauSchedule(warmup_steps=3, factor=0.5, patience=0)
    assert [rise.learning_rate(step, 1.0, 10, 50, [1.0, 1.0]) for step in (0, 1, 2, 3)] == [0.25, 0.5, 0.75, 0.5]
