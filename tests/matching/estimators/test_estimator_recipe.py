"""Recipes of estimators are checked as a whole, and ours are sound."""

from pathlib import Path

import pytest

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.recipe import TABLE, EstimatorRecipe
from synthproxy.matching.estimators.schedules import SCHEDULES, LossSchedule
from synthproxy.synths import synth_names
from synthproxy.training.recipe_tables import read_tables
from synthproxy.training.schedule import PlateauSchedule

RECIPES = Path(__file__).parents[3] / "recipes"
OURS = sorted(RECIPES.rglob("estimator*.toml"))
PUBLISHED = {"dexed-paper": (7e-3, (0.86, 0.98), 0.01, 2_070, 0.02), "diva": (3e-4, (0.91, 0.98), 0.3, 1_080, 0.01)}
"""Learning rate, betas, weight decay, steps of warm-up, label smoothing."""

GOOD = """
[estimator]
[corpus]
train = "."
split = { together = "preset" }
[loss]
schedule = "ploss"
[training]
learning_rate = 7e-3
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


def test_what_is_not_given_is_as_published(write):
    recipe = EstimatorRecipe.read(write(GOOD))
    assert recipe.estimator.channels == (8, 16, 32, 64, 128, 256, 512)
    assert (recipe.estimator.features, recipe.estimator.dropout) == (2048, 0.3)
    training = recipe.training
    assert (training.batch_size, training.epochs, training.epochs_per_validation) == (64, 600, 10)
    assert recipe.schedule == PlateauSchedule(factor=0.5, patience=5)
    assert (recipe.loss.gradient, recipe.loss.snap) == ("published", False)
    assert recipe.corpus.split.shares == (0.8, 0.1, 0.1)
    assert recipe.loss.schedule == SCHEDULES["ploss"]


def test_loss_schedules_are_named_or_written_out(write):
    recipe = EstimatorRecipe.read(write(GOOD), ["loss.schedule=Switch", "proxy.checkpoint=."])
    assert recipe.loss.schedule == SCHEDULES["switch"]
    own = "{ parameter = [1, 0.2], perceptual = [0, 3], start = 0.1, length = 0.5 }"
    recipe = EstimatorRecipe.read(write(GOOD), [f"loss.schedule={own}", "proxy.checkpoint=."])
    assert recipe.loss.schedule == LossSchedule(parameter=(1, 0.2), perceptual=(0, 3), start=0.1, length=0.5)


def test_the_identity_leaves_out_the_machine_only(write):
    one = EstimatorRecipe.read(write(GOOD), ["machine.threads=1"]).identity()
    assert one == EstimatorRecipe.read(write(GOOD)).identity()
    assert one != EstimatorRecipe.read(write(GOOD), ["corpus.split.seed=1"]).identity()
    assert "gradient_clip" not in one["training"]  # Runs from before there was such a thing are the same.
    clipped = EstimatorRecipe.read(write(GOOD), ["training.gradient_clip=1.0"]).identity()
    assert clipped["training"]["gradient_clip"] == 1


BAD = """
[estimator]
dropout = 1.5
chanels = [4]
[corpus]
train = "nowhere"
[corpus.split]
shares = [0.5, 0.5, 0.5]
together = "bank"
[loss]
schedule = "mixed"
gradient = "hard"
label_smoothing = 2
[proxy]
checkpoint = "none.safetensors"
[training]
learning_rate = -1
rendered = 0
"""


def test_all_mistakes_are_reported_at_once(write):
    with pytest.raises(InvalidInputError) as caught:
        EstimatorRecipe.read(write(BAD), ["machine.threads=0"])
    for words in (
        "estimator.dropout: must be less than 1, got 1.5",
        "estimator.chanels: no such key; did you mean channels?",
        "corpus.train: there is no nowhere; make it with `synthproxy import` or `generate` and --keep-levels",
        "corpus.split.shares: shares must be above 0 and 1 in all",
        "corpus.split.together: must be 'sound', 'source' or 'preset', got 'bank'",
        "loss.schedule: unknown loss schedule 'mixed'; did you mean mix?",
        "loss.gradient: must be 'published', 'soft', 'straight-through' or 'gumbel', got 'hard'",
        "loss.label_smoothing: must be less than 1, got 2",
        "proxy.checkpoint: there is no none.safetensors; train a proxy",
        "training.learning_rate: must be greater than 0, got -1",
        "training.rendered: must be greater than or equal to 1, got 0",
        "machine.threads: must be greater than or equal to 1, got 0",
    ):
        assert words in str(caught.value), words


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["loss.schedule=mix"], "proxy: missing; this loss schedule asks a proxy"),
        (["corpus.validation=."], "corpus.validation: a corpus that is split has its own"),
        (["corpus.split.most=0"], "corpus.split.most: must be greater"),
        (["loss.schedule={ parameter = [-1, 1], perceptual = [0, 0] }"], "loss.schedule: weights must not be negative"),
        (["schedule.kind=linear"], "schedule.kind: must be 'cosine', 'cosine-restart' or 'plateau'"),
    ],
)
def test_mistakes_in_overrides_are_explained(write, overrides, words):
    with pytest.raises(InvalidInputError, match=words):
        EstimatorRecipe.read(write(GOOD), overrides)


def test_a_corpus_needs_a_split_or_another_to_validate_by(write):
    with pytest.raises(InvalidInputError, match=r"corpus\.validation: missing"):
        EstimatorRecipe.read(write(GOOD.replace("split", "# split")))


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_our_recipes_are_sound_and_say_how_to_run_them(path):
    text, tables = path.read_text(), read_tables(path)
    assert TABLE in tables
    assert f"synthproxy train {path.relative_to(RECIPES.parent)} --out " in text.splitlines()[0]
    assert f"--keep-levels --out {tables['corpus']['train']}\n" in text
    proxy = ["proxy.checkpoint=."] if "proxy" in tables else []
    recipe = EstimatorRecipe.read(path, ["corpus.train=.", *proxy])
    assert path.parent.name in synth_names()
    name = path.stem.removeprefix("estimator-").removesuffix("-laptop").removesuffix("-soft")
    assert recipe.loss.schedule == SCHEDULES[name]
    assert (recipe.loss.gradient == "soft") == ("soft" in path.stem)
    assert recipe.training.epochs == (40 if "laptop" in path.stem else 600)
    if path.parent.name in PUBLISHED and "laptop" not in path.stem:
        training = recipe.training
        found = (training.learning_rate, training.betas, training.weight_decay, recipe.schedule.warmup_steps)
        assert (*found, recipe.loss.label_smoothing) == PUBLISHED[path.parent.name]


def test_there_are_recipes():
    for synth in ("dexed-paper", "diva"):
        names = {path.stem for path in (RECIPES / synth).glob("estimator*.toml")}
        for schedule in (*SCHEDULES, "mix-soft"):
            assert {f"estimator-{schedule}", f"estimator-{schedule}-laptop"} <= names


@pytest.mark.parametrize("path", [p for p in OURS if "proxy" in read_tables(p)], ids=lambda path: path.stem)
def test_their_proxies_are_made_by_other_recipes_from_the_same_split(path):
    tables = read_tables(path)
    source = Path(tables["proxy"]["checkpoint"]).parent.name
    made_by = read_tables(path.parent / f"{source}.toml")
    split = {key: value for key, value in tables["corpus"]["split"].items() if key != "most"}
    if "split" in made_by["corpus"]:
        assert made_by["corpus"]["split"] == split
        assert made_by["corpus"]["train"] == tables["corpus"]["train"]
    else:
        assert "handcrafted" not in made_by["corpus"]["train"]
