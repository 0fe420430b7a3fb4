"""Presets as classes: every parameter one of a few values, so that a network can tell how likely each of them is.

A numerical parameter with a small grid has a class for each of its values; others are divided into equal parts of
their interval, and a target counts for the parts beside its own too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths.space import Floats, Kind, Parameter, PresetSpace

FINEST = 33
SMEAR = 0.6
USUAL = 16
"""How many values are kept of each class, as likely as each other."""

Classes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ParameterCode:
    """The classes of one parameter.

    Args:
        parameter: what they are of.
        values: the value in the middle of each class, (classes,): what a preset gets.
        is_divided: whether classes are parts of an interval, with several values in each.
    """

    parameter: Parameter
    values: NDArray[np.float64]
    is_divided: bool

    @classmethod
    def of(cls, parameter: Parameter) -> ParameterCode:
        """The code of a parameter."""
        if parameter.kind is not Kind.NUMERICAL:
            return cls(parameter, np.arange(parameter.cardinality, dtype=np.float64), False)
        grid = np.unique(parameter.snap(np.linspace(parameter.low, parameter.high, 1025)))
        if len(grid) <= FINEST:
            return cls(parameter, grid, False)
        return cls(parameter, np.linspace(parameter.low, parameter.high, FINEST), True)

    @property
    def size(self) -> int:
        """Number of classes."""
        return len(self.values)

    def classes(self, values: NDArray[np.float64]) -> Classes:
        """The nearest class of each value, any shape."""
        middles = (self.values[1:] + self.values[:-1]) / 2
        return np.searchsorted(middles, values).astype(np.int64)

    def weights(self) -> NDArray[np.float64]:
        """What each class counts for a target of each: (classes, classes), rows are targets and add up to 1."""
        if not self.is_divided:
            return np.eye(self.size)
        apart = np.arange(self.size)[:, None] - np.arange(self.size)
        weights = np.exp(-0.5 * (apart / SMEAR) ** 2)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def usual(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantiles of some values in each class, (classes, USUAL); spread evenly over a class that has none."""
        at = (np.arange(USUAL) + 0.5) / USUAL
        found = np.repeat(self.values[:, None], USUAL, axis=1)
        if not self.is_divided:
            return found
        found += np.ptp(self.values) / (self.size - 1) * (at - 0.5)
        classes = self.classes(values)
        for number in np.unique(classes):
            # Values themselves, not means of two of them: most people leave a number at one of very few.
            found[number] = np.quantile(values[classes == number], at, method="inverted_cdf")
        return found


@dataclass(frozen=True)
class PresetCode:
    """The classes of all free parameters of a space."""

    space: PresetSpace

    @cached_property
    def parameters(self) -> tuple[ParameterCode, ...]:
        """One per column of the preset vector."""
        return tuple(ParameterCode.of(parameter) for parameter in self.space.free)

    @property
    def most(self) -> int:
        """The largest number of classes."""
        return max(code.size for code in self.parameters)

    def classes(self, presets: Floats) -> Classes:
        """Classes of presets: (n, free) to (n, free)."""
        columns = [code.classes(presets[:, i].astype(np.float64)) for i, code in enumerate(self.parameters)]
        return np.stack(columns, axis=1)

    def presets(self, classes: Classes) -> Floats:
        """Presets of classes, each value in the middle of its own, on the space's grids: (n, free) to (n, free)."""
        return self.space.snap(np.stack([code.values[classes[:, i]] for i, code in enumerate(self.parameters)], axis=1))

    def usual(self, presets: Floats) -> Floats:
        """What values some presets, (n, free), have in each class: (free, most, USUAL)."""
        found = np.zeros((len(self.parameters), self.most, USUAL), dtype=np.float32)
        for i, code in enumerate(self.parameters):
            found[i, : code.size] = code.usual(presets[:, i].astype(np.float64))
        return found

    def draw(self, classes: Classes, usual: Floats, generator: np.random.Generator) -> Floats:
        """Presets of classes as :meth:`presets`, but that each value is drawn from the usual ones of its class."""
        columns = np.arange(len(self.parameters))
        return self.space.snap(usual[columns, classes, generator.integers(USUAL, size=classes.shape)].astype(float))
