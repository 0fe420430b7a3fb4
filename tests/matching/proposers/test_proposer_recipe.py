"""Recipes of proposers are checked as a whole, and ours are sound."""

import re
from pathlib import Path

import pytest

from synthproxy.errors import InvalidInputError
from synthproxy.matching.proposers.recipe import TABLE, ProposerRecipe, ProposerSizes
from synthproxy.matching.proposers.training import segments_of
from synthproxy.synths import synth_names
from synthproxy.training.recipe_tables import read_tables
from synthproxy.training.schedule import CosineSchedule

RECIPES = Path(__file__).parents[3] / "recipes"
OURS = sorted(RECIPES.rglob("proposer*.toml"))

GOOD = """
[proposer]
[corpus]
train = [".", "."]
validation = ["."]
[training]
learning_rate = 1e-3
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


def test_what_is_not_given_has_a_default(write):
    recipe = ProposerRecipe.read(write(GOOD), ["proposer.width=64", "training.gradient_clip=1"])
    assert recipe.proposer == ProposerSizes(width=64)
    assert recipe.corpus.train == (Path(), Path())
    assert (recipe.training.noise, recipe.training.gradient_clip) == (0, 1)
    assert isinstance(recipe.schedule, CosineSchedule)


def test_the_identity_leaves_out_the_machine_only(write):
    one = ProposerRecipe.read(write(GOOD), ["machine.threads=1"]).identity()
    assert one == ProposerRecipe.read(write(GOOD)).identity()
    assert one != ProposerRecipe.read(write(GOOD), ["training.noise=0.1"]).identity()


BAD = """
[proposer]
widht = 3
width = 30
heads = 4
tokens = 0
[corpus]
train = [".", "nowhere"]
validation = []
block = 0
[training]
learning_rate = 0
noise = -1
gradient_clip = 0
"""


def test_all_mistakes_are_reported_at_once(write):
    with pytest.raises(InvalidInputError) as caught:
        ProposerRecipe.read(write(BAD), ["corpus.train.0=void"])
    for words in (
        "proposer.widht: no such key; did you mean width?",
        "proposer.heads: must divide the width (30), got 4",
        "proposer.tokens: must be greater than or equal to 1, got 0",
        "corpus.train.0: there is no void; make it with `synthproxy generate`",
        "corpus.train.1: there is no nowhere",
        "corpus.validation: at least one corpus is needed, got none",
        "corpus.block: must be greater",
        "training.learning_rate: must be greater than 0, got 0",
        "training.noise: must be greater than or equal to 0, got -1",
        "training.gradient_clip: must be greater than 0, got 0",
    ):
        assert words in str(caught.value), (words, str(caught.value))


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_our_recipes_are_sound_and_say_how_to_run_them(path):
    text, tables = path.read_text(), read_tables(path)
    assert TABLE in tables
    assert f"synthproxy train {path.relative_to(RECIPES.parent)} --out " in text.splitlines()[0]
    corpora = [*tables["corpus"]["train"], *tables["corpus"]["validation"]]
    made = re.findall(r"synthproxy (?:generate|import) --synth (\S+) --audio-model (\S+) .* --out (\S+)", text)
    assert sorted(corpora) == sorted(out for *_, out in made)
    overrides = [f"corpus.{part}.{i}=." for part in ("train", "validation") for i in range(len(tables["corpus"][part]))]
    recipe = ProposerRecipe.read(path, overrides)
    for synth, audio_model, _ in made:
        assert synth == path.parent.name
        assert segments_of(audio_model) % recipe.proposer.tokens == 0
    assert path.parent.name in synth_names()


def test_there_are_recipes():
    assert [f"{path.parent.name}/{path.stem}" for path in OURS] == [
        "amsynth/proposer-shipped",
        "dexed/proposer-laptop",
        "dexed/proposer-shipped-1",
        "dexed/proposer-shipped-2",
        "dexed/proposer-shipped-3",
    ]
