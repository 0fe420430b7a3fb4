"""Tables that every recipe has: how a network learns, and where."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
"""How tables of recipes are read: what is unknown is a mistake."""


class Learning(BaseModel):
    """How a network learns: AdamW on batches of presets.

    ``batch_size`` counts presets over all devices. Both halves of ``betas`` lie in [0, 1). ``precision`` is Fabric's.
    Gradients whose norm over all weights exceeds ``gradient_clip``, if it is given, are scaled down to it.
    Of every ``epochs_per_validation`` epochs the last is interrupted by ``validations_per_epoch`` validations.
    """

    model_config = STRICT
    batch_size: int = Field(default=512, ge=2)
    epochs: int = Field(default=30, ge=1)
    learning_rate: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    gradient_clip: float | None = Field(default=None, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    validations_per_epoch: int = Field(default=1, ge=1)
    epochs_per_validation: int = Field(default=1, ge=1)
    seed: int = Field(default=42, ge=0, lt=2**32)

    @field_validator("betas")
    @classmethod
    def _below_one(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("both must lie in [0, 1)")
        return betas


class Machine(BaseModel):
    """Where it runs and for how long. A run may be continued with other values here; nothing else may change.

    ``max_minutes`` counts training time over all continuations; the run ends with a validation.
    """

    model_config = STRICT
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    save_minutes: float = Field(default=5.0, ge=0)
