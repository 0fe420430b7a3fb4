"""From embeddings to a number: does an audio model put the steps of a move into their order?"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Distance = Literal["l1", "l2", "cosine"]
DISTANCES: tuple[Distance, ...] = get_args(Distance)

Numbers = NDArray[np.float64]

_VALUES_AT_ONCE = 1 << 20
"""Differences of coordinates that are held in memory at a time."""


def pairwise_distances(embeddings: ArrayLike, distance: Distance) -> Numbers:
    """Distances between all embeddings, summed in double precision: (n, dimension) to (n, n).

    Cosine distance is 1 less the cosine; an embedding of zeros is at distance 1 from all but itself.
    """
    rows = np.asarray(embeddings)
    if distance == "cosine":
        norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        rows = rows / np.where(norms > 0, norms, 1.0)
    total = np.zeros((len(rows), len(rows)))
    width = max(1, _VALUES_AT_ONCE // len(rows) ** 2)
    for start in range(0, rows.shape[1], width):
        part = rows[:, start : start + width].astype(np.float64)
        difference = np.abs(part[:, None] - part[None])
        total += (difference if distance == "l1" else np.square(difference)).sum(axis=-1)
    if distance == "l2":
        return np.sqrt(total)
    if distance == "cosine":
        # |u - v|² / 2 is 1 - u·v for unit vectors, without the digits that the subtraction loses.
        silent = (norms == 0)[:, 0]
        return np.where(silent[:, None] != silent[None], 1.0, total / 2)
    return total


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of two sequences, (n,) each: Pearson's correlation of their ranks.

    Equal values share the mean of their ranks. Where one of them has no order, because all its values are equal, the
    correlation is 0.
    """
    x, y = (_ranks(np.asarray(values)) for values in (first, second))
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / scale) if scale > 0 else 0.0


def order_correlation(distances: Numbers) -> float:
    """How well distances find the order of a move, −1 to 1.

    The clips are ordered by their distance from the first one and, once more, from the last one; the mean of both
    orders' rank correlations with the true one (Combes, Weinzierl and Obermayer, JAES 2025). Each end is in its own
    order, nearest to itself, as in the published evaluation.

    Args:
        distances: between the clips in the order of the move, (n, n).
    """
    way = np.arange(len(distances))
    return (spearman(distances[0], way) + spearman(distances[-1], way[::-1])) / 2


def mean_over_attributes(correlations: Numbers) -> float:
    """Mean over attributes of the means over their base presets; see :func:`bootstrap_means` for the shape."""
    return float(np.nanmean(correlations, axis=1).mean())


def bootstrap_means(correlations: Numbers, seed: int, resamples: int) -> Numbers:
    """Overall means with base presets drawn anew, to tell how much the choice of presets matters: (resamples,).

    A preset that serves several attributes is drawn, or not, for all of them; an attribute that is left without any
    does not count.

    Args:
        correlations: (attributes, presets), NaN where a preset does not serve an attribute.
    """
    presets = correlations.shape[1]
    draws = np.random.default_rng(seed).multinomial(presets, np.full(presets, 1 / presets), size=resamples)
    present = np.isfinite(correlations)
    counts = draws @ present.T
    sums = draws @ np.where(present, correlations, 0.0).T
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return np.asarray(np.nanmean(means, axis=1))


def _ranks(values: NDArray[np.generic]) -> Numbers:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])
