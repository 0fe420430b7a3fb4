"""What an estimator has to beat: presets that are told without it, from what it has learned from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.heard import HeardPresets
from synthproxy.synths.space import Floats, Kind, PresetSpace

ROWS_PER_BLOCK = 256


def mean_preset(space: PresetSpace, presets: Floats) -> Floats:
    """The mean of each numerical parameter and the commonest value of each other one: (n, free) to (free,).

    It is a valid preset; of values that are equally common the lowest is taken.
    """
    if not len(presets):
        raise InvalidInputError("the mean of no presets was asked for")
    mean = presets.mean(axis=0, dtype=np.float64)
    for kind in (Kind.BINARY, Kind.CATEGORICAL):
        for column in space.columns(kind):
            values, counts = np.unique(presets[:, column], return_counts=True)
            mean[column] = values[counts.argmax()]
    return np.asarray(space.snap(mean[None].astype(np.float32))[0])


def random_presets(presets: Floats, count: int, seed: int) -> Floats:
    """So many of the presets, drawn with repetition: (n, free) to (count, free)."""
    return presets[np.random.default_rng(seed).integers(len(presets), size=count)]


def nearest_by_levels(levels: NDArray[np.float32], known: HeardPresets) -> Floats:
    """Of each sound, the known preset whose levels of mel bands are nearest by L2.

    Args:
        levels: dB, (n, bands, frames).
        known: presets with the levels of their sounds, of the same length.

    Returns:
        (n, free); of equally near ones the first.
    """
    queries = torch.from_numpy(levels.reshape(len(levels), -1))
    best = torch.full((len(queries),), torch.inf)
    found = np.zeros((len(queries), known.setting.space.size), dtype=np.float32)
    for presets, _, heard in known.in_order(ROWS_PER_BLOCK):
        others = torch.from_numpy(heard.reshape(len(heard), -1)).float()
        # The square of the query's own norm is the same for all.
        distance = others.square().sum(dim=1) - 2 * (queries @ others.T)
        least, row = distance.min(dim=1)
        nearer = (least < best).numpy()
        found[nearer] = presets[row.numpy()[nearer]]
        best = torch.minimum(best, least)
    return found
