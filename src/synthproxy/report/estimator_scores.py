"""Scores of an estimator as tables, its baselines below it."""

from __future__ import annotations

import math
from typing import Final

from synthproxy.matching.estimators.evaluation import ESTIMATOR, MatchEvaluation, MatchScores
from synthproxy.matching.estimators.parameter_scores import ParameterScores
from synthproxy.matching.scores import PUBLISHED_BATCH
from synthproxy.report.tables import Cell, Table

SOUND_COLUMNS: Final = {
    "a_mean": "a_mean",
    "a_mean_level_matched": "level-matched",
    "stft": "STFT",
    "mstft": "mSTFT",
    "mel": "mel",
    "mfccd": "MFCCD",
    "envelope_correlation": "envelope",
    "transport": "transport",
    "embedding": "embedding",
}
"""Scores of sounds that are shown, and what they are called."""
FEW_SOUND_COLUMNS: Final = ("a_mean", "a_mean_level_matched", "envelope_correlation")
"""What a terminal has room for."""
PARAMETER_COLUMNS: Final = ("numerical MAE", "binary accuracy", "categorical accuracy", "pooled")
IN_BATCHES: Final = f"a_mean of {PUBLISHED_BATCH}"


def sound_table(evaluation: MatchEvaluation, title: str, keys: tuple[str, ...] = tuple(SOUND_COLUMNS)) -> Table:
    """How far the sounds of matches are from their targets: one row for the estimator and one for each baseline."""
    known = evaluation.scores[ESTIMATOR].sounds.by_clip
    shown = [key for key in keys if key in known]
    rows = tuple((name, *_sound_cells(scores, shown)) for name, scores in evaluation.scores.items())
    columns = ["", SOUND_COLUMNS[shown[0]], "95 %", *(SOUND_COLUMNS[key] for key in shown[1:]), IN_BATCHES]
    notes = "its own note" if evaluation.targets.notes else "the note that the estimator has learned from"
    caption = (
        f"{len(evaluation.targets):,} sounds, each match played with {notes}. Means over sounds; lower is nearer, but "
        f"for envelope: correlation of RMS envelopes.{' Transport in octaves.' if 'transport' in shown else ''} "
        f"{IN_BATCHES}: the published form, spectral convergence over batches of {PUBLISHED_BATCH} sounds."
    )
    if unplayable := sum(scores.unplayable for scores in evaluation.scores.values()):
        caption += f" {unplayable} matches could not be played and count as silence."
    return Table(title, tuple(columns), rows, caption)


def _sound_cells(scores: MatchScores, keys: list[str]) -> list[Cell]:
    means = scores.sounds.means()
    first = means[keys[0]]
    interval = f"{first.interval.low:.2f}–{first.interval.high:.2f}"
    return [first.mean, interval, *(means[key].mean for key in keys[1:]), scores.sounds.in_batches.a_mean]


def parameter_table(evaluation: MatchEvaluation, title: str) -> Table:
    """How well the presets of matches agree with those that made the targets, where these are known."""
    found = _parameters(evaluation)
    rows = {name: _parameter_cells(scores) for name, scores in found.items()}
    kinds = {column: any(not math.isnan(cells[column]) for cells in rows.values()) for column in PARAMETER_COLUMNS}
    shown = [column for column, is_there in kinds.items() if is_there]
    caption = (
        "MAE: mean absolute error. Accuracies: share of values that are right. Pooled: the published form, a mean over "
        "category indices of all parameters together."
    )
    cells: list[tuple[Cell, ...]] = [(name, *(row[column] for column in shown)) for name, row in rows.items()]
    return Table(title, ("", *shown), tuple(cells), caption)


def _parameter_cells(scores: ParameterScores) -> dict[str, float]:
    values = (scores.numerical_error, scores.binary_accuracy, scores.categorical_accuracy, scores.pooled_accuracy)
    numbers = [math.nan if value is None else value for value in values]
    return dict(zip(PARAMETER_COLUMNS, numbers, strict=True))


def category_table(evaluation: MatchEvaluation, title: str) -> Table:
    """Share of presets in which each categorical parameter is right: a row for each, a column for each way to match."""
    found = _parameters(evaluation)
    names = next(iter(found.values())).by_parameter if found else ()
    rows: list[tuple[Cell, ...]] = [(name, *(s.by_parameter[name] for s in found.values())) for name in names]
    return Table(title, ("", *found), tuple(rows))


def _parameters(evaluation: MatchEvaluation) -> dict[str, ParameterScores]:
    return {name: scores.parameters for name, scores in evaluation.scores.items() if scores.parameters is not None}
