"""What a ranking says, as data: scores with their spread, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.proxies.ranking import Interval
from synthproxy.ranking.clips import Choice
from synthproxy.ranking.correlation import (
    DISTANCES,
    Distance,
    Numbers,
    bootstrap_means,
    mean_over_attributes,
    order_correlation,
)
from synthproxy.ranking.folder import Heard
from synthproxy.ranking.plan import Plan

if TYPE_CHECKING:
    from synthproxy.audio.base import AudioModel

RESAMPLES = 2000


@dataclass(frozen=True)
class AttributeScore:
    """How well a model finds the order of one attribute.

    Args:
        attribute: its name.
        correlations: Spearman's ρ with the true order, one for each base preset.
    """

    attribute: str
    correlations: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over base presets."""
        return float(np.mean(self.correlations))

    @property
    def deviation(self) -> float:
        """Sample standard deviation over base presets; NaN of a single one."""
        return sample_deviation(self.correlations)


@dataclass(frozen=True)
class ModelScore:
    """How well a model finds the order of all attributes, by one distance.

    Args:
        model: its name.
        distance: of its embeddings.
        dimension, sample_rate, parameters: of the model; values of an embedding, Hz, learned weights.
        clips_per_second: clips embedded in a second by one thread.
        attributes: in the order of the ranking.
        interval: of the mean, 95 %, over base presets drawn anew.
        behind_best: how far the mean is behind that of the best model by this distance, 95 %, on the same draws. Where
            it holds 0, these presets do not tell the two apart.
    """

    model: str
    distance: Distance
    dimension: int
    sample_rate: int
    parameters: int
    clips_per_second: float
    attributes: tuple[AttributeScore, ...]
    interval: Interval
    behind_best: Interval

    @cached_property
    def mean(self) -> float:
        """Mean over attributes of their means."""
        return float(np.mean([score.mean for score in self.attributes]))

    @property
    def deviation(self) -> float:
        """Sample standard deviation of the attributes' means, as it is published."""
        return sample_deviation([score.mean for score in self.attributes])

    @property
    def median(self) -> float:
        """Median of the attributes' means."""
        return float(np.median([score.mean for score in self.attributes]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        summary = {"mean": self.mean, "deviation": _number(self.deviation), "median": self.median}
        attributes = [
            {**asdict(score), "mean": score.mean, "deviation": _number(score.deviation)} for score in self.attributes
        ]
        return {**asdict(self), **summary, "attributes": attributes}


@dataclass(frozen=True)
class JudgedAttribute:
    """What the scores of one attribute rest on.

    Args:
        name: of the attribute.
        presets: names of its base presets.
        steps: of each move, those that change the sound, which are all that count.
        unchanged: of each move, those that do not.
        tried: presets that were tried.
        refused: why the others could not be used, and how many.
    """

    name: str
    presets: tuple[str, ...]
    steps: tuple[int, ...]
    unchanged: tuple[int, ...]
    tried: int
    refused: Mapping[str, int]


@dataclass(frozen=True)
class Ranking:
    """Audio models by how well they find the order of sound attributes.

    Args:
        synth: its name.
        attributes: what was judged, and on what.
        scores: of every model by every distance, the best first.
        presets_per_attribute, steps, seed: as asked for.
    """

    synth: str
    attributes: tuple[JudgedAttribute, ...]
    scores: tuple[ModelScore, ...]
    presets_per_attribute: int
    steps: int
    seed: int

    def by(self, distance: Distance) -> tuple[ModelScore, ...]:
        """The scores by one distance, the best first."""
        return tuple(score for score in self.scores if score.distance == distance)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "scores": [score.to_dict() for score in self.scores]}


def summarise(
    plan: Plan,
    choices: Sequence[Choice],
    models: Sequence[AudioModel],
    heard: Mapping[str, Heard],
    distances: Sequence[Distance],
) -> Ranking:
    """The ranking that follows from what every model has heard of every sweep."""
    judged = tuple(_judged(plan, choice) for choice in choices)
    scores = [score for distance in distances for score in _by_distance(plan, choices, models, heard, distance)]
    return Ranking(plan.synth.name, judged, tuple(scores), plan.wanted, plan.steps, plan.seed)


def _judged(plan: Plan, choice: Choice) -> JudgedAttribute:
    attribute = next(attribute for attribute in plan.attributes if attribute.name == choice.attribute)
    steps = [len(sweep.changing) for sweep in choice.sweeps]
    moved = [len(plan.move(attribute, sweep.candidate)) for sweep in choice.sweeps]
    return JudgedAttribute(
        choice.attribute,
        tuple(plan.candidates[sweep.candidate].name for sweep in choice.sweeps),
        tuple(steps),
        tuple(total - kept for total, kept in zip(moved, steps, strict=True)),
        choice.tried,
        choice.refused,
    )


def _by_distance(
    plan: Plan,
    choices: Sequence[Choice],
    models: Sequence[AudioModel],
    heard: Mapping[str, Heard],
    distance: Distance,
) -> list[ModelScore]:
    """Scores of all models by one distance, the best first."""
    tables = {model.name: _correlations(choices, heard[model.name], distance) for model in models}
    ranked = sorted(models, key=lambda model: -mean_over_attributes(tables[model.name]))
    draws = {name: bootstrap_means(table, plan.seed, RESAMPLES) for name, table in tables.items()}
    best = draws[ranked[0].name]
    clips = sum(len(sweep.changing) for choice in choices for sweep in choice.sweeps)
    return [
        ModelScore(
            model=model.name,
            distance=distance,
            dimension=int(heard[model.name].dimensions[0]),
            sample_rate=model.sample_rate,
            parameters=model.parameters,
            clips_per_second=clips / float(heard[model.name].seconds.sum()),
            attributes=tuple(
                AttributeScore(choice.attribute, tuple(row[np.isfinite(row)].tolist()))
                for choice, row in zip(choices, tables[model.name], strict=True)
            ),
            interval=_interval(draws[model.name]),
            behind_best=_interval(best - draws[model.name]),
        )
        for model in ranked
    ]


def _correlations(choices: Sequence[Choice], heard: Heard, distance: Distance) -> Numbers:
    """ρ of every attribute on every candidate, (attributes, candidates); NaN where it was not judged on it."""
    width = 1 + max(sweep.candidate for choice in choices for sweep in choice.sweeps)
    table = np.full((len(choices), width), np.nan)
    distances = iter(heard.distances[:, DISTANCES.index(distance)])
    for row, choice in enumerate(choices):
        for sweep in choice.sweeps:
            size = len(sweep.changing)
            table[row, sweep.candidate] = order_correlation(next(distances)[:size, :size])
    return table[:, np.isfinite(table).any(axis=0)]


def sample_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; NaN of fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _interval(draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high))


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if np.isfinite(value) else None
