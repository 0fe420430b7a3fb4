"""The plain network on soft presets, the baseline of the published comparison."""

from __future__ import annotations

from torch import nn

from synthproxy.proxies.layers import dense, output_layer
from synthproxy.synths.space import PresetSpace


def mlp_on_one_hot(space: PresetSpace, dimension: int, *, width: int = 2048, layers: int = 2) -> nn.Module:
    """MLP-OH: dense layers on the soft preset, (batch, one_hot_width) to (batch, dimension)."""
    inputs = [space.one_hot_width, *[width] * (layers - 1)]
    return nn.Sequential(*(dense(wide, width) for wide in inputs), output_layer(width, dimension))
