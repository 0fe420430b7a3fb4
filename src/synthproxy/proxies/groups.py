"""A transformer on tokens of *groups* of parameters: an operator, an envelope, an oscillator.

A preset of Dexed has a hundred parameters but nine groups, so attention has a tenth of the tokens of the published
transformer, and a layer a tenth of its work. What a group's parameters mean together is told by a small network that
equal groups, such as operators, share. Numerical values enter as piecewise-linear codes (Gorishniy et al., On
Embeddings for Numerical Features in Tabular Deep Learning, 2022), so that the first layer can bend them.

Where a category wires groups to each other, as the algorithm of a DX7 does its operators, they send messages along the
wires, and nothing but the wires tells them apart: operators that can change places unheard can change places here, and
what is learned of one algorithm holds for others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.layers import StandardisedOutput, output_layer
from synthproxy.proxies.tokens import INITIAL_DEVIATION, SoftLayout
from synthproxy.proxies.transformer import EncoderLayer, linear
from synthproxy.proxies.wiring import MARKS, WAYS, WIRED_GROUPS, Wires
from synthproxy.synths.space import Kind, PresetSpace


@dataclass(frozen=True)
class Family:
    """Groups that are made alike, so that one network reads them all.

    Args:
        names: what the groups are called.
        columns: columns of the preset vector, a row for each group: (groups, parameters).
        numerical: columns of the soft preset, a row for each group: (groups, numbers).
        others: those of switches and categories: (groups, columns).
    """

    names: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    numerical: tuple[tuple[int, ...], ...]
    others: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Number of groups."""
        return len(self.names)


def families(space: PresetSpace) -> list[Family]:
    """The groups of a space; a parameter without one is a group of its own.

    Together are those whose names differ in a last number only, and whose parameters are of equal kinds.
    """
    names = [parameter.group or parameter.name for parameter in space.free]
    layout = SoftLayout.of(space)
    columns: dict[int, tuple[int, ...]] = {column: (place,) for place, column in enumerate(layout.plain)}
    for column, categories in zip(layout.categorical, layout.categories, strict=True):
        columns[column] = tuple(range(categories.start, categories.stop))
    alike: dict[tuple[object, ...], dict[str, list[int]]] = {}
    for name in dict.fromkeys(names):
        members = [column for column, group in enumerate(names) if group == name]
        stem, _, number = name.rpartition(".")
        kinds = tuple((space.free[column].kind, space.free[column].cardinality) for column in members)
        alike.setdefault((stem if number.isdecimal() else name, kinds), {})[name] = members
    return [_family(space, columns, groups) for groups in alike.values()]


def _family(
    space: PresetSpace, soft_columns: Mapping[int, tuple[int, ...]], groups: Mapping[str, Sequence[int]]
) -> Family:
    def of(group: Sequence[int], numerical: bool) -> tuple[int, ...]:
        chosen = [column for column in group if (space.free[column].kind is Kind.NUMERICAL) == numerical]
        return tuple(place for column in chosen for place in soft_columns[column])

    members = groups.values()
    return Family(
        tuple(groups),
        tuple(tuple(group) for group in members),
        tuple(of(group, True) for group in members),
        tuple(of(group, False) for group in members),
    )


class FamilyTokens(nn.Module):
    """Tokens of the groups of one family.

    Args:
        family: the groups.
        width: length of a token.
        pieces: of the code of a number.
        hidden: width of the hidden layer.
        marks: numbers that are told of each group.
        placed: whether each group has a learned code of its own, so that they can be told apart.
    """

    def __init__(
        self, family: Family, width: int, pieces: int, hidden: int, *, marks: int = 0, placed: bool = True
    ) -> None:
        super().__init__()
        self.numerical: Tensor
        self.others: Tensor
        self.starts: Tensor
        self.register_buffer("numerical", torch.tensor(family.numerical, dtype=torch.int64), persistent=False)
        self.register_buffer("others", torch.tensor(family.others, dtype=torch.int64), persistent=False)
        self.register_buffer("starts", torch.arange(pieces, dtype=torch.float32), persistent=False)
        inputs = self.numerical.shape[1] * pieces + self.others.shape[1] + marks
        first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, width)
        for layer in (first, second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.network = nn.Sequential(first, nn.ReLU(), second)
        self.place = nn.Parameter(torch.empty(family.size, width)) if placed else None
        if self.place is not None:
            nn.init.trunc_normal_(self.place, std=INITIAL_DEVIATION)

    def forward(self, soft: Tensor, marks: Tensor | None = None) -> Tensor:
        """Tokens (batch, groups, width) of soft presets (batch, one_hot_width) and marks (batch, groups, marks)."""
        numbers = soft[:, self.numerical.flatten()].view(len(soft), *self.numerical.shape)
        # Piece k rises from 0 to 1 while the value crosses the k-th part of its range: one of them has a gradient.
        ramps = numbers[..., None] * len(self.starts) - self.starts
        others = soft[:, self.others.flatten()].view(len(soft), *self.others.shape)
        known = [ramps.clamp(0.0, 1.0).flatten(2), others, *([] if marks is None else [marks])]
        tokens: Tensor = self.network(torch.cat(known, dim=2))
        return tokens if self.place is None else tokens + self.place


class Messages(nn.Module):
    """What tokens tell those that they are wired to, added to these: a matrix for each way of being wired."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.send = linear(width, WAYS * width)

    def forward(self, tokens: Tensor, ways: Tensor) -> Tensor:
        """Tokens (batch, length, width) after messages along ways (batch, WAYS, length, length)."""
        sent = self.send(self.norm(tokens)).view(*tokens.shape[:2], WAYS, -1).transpose(1, 2)
        received: Tensor = ways @ sent
        return tokens + received.sum(dim=1)


class GroupEncoder(nn.Module):
    """A learned first token gathers those of the groups: (batch, one_hot_width) to (batch, width)."""

    def __init__(
        self, space: PresetSpace, width: int, layers: int, heads: int, feed_forward: int, pieces: int, hidden: int
    ) -> None:
        super().__init__()
        found = sorted(families(space), key=lambda family: family.names != WIRED_GROUPS)
        self.wires = Wires.of(space) if found[0].names == WIRED_GROUPS else None
        self.families = nn.ModuleList(FamilyTokens(family, width, pieces, hidden) for family in found[1:])
        marks = MARKS if self.wires else 0
        self.first_family = FamilyTokens(found[0], width, pieces, hidden, marks=marks, placed=not marks)
        self.summary = nn.Parameter(torch.empty(1, width))
        nn.init.trunc_normal_(self.summary, std=INITIAL_DEVIATION)
        self.messages = nn.ModuleList(Messages(width) for _ in range(layers if self.wires else 0))
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward) for _ in range(layers))

    def forward(self, soft: Tensor) -> Tensor:
        """See the class."""
        ways, marks = (None, None) if self.wires is None else self.wires(soft)
        summary = self.summary.expand(len(soft), 1, -1)
        others = [family(soft) for family in self.families]
        tokens = torch.cat([summary, self.first_family(soft, marks), *others], dim=1)
        if ways is not None:
            after = tokens.shape[1] - 1 - ways.shape[-1]
            ways = F.pad(ways, (1, after, 1, after))
        for number, layer in enumerate(self.layers):
            if ways is not None:
                tokens = self.messages[number](tokens, ways)
            tokens = layer(tokens, first_only=number == len(self.layers) - 1)
        return tokens[:, 0]


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
        GroupEncoder(space, width, layers, heads, feed_forward, pieces, hidden),
        nn.LayerNorm(width),
        nn.ReLU(),
        output_layer(width, dimension, after="relu"),
        StandardisedOutput(dimension),
    )
