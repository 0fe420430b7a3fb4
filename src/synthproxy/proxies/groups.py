"""A transformer on tokens of *groups* of parameters: an operator, an envelope, an oscillator.

A preset of Dexed has a hundred parameters but nine groups, so attention has a tenth of the tokens of the published
transformer, and a layer a tenth of its work. What a group's parameters mean together is told by a small network that
equal groups, such as operators, share. Numerical values enter as piecewise-linear codes (Gorishniy et al., On
Embeddings for Numerical Features in Tabular Deep Learning, 2022), so that the first layer can bend them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.layers import output_layer
from synthproxy.proxies.tokens import INITIAL_DEVIATION, SoftLayout
from synthproxy.proxies.transformer import Encoder
from synthproxy.synths.space import Kind, PresetSpace


@dataclass(frozen=True)
class Family:
    """Groups that are made alike, so that one network reads them all.

    Args:
        numerical: columns of the soft preset, a row for each group: (groups, numbers).
        others: those of switches and categories: (groups, columns).
    """

    numerical: tuple[tuple[int, ...], ...]
    others: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Number of groups."""
        return len(self.numerical)


def families(space: PresetSpace) -> list[Family]:
    """The groups of a space; a parameter without one is a group of its own.

    Together are those whose names differ in a last number only, and whose parameters are of equal kinds.
    """
    names = [parameter.group or parameter.name for parameter in space.free]
    layout = SoftLayout.of(space)
    columns: dict[int, tuple[int, ...]] = {column: (place,) for place, column in enumerate(layout.plain)}
    for column, categories in zip(layout.categorical, layout.categories, strict=True):
        columns[column] = tuple(range(categories.start, categories.stop))
    alike: dict[tuple[object, ...], list[list[int]]] = {}
    for name in dict.fromkeys(names):
        members = [column for column, group in enumerate(names) if group == name]
        stem, _, number = name.rpartition(".")
        kinds = tuple((space.free[column].kind, space.free[column].cardinality) for column in members)
        alike.setdefault((stem if number.isdecimal() else name, kinds), []).append(members)
    return [Family(*_columns(space, columns, groups)) for groups in alike.values()]


def _columns(
    space: PresetSpace, columns: dict[int, tuple[int, ...]], groups: Sequence[Sequence[int]]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    def of(group: Sequence[int], numerical: bool) -> tuple[int, ...]:
        chosen = [column for column in group if (space.free[column].kind is Kind.NUMERICAL) == numerical]
        return tuple(place for column in chosen for place in columns[column])

    return tuple(of(group, True) for group in groups), tuple(of(group, False) for group in groups)


class FamilyTokens(nn.Module):
    """Tokens of the groups of one family: (batch, one_hot_width) to (batch, groups, width)."""

    def __init__(self, family: Family, width: int, pieces: int, hidden: int) -> None:
        super().__init__()
        self.numerical: Tensor
        self.others: Tensor
        self.starts: Tensor
        self.register_buffer("numerical", torch.tensor(family.numerical, dtype=torch.int64), persistent=False)
        self.register_buffer("others", torch.tensor(family.others, dtype=torch.int64), persistent=False)
        self.register_buffer("starts", torch.arange(pieces, dtype=torch.float32), persistent=False)
        inputs = self.numerical.shape[1] * pieces + self.others.shape[1]
        first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, width)
        for layer in (first, second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.network = nn.Sequential(first, nn.ReLU(), second)
        self.place = nn.Parameter(torch.empty(family.size, width))
        nn.init.trunc_normal_(self.place, std=INITIAL_DEVIATION)

    def forward(self, soft: Tensor) -> Tensor:
        """See the class."""
        numbers = soft[:, self.numerical.flatten()].view(len(soft), *self.numerical.shape)
        # Piece k rises from 0 to 1 while the value crosses the k-th part of its range: one of them has a gradient.
        ramps = numbers[..., None] * len(self.starts) - self.starts
        code = ramps.clamp(0.0, 1.0).flatten(2)
        others = soft[:, self.others.flatten()].view(len(soft), *self.others.shape)
        tokens: Tensor = self.network(torch.cat([code, others], dim=2))
        return tokens + self.place


class GroupTokens(nn.Module):
    """A learned first token, then one for each group: (batch, one_hot_width) to (batch, 1 + groups, width)."""

    def __init__(self, space: PresetSpace, width: int, pieces: int, hidden: int) -> None:
        super().__init__()
        self.families = nn.ModuleList(FamilyTokens(family, width, pieces, hidden) for family in families(space))
        self.summary = nn.Parameter(torch.empty(1, width))
        nn.init.trunc_normal_(self.summary, std=INITIAL_DEVIATION)

    def forward(self, soft: Tensor) -> Tensor:
        """See the class."""
        tokens = [family(soft) for family in self.families]
        return torch.cat([self.summary.expand(len(soft), 1, -1), *tokens], dim=1)


def transformer_on_groups(
    space: PresetSpace,
    dimension: int,
    *,
    width: int = 128,
    layers: int = 3,
    heads: int = 4,
    feed_forward: int = 256,
    pieces: int = 16,
    hidden: int = 192,
) -> nn.Module:
    """GTF: the transformer on tokens of groups, (batch, one_hot_width) to (batch, dimension).

    Raises:
        InvalidInputError: the heads do not divide the width.
    """
    if width % heads:
        raise InvalidInputError(
            f"the width of the transformer must be a multiple of its heads, got {width} and {heads}"
        )
    return nn.Sequential(
        GroupTokens(space, width, pieces, hidden),
        Encoder(width, heads, feed_forward, layers),
        nn.LayerNorm(width),
        nn.ReLU(),
        output_layer(width, dimension, after="relu"),
    )
