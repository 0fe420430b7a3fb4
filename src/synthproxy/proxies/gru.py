"""A recurrent network that reads the parameters in turn, both ways, and a highway network on what it remembers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthproxy.proxies.layers import highway_stack, output_layer
from synthproxy.proxies.tokens import Tokenizer
from synthproxy.synths.space import PresetSpace


class LastStates(nn.Module):
    """One bidirectional GRU layer: (batch, length, inputs) to its last states, (batch, 2 × width)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(inputs, width, batch_first=True, bidirectional=True)
        for name, weight in self.recurrent.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_normal_(weight)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(weight)
            else:
                nn.init.zeros_(weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """What is left at the end of either direction."""
        _, states = self.recurrent(tokens)
        return torch.cat([states[0], states[1]], dim=1)


class AsSequence(nn.Module):
    """(batch, width) to (batch, width, 1): every number is a step."""

    def forward(self, soft: Tensor) -> Tensor:
        """The same numbers."""
        return soft[..., None]


def recurrent_on_one_hot(space: PresetSpace, dimension: int, *, hidden: int = 512) -> nn.Module:  # noqa: ARG001
    """GRU-OH: a GRU that reads the soft preset number by number, (batch, one_hot_width) to (batch, dimension)."""
    return nn.Sequential(AsSequence(), LastStates(1, hidden), output_layer(2 * hidden, dimension))


def highway_on_recurrent(
    space: PresetSpace, dimension: int, *, token: int = 384, hidden: int = 192, width: int = 768, blocks: int = 6
) -> nn.Module:
    """HN-PTGRU: tokens, GRU and highway blocks, (batch, one_hot_width) to (batch, dimension)."""
    return nn.Sequential(
        Tokenizer(space, token, positions=True),
        LastStates(token, hidden),
        highway_stack(2 * hidden, width, blocks),
        output_layer(width, dimension),
    )
