"""Learning rates over the course of a training run.

They are functions of the step and of the validations so far, so that resuming needs no state of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from synthproxy.training.options import STRICT

MINIMUM = 2e-6
PLATEAU_THRESHOLD = 1e-4


class RestartSchedule(BaseModel):
    """The published schedule: the peak for some steps, cosine to the minimum, then once more from the peak.

    Args:
        warmup_steps: steps at the peak, at the start.
        first_cycle_epochs: epochs until the restart, the steps at the peak included.
        minimum: learning rate at the end of either cosine.
    """

    model_config = STRICT
    kind: Literal["cosine-restart"] = "cosine-restart"
    warmup_steps: int = Field(default=7_500, ge=0)
    first_cycle_epochs: float = Field(default=10, gt=0)
    minimum: float = Field(default=MINIMUM, ge=0)

    def learning_rate(
        self,
        step: int,
        peak: float,
        steps_per_epoch: int,
        total_steps: int,
        losses: Sequence[float] = (),  # noqa: ARG002
    ) -> float:
        """Learning rate of a step, counted from 0, after validations with these losses."""
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

    model_config = STRICT
    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = Field(default=100, ge=0)
    minimum: float = Field(default=MINIMUM, ge=0)

    def learning_rate(
        self,
        step: int,
        peak: float,
        steps_per_epoch: int,  # noqa: ARG002
        total_steps: int,
        losses: Sequence[float] = (),  # noqa: ARG002
    ) -> float:
        """Learning rate of a step, counted from 0, after validations with these losses."""
        if step < self.warmup_steps:
            return peak * (step + 1) / (self.warmup_steps + 1)
        return cosine(step - self.warmup_steps, total_steps - self.warmup_steps, peak, self.minimum)


class PlateauSchedule(BaseModel):
    """For fine-tuning: a linear rise to the peak, then a fraction of it whenever validation stops improving.

    It decides as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does, with its relative threshold.

    Args:
        warmup_steps: steps of the rise.
        factor: by which the rate is multiplied.
        patience: validations without improvement that are borne; the next one reduces the rate.
        minimum: below which it does not fall.
    """

    model_config = STRICT
    kind: Literal["plateau"] = "plateau"
    warmup_steps: int = Field(default=0, ge=0)
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=10, ge=0)
    minimum: float = Field(default=0.0, ge=0)

    def learning_rate(
        self,
        step: int,
        peak: float,
        steps_per_epoch: int,  # noqa: ARG002
        total_steps: int,  # noqa: ARG002
        losses: Sequence[float] = (),
    ) -> float:
        """Learning rate of a step, counted from 0, after validations with these losses."""
        if step < self.warmup_steps:
            return peak * (step + 1) / (self.warmup_steps + 1)
        return max(peak * self.factor ** self._reductions(losses), self.minimum)

    def _reductions(self, losses: Sequence[float]) -> int:
        best, waited, reductions = math.inf, 0, 0
        for loss in losses:
            if loss < best * (1 - PLATEAU_THRESHOLD):
                best, waited = loss, 0
                continue
            waited += 1
            if waited > self.patience:
                waited, reductions = 0, reductions + 1
        return reductions


Schedule = Annotated[RestartSchedule | CosineSchedule | PlateauSchedule, Field(discriminator="kind")]


def cosine(step: int, steps: int, peak: float, minimum: float) -> float:
    """Half a cosine from the peak at step 0 to the minimum at the last step, and the minimum from there on."""
    if step >= steps:
        return minimum
    return minimum + (peak - minimum) * (1 + math.cos(math.pi * step / steps)) / 2
