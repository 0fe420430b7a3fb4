"""Recipes of estimators: everything that training one depends on, in a TOML file with a table ``estimator``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError, field_validator

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.decoding import Decoding
from synthproxy.matching.estimators.losses import CATEGORICAL_WEIGHT, LABEL_SMOOTHING
from synthproxy.matching.estimators.network import EstimatorSizes
from synthproxy.matching.estimators.schedules import LossSchedule, get_schedule
from synthproxy.proxies.recipe import CorpusChoice
from synthproxy.training.options import STRICT, Learning
from synthproxy.training.recipe import Recipe
from synthproxy.training.recipe_tables import Tables, missing_files, value_in
from synthproxy.training.schedule import PlateauSchedule, Schedule

TABLE = "estimator"
"""The table by which a recipe of an estimator is told from one of a proxy."""


class LossChoice(Decoding):
    """What is minimised.

    Args:
        schedule: of the weights of the losses: the name of a published one, or a table
            (:class:`~synthproxy.matching.estimators.schedules.LossSchedule`).
        gradient, temperature, snap: how outputs become what the proxy is asked about
            (:class:`~synthproxy.matching.estimators.decoding.Decoding`).
        categorical_weight, label_smoothing: of the parameter loss
            (:class:`~synthproxy.matching.estimators.losses.ParameterLoss`).
    """

    schedule: LossSchedule
    categorical_weight: float = Field(default=CATEGORICAL_WEIGHT, ge=0)
    label_smoothing: float = Field(default=LABEL_SMOOTHING, ge=0, lt=1)

    @field_validator("schedule", mode="before")
    @classmethod
    def _named(cls, schedule: object) -> object:
        try:
            return get_schedule(schedule) if isinstance(schedule, str) else schedule
        except InvalidInputError as error:
            raise ValueError(str(error)) from error


class LossProxy(BaseModel):
    """The proxy through which predicted presets are heard."""

    model_config = STRICT
    checkpoint: Path


class EstimatorLearning(Learning):
    """How an estimator learns; the defaults are the published ones for Dexed.

    ``rendered``: validation presets that are rendered to tell how far their sounds are; all of them by default.
    """

    batch_size: int = Field(default=64, ge=2)
    epochs: int = Field(default=600, ge=1)
    epochs_per_validation: int = Field(default=10, ge=1)
    rendered: int | None = Field(default=None, ge=1)


class EstimatorRecipe(Recipe):
    """The training of an estimator."""

    unused = (("training", "gradient_clip", None),)

    estimator: EstimatorSizes = Field(default_factory=EstimatorSizes)
    corpus: CorpusChoice
    loss: LossChoice
    proxy: LossProxy | None = None
    training: EstimatorLearning
    schedule: Schedule = Field(default_factory=lambda: PlateauSchedule(factor=0.5, patience=5))

    @classmethod
    def mistakes_across(cls, tables: Tables) -> list[str]:
        """See :class:`~synthproxy.training.recipe.Recipe`."""
        found = missing_files(
            tables,
            [
                ("corpus", "train", MAKE_CORPUS_WITH_LEVELS),
                ("corpus", "validation", MAKE_CORPUS_WITH_LEVELS),
                ("proxy", "checkpoint", "train a proxy"),
            ],
        )
        if "proxy" not in tables and _asks_a_proxy(value_in(tables, "loss", "schedule")):
            found.append("proxy: missing; this loss schedule asks a proxy, give its checkpoint")
        return found


MAKE_CORPUS_WITH_LEVELS = "make it with `synthproxy import` or `generate` and --keep-levels"


def _asks_a_proxy(schedule: object) -> bool:
    try:
        if isinstance(schedule, str):
            return get_schedule(schedule).uses_proxy
        return schedule is not None and LossSchedule.model_validate(schedule).uses_proxy
    except (InvalidInputError, ValidationError):
        return False  # What is wrong with it is said elsewhere.
