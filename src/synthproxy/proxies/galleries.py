"""Looking up among all of a gallery: in random galleries of one size, and as galleries grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthproxy.proxies.ranking import (
    Embeddings,
    Interval,
    Metric,
    bootstrap_interval,
    chance_reciprocal_rank,
    mean_reciprocal_rank,
    ranks_against_all,
    ranks_both_ways,
)

GALLERY_SIZES = tuple(2**k for k in range(9, 18))


@dataclass(frozen=True)
class GalleryRanks:
    """Ranks in random galleries of one size; all arrays are (runs, gallery).

    Args:
        rows: the examples that each gallery holds.
        presets: rank of the right sound when the preset of each is looked up among the sounds of its gallery.
        sounds: rank of the right preset when the sound of each is looked up among the presets.
    """

    rows: NDArray[np.int64]
    presets: NDArray[np.float64]
    sounds: NDArray[np.float64]

    @property
    def runs(self) -> int:
        """Number of galleries."""
        return len(self.rows)

    @property
    def gallery(self) -> int:
        """Size of each."""
        return int(self.rows.shape[1])


def ranks_in_galleries(
    predicted: Embeddings, true: Embeddings, *, gallery: int, runs: int, metric: Metric, seed: int
) -> GalleryRanks:
    """Look up everything in random galleries, both ways.

    Args:
        predicted: embeddings of presets, (n, dimension).
        true: embeddings of their sounds, of the same shape.
        gallery: size of each gallery, at most n.
        runs: how many; where one holds all there is, one says it all.
        metric: distance.
        seed: run i draws its gallery with ``seed + i``.
    """
    gallery = min(gallery, len(true))
    rows = np.stack(
        [
            np.random.default_rng(seed + run).permutation(len(true))[:gallery]
            for run in range(runs if gallery < len(true) else 1)
        ]
    )
    return GalleryRanks(rows, *ranks_both_ways(predicted, true, rows, metric))


@dataclass(frozen=True)
class GalleryPoint:
    """Presets looked up among the sounds of a gallery of this size."""

    gallery: int
    mrr: float
    interval: Interval
    chance: float


def by_gallery_size(
    predicted: Embeddings,
    true: Embeddings,
    sizes: Sequence[int] = GALLERY_SIZES,
    *,
    metric: Metric = "l1",
    seed: int = 42,
) -> list[GalleryPoint]:
    """How ranking suffers as there is more to be mistaken for: a nested gallery for each size there is enough for.

    Distances are taken in blocks: memory does not grow with the square of the size.
    """
    order = np.random.default_rng(seed).permutation(len(true))
    points = []
    for size in sizes:
        if size <= len(true):
            rows = order[:size]
            ranks = ranks_against_all(predicted[rows], true[rows], metric)
            interval = bootstrap_interval(ranks, seed)
            points.append(GalleryPoint(size, mean_reciprocal_rank(ranks), interval, chance_reciprocal_rank(size)))
    return points
