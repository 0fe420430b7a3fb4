"""Highway networks on soft presets as they are, or on their tokens side by side."""

from __future__ import annotations

from torch import nn

from synthproxy.proxies.layers import highway_stack, output_layer
from synthproxy.proxies.tokens import Tokenizer
from synthproxy.synths.space import PresetSpace


def highway_on_one_hot(space: PresetSpace, dimension: int, *, width: int = 768, blocks: int = 6) -> nn.Module:
    """HN-OH: highway blocks on the soft preset, (batch, one_hot_width) to (batch, dimension)."""
    return nn.Sequential(highway_stack(space.one_hot_width, width, blocks), output_layer(width, dimension))


def highway_on_tokens(
    space: PresetSpace, dimension: int, *, token: int = 64, width: int = 512, blocks: int = 6
) -> nn.Module:
    """HN-PT: highway blocks on all tokens side by side, (batch, one_hot_width) to (batch, dimension)."""
    return nn.Sequential(
        Tokenizer(space, token),
        nn.Flatten(),
        highway_stack(token * space.size, width, blocks),
        output_layer(width, dimension),
    )
