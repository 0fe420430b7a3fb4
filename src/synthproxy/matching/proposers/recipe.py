"""Recipes of proposers: everything that training one depends on, in a TOML file with a table ``proposer``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, PositiveFloat, ValidationInfo, field_validator

from synthproxy.proxies.recipe import MAKE_CORPUS
from synthproxy.training.options import STRICT, Learning
from synthproxy.training.recipe import Recipe
from synthproxy.training.recipe_tables import Tables, missing_files
from synthproxy.training.schedule import CosineSchedule, Schedule

TABLE = "proposer"
"""The table by which a recipe of a proposer is told from others."""


class ProposerSizes(BaseModel):
    """Sizes of a :class:`~synthproxy.matching.proposers.network.Proposer`.

    Args:
        tokens: tokens of a sound, a divisor of the segments that the audio model keeps.
        width: length of a token, a multiple of ``heads``.
        layers, heads, feed_forward: of the transformer.
        pieces, hidden: of the tokens of groups of parameters.
        reading: width of a network that tells every parameter by the sound alone, beside the transformer; 0 for none.
    """

    model_config = STRICT
    tokens: int = Field(default=8, ge=1)
    width: int = Field(default=128, ge=1)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=384, ge=1)
    pieces: int = Field(default=16, ge=1)
    hidden: int = Field(default=192, ge=1)
    reading: int = Field(default=0, ge=0)

    @field_validator("heads")
    @classmethod
    def _divides(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("width", heads)
        if width % heads:
            raise ValueError(f"must divide the width ({width}), got {heads}")
        return heads


class CorporaChoice(BaseModel):
    """Folders of the corpora, relative to the current directory: those to learn from and those to validate by.

    They differ in their note, and in nothing else that gives a preset its embedding. ``block``: read those to learn
    from in blocks of about so many presets, of which two or three are in memory at a time; without it all are.
    """

    model_config = STRICT
    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    block: int | None = Field(default=None, ge=1)

    @field_validator("train", "validation")
    @classmethod
    def _some(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        if not paths:
            raise ValueError("at least one corpus is needed, got none")
        return paths


class ProposerLearning(Learning):
    """How a proposer learns.

    Args:
        noise: added to embeddings in training, in deviations of each channel.
        weights: what parameters count for in the loss, by name or group as in ``--lock``; others count 1.
        begin: a proposer of the same presets and sounds whose weights it begins with, as far as it has such weights.
    """

    batch_size: int = Field(default=256, ge=2)
    noise: float = Field(default=0.0, ge=0)
    weights: dict[str, PositiveFloat] = Field(default_factory=dict)
    begin: Path | None = None


class ProposerRecipe(Recipe):
    """The training of a proposer."""

    proposer: ProposerSizes = Field(default_factory=ProposerSizes)
    corpus: CorporaChoice
    training: ProposerLearning
    schedule: Schedule = Field(default_factory=CosineSchedule)

    @classmethod
    def mistakes_across(cls, tables: Tables) -> list[str]:
        """See :class:`~synthproxy.training.recipe.Recipe`."""
        return missing_files(tables, [("corpus", "train", MAKE_CORPUS), ("corpus", "validation", MAKE_CORPUS)])
