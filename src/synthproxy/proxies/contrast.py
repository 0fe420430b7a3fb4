"""Synthetic against hand-crafted presets: what a proxy loses on presets of people when it learned from drawn ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthproxy.proxies.examples import Examples
from synthproxy.proxies.galleries import GalleryRanks
from synthproxy.proxies.ranking import Embeddings, Interval, chance_reciprocal_rank, interval_of, resampled_means

RECALLS_CONTRASTED = (1, 5, 10)
MEASURES = ("mrr", *(f"recall@{k}" for k in RECALLS_CONTRASTED), "l1", "l1_of_mean")


@dataclass(frozen=True)
class Judged:
    """Everything that the scores of one kind of preset rest on.

    Args:
        predicted: embeddings, (n, dimension).
        examples: the presets, and their true embeddings.
        constant: the mean embedding that a predictor without knowledge of the preset would give, (dimension,).
        ranks: in galleries of these presets.
    """

    predicted: Embeddings
    examples: Examples
    constant: Embeddings
    ranks: GalleryRanks


@dataclass(frozen=True)
class Estimate:
    """A value with its interval over presets drawn anew."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Measure:
    """One measure of both kinds, and what chance reaches, where that can be told.

    ``difference`` is relative: (hand-crafted − synthetic) / synthetic. There is none where too few cases are left to
    divide by.
    """

    synthetic: Estimate
    hand_crafted: Estimate
    difference: Estimate | None
    chance: float | None = None


@dataclass(frozen=True)
class Kind:
    """How many presets there are of a kind, and galleries of them."""

    presets: int
    galleries: int


@dataclass(frozen=True)
class Contrast:
    """Both kinds in the same protocol: presets looked up among the sounds of equally large galleries of their kind.

    ``measures`` go by the names in :data:`MEASURES`; ``l1_of_mean`` is the L1 of a constant prediction.
    """

    measures: Mapping[str, Measure]
    gallery: int
    synthetic: Kind
    hand_crafted: Kind


def contrast(synthetic: Judged, hand_crafted: Judged, seed: int = 42) -> Contrast:
    """Compare both kinds, whose galleries are of one size, with intervals over presets drawn anew in each.

    Galleries share presets, so a preset is drawn with all galleries it is in.
    """
    kinds, gallery = (synthetic, hand_crafted), synthetic.ranks.gallery
    parts = [_totals_and_counts(kind) for kind in kinds]
    values = [totals.sum(axis=0) / counts.sum(axis=0) for totals, counts in parts]
    draws = [resampled_means(totals, seed + number, counts=counts) for number, (totals, counts) in enumerate(parts)]
    chances = (chance_reciprocal_rank(gallery), *(min(k / gallery, 1.0) for k in RECALLS_CONTRASTED), None, None)
    measures = {
        name: _measure([value[column] for value in values], [draw[:, column] for draw in draws], chance)
        for column, (name, chance) in enumerate(zip(MEASURES, chances, strict=True))
    }
    return Contrast(measures, gallery, *(Kind(len(kind.examples), kind.ranks.runs) for kind in kinds))


def _totals_and_counts(kind: Judged) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each preset the sum of its values and how many they are, a column for each measure: twice (n, measures)."""
    size, rows, ranks = len(kind.examples), kind.ranks.rows.ravel(), kind.ranks.presets.ravel()
    looked_up = (1.0 / ranks, *((ranks <= k).astype(np.float64) for k in RECALLS_CONTRASTED))
    times = np.bincount(rows, minlength=size).astype(np.float64)
    totals = [np.bincount(rows, values, minlength=size).astype(np.float64) for values in looked_up]
    totals += [_errors(values, kind.examples.embeddings) for values in (kind.predicted, kind.constant)]
    counts = [times] * len(looked_up) + [np.ones(size)] * 2
    return np.stack(totals, axis=1), np.stack(counts, axis=1)


def _errors(predicted: Embeddings, true: Embeddings) -> NDArray[np.float64]:
    """Mean absolute error of each embedding, (n,)."""
    return np.asarray(np.abs(predicted - true).mean(axis=1, dtype=np.float64))


def _measure(values: list[float], draws: list[NDArray[np.float64]], chance: float | None) -> Measure:
    both = [Estimate(float(value), interval_of(draw)) for value, draw in zip(values, draws, strict=True)]
    difference = None
    if values[0] > 0 and draws[0].min() > 0:
        difference = Estimate(float(values[1] / values[0] - 1.0), interval_of(draws[1] / draws[0] - 1.0))
    return Measure(both[0], both[1], difference, chance)
