"""Layers that several architectures share, with the initial values of the published networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GATE_BIAS = -1.0


def output_layer(width: int, dimension: int, after: str = "linear") -> nn.Linear:
    """The last layer: Kaiming-normal weights for what comes before it (``linear`` or ``relu``), no bias at first."""
    layer = nn.Linear(width, dimension)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if after == "relu" else "linear")
    nn.init.zeros_(layer.bias)
    return layer


class Spread(nn.Module):
    """Where values lie and how much they vary, each by itself; mean 0 and deviation 1 until it is shown some."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("deviation", torch.ones(values))

    def fit(self, rows: Tensor) -> None:
        """Take both from rows of values, (n, values); values that never change keep deviation 1."""
        self.mean.copy_(rows.mean(dim=0))
        deviation = rows.std(dim=0)
        self.deviation.copy_(torch.where(deviation > 0, deviation, 1.0))


class StandardisedInput(Spread):
    """Brings each value to mean 0 and deviation 1: (…, values) to the same."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return (x - self.mean) / self.deviation


class StandardisedOutput(Spread):
    """Turns outputs of mean 0 and deviation 1 into those of the embeddings that are to be learned.

    So that a network has to learn neither where each value lies nor how much it varies. (…, values) to the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x * self.deviation + self.mean


def dense(inputs: int, width: int) -> nn.Sequential:
    """Linear without bias, batch norm, ReLU."""
    linear = nn.Linear(inputs, width, bias=False)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    return nn.Sequential(linear, nn.BatchNorm1d(width), nn.ReLU())


class ResidualBlock(nn.Module):
    """y = ReLU(x + F(x)) with F two linear layers, each with batch norm, and a ReLU between them.

    He et al., Deep Residual Learning, 2016.
    (batch, width) to (batch, width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        linear = nn.Linear(width, width, bias=False)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        self.residual = nn.Sequential(dense(width, width), linear, nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        """The input and what the block adds to it."""
        added: Tensor = self.residual(x)
        return (x + added).relu()


class HighwayBlock(nn.Module):
    """y = F(x)·G(x) + x·(1 − G(x)) with F a dense layer and G a sigmoid gate that starts nearly closed.

    Srivastava et al., Highway Networks, 2015. (batch, width) to (batch, width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = dense(width, width)
        self.gate = nn.Linear(width, width)
        nn.init.xavier_normal_(self.gate.weight)
        nn.init.constant_(self.gate.bias, GATE_BIAS)

    def forward(self, x: Tensor) -> Tensor:
        """The mixture of the transformed input and the input itself."""
        return x.lerp(self.transform(x), self.gate(x).sigmoid())


def highway_stack(inputs: int, width: int, blocks: int) -> nn.Sequential:
    """Highway blocks in a row. The first has neither gate nor bypass where it changes the width."""
    first = HighwayBlock(width) if inputs == width else dense(inputs, width)
    return nn.Sequential(first, *(HighwayBlock(width) for _ in range(blocks - 1)))
