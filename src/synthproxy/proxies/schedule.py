"""Learning rates over the course of a training run, as functions of the step alone, so that resuming needs no state."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MINIMUM = 2e-6


class RestartSchedule(BaseModel):
    """The published schedule: the peak for some steps, cosine to the minimum, then once more from the peak.

    Args:
        warmup_steps: steps at the peak, at the start.
        first_cycle_epochs: epochs until the restart, the steps at the peak included.
        minimum: learning rate at the end of either cosine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: Literal["cosine-restart"] = "cosine-restart"
    warmup_steps: int = Field(default=7_500, ge=0)
    first_cycle_epochs: float = Field(default=10, gt=0)
    minimum: float = Field(default=MINIMUM, ge=0)

    def learning_rate(self, step: int, peak: float, steps_per_epoch: int, total_steps: int) -> float:
        """Learning rate of a step, counted from 0."""
        restart = round(self.first_cycle_epochs * steps_per_epoch)
        if step < min(self.warmup_steps, restart):
            return peak
        if step < restart:
            return cosine(step - self.warmup_steps, restart - self.warmup_steps, peak, self.minimum)
        return cosine(step - restart, total_steps - restart, peak, self.minimum)


class CosineSchedule(BaseModel):
    """For short runs: a linear rise to the peak, then one cosine to the minimum.

    Args:
        warmup_steps: steps of the rise.
        minimum: learning rate at the end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = Field(default=100, ge=0)
    minimum: float = Field(default=MINIMUM, ge=0)

    def learning_rate(self, step: int, peak: float, steps_per_epoch: int, total_steps: int) -> float:  # noqa: ARG002
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return peak * (step + 1) / (self.warmup_steps + 1)
        return cosine(step - self.warmup_steps, total_steps - self.warmup_steps, peak, self.minimum)


Schedule = Annotated[RestartSchedule | CosineSchedule, Field(discriminator="kind")]


def cosine(step: int, steps: int, peak: float, minimum: float) -> float:
    """Half a cosine from the peak at step 0 to the minimum at the last step, and the minimum from there on."""
    if step >= steps:
        return minimum
    return minimum + (peak - minimum) * (1 + math.cos(math.pi * step / steps)) / 2
