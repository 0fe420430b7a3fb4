"""The transformer on tokens of parameters: the most accurate of the published proxies, and the slowest."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.layers import output_layer
from synthproxy.proxies.tokens import INITIAL_DEVIATION, Tokenizer
from synthproxy.synths.space import PresetSpace


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with the initial values of transformers: small normal weights, no bias at first."""
    layer = nn.Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=INITIAL_DEVIATION)
    nn.init.zeros_(layer.bias)
    return layer


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        # On processors the backward pass of attention takes ten times as long in bfloat16 as in float32.
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(query.float(), key.float(), value.float())
    return F.scaled_dot_product_attention(query, key, value)


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward network with ReLU: (batch, length, width) to the same.

    Args:
        width: length of a token.
        heads: attention heads, a divisor of the width.
        feed_forward: width of the hidden layer.
    """

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = linear(width, 3 * width)
        self.attention_output = linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = linear(width, feed_forward)
        self.contract = linear(feed_forward, width)

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, tokens: Tensor, *, first_only: bool = False) -> Tensor:
        """The tokens after this layer; with ``first_only`` just the first one, (batch, 1, width), for less work.

        The first token of a full pass is the same: a query depends on no other query.
        """
        width = tokens.shape[-1]
        normed = self.attention_norm(tokens)
        if first_only:
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            query = F.linear(normed[:, :1], weight[:width], bias[:width])
            key, value = F.linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
            tokens = tokens[:, :1]
        else:
            query, key, value = self.query_key_value(normed).chunk(3, dim=-1)
        attended = _attend(*(self._split_heads(x) for x in (query, key, value)))
        tokens = tokens + self.attention_output(attended.transpose(1, 2).flatten(2))
        change: Tensor = self.contract(F.relu(self.expand(self.feed_forward_norm(tokens))))
        return tokens + change


class Encoder(nn.Module):
    """Encoder layers of which only the first token of the last is wanted: (batch, length, width) to (batch, width)."""

    def __init__(self, width: int, heads: int, feed_forward: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """The first token after all layers."""
        for layer in self.layers[:-1]:
            tokens = layer(tokens)
        gathered: Tensor = self.layers[-1](tokens, first_only=True)
        return gathered[:, 0]


def transformer_on_tokens(
    space: PresetSpace, dimension: int, *, width: int = 256, layers: int = 6, heads: int = 8, feed_forward: int = 1024
) -> nn.Module:
    """TFM: a learned first token gathers the preset, (batch, one_hot_width) to (batch, dimension).

    Raises:
        InvalidInputError: the heads do not divide the width.
    """
    if width % heads:
        raise InvalidInputError(
            f"the width of the transformer must be a multiple of its heads, got {width} and {heads}"
        )
    return nn.Sequential(
        Tokenizer(space, width, summary=True, positions=True),
        Encoder(width, heads, feed_forward, layers),
        nn.LayerNorm(width),
        nn.ReLU(),
        output_layer(width, dimension, after="relu"),
    )
