"""How well predicted presets agree with those that made the targets: only for targets that a known preset made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Floats, Kind, PresetSpace


@dataclass(frozen=True)
class ParameterScores:
    """Scores of predicted presets; None where the space has no parameter of the kind.

    Args:
        numerical_error: mean absolute error over numerical parameters and presets.
        binary_accuracy: share of binary values that are right.
        categorical_accuracy: share of categories that are right.
        by_parameter: the same for each categorical parameter, by name.
        pooled_accuracy: the published form, for comparison only: the mean over category *indices* of the share of
            presets with it that are right, where index 2 of one parameter counts as the same as index 2 of another.
        cases: number of presets.
    """

    numerical_error: float | None
    binary_accuracy: float | None
    categorical_accuracy: float | None
    by_parameter: Mapping[str, float]
    pooled_accuracy: float | None
    cases: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def parameter_scores(space: PresetSpace, predicted: Floats, true: Floats) -> ParameterScores:
    """Compare presets value by value.

    Args:
        space: the preset space.
        predicted, true: hard presets, float32, (n, free).

    Raises:
        InvalidInputError: the arrays have other shapes, or there are no presets.
    """
    if predicted.shape != true.shape or true.ndim != 2 or true.shape[1] != space.size or not len(true):
        raise InvalidInputError(
            f"predicted and true presets of {space.name!r} are (n, {space.size}), "
            f"got {predicted.shape} and {true.shape}"
        )
    numerical, binary, categorical = (space.columns(kind) for kind in Kind)
    errors = np.abs(predicted[:, numerical].astype(np.float64) - true[:, numerical])
    switched = predicted[:, binary].round() == true[:, binary].round()
    chosen, right = (presets[:, categorical].astype(np.int64) for presets in (predicted, true))
    names = [space.free[column].name for column in categorical]
    return ParameterScores(
        numerical_error=_mean(errors),
        binary_accuracy=_mean(switched),
        categorical_accuracy=_mean(chosen == right),
        by_parameter=dict(zip(names, (chosen == right).mean(axis=0).tolist(), strict=True)),
        pooled_accuracy=_mean(_recalls(chosen.ravel(), right.ravel())),
        cases=len(true),
    )


def _recalls(chosen: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Share of the cases of each class that are right; of a class that is chosen but never right, 0."""
    size = int(max(chosen.max(initial=-1), right.max(initial=-1))) + 1
    hits = np.bincount(right[chosen == right], minlength=size)
    cases = np.bincount(right, minlength=size)
    occurs = (cases + np.bincount(chosen, minlength=size)) > 0
    return np.asarray(hits[occurs] / np.maximum(cases[occurs], 1))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
