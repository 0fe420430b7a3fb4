"""Splitting presets so that those that sound nearly alike fall on one side: what was learned is then not what is asked.

Collections of hand-crafted presets are full of copies with another name, or with one value moved.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Floats

ROWS_PER_BLOCK = 512
COARSE = 64
PAIRS_PER_BLOCK = 8_192

Rows = NDArray[np.int64]


def alike(sounds: Floats, within: float) -> Rows:
    """Which sounds belong together: (n, values) to a label each, (n,).

    Two sounds do if their mean absolute difference is at most ``within``, or if others between them do.
    """
    labels = np.arange(len(sounds))

    def root(item: int) -> int:
        while labels[item] != item:
            labels[item] = labels[labels[item]]
            item = int(labels[item])
        return item

    for first, second in near_pairs(sounds, within).tolist():
        one, other = root(first), root(second)
        labels[max(one, other)] = min(one, other)
    return np.asarray([root(item) for item in range(len(sounds))], dtype=np.int64)


def near_pairs(sounds: Floats, within: float) -> Rows:
    """Pairs (i, j), i < j, of sounds whose mean absolute difference is at most ``within``: (pairs, 2)."""
    import torch

    coarse = torch.from_numpy(_means(sounds))
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(sounds), ROWS_PER_BLOCK):
        # The mean of differences is at least the difference of means, so this leaves out no pair.
        block = coarse[start : start + ROWS_PER_BLOCK]
        near = torch.cdist(block, coarse[start:], p=1.0) <= within * coarse.shape[1] * (1 + 1e-4) + 1e-6
        candidates = near.nonzero().numpy() + start
        candidates = candidates[candidates[:, 0] < candidates[:, 1]]
        for pairs in np.array_split(candidates, -(-len(candidates) // PAIRS_PER_BLOCK) or 1):
            distance = np.abs(sounds[pairs[:, 0]] - sounds[pairs[:, 1]]).mean(axis=1)
            found.append(pairs[distance <= within])
    return np.concatenate(found)


def _means(sounds: Floats) -> Floats:
    """Sounds as means of at most ``COARSE`` equal parts of their values; whole where they do not divide."""
    values = sounds.shape[1]
    parts = max(part for part in range(1, COARSE + 1) if values % part == 0)
    return np.ascontiguousarray(sounds.reshape(len(sounds), parts, -1).mean(axis=2))


def split(labels: Rows, shares: Sequence[float], seed: int) -> list[Rows]:
    """Rows of each part, ascending; labels are never divided, so that shares are met as nearly as the labels allow.

    Args:
        labels: what belongs together, (n,).
        shares: of each part, above 0 and 1 in all.
        seed: of the order in which labels are dealt out.

    Raises:
        InvalidInputError: shares that are not above 0 and 1 in all.
    """
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise InvalidInputError(f"shares of a split must be above 0 and 1 in all, got {list(shares)}")
    kinds, which = np.unique(labels, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(kinds))
    before = np.cumsum(np.bincount(which)[order]) - np.bincount(which)[order]
    edges = np.cumsum(shares)[:-1] * len(labels)
    part = np.empty(len(kinds), dtype=np.int64)
    part[order] = np.searchsorted(edges, before, side="right")
    return [np.flatnonzero(part[which] == number) for number in range(len(shares))]
