"""The published estimator: a convolutional network that maps the mel spectrogram of a sound to a preset, in one pass.

Its outputs are laid out as soft presets (:mod:`~synthproxy.proxies.tokens`), a logit for each value;
:mod:`~synthproxy.matching.estimators.decoding` makes presets of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PositiveInt
from torch import Tensor, nn

from synthproxy.audio.levels import MelLevels
from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.decoding import hard_presets
from synthproxy.synths.space import Floats, PresetSpace
from synthproxy.training.options import STRICT

_SLOPE = 0.1


class EstimatorSizes(BaseModel):
    """Sizes of an estimator; the defaults are the published ones.

    Args:
        channels: of the maps after each convolution; each halves bands and frames.
        features: of the sound, which the last layer makes a preset of.
        dropout: share of the features that are left out of a training step.
    """

    model_config = STRICT
    channels: tuple[PositiveInt, ...] = Field(default=(8, 16, 32, 64, 128, 256, 512), min_length=1)
    features: PositiveInt = 2048
    dropout: float = Field(default=0.3, ge=0, lt=1)


@dataclass(frozen=True)
class LevelBounds:
    """The lowest and the highest level, in dB, of the sounds that an estimator is trained on."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidInputError(
                f"levels of sounds must be finite and must differ, got {self.low} to {self.high} dB: "
                "are the training sounds silent?"
            )

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> LevelBounds:
        """The bounds of all levels of a training split, given batch by batch, (batch, bands, frames).

        Raises:
            InvalidInputError: there are none, some are not finite, or all are equal.
        """
        low, high = math.inf, -math.inf
        for levels in batches:
            least, most = (float(bound) for bound in levels.aminmax())
            if math.isnan(least):
                raise InvalidInputError("some levels of the training sounds are not numbers")
            low, high = min(low, least), max(high, most)
        return cls(low, high)


class Estimator(nn.Module):
    """Maps levels of mel bands to logits of a preset, (batch, 128, frames) to (batch, one_hot_width).

    The bounds are saved with the weights (``bounds`` in the state dictionary).

    Args:
        space: the preset space.
        bounds: of the training sounds' levels, which the network sees as −1 and 1.
        sizes: of the network; by default as published.
    """

    def __init__(self, space: PresetSpace, bounds: LevelBounds, sizes: EstimatorSizes | None = None) -> None:
        super().__init__()
        self.space = space
        self.sizes = sizes or EstimatorSizes()
        self.levels = MelLevels()
        self.bounds: Tensor
        self.register_buffer("bounds", torch.tensor([bounds.low, bounds.high], dtype=torch.float32))
        self.network = _network(space.one_hot_width, self.sizes)

    def forward(self, levels: Tensor) -> Tensor:
        """Outputs for levels in dB as :class:`MelLevels` gives them; those outside the bounds are not clipped."""
        low, high = self.bounds
        outputs: Tensor = self.network((2 * (levels - low) / (high - low) - 1)[:, None])
        return outputs

    def hear(self, audio: Tensor) -> Tensor:
        """Outputs for sounds, (batch, samples) at 32 kHz; see :class:`MelLevels`."""
        outputs: Tensor = self(self.levels(audio))
        return outputs

    def estimate(self, audio: NDArray[np.float32], batch_size: int = 64) -> Floats:
        """Presets of sounds, in evaluation mode and without gradients, a batch at a time.

        Args:
            audio: float32, (n, samples), mono, at 32 kHz, as long as the training sounds.
            batch_size: sounds per pass; bounds the memory.

        Returns:
            float32, (n, free); every value is one that its parameter can take.

        Raises:
            InvalidInputError: the sounds are no batch, too short, or not finite.
        """
        if batch_size < 1:
            raise InvalidInputError(f"a batch holds at least one sound, got {batch_size}")
        if audio.ndim != 2 or not np.isfinite(audio).all():
            raise InvalidInputError(f"sounds must be finite and (n, samples), got an array of {audio.shape}")
        presets = np.empty((len(audio), self.space.size), dtype=np.float32)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                for start in range(0, len(audio), batch_size):
                    chunk = np.ascontiguousarray(audio[start : start + batch_size], dtype=np.float32)
                    outputs = self.hear(torch.from_numpy(chunk).to(self.bounds.device))
                    presets[start : start + batch_size] = hard_presets(self.space, outputs)
        finally:
            self.train(was_training)
        return presets


def _network(width: int, sizes: EstimatorSizes) -> nn.Sequential:
    """(batch, 1, bands, frames) to (batch, width), with the published initial weights."""
    first, last = sizes.channels[0], sizes.channels[-1]
    layers: list[nn.Module] = [nn.Conv2d(1, first, 5, stride=2, padding=2), nn.LeakyReLU(_SLOPE)]
    for before, after in pairwise(sizes.channels):
        convolution = nn.Conv2d(before, after, 4, stride=2, padding=2)
        layers += [convolution, nn.LeakyReLU(_SLOPE), nn.BatchNorm2d(after)]
    layers += [nn.Conv2d(last, sizes.features, 1), nn.LeakyReLU(_SLOPE), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Dropout(sizes.dropout), nn.Linear(sizes.features, width), nn.BatchNorm1d(width)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=_SLOPE, nonlinearity="leaky_relu")
    network = nn.Sequential(*layers)
    # Processors convolve faster where the channels of a point lie side by side.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
