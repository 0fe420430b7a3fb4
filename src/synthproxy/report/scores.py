"""Scores of a proxy as a table, its baselines below it."""

from __future__ import annotations

import math

from synthproxy.proxies.evaluation import Evaluation, Score
from synthproxy.report.tables import Table


def score_table(evaluation: Evaluation, title: str = "Scores", name: str = "proxy") -> Table:
    """One row for the proxy and one for each baseline: both ranking forms with intervals, recall, and L1."""
    validation, test = evaluation.score.validation, evaluation.score.one_against_all
    columns = ("", "MRR", "95 %", f"MRR of {test.gallery:,}", "recall@1", "recall@10", "L1")
    rows = [_row(name, evaluation.score)]
    rows += [_row(baseline, score) for baseline, score in evaluation.baselines.items()]
    chance = evaluation.chance
    nothing = math.nan
    expected_recall = [k / test.gallery for k in (1, 10)]
    rows.append(("chance", chance.validation, "", chance.one_against_all, *expected_recall, nothing))
    caption = (
        f"MRR: {validation.queries:,} sounds, each looked up among {validation.candidates:,} presets. "
        f"The next three: presets looked up among {test.gallery:,} sounds, mean of {test.runs} random galleries. "
        "L1: mean absolute error of the embedding."
    )
    best = {"MRR": "highest", "L1": "lowest"}
    return Table(title, columns, tuple(rows), caption, best)  # type: ignore[arg-type]


def _row(name: str, score: Score) -> tuple[str | float, ...]:
    validation, test = score.validation, score.one_against_all
    interval = f"±{(validation.interval.high - validation.interval.low) / 2:.3f}"
    return name, validation.mrr, interval, test.mrr, test.recall_at[1], test.recall_at[10], score.l1
