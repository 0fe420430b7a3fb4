"""Recipes of proxies: everything that training one depends on, in a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from synthproxy.corpus.parts import Split
from synthproxy.errors import SynthProxyError
from synthproxy.proxies.losses import Loss
from synthproxy.proxies.zoo import check_name, complete_sizes
from synthproxy.training.options import STRICT, Learning
from synthproxy.training.recipe import Recipe
from synthproxy.training.recipe_tables import Tables, missing_files, value_in
from synthproxy.training.schedule import RestartSchedule, Schedule


class ProxyChoice(BaseModel):
    """The architecture, sizes that differ from the published ones, and a checkpoint to start from (fine-tuning)."""

    model_config = STRICT
    name: str
    sizes: dict[str, int] = Field(default_factory=dict)
    start_from: Path | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            check_name(name)
        except SynthProxyError as error:
            raise ValueError(str(error)) from error
        return name

    @model_validator(mode="after")
    def _sizes_exist(self) -> Self:
        try:
            complete_sizes(self.name, self.sizes)
        except SynthProxyError as error:
            raise ValueError(str(error)) from error
        return self


class CorpusChoice(BaseModel):
    """Folders of the corpora, relative to the current directory: one to learn from and one to validate by.

    ``split``: both are parts of the first, and there is no second. ``block``: read the training corpus in blocks of
    about so many presets while learning from it, of which two or three are in memory at a time; without it all of the
    corpus is.
    """

    model_config = STRICT
    train: Path
    split: Split | None = None
    validation: Path | None = Field(default=None, validate_default=True)
    block: int | None = Field(default=None, ge=1)

    @field_validator("validation")
    @classmethod
    def _either(cls, validation: Path | None, info: ValidationInfo) -> Path | None:
        if "split" not in info.data:
            return validation  # What is wrong with the split is said already.
        if validation is None and info.data["split"] is None:
            raise PydanticCustomError("missing", "missing")
        if validation is not None and info.data["split"] is not None:
            raise ValueError("a corpus that is split has its own; leave one of the two out")
        return validation


class Optimisation(Learning):
    """How a proxy learns, and what it minimises: a distance, and the ranking within the batch by this weight."""

    loss: Loss = "l1"
    ranking: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    validations_per_epoch: int = Field(default=2, ge=1)


class TrainingRecipe(Recipe):
    """A whole training run."""

    unused = (
        ("corpus", "block", None),
        ("corpus", "split", None),
        ("training", "epochs_per_validation", 1),
        ("training", "gradient_clip", None),
        ("training", "ranking", 0.0),
    )

    proxy: ProxyChoice
    corpus: CorpusChoice
    training: Optimisation
    schedule: Schedule = Field(default_factory=RestartSchedule)

    @classmethod
    def mistakes_across(cls, tables: Tables) -> list[str]:
        """See :class:`~synthproxy.training.recipe.Recipe`."""
        found = missing_files(
            tables,
            [
                ("corpus", "train", MAKE_CORPUS),
                ("corpus", "validation", MAKE_CORPUS),
                ("proxy", "start_from", "give a checkpoint"),
            ],
        )
        epochs = value_in(tables, "training", "epochs")
        kind, first = value_in(tables, "schedule", "kind"), value_in(tables, "schedule", "first_cycle_epochs")
        if "schedule" not in tables or kind == "cosine-restart":
            first = RestartSchedule.model_fields["first_cycle_epochs"].default if first is None else first
            if isinstance(epochs, int) and isinstance(first, int | float) and first > epochs:
                found.append(f"schedule.first_cycle_epochs: must be at most training.epochs ({epochs}), got {first}")
        return found


MAKE_CORPUS = "make it with `synthproxy generate`"
