"""Where synthetic presets come from: uniform draws, or the neighbourhood of presets that people made.

Uniform draws of most synths are near silence or noise, which people's presets are not. A preset *near* others has each
group of parameters from one of two of them, and a few values moved, or exchanged for those of other presets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Floats, Kind, PresetSpace

CROSSED = 0.5
MOVED_AT_MOST = 0.5
DEVIATION = 0.1
REDRAWN = 0.05
EXCHANGED_AT_MOST = 0.3


class PresetSource(Protocol):
    """Draws presets."""

    @property
    def digest(self) -> str:
        """Empty for uniform draws; tells other sources apart."""

    def draw(self, generators: Sequence[np.random.Generator], count: int) -> Floats:
        """``count`` presets by each generator: (generators × count, free)."""


@dataclass(frozen=True)
class UniformSource:
    """Every parameter by itself, from its interval and weights."""

    space: PresetSpace
    digest: str = ""

    def draw(self, generators: Sequence[np.random.Generator], count: int) -> Floats:
        """See :class:`PresetSource`."""
        uniform = np.concatenate([generator.random((count, self.space.size)) for generator in generators])
        return self.space.from_uniform(uniform)


@dataclass(frozen=True)
class NearSource:
    """Near given presets.

    Half of the draws have two parents, and each group of parameters from either; then a share of the values, another
    for each draw and up to a half, is moved: numerical ones by a normal step, others, more rarely, drawn anew.

    Args:
        space: the preset space.
        presets: the parents, (n, free).
        exchange: instead of being moved, a share of the values, up to three tenths, becomes that of other parents, so
            that every value is one that somebody chose.
    """

    space: PresetSpace
    presets: Floats
    exchange: bool = False

    def __post_init__(self) -> None:
        if not len(self.presets):
            raise InvalidInputError("no presets were given to draw near to")

    @cached_property
    def digest(self) -> str:
        """Of the parents, and of what becomes of their values."""
        return hashlib.sha256(self.presets.tobytes() + (b"exchange" if self.exchange else b"")).hexdigest()

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """Number of the group of each free parameter; one without a group is its own."""
        names = [parameter.group or parameter.name for parameter in self.space.free]
        return np.unique(names, return_inverse=True)[1]

    def draw(self, generators: Sequence[np.random.Generator], count: int) -> Floats:
        """See :class:`PresetSource`."""
        return np.concatenate([self._near(generator, count) for generator in generators])

    def _near(self, generator: np.random.Generator, count: int) -> Floats:
        first, second = self.presets[generator.integers(len(self.presets), size=(2, count))]
        from_second = generator.random((count, self._groups.max() + 1)) < 0.5
        crossed = generator.random((count, 1)) < CROSSED
        presets = np.where(crossed & from_second[:, self._groups], second, first)
        return self._exchanged(presets, generator) if self.exchange else self._moved(presets, generator)

    def _moved(self, presets: Floats, generator: np.random.Generator) -> Floats:
        share = MOVED_AT_MOST * generator.random((len(presets), 1))
        moved = generator.random(presets.shape) < share
        steps = generator.normal(0.0, DEVIATION, presets.shape)
        fresh = self.space.sample(generator, len(presets))
        numerical = np.zeros(self.space.size, dtype=bool)
        numerical[self.space.columns(Kind.NUMERICAL)] = True
        redrawn = moved & ~numerical & (generator.random(presets.shape) < 2 * REDRAWN)
        return self.space.snap(np.where(redrawn, fresh, presets + np.where(moved & numerical, steps, 0.0)))

    def _exchanged(self, presets: Floats, generator: np.random.Generator) -> Floats:
        share = EXCHANGED_AT_MOST * generator.random((len(presets), 1))
        exchanged = generator.random(presets.shape) < share
        others = generator.integers(len(self.presets), size=presets.shape)
        return self.space.snap(np.where(exchanged, np.take_along_axis(self.presets, others, axis=0), presets))
