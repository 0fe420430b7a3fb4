"""Where a match may look: which parameters are locked, and how far the others may move from a preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths import Kind, Parameter, PresetSpace
from synthproxy.synths.space import ON_GRID_TOLERANCE, Floats

ANYWHERE = 1.0


@dataclass(frozen=True, eq=False)
class Bounds:
    """The least and the largest value that each free parameter may take; equal for one that is locked.

    Args:
        space: the preset space.
        low, high: (free,), both of them values that the parameter can take.
    """

    space: PresetSpace
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(
        cls, space: PresetSpace, start: Floats | None = None, *, lock: Sequence[str] = (), near: float = ANYWHERE
    ) -> Self:
        """Bounds about a preset.

        Args:
            start: the preset, (free,), on the space's grid; the synth's defaults without one.
            lock: parameters and groups that keep their values, as in :meth:`PresetSpace.matching`.
            near: the part of its range, above 0 and up to 1, by which a numerical parameter may move either way;
                switches and categories, which cannot move a little, only change if it is 1.

        Raises:
            InvalidInputError: a pattern fits nothing that is free, nothing is left to change, or ``near`` is out of
                range or has no preset to be near to.
        """
        if not 0.0 < near <= ANYWHERE:
            raise InvalidInputError(f"--near: give a number above 0 and up to 1, got {near}")
        if near < ANYWHERE and start is None:
            raise InvalidInputError("--near: says how far from a preset; give that with --start")
        middle = space.snap(space.encode(space.defaults) if start is None else start).astype(np.float64)
        pairs = [_near(p, value, near) for p, value in zip(space.free, middle, strict=True)]
        low, high = np.asarray(pairs, dtype=np.float64).T
        locked = _locked(space, lock)
        low[locked] = high[locked] = middle[locked]
        if (low == high).all():
            raise InvalidInputError("--lock: every parameter is locked; leave some free to match the sound with")
        return cls(space, low, high)

    @cached_property
    def open(self) -> NDArray[np.int64]:
        """Columns of the parameters that may change."""
        return np.nonzero(self.low < self.high)[0]

    @property
    def locked(self) -> list[str]:
        """Names of the free parameters that must not change."""
        return [p.name for p, is_open in zip(self.space.free, self.low < self.high, strict=True) if not is_open]

    def within(self, presets: ArrayLike) -> Floats:
        """Presets, (..., free), brought to the nearest values that are allowed."""
        return self.space.snap(np.clip(np.asarray(presets, dtype=np.float64), self.low, self.high))


def _near(parameter: Parameter, value: float, near: float) -> tuple[float, float]:
    if parameter.kind is not Kind.NUMERICAL:
        return (value, value) if near < ANYWHERE else (0.0, parameter.cardinality - 1.0)
    reach = near * (parameter.high - parameter.low)
    low, high = max(parameter.low, value - reach), min(parameter.high, value + reach)
    if not parameter.values:
        return low, high
    grid = np.asarray(parameter.values)
    inside = grid[(grid >= low - ON_GRID_TOLERANCE) & (grid <= high + ON_GRID_TOLERANCE)]
    return float(inside[0]), float(inside[-1])


def _locked(space: PresetSpace, patterns: Sequence[str]) -> list[int]:
    """Columns of the preset vector that the patterns fit."""
    found: list[int] = []
    for pattern in patterns:
        hits = space.columns_matching(pattern)
        if not hits:
            raise InvalidInputError(f"--lock: {space.name!r} always keeps {pattern!r} at its default")
        found += hits
    return found
