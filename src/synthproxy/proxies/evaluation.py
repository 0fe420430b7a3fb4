"""Scores of a proxy beside what trivial predictors reach: chance, a constant, and the nearest known preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.contrast import Contrast, Judged, contrast
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.galleries import GalleryRanks, ranks_in_galleries
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.ranking import (
    Embeddings,
    Interval,
    Metric,
    bootstrap_interval,
    chance_reciprocal_rank,
    disjoint_candidates,
    mean_reciprocal_rank,
    ranks_against_all,
    ranks_among,
    recall,
)
from synthproxy.proxies.separability import Separability, separability
from synthproxy.synths.space import Floats, PresetSpace

RANKS_REPORTED = (1, 2, 3, 4, 5)
RECALLS_REPORTED = (1, 5, 10)
TRAINING_ROWS_PER_BLOCK = 8_192
PRESETS_PER_BLOCK = 1_024


@dataclass(frozen=True)
class Protocol:
    """How scores are taken; the defaults are the published ones.

    Args:
        queries, candidates: of the validation form, where audio is looked up among presets.
        gallery, runs: of the one-against-all form, where a preset is looked up among audio: size of a random subset,
            and how many subsets. Where the gallery holds all there is, one run says it all.
        metric: distance between embeddings.
        seed: run i draws with ``seed + i``.
        baseline_cases: presets that the nearest-preset baseline is computed for, as it is slow.
    """

    queries: int = 256
    candidates: int = 512
    gallery: int = 4_096
    runs: int = 100
    metric: Metric = "l1"
    seed: int = 42
    baseline_cases: int = 4_096


@dataclass(frozen=True)
class ValidationScore:
    """Audio looked up among presets: every query has its own candidates, one of which is right."""

    mrr: float
    interval: Interval
    queries: int
    candidates: int


@dataclass(frozen=True)
class OneAgainstAllScore:
    """Presets looked up among audio, or the other way round: mean and standard deviation over random subsets.

    ``mean_rank`` and ``median_rank`` are parts of the gallery: 1 over its size is perfect, a half is chance.
    """

    mrr: float
    deviation: float
    interval: Interval
    mrr_at: Mapping[int, float]
    recall_at: Mapping[int, float]
    mean_rank: float
    median_rank: float
    gallery: int
    runs: int


@dataclass(frozen=True)
class Score:
    """All scores of one predictor. ``l1`` is the mean absolute error of an embedding's values.

    In ``one_against_all`` presets are looked up among sounds, in ``sounds_among_presets`` sounds among presets.
    """

    l1: float
    validation: ValidationScore
    one_against_all: OneAgainstAllScore
    sounds_among_presets: OneAgainstAllScore
    cases: int


@dataclass(frozen=True)
class Chance:
    """Expected mean reciprocal rank when candidates are ordered at random."""

    validation: float
    one_against_all: float


@dataclass(frozen=True)
class Evaluation:
    """A proxy's scores, and those of the baselines by name, in the same protocol.

    ``modality_gap`` is the distance between the centres of the predicted and the true embeddings, each of length 1;
    ``separability`` says how well a linear classifier tells the two apart. ``hand_crafted`` is there if hand-crafted
    presets were given too.
    """

    score: Score
    baselines: Mapping[str, Score]
    chance: Chance
    modality_gap: float
    separability: Separability
    protocol: Protocol
    hand_crafted: Contrast | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "score": asdict(self.score),
            "baselines": {name: asdict(score) for name, score in self.baselines.items()},
            "chance": asdict(self.chance),
            "modality_gap": self.modality_gap,
            "separability": asdict(self.separability),
            "protocol": asdict(self.protocol),
            "hand_crafted": asdict(self.hand_crafted) if self.hand_crafted else None,
        }


def evaluate(
    predictor: Proxy | Embeddings,
    examples: Examples,
    *,
    training: Examples | None = None,
    hand_crafted: Examples | None = None,
    protocol: Protocol | None = None,
) -> Evaluation:
    """Judge a proxy, or embeddings that were predicted by other means.

    Args:
        predictor: the proxy, or predicted embeddings (n, dimension) of the examples' presets.
        examples: what to judge by.
        training: what it has learned from, for the mean and nearest-preset baselines; without it there is no
            nearest-preset baseline, and the mean is the examples' own.
        hand_crafted: presets of people, to contrast the examples, which are synthetic then, with; for a proxy only.
        protocol: how; by default as published.

    Raises:
        IncompatibleError: the training or hand-crafted examples are of another synth, note or audio model.
        InvalidInputError: fewer than two examples, or embeddings of another shape.
    """
    protocol = protocol or Protocol()
    _check(predictor, examples, training, hand_crafted)
    predicted = _predicted(predictor, examples)
    ranks = _gallery_ranks(predicted, examples, protocol)
    own = _score(predicted, examples, ranks, protocol)
    mean = (examples if training is None else training).embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    baselines = {"mean": score(np.broadcast_to(mean, examples.embeddings.shape), examples, protocol)}
    if training is not None:
        few = examples.first(protocol.baseline_cases)
        nearest = nearest_preset(few.setting.space, few.presets, training.presets)
        baselines["nearest preset"] = score(training.embeddings[nearest], few, protocol)
    contrasted = None
    if hand_crafted is not None:
        contrasted = _contrast(Judged(predicted, examples, mean, ranks), predictor, hand_crafted, protocol)
    return Evaluation(
        score=own,
        baselines=baselines,
        chance=Chance(
            validation=chance_reciprocal_rank(own.validation.candidates),
            one_against_all=chance_reciprocal_rank(own.one_against_all.gallery),
        ),
        modality_gap=modality_gap(predicted, examples.embeddings),
        separability=separability(predicted, examples.embeddings, seed=protocol.seed),
        protocol=protocol,
        hand_crafted=contrasted,
    )


def _contrast(synthetic: Judged, predictor: Proxy | Embeddings, hand_crafted: Examples, protocol: Protocol) -> Contrast:
    """Both kinds in galleries of one size, or the smaller corpus would have it easier."""
    fair = replace(protocol, gallery=min(protocol.gallery, len(synthetic.examples), len(hand_crafted)))
    if fair.gallery != synthetic.ranks.gallery:
        ranks = _gallery_ranks(synthetic.predicted, synthetic.examples, fair)
        synthetic = replace(synthetic, ranks=ranks)
    predicted = _predicted(predictor, hand_crafted)
    ranks = _gallery_ranks(predicted, hand_crafted, fair)
    return contrast(synthetic, Judged(predicted, hand_crafted, synthetic.constant, ranks), protocol.seed)


def _check(
    predictor: Proxy | Embeddings, examples: Examples, training: Examples | None, hand_crafted: Examples | None
) -> None:
    """Raise what :func:`evaluate` raises, before anything is computed."""
    for others, name in ((training, "training"), (hand_crafted, "hand-crafted")):
        if others is not None:
            others.setting.require_same(examples.setting, f"{name} and evaluation examples")
    for judged in (examples, hand_crafted):
        if judged is not None and len(judged) < 2:
            raise InvalidInputError(f"ranking needs at least two examples, got {len(judged)}")
    if isinstance(predictor, Proxy):
        if predictor.space.digest != examples.setting.space.digest:
            raise InvalidInputError(
                f"the proxy takes presets of {predictor.space.name!r}, not of {examples.setting.space.name!r}"
            )
    elif hand_crafted is not None:
        raise InvalidInputError("hand-crafted presets can be judged for a proxy only, not for given embeddings")


def _predicted(predictor: Proxy | Embeddings, examples: Examples) -> Embeddings:
    return predictor.embed(examples.presets) if isinstance(predictor, Proxy) else predictor


def score(predicted: Embeddings, examples: Examples, protocol: Protocol) -> Score:
    """Scores of predicted embeddings (n, dimension)."""
    return _score(predicted, examples, _gallery_ranks(predicted, examples, protocol), protocol)


def _gallery_ranks(predicted: Embeddings, examples: Examples, protocol: Protocol) -> GalleryRanks:
    if predicted.shape != examples.embeddings.shape:
        raise InvalidInputError(
            f"predicted embeddings must be {examples.embeddings.shape} like the true ones, got {predicted.shape}"
        )
    return ranks_in_galleries(
        predicted,
        examples.embeddings,
        gallery=protocol.gallery,
        runs=protocol.runs,
        metric=protocol.metric,
        seed=protocol.seed,
    )


def _score(predicted: Embeddings, examples: Examples, ranks: GalleryRanks, protocol: Protocol) -> Score:
    return Score(
        l1=mean_absolute_error(predicted, examples.embeddings),
        validation=validation_score(predicted, examples.embeddings, protocol),
        one_against_all=one_against_all_score(ranks.presets, protocol.seed),
        sounds_among_presets=one_against_all_score(ranks.sounds, protocol.seed),
        cases=len(examples),
    )


def mean_absolute_error(predicted: Embeddings, true: Embeddings) -> float:
    """Mean of the absolute differences, summed block by block in double precision."""
    blocks = range(0, len(true), PRESETS_PER_BLOCK)
    total = sum(
        float(np.abs(predicted[i : i + PRESETS_PER_BLOCK] - true[i : i + PRESETS_PER_BLOCK]).sum(dtype=np.float64))
        for i in blocks
    )
    return total / true.size


def validation_score(predicted: Embeddings, true: Embeddings, protocol: Protocol) -> ValidationScore:
    """The published validation: the first audio embeddings, each against its own preset embeddings."""
    candidates = disjoint_candidates(len(true), protocol.queries, protocol.candidates, protocol.seed)
    ranks = ranks_among(true[: len(candidates)], predicted, candidates, protocol.metric)
    interval = bootstrap_interval(ranks, protocol.seed)
    return ValidationScore(mean_reciprocal_rank(ranks), interval, *candidates.shape)


def one_against_all_score(ranks: NDArray[np.float64], seed: int) -> OneAgainstAllScore:
    """The published test, from ranks in random galleries (runs, gallery).

    The interval is over the queries of the first run, the deviation over runs.
    """
    runs, gallery = ranks.shape
    means = np.asarray([mean_reciprocal_rank(run) for run in ranks])
    return OneAgainstAllScore(
        mrr=float(means.mean()),
        deviation=float(means.std(ddof=1)) if runs > 1 else 0.0,
        interval=bootstrap_interval(ranks[0], seed),
        mrr_at={k: mean_reciprocal_rank(ranks, k) for k in RANKS_REPORTED},
        recall_at={k: recall(ranks, k) for k in RECALLS_REPORTED},
        mean_rank=float(ranks.mean()) / gallery,
        median_rank=float(np.median(ranks, axis=1).mean()) / gallery,
        gallery=gallery,
        runs=runs,
    )


def worst_ranked(predicted: Embeddings, true: Embeddings, protocol: Protocol, count: int) -> list[tuple[int, float]]:
    """Rows whose presets rank worst among the sounds of the first run's gallery, and their ranks, the worst first."""
    rows = np.random.default_rng(protocol.seed).permutation(len(true))[: protocol.gallery]
    ranks = ranks_against_all(predicted[rows], true[rows], protocol.metric)
    return [(int(rows[i]), float(ranks[i])) for i in np.argsort(-ranks, kind="stable")[:count]]


def nearest_preset(space: PresetSpace, presets: Floats, known: Floats) -> np.ndarray:
    """Row of the known preset nearest to each preset by L1 over the one-hot form: (n, free), (m, free) to (n,).

    A category that differs counts 2, as it moves two columns by 1. Of equally near ones the first is taken.
    """
    import torch

    from synthproxy.proxies.tokens import to_soft

    if not len(known):
        raise InvalidInputError("the nearest of no presets was asked for")
    nearest = np.empty(len(presets), dtype=np.int64)
    for start in range(0, len(presets), PRESETS_PER_BLOCK):
        block = to_soft(space, torch.from_numpy(presets[start : start + PRESETS_PER_BLOCK]))
        best = torch.full((len(block),), torch.inf)
        row = torch.zeros(len(block), dtype=torch.int64)
        for first in range(0, len(known), TRAINING_ROWS_PER_BLOCK):
            others = to_soft(space, torch.from_numpy(known[first : first + TRAINING_ROWS_PER_BLOCK]))
            distance, index = torch.cdist(block, others, p=1.0).min(dim=1)
            row = torch.where(distance < best, index + first, row)
            best = torch.minimum(best, distance)
        nearest[start : start + len(block)] = row.numpy()
    return nearest


def modality_gap(predicted: Embeddings, true: Embeddings) -> float:
    """Euclidean distance between the mean directions of predicted and true embeddings (Liang et al. 2022)."""

    def centre(embeddings: Embeddings) -> np.ndarray:
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray((embeddings / np.maximum(lengths, 1e-12)).mean(axis=0, dtype=np.float64))

    return float(np.linalg.norm(centre(predicted) - centre(true)))
