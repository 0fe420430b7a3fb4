"""The vision transformers that read spectrograms as pictures: PaSST's and AudioMAE's, made of the same blocks.

Modules carry the names that the published weight files use (those of timm). Classifiers and decoders are not built:
embeddings need only the encoders.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH: Final = 16
"""Bands and frames of a patch."""

EXPANSION: Final = 4
NORM_EPSILON: Final = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        batch, tokens, width = x.shape
        split = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return projected


class FeedForward(nn.Module):
    """Two linear layers, a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, EXPANSION * width)
        self.fc2 = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        projected: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return projected


class Block(nn.Module):
    """Attention and feed-forward, each normalised before and added to its input (Dosovitskiy et al. 2021)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mlp = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class PatchEmbedding(nn.Module):
    """A linear map of each patch of a picture with one channel."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, PATCH, stride)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, height, width of the picture) to (batch, width, rows, columns)."""
        patches: Tensor = self.proj(picture.unsqueeze(1))
        return patches


class PatchoutTransformer(nn.Module):
    """PaSST without its classifiers (Koutini et al. 2022): patches overlap; places in frequency and in time are learned
    apart, so that clips may be shorter than those of the training.

    Args:
        width: values per token.
        depth: number of blocks.
        heads: attention heads, a divisor of ``width``.
        grid: patches of the longest picture, by frequency and by time.
        stride: bands and frames from one patch to the next.
    """

    def __init__(self, *, width: int, depth: int, heads: int, grid: tuple[int, int], stride: int) -> None:
        super().__init__()
        rows, columns = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, columns))
        self.patch_embed = PatchEmbedding(width, stride)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Mean of the outputs at the class token and at the distillation token.

        Args:
            log_mel: float32, (batch, bands, frames), from one patch of frames to as many as the grid has places for.

        Returns:
            (batch, width).
        """
        patches = self.patch_embed(log_mel)
        patches = patches + self.time_new_pos_embed[..., : patches.shape[3]] + self.freq_new_pos_embed
        marks = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        tokens = torch.cat([marks.expand(len(patches), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        heard: Tensor = self.norm(self.blocks(tokens)[:, :2])
        return heard.mean(dim=1)


class MaskedAutoencoderEncoder(nn.Module):
    """AudioMAE's encoder, which sees every patch (Huang et al. 2022).

    Args:
        width: values per token.
        depth: number of blocks.
        heads: attention heads, a divisor of ``width``.
        patches: patches of a picture.
        averaged_from: index of the first block whose output counts.
    """

    def __init__(self, *, width: int, depth: int, heads: int, patches: int, averaged_from: int) -> None:
        super().__init__()
        self.averaged_from = averaged_from
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, width))
        self.patch_embed = PatchEmbedding(width, PATCH)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Mean over the last blocks of their normalised outputs, patch by patch.

        Args:
            log_mel: float32, (batch, frames, bands).

        Returns:
            (batch, patches, width); patches of the same frames lie side by side, from low to high.
        """
        patches = self.patch_embed(log_mel).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embed
        outputs = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index >= self.averaged_from:
                outputs.append(self.norm(tokens))
        return torch.stack(outputs).mean(dim=0)[:, 1:]
