"""Whether predicted embeddings can be told from true ones: cross-validated accuracy of a logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.ranking import Embeddings, Interval, interval_of, resampled_means

FOLDS = 5
MOST_PRESETS = 2_000
PENALTY = 1.0
MOST_ITERATIONS = 1_000


@dataclass(frozen=True)
class Separability:
    """Share of embeddings that are rightly called predicted or true; 0.5 is what guessing reaches.

    Args:
        accuracy: on presets that the regression was not fitted to.
        interval: over presets drawn anew.
        presets, folds: of the cross-validation.
    """

    accuracy: float
    interval: Interval
    presets: int
    folds: int


def separability(
    predicted: Embeddings, true: Embeddings, *, folds: int = FOLDS, most: int = MOST_PRESETS, seed: int = 42
) -> Separability:
    """How well a linear classifier tells predicted embeddings from true ones.

    A preset's two embeddings are always in the same fold: what is learned of a sound must not help with it.

    Args:
        predicted, true: of the same presets, (n, dimension), n at least 2.
        folds: parts, each judged by a regression on the others; at most n.
        most: presets that are used, drawn at random where there are more.
        seed: of the draw and the folds.

    Raises:
        InvalidInputError: embeddings that do not pair up, fewer than two, or values that are not finite.
    """
    if predicted.shape != true.shape or len(true) < 2:
        raise InvalidInputError(f"at least two pairs of embeddings are needed, got {predicted.shape} and {true.shape}")
    rows = np.random.default_rng(seed).permutation(len(true))[:most]
    pairs = torch.from_numpy(np.stack([predicted[rows], true[rows]], axis=1).astype(np.float64))
    if not torch.isfinite(pairs).all():
        raise InvalidInputError("embeddings hold values that are not finite")
    kinds = torch.tensor([1.0, 0.0], dtype=torch.float64)
    right = np.empty((len(rows), 2))
    parts = np.array_split(np.arange(len(rows)), min(folds, len(rows)))
    for part in parts:
        others = np.setdiff1d(np.arange(len(rows)), part)
        regression = fit_logistic_regression(pairs[others].flatten(0, 1), kinds.repeat(len(others)))
        called = regression.logits(pairs[part].flatten(0, 1)) > 0
        right[part] = (called == kinds.repeat(len(part)).bool()).reshape(-1, 2).numpy()
    interval = interval_of(resampled_means(right.mean(axis=1, keepdims=True), seed)[:, 0])
    return Separability(float(right.mean()), interval, len(rows), len(parts))


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """A linear decision on standardised features: ``centre``, ``scale`` and ``weights`` are (features,)."""

    centre: Tensor
    scale: Tensor
    weights: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Above 0 where class 1 is likelier: (n, features) to (n,)."""
        return (features - self.centre) / self.scale @ self.weights + self.bias


def fit_logistic_regression(features: Tensor, classes: Tensor, penalty: float = PENALTY) -> LogisticRegression:
    """The logistic regression that minimises log loss + ``penalty`` / 2 × squared weights, summed over cases.

    Args:
        features: float64, (n, features); each is brought to mean 0 and deviation 1, constant ones to 0.
        classes: 0 or 1, float64, (n,).
        penalty: of the weights, not of the bias.
    """
    centre, deviation = features.mean(dim=0), features.std(dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    standard = (features - centre) / scale
    weights = torch.zeros(features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros((), dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias],
        max_iter=MOST_ITERATIONS,
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        log_loss = F.binary_cross_entropy_with_logits(standard @ weights + bias, classes)
        loss = log_loss + penalty / (2 * len(classes)) * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return LogisticRegression(centre, scale, weights.detach(), bias.detach())
