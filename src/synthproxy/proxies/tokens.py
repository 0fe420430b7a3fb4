"""What goes into a proxy: soft presets, and their form as tokens, one per parameter.

A *soft preset* is laid out as :meth:`PresetSpace.one_hot`: the values of numerical and binary parameters in the order
of the space, then one probability per category of each categorical parameter. A hard preset is the soft one whose
probabilities are 0 and 1. A binary value between 0 and 1 is the probability that it is on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Kind, PresetSpace

INITIAL_DEVIATION = 0.02
POSITION_BASE = 10_000.0


@dataclass(frozen=True)
class SoftLayout:
    """Where each parameter of a preset vector lies in a soft preset.

    Args:
        width: columns of a soft preset.
        plain: columns of the preset vector that are copied, in the order of the soft preset's first columns.
        categorical: columns of the preset vector that hold a category index.
        categories: columns of the soft preset that belong to each of ``categorical``.
    """

    width: int
    plain: tuple[int, ...]
    categorical: tuple[int, ...]
    categories: tuple[slice, ...]

    @classmethod
    def of(cls, space: PresetSpace) -> SoftLayout:
        """The layout of a preset space."""
        categorical = tuple(int(column) for column in space.columns(Kind.CATEGORICAL))
        plain = tuple(column for column in range(space.size) if column not in categorical)
        edges = np.cumsum([len(plain), *(space.free[column].cardinality for column in categorical)]).tolist()
        slices = tuple(slice(start, end) for start, end in pairwise(edges))
        return cls(space.one_hot_width, plain, categorical, slices)

    @property
    def parameter_order(self) -> list[int]:
        """Which of (plain parameters, then categorical ones) comes at each place of the preset vector."""
        columns = [*self.plain, *self.categorical]
        return sorted(range(len(columns)), key=columns.__getitem__)


def to_soft(space: PresetSpace, presets: Tensor) -> Tensor:
    """Soft form of hard presets, the same numbers as ``space.one_hot``.

    Args:
        space: the preset space.
        presets: float32, (batch, free), on any device. Category indices must be in range; they are not checked here.

    Returns:
        float32, (batch, one_hot_width), on the same device.
    """
    layout = SoftLayout.of(space)
    soft = presets.new_zeros(len(presets), layout.width)
    soft[:, : len(layout.plain)] = presets[:, list(layout.plain)]
    if layout.categorical:
        starts = torch.tensor([columns.start for columns in layout.categories], device=presets.device)
        soft.scatter_(1, presets[:, list(layout.categorical)].long() + starts, 1.0)
    return soft


def to_hard(space: PresetSpace, soft: Tensor) -> Tensor:
    """The hard presets nearest to soft ones: the likeliest categories, binaries rounded, numericals as they are.

    Numerical values are neither clipped nor put on their grid; ``space.snap`` does that.

    Args:
        space: the preset space.
        soft: (batch, one_hot_width).

    Returns:
        (batch, free), without gradients.
    """
    layout = SoftLayout.of(space)
    hard = soft.new_empty(len(soft), space.size)
    with torch.no_grad():
        hard[:, list(layout.plain)] = soft[:, : len(layout.plain)]
        for column, columns in zip(layout.categorical, layout.categories, strict=True):
            hard[:, column] = soft[:, columns].argmax(dim=1).to(soft.dtype)
        binary = space.columns(Kind.BINARY).tolist()
        hard[:, binary] = hard[:, binary].round().clamp(0.0, 1.0)
    return hard


def check_presets(space: PresetSpace, presets: np.ndarray) -> None:
    """Raise unless the array is (n, free), finite, with category indices in range. Values off a grid are allowed."""
    if presets.ndim != 2 or presets.shape[1] != space.size:
        raise InvalidInputError(f"presets of {space.name!r} are (n, {space.size}), got an array of {presets.shape}")
    if not np.isfinite(presets).all():
        raise InvalidInputError(f"presets of {space.name!r} hold a value that is not finite")
    for column in space.columns(Kind.CATEGORICAL):
        values, parameter = presets[:, column], space.free[column]
        if len(values) and not 0 <= values.min() <= values.max() < parameter.cardinality:
            got = values.min() if values.min() < 0 else values.max()
            raise InvalidInputError(
                f"{space.name!r}: {parameter.name} has categories 0 to {parameter.cardinality - 1}, got {got:g}"
            )


def position_code(length: int, dimension: int) -> Tensor:
    """Sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017): (length, dimension)."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    frequency = torch.exp(torch.arange(0, dimension, 2, dtype=torch.float32) * (-math.log(POSITION_BASE) / dimension))
    code = torch.empty(length, dimension)
    code[:, 0::2] = torch.sin(position * frequency)
    code[:, 1::2] = torch.cos(position * frequency)[:, : dimension // 2]
    return code


class RawValues(nn.Module):
    """One number from 0 to 1 per free parameter, in the order of the space; of a category, its index by the last one.

    A soft category gives the mean of the indices by probability.
    """

    def __init__(self, space: PresetSpace) -> None:
        super().__init__()
        layout = SoftLayout.of(space)
        mixture = torch.zeros(layout.width, space.size)
        mixture[range(len(layout.plain)), list(layout.plain)] = 1.0
        for column, columns in zip(layout.categorical, layout.categories, strict=True):
            mixture[columns, column] = torch.linspace(0.0, 1.0, columns.stop - columns.start)
        self.mixture: Tensor
        self.register_buffer("mixture", mixture, persistent=False)

    def forward(self, soft: Tensor) -> Tensor:
        """Values (batch, free) of soft presets (batch, one_hot_width)."""
        return soft @ self.mixture


class Tokenizer(nn.Module):
    """One token per free parameter, in the order of the space.

    The token of a numerical or binary parameter is its value times a learned vector, without bias; that of a category
    is its row of one table, of a soft category the mean of the rows by probability.

    Args:
        space: the preset space.
        dimension: length of a token.
        summary: put a learned token, which no parameter feeds, first.
        positions: add a fixed sinusoidal code of the place in the sequence.
    """

    def __init__(self, space: PresetSpace, dimension: int, *, summary: bool = False, positions: bool = False) -> None:
        super().__init__()
        self.layout = SoftLayout.of(space)
        self.length = space.size + summary
        self.vectors = nn.Parameter(torch.empty(len(self.layout.plain), dimension))
        self.rows = nn.Parameter(torch.empty(self.layout.width - len(self.layout.plain), dimension))
        self.summary = nn.Parameter(torch.empty(1, dimension)) if summary else None
        for weight in self.parameters():
            if weight.numel():
                nn.init.trunc_normal_(weight, std=INITIAL_DEVIATION)
        self.order: Tensor
        self.register_buffer("order", torch.tensor(self.layout.parameter_order), persistent=False)
        self.positions: Tensor | None
        self.register_buffer(
            "positions", position_code(self.length, dimension) if positions else None, persistent=False
        )

    def forward(self, soft: Tensor) -> Tensor:
        """Tokens (batch, length, dimension) of soft presets (batch, one_hot_width)."""
        plain = len(self.layout.plain)
        parts = [soft[:, :plain, None] * self.vectors]
        for columns in self.layout.categories:
            rows = self.rows[columns.start - plain : columns.stop - plain]
            parts.append((soft[:, columns] @ rows)[:, None])
        tokens = torch.cat(parts, dim=1).index_select(1, self.order)
        if self.summary is not None:
            tokens = torch.cat([self.summary.expand(len(soft), 1, -1), tokens], dim=1)
        return tokens if self.positions is None else tokens + self.positions
