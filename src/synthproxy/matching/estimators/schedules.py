"""How much the parameter loss and the perceptual loss weigh over the course of an estimator's training."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

from pydantic import BaseModel, Field, model_validator

from synthproxy.errors import InvalidInputError
from synthproxy.training.options import STRICT

PERCEPTUAL_WEIGHT = 10.0
"""Brings the perceptual loss to the size of the parameter loss."""


class LossWeights(NamedTuple):
    """Factors of the two losses."""

    parameter: float
    perceptual: float


class LossSchedule(BaseModel):
    """Weights that stay, change in a line, and stay.

    Args:
        parameter: weight of the parameter loss before and after the change.
        perceptual: that of the perceptual loss.
        start: part of the training after which the change begins.
        length: part of the training that it takes.
    """

    model_config = STRICT
    parameter: tuple[float, float]
    perceptual: tuple[float, float]
    start: float = Field(default=0.333, ge=0, le=1)
    length: float = Field(default=0.33, ge=0, le=1)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if min(*self.parameter, *self.perceptual) < 0:
            raise ValueError("weights must not be negative")
        return self

    @property
    def uses_proxy(self) -> bool:
        """Whether the perceptual loss ever counts."""
        return max(self.perceptual) > 0

    def weights(self, step: int, total_steps: int) -> LossWeights:
        """Weights of a step, counted from 0.

        Args:
            step: steps taken before.
            total_steps: steps of the whole training; the paper's are 600 · examples // 64.
        """
        begin, steps = int(self.start * total_steps), int(self.length * total_steps)
        passed = max(step - begin, 0)
        part = passed / max(steps, passed, 1)
        return LossWeights(*(before + (after - before) * part for before, after in (self.parameter, self.perceptual)))


SCHEDULES: Mapping[str, LossSchedule] = MappingProxyType(
    {
        "ploss": LossSchedule(parameter=(1, 1), perceptual=(0, 0)),
        "mix": LossSchedule(parameter=(1, 0.5), perceptual=(0, 0.5 * PERCEPTUAL_WEIGHT)),
        "switch": LossSchedule(parameter=(1, 0), perceptual=(0, PERCEPTUAL_WEIGHT)),
        "aloss": LossSchedule(parameter=(0, 0), perceptual=(PERCEPTUAL_WEIGHT, PERCEPTUAL_WEIGHT)),
        "mix-reversed": LossSchedule(parameter=(0, 0.5), perceptual=(PERCEPTUAL_WEIGHT, 0.5 * PERCEPTUAL_WEIGHT)),
        "switch-reversed": LossSchedule(parameter=(0, 1), perceptual=(PERCEPTUAL_WEIGHT, 0)),
    }
)
"""The published schedules by name: PLoss, Mix and Switch, and those that begin with the perceptual loss."""


def name_of_schedule(schedule: LossSchedule) -> str:
    """The name of a published schedule; ``own`` of any other."""
    return next((name for name, published in SCHEDULES.items() if published == schedule), "own")


def get_schedule(name: str) -> LossSchedule:
    """A published schedule by name, in any case.

    Raises:
        InvalidInputError: there is none of this name.
    """
    found = SCHEDULES.get(name.lower())
    if found is None:
        close = difflib.get_close_matches(name.lower(), SCHEDULES, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InvalidInputError(f"unknown loss schedule {name!r}; {hint}There are: {', '.join(SCHEDULES)}")
    return found
