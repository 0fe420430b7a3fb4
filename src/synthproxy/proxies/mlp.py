"""Plain and residual networks on soft presets as they are, and on one number per parameter."""

from __future__ import annotations

from torch import nn

from synthproxy.proxies.layers import ResidualBlock, dense, output_layer
from synthproxy.proxies.tokens import RawValues
from synthproxy.synths.space import PresetSpace


def mlp_on_one_hot(space: PresetSpace, dimension: int, *, width: int = 2048, layers: int = 2) -> nn.Module:
    """MLP-OH: dense layers on the soft preset, (batch, one_hot_width) to (batch, dimension)."""
    inputs = [space.one_hot_width, *[width] * (layers - 1)]
    return nn.Sequential(*(dense(wide, width) for wide in inputs), output_layer(width, dimension))


def mlp_on_raw_values(space: PresetSpace, dimension: int, *, width: int = 2048, layers: int = 2) -> nn.Module:
    """MLP-RAW: the same on one number per parameter, categories by their index."""
    inputs = [space.size, *[width] * (layers - 1)]
    return nn.Sequential(RawValues(space), *(dense(wide, width) for wide in inputs), output_layer(width, dimension))


def residual_on_one_hot(space: PresetSpace, dimension: int, *, width: int = 768, blocks: int = 6) -> nn.Module:
    """RN-OH: a dense layer, then residual blocks, on the soft preset."""
    body = (ResidualBlock(width) for _ in range(blocks - 1))
    return nn.Sequential(dense(space.one_hot_width, width), *body, output_layer(width, dimension))
