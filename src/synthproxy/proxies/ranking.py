"""How well embeddings find their partners: ranks, mean reciprocal rank and recall. Distances are taken in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError

Embeddings = NDArray[np.float32]
Ranks = NDArray[np.float64]
Metric = Literal["l1", "l2", "cosine"]

QUERIES_PER_BLOCK = 256
EXACT = "donot_use_mm_for_euclid_dist"  # equal candidates must get equal distances, to the bit


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


def distances(queries: Tensor, candidates: Tensor, metric: Metric) -> Tensor:
    """Distances (…, q, c) between queries (…, q, dimension) and candidates (…, c, dimension)."""
    if metric == "cosine":
        # Of vectors of length 1, the order by Euclidean distance is that by angle.
        queries, candidates = F.normalize(queries, dim=-1), F.normalize(candidates, dim=-1)
    return torch.cdist(queries, candidates, p=1.0 if metric == "l1" else 2.0, compute_mode=EXACT)


def rank_of_match(to_candidates: Tensor, match: Tensor) -> Tensor:
    """Rank of the right candidate, 1 for the nearest.

    Among equally near ones it is the expected rank, so that ties gain nothing.

    Args:
        to_candidates: distances (queries, candidates); what is not a number counts as infinitely far.
        match: index of the right candidate, (queries,).

    Returns:
        float64, (queries,): halves occur.
    """
    clean = _comparable(to_candidates)
    right = clean.gather(1, match[:, None])
    nearer = (clean < right).sum(dim=1)
    as_near = (clean == right).sum(dim=1) - 1
    return 1.0 + nearer.double() + as_near.double() / 2.0


def _comparable(values: Tensor) -> Tensor:
    """Distances with infinity in place of what is not a number."""
    return torch.nan_to_num(values, nan=torch.inf, posinf=torch.inf)


def ranks_against_all(queries: Embeddings, gallery: Embeddings, metric: Metric = "l1") -> Ranks:
    """Rank of gallery item i for query i among the whole gallery: two arrays (n, dimension) to (n,)."""
    if queries.shape != gallery.shape:
        raise InvalidInputError(f"queries and gallery must pair up, got {queries.shape} and {gallery.shape}")
    everything = torch.from_numpy(np.ascontiguousarray(gallery))
    found = []
    for start in range(0, len(queries), QUERIES_PER_BLOCK):
        block = torch.from_numpy(np.ascontiguousarray(queries[start : start + QUERIES_PER_BLOCK]))
        match = torch.arange(start, start + len(block))
        found.append(rank_of_match(distances(block, everything, metric), match))
    return torch.cat(found).numpy() if found else np.empty(0)


def ranks_both_ways(
    one: Embeddings, other: Embeddings, galleries: NDArray[np.int64] | None = None, metric: Metric = "l1"
) -> tuple[Ranks, Ranks]:
    """:func:`ranks_against_all` of one among the other and of the other among one, each distance taken once.

    Args:
        one, other: (n, dimension).
        galleries: rows that each of several galleries holds, (galleries, size); one that holds everything without.

    Returns:
        Two arrays like the galleries.
    """
    if one.shape != other.shape:
        raise InvalidInputError(f"embeddings must pair up, got {one.shape} and {other.shape}")
    if galleries is None:
        galleries = np.arange(len(one))[None]
    used, places = np.unique(galleries, return_inverse=True)
    places = places.reshape(galleries.shape)
    if len(used) ** 2 > galleries.size * galleries.shape[1]:  # They have less in common than there is to share.
        each = [ranks_both_ways(one[rows], other[rows], None, metric) for rows in galleries]
        return np.concatenate([forward for forward, _ in each]), np.concatenate([backward for _, backward in each])
    found = [_CountedGallery.of(torch.from_numpy(rows)) for rows in places]
    left, right = (torch.from_numpy(np.ascontiguousarray(side[used])) for side in (one, other))
    blocks = [slice(start, start + QUERIES_PER_BLOCK) for start in range(0, len(left), QUERIES_PER_BLOCK)]
    own = torch.cat([_comparable(distances(left[block], right[block], metric)).diagonal() for block in blocks])
    for block in blocks:
        to_all = _comparable(distances(left[block], right, metric))
        # The same distance, but perhaps not to the last bit where it was computed in other company.
        to_all.diagonal(block.start).copy_(own[block])
        for gallery in found:
            gallery.count(to_all, own, block)
    return np.stack([gallery.forward for gallery in found]), np.stack([gallery.backward for gallery in found])


@dataclass(frozen=True)
class _CountedGallery:
    """What is nearer, and as near, than the right one in a gallery, as far as it was counted.

    Args:
        rows: what it holds, (size,), in any order.
        ascending: places in ``rows`` by ascending row.
        counts: nearer and as near, of one in the other and of the other in one: (4, size).
    """

    rows: Tensor
    ascending: Tensor
    counts: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> _CountedGallery:
        return cls(rows, rows.argsort(), torch.zeros((4, len(rows)), dtype=torch.int64))

    def count(self, to_all: Tensor, own: Tensor, block: slice) -> None:
        """Take in the distances (block, n) of some rows to all; ``own`` are those of pairs, (n,)."""
        sorted_rows = self.rows[self.ascending]
        first, last = torch.searchsorted(sorted_rows, torch.tensor([block.start, block.stop])).tolist()
        queries = self.ascending[first:last]
        asked = self.rows[queries]
        to_gallery = to_all[asked - block.start].index_select(1, self.rows)
        ahead, behind = own[asked][:, None], own[self.rows]
        self.counts[0, queries] = (to_gallery < ahead).sum(dim=1)
        self.counts[1, queries] = (to_gallery == ahead).sum(dim=1)
        self.counts[2] += (to_gallery < behind).sum(dim=0)
        self.counts[3] += (to_gallery == behind).sum(dim=0)

    @property
    def forward(self) -> Ranks:
        return self._ranks(self.counts[:2])

    @property
    def backward(self) -> Ranks:
        return self._ranks(self.counts[2:])

    @staticmethod
    def _ranks(counts: Tensor) -> Ranks:
        nearer, as_near = counts.double()
        return np.asarray((1.0 + nearer + (as_near - 1.0) / 2.0).numpy())


def ranks_among(queries: Embeddings, pool: Embeddings, candidates: NDArray[np.int64], metric: Metric = "l1") -> Ranks:
    """Rank of the first of each query's own candidates.

    Args:
        queries: (q, dimension).
        pool: (n, dimension).
        candidates: rows of the pool, (q, c); column 0 is the right one.
        metric: distance.

    Returns:
        (q,).
    """
    found = []
    for query, rows in zip(queries, candidates, strict=True):
        own = torch.from_numpy(np.ascontiguousarray(pool[rows]))
        to_own = distances(torch.from_numpy(np.ascontiguousarray(query[None])), own, metric)
        found.append(rank_of_match(to_own, torch.zeros(1, dtype=torch.int64)))
    return torch.cat(found).numpy() if found else np.empty(0)


def disjoint_candidates(size: int, queries: int, candidates: int, seed: int) -> NDArray[np.int64]:
    """Candidates of the published validation: (queries, candidates) rows, the match of query i, row i, in column 0.

    Where there are enough rows each is used once: query i has the rows i, i + queries, i + 2 × queries, …. In smaller
    corpora every query draws its others without repeats from all rows but its own.

    Args:
        size: rows there are; queries and candidates shrink to it.
        queries: queries wanted.
        candidates: candidates of each, the match included.
        seed: of the draw.
    """
    queries, candidates = min(queries, size), min(candidates, size)
    own = np.arange(queries)[:, None]
    if size >= queries * candidates:
        return own + queries * np.arange(candidates)
    generator = np.random.default_rng(seed)
    others = np.stack([generator.choice(size - 1, candidates - 1, replace=False) for _ in range(queries)])
    return np.concatenate([own, others + (others >= own)], axis=1)


def mean_reciprocal_rank(ranks: Ranks, within: float = np.inf) -> float:
    """Mean of 1/rank; ranks beyond ``within`` count 0."""
    return float(np.where(ranks <= within, 1.0 / ranks, 0.0).mean())


def recall(ranks: Ranks, within: int) -> float:
    """Share of queries whose match is among the first so many."""
    return float((ranks <= within).mean())


def chance_reciprocal_rank(candidates: int) -> float:
    """Expected 1/rank when the order is random: the harmonic number of n over n."""
    return float((1.0 / np.arange(1, candidates + 1)).sum() / candidates)


def bootstrap_interval(ranks: Ranks, seed: int = 0, resamples: int = 1000) -> Interval:
    """Interval of the mean reciprocal rank over resampled queries."""
    return interval_of(resampled_means(1.0 / ranks[:, None], seed, resamples)[:, 0])


def resampled_means(
    totals: NDArray[np.float64], seed: int = 0, resamples: int = 1000, counts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Means of columns with cases drawn anew, with repeats (Efron): (resamples, columns).

    Args:
        totals: a row for each case, (cases, columns).
        seed: of the draws; columns share them.
        resamples: how often.
        counts: how many values each total is the sum of, of the same shape; one by default. A case may have none.
    """
    cases = len(totals)
    each = np.ones_like(totals) if counts is None else counts
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, totals.shape[1]))
    for mean in means:
        drawn = np.bincount(generator.integers(0, cases, cases), minlength=cases).astype(np.float64)
        mean[:] = drawn @ totals / np.maximum(drawn @ each, 1e-12)
    return means


def interval_of(draws: NDArray[np.float64]) -> Interval:
    """The interval that holds 95 % of the draws, (resamples,)."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high))
