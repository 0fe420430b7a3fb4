"""What a proxy minimises: how far it is from each embedding, and whether others of the batch are nearer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Literal["l1", "mse"]

_SHARPNESS = 4.0
"""Distances are divided by the mean one of a preset from its own sound, and multiplied by this."""

_LEAST_DISTANCE = 1e-8  # Where all are told exactly, there is nothing to divide by.


def embedding_loss(predicted: Tensor, true: Tensor, loss: Loss, ranking: float = 0.0) -> Tensor:
    """Distance of predicted embeddings from the true ones, (n, dimension) both, and the ranking of the batch.

    Args:
        loss: mean absolute or mean squared difference.
        ranking: weight of :func:`ranking_loss`.
    """
    difference = F.l1_loss(predicted, true) if loss == "l1" else F.mse_loss(predicted, true)
    return difference + ranking * ranking_loss(predicted, true, 1.0 if loss == "l1" else 2.0) if ranking else difference


def ranking_loss(predicted: Tensor, true: Tensor, norm: float = 1.0) -> Tensor:
    """Cross-entropy of telling, by distance, to which of the batch's sounds each preset belongs (InfoNCE).

    A distance by itself does not know which errors confuse presets; this does, as the mean reciprocal rank does. It is
    the same at any scale of the embeddings. Where a batch is divided among devices, each ranks its own part.

    Args:
        predicted, true: (n, dimension).
        norm: 1 for L1, 2 for L2 distances.
    """
    distances = torch.cdist(predicted, true, p=norm)
    scale = distances.detach().diagonal().mean().clamp(min=_LEAST_DISTANCE)
    return F.cross_entropy(-_SHARPNESS * distances / scale, torch.arange(len(true), device=true.device))
