"""Parameters and preset spaces: what can be set on a synth, which of it is free, and how a preset becomes a vector.

A *preset vector* has one column per free parameter, in the order of the space: numerical and binary parameters as
values in [0, 1], categorical ones as the index of the category. It says nothing of how a synth is controlled.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthproxy.errors import InvalidInputError

Floats = NDArray[np.float32]

# Half of the finest step that any known synth has (1/127) is far above this, float32 rounding far below.
ON_GRID_TOLERANCE = 1e-4


class Kind(StrEnum):
    """The three kinds of parameter."""

    NUMERICAL = "numerical"
    BINARY = "binary"
    CATEGORICAL = "categorical"


@dataclass(frozen=True)
class Parameter:
    """One knob of a synth.

    Args:
        name: unique within its space.
        kind: numerical, binary or categorical.
        default: value when held or unset; in [0, 1], or the index of a category.
        group: part of the synth it belongs to, dotted (``operators.3``), for holding whole groups.
        low, high: interval that drawn values stay in (numerical only).
        values: numerical: the grid, ascending, or empty for a continuous knob. Categorical: the value that selects each
            category on the synth, where it is not simply the index.
        labels: what each category, or each state of a binary parameter, is called.
        weights: probability of each grid value, state or category when drawn; empty for equal ones.
        held: kept at its default, and no column of the preset vector.
    """

    name: str
    kind: Kind = Kind.NUMERICAL
    default: float = 0.0
    group: str = ""
    low: float = 0.0
    high: float = 1.0
    values: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    held: bool = False

    def __post_init__(self) -> None:
        def refuse(reason: str) -> None:
            raise InvalidInputError(f"parameter {self.name!r}: {reason}")

        if not self.name:
            raise InvalidInputError("a parameter has no name")
        if self.kind is Kind.CATEGORICAL and self.cardinality < 2:
            refuse(f"a categorical parameter needs at least two labels or values, got {self.cardinality}")
        if self.labels and len(self.labels) != self.cardinality:
            refuse(f"{len(self.labels)} labels for {self.cardinality} values")
        if not 0.0 <= self.low <= self.high <= 1.0:
            refuse(f"the interval must lie in [0, 1], got [{self.low}, {self.high}]")
        if list(self.values) != sorted(set(self.values)):
            refuse("the grid must ascend without repeats")
        if self.weights and len(self.weights) != self.cardinality:
            refuse(f"{len(self.weights)} weights for {self.cardinality} values")
        if self.weights and (min(self.weights) < 0 or sum(self.weights) <= 0):
            refuse("weights must not be negative, nor all zero")
        if self.weights and self.kind is Kind.NUMERICAL and (self.low, self.high) != (0.0, 1.0):
            refuse("give either weights or an interval, not both")
        if self.kind is Kind.NUMERICAL and self.values and not len(self._drawable):
            refuse("no grid value lies within the interval")
        if not 0.0 <= self.default <= (self.cardinality - 1 if self.kind is Kind.CATEGORICAL else 1.0):
            refuse(f"the default {self.default} is out of range")

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A parameter from a row of a table: its fields, and ``steps = n`` for the grid of n equal steps."""
        fields = dict(row)
        if steps := fields.pop("steps", None):
            fields["values"] = _equal_steps(steps)
        for key in ("values", "labels", "weights"):
            fields[key] = tuple(fields.get(key, ()))
        return cls(**{**fields, "kind": Kind(fields.get("kind", Kind.NUMERICAL))})

    @property
    def cardinality(self) -> int:
        """Number of values it can take; 0 for a continuous parameter."""
        if self.kind is Kind.BINARY:
            return 2
        return len(self.values) or len(self.labels)

    @property
    def width(self) -> int:
        """Columns in one-hot form: one per category, else one."""
        return self.cardinality if self.kind is Kind.CATEGORICAL else 1

    @property
    def _drawable(self) -> NDArray[np.float64]:
        grid = np.asarray(self.values, dtype=np.float64)
        return grid[(grid >= self.low - ON_GRID_TOLERANCE) & (grid <= self.high + ON_GRID_TOLERANCE)]

    def from_uniform(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values by inverse transform of uniform numbers ``u`` in [0, 1), any shape."""
        if self.kind is Kind.NUMERICAL and not self.values:
            return self.low + u * (self.high - self.low)
        count = len(self._drawable) if self.kind is Kind.NUMERICAL else self.cardinality
        if self.weights:
            edges = np.cumsum(np.asarray(self.weights, dtype=np.float64))
            index = np.searchsorted(edges[:-1] / edges[-1], u, side="right")
        else:
            index = np.minimum((u * count).astype(np.int64), count - 1)
        return self._drawable[index] if self.kind is Kind.NUMERICAL else index.astype(np.float64)

    def snap(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest value the parameter can take; numerical values are clipped to the interval first."""
        if self.kind is Kind.CATEGORICAL:
            return np.clip(np.rint(values), 0, self.cardinality - 1)
        if self.kind is Kind.BINARY:
            return np.clip(np.rint(values), 0, 1)
        clipped = np.clip(values, self.low, self.high)
        if not self.values:
            return clipped
        grid = self._drawable
        middles = (grid[1:] + grid[:-1]) / 2
        return np.asarray(grid[np.searchsorted(middles, clipped)])


@dataclass(frozen=True)
class PresetSpace:
    """The ordered parameters of a synth, free and held.

    Preset vectors are float32 arrays of shape ``(free,)`` or ``(n, free)``.
    """

    name: str
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = [p.name for p in self.parameters]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise InvalidInputError(f"preset space {self.name!r}: these names occur more than once: {', '.join(twice)}")

    # What it consists of

    @cached_property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that a preset vector has columns for."""
        return tuple(p for p in self.parameters if not p.held)

    @cached_property
    def free_indices(self) -> NDArray[np.int64]:
        """Positions of the free parameters among all."""
        return np.asarray([i for i, p in enumerate(self.parameters) if not p.held], dtype=np.int64)

    @property
    def size(self) -> int:
        """Number of free parameters, the length of a preset vector."""
        return len(self.free)

    @property
    def one_hot_width(self) -> int:
        """Length of a preset vector with categories in one-hot form."""
        return sum(p.width for p in self.free)

    def columns(self, kind: Kind) -> NDArray[np.int64]:
        """Columns of the preset vector that hold parameters of this kind."""
        return np.asarray([i for i, p in enumerate(self.free) if p.kind is kind], dtype=np.int64)

    @cached_property
    def defaults(self) -> NDArray[np.float64]:
        """Default of every parameter, free and held: (parameters,)."""
        return np.asarray([p.default for p in self.parameters], dtype=np.float64)

    @cached_property
    def digest(self) -> str:
        """Identity of the space: a hash of its whole definition."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    # Presets

    def from_uniform(self, u: NDArray[np.float64]) -> Floats:
        """Preset vectors from uniform numbers in [0, 1), (n, free), one number for each value."""
        return np.stack([p.from_uniform(u[:, i]) for i, p in enumerate(self.free)], axis=1).astype(np.float32)

    def sample(self, generator: np.random.Generator, count: int) -> Floats:
        """Draw presets, every parameter independently from its interval and weights: (count, free)."""
        return self.from_uniform(generator.random((count, self.size)))

    def snap(self, presets: ArrayLike) -> Floats:
        """Move every value to the nearest that its parameter can take, within its interval."""
        vectors = np.asarray(presets, dtype=np.float64)
        snapped = np.empty(vectors.shape, dtype=np.float32)
        for parameter, columns in self._same_values:
            snapped[..., columns] = parameter.snap(vectors[..., columns])
        return snapped

    @cached_property
    def _same_values(self) -> list[tuple[Parameter, NDArray[np.int64]]]:
        """Columns of the parameters that can take the same values, with one of these: so many are snapped at once."""
        columns: dict[tuple[object, ...], list[int]] = {}
        for i, p in enumerate(self.free):
            columns.setdefault((p.kind, p.values, p.low, p.high, p.cardinality), []).append(i)
        return [(self.free[own[0]], np.asarray(own)) for own in columns.values()]

    def validate(self, presets: ArrayLike) -> None:
        """Raise :class:`InvalidInputError` unless every value is one that its parameter can take."""
        vectors = np.asarray(presets, dtype=np.float64)
        if vectors.shape[-1:] != (self.size,):
            raise InvalidInputError(
                f"a preset of {self.name!r} has {self.size} values, got an array of shape {vectors.shape}"
            )
        off = ~(np.abs(self.snap(vectors) - vectors) <= ON_GRID_TOLERANCE)
        if off.any():
            column = int(np.nonzero(off.reshape(-1, self.size).any(axis=0))[0][0])
            value = vectors.reshape(-1, self.size)[off.reshape(-1, self.size)[:, column], column][0]
            raise InvalidInputError(f"{self.name!r}: {self.free[column].name} cannot be {value:g}; snap() mends it")

    def decode(self, presets: ArrayLike) -> NDArray[np.float64]:
        """The value of every parameter, held ones at their default: (..., parameters)."""
        vectors = np.asarray(presets, dtype=np.float64)
        if vectors.shape[-1:] != (self.size,):
            raise InvalidInputError(
                f"a preset of {self.name!r} has {self.size} values, got an array of shape {vectors.shape}"
            )
        everything = np.broadcast_to(self.defaults, (*vectors.shape[:-1], len(self.parameters))).copy()
        everything[..., self.free_indices] = vectors
        return everything

    def encode(self, everything: ArrayLike) -> Floats:
        """Preset vectors from the value of every parameter, the inverse of :meth:`decode`: (..., free)."""
        return np.asarray(everything, dtype=np.float64)[..., self.free_indices].astype(np.float32)

    def to_names(self, preset: ArrayLike) -> dict[str, float | str]:
        """Readable form of one preset: every parameter by name; categories by their label where they have one.

        Numbers have the fewest digits that tell them apart in float32.
        """
        named: dict[str, float | str] = {}
        for p, value in zip(self.parameters, self.decode(preset), strict=True):
            labelled = p.kind is Kind.CATEGORICAL and p.labels
            named[p.name] = p.labels[round(value)] if labelled else float(str(np.float32(value)))
        return named

    def from_names(self, named: Mapping[str, float | str]) -> Floats:
        """One preset vector from values by name, the inverse of :meth:`to_names`.

        Parameters that are not named take their default; held ones are ignored. Values need not be on the grid:
        :meth:`snap` moves them there.

        Raises:
            InvalidInputError: an unknown name or label, or a value that is no number or out of range.
        """
        by_name = {p.name: i for i, p in enumerate(self.parameters)}
        unknown = sorted(set(named) - set(by_name))
        if unknown:
            raise InvalidInputError(f"{self.name!r} has no parameter called {unknown[0]!r}")
        everything = self.defaults.copy()
        for name, value in named.items():
            p = self.parameters[by_name[name]]
            if isinstance(value, str):
                if value not in p.labels:
                    raise InvalidInputError(f"{name}: {value!r} is none of {', '.join(p.labels) or 'no labels'}")
                value = p.labels.index(value)
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = float("nan")
            if not 0.0 <= number <= (p.cardinality - 1 if p.kind is Kind.CATEGORICAL else 1.0):
                raise InvalidInputError(f"{name}: {value!r:.40} is no value that it can have")
            everything[by_name[name]] = number
        return self.encode(everything)

    def one_hot(self, presets: ArrayLike) -> Floats:
        """Numerical and binary values first, then every category in one-hot form: (n, one_hot_width)."""
        vectors = np.asarray(presets, dtype=np.float32)
        categorical = self.columns(Kind.CATEGORICAL)
        plain = np.setdiff1d(np.arange(self.size), categorical)
        parts = [vectors[:, plain]]
        for column in categorical:
            parts.append(np.eye(self.free[column].cardinality, dtype=np.float32)[vectors[:, column].astype(np.int64)])
        return np.concatenate(parts, axis=1)

    # Other spaces of the same synth

    def matching(self, patterns: Iterable[str]) -> list[int]:
        """Indices of the parameters whose name fits a pattern (``op?_detune``) or whose group is, or lies in, it."""
        found: set[int] = set()
        for pattern in patterns:
            hits = {
                i
                for i, p in enumerate(self.parameters)
                if fnmatch.fnmatchcase(p.name, pattern) or f"{p.group}.".startswith(f"{pattern}.")
            }
            if not hits:
                raise InvalidInputError(f"{self.name!r} has no parameter or group that fits {pattern!r}")
            found |= hits
        return sorted(found)

    def columns_matching(self, pattern: str) -> list[int]:
        """Columns of the preset vector whose parameters fit a pattern, as in :meth:`matching`; none if all are held."""
        place = {index: column for column, index in enumerate(self.free_indices.tolist())}
        return [place[index] for index in self.matching([pattern]) if index in place]

    def hold(self, patterns: Iterable[str], at: Mapping[str, float] | None = None) -> PresetSpace:
        """The space with these parameters held, at the given values (by name) or at their defaults."""
        indices = set(self.matching(patterns))
        values = dict(at or {})
        parameters = tuple(
            replace(p, held=True, default=values.get(p.name, p.default)) if i in indices else p
            for i, p in enumerate(self.parameters)
        )
        return PresetSpace(self.name, parameters)

    # As data

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, defaults left out."""
        blank = asdict(Parameter("blank"))
        rows = []
        for p in self.parameters:
            row = {k: v for k, v in asdict(p).items() if k == "name" or v != blank[k]}
            if p.values and p.values == _equal_steps(len(p.values)):
                row["steps"] = len(row.pop("values"))
            rows.append(row)
        return {"name": self.name, "parameters": rows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(data["name"], tuple(Parameter.from_row(row) for row in data["parameters"]))


def _equal_steps(count: int) -> tuple[float, ...]:
    return tuple(i / (count - 1) for i in range(count)) if count > 1 else ()
