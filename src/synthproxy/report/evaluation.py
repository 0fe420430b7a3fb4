"""What is known of a proxy, as tables and plots, written into a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from synthproxy.files import make_folder, replace_file
from synthproxy.proxies.contrast import Contrast, Measure
from synthproxy.proxies.evaluation import Evaluation, OneAgainstAllScore
from synthproxy.proxies.galleries import GalleryPoint
from synthproxy.report.plots import learning_curve
from synthproxy.report.scores import score_table
from synthproxy.report.tables import Cell, Table, write_tables

MEASURE_NAMES: Final = {"mrr": "MRR", "l1": "L1", "l1_of_mean": "L1 of the mean embedding"}
"""How measures are printed, where not as they are."""
CONTRAST_COLUMNS: Final = (
    *("synthetic", "synthetic, 95 %", "hand-crafted", "hand-crafted, 95 %"),
    *("difference, %", "difference, 95 %"),
)


def direction_table(evaluation: Evaluation) -> Table:
    """Both directions of looking up, a row each."""
    score, told = evaluation.score, evaluation.separability
    rows: tuple[tuple[Cell, ...], ...] = (
        ("presets among sounds", *_cells(score.one_against_all)),
        ("sounds among presets", *_cells(score.sounds_among_presets)),
    )
    columns = ("", "MRR", "SD", *(f"MRR@{k}" for k in score.one_against_all.mrr_at))
    columns += (*(f"recall@{k}" for k in score.one_against_all.recall_at), "mean rank", "median rank")
    caption = (
        f"Runs: {score.one_against_all.runs}, galleries of {score.one_against_all.gallery:,}; SD over runs. "
        f"Ranks are parts of the gallery. Modality gap {evaluation.modality_gap:.3f}; a logistic regression tells "
        f"predicted from true embeddings in {100 * told.accuracy:.1f} % of cases (95 %: "
        f"{100 * told.interval.low:.1f}–{100 * told.interval.high:.1f}; guessing: 50; {told.folds} folds of "
        f"{told.presets:,} presets)."
    )
    return Table("Looked up both ways", columns, rows, caption)


def _cells(score: OneAgainstAllScore) -> tuple[float, ...]:
    ranks = (score.mean_rank, score.median_rank)
    return (score.mrr, score.deviation, *score.mrr_at.values(), *score.recall_at.values(), *ranks)


def contrast_table(contrast: Contrast) -> Table:
    """Synthetic against hand-crafted presets, a row for each measure."""
    rows = tuple(
        (
            MEASURE_NAMES.get(name, name),
            *contrast_cells(measure),
            float("nan") if measure.chance is None else measure.chance,
        )
        for name, measure in contrast.measures.items()
    )
    columns = ("", *CONTRAST_COLUMNS, "chance")
    one, other = contrast.synthetic, contrast.hand_crafted
    caption = (
        f"Presets looked up among the sounds of {contrast.gallery:,} presets of their kind: {one.presets:,} synthetic "
        f"presets in {one.galleries:,} random galleries, {other.presets:,} hand-crafted ones in {other.galleries:,}. "
        "L1: mean absolute error of the embedding. Difference: of hand-crafted from synthetic, relative to synthetic. "
        "Intervals: presets drawn anew."
    )
    return Table("Synthetic and hand-crafted presets", columns, rows, caption)


def contrast_cells(measure: Measure) -> tuple[Cell, ...]:
    """The cells of :data:`CONTRAST_COLUMNS`; gaps where there is no difference."""
    cells: list[Cell] = []
    for estimate in (measure.synthetic, measure.hand_crafted):
        cells += [estimate.value, f"{estimate.interval.low:.4f}–{estimate.interval.high:.4f}"]
    if measure.difference is None:
        return (*cells, "", "")
    low, high = 100 * measure.difference.interval.low, 100 * measure.difference.interval.high
    return (*cells, 100 * measure.difference.value, f"{low:.1f} to {high:.1f}")


def gallery_table(points: Sequence[GalleryPoint]) -> Table:
    """MRR by gallery size."""
    rows = tuple((p.gallery, p.mrr, f"{p.interval.low:.3f}–{p.interval.high:.3f}", p.chance) for p in points)
    return Table("MRR by gallery size", ("gallery", "MRR", "95 %", "chance"), rows)


def gallery_curve(points: Sequence[GalleryPoint]) -> bytes:
    """The same as a picture, PNG."""
    return learning_curve(
        [asdict(point) for point in points],
        seen="gallery",
        scores={"mrr": "MRR, presets among sounds"},
        below="sounds in the gallery",
    )


def worst_table(worst: Sequence[tuple[str, float]]) -> Table:
    """Presets that rank worst."""
    return Table("Presets that rank worst", ("preset", "rank"), tuple(worst))


def write_evaluation(
    evaluation: Evaluation,
    points: Sequence[GalleryPoint],
    worst: Sequence[tuple[str, float]],
    folder: Path,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write ``scores.json``, every table in Markdown, CSV and LaTeX, and the plot of MRR against gallery size.

    Args:
        evaluation: the scores.
        points: scores by gallery size.
        worst: presets that rank worst, and their ranks.
        folder: made if need be.
        about: what was judged by what, noted in ``scores.json``.
    """
    make_folder(folder)
    tables = {"scores": score_table(evaluation), "directions": direction_table(evaluation)}
    tables |= {"galleries": gallery_table(points), "worst": worst_table(worst)}
    if evaluation.hand_crafted:
        tables["hand-crafted"] = contrast_table(evaluation.hand_crafted)
    write_tables(folder, tables)
    if points:
        replace_file(folder / "galleries.png", gallery_curve(points))
    scores = {**evaluation.to_dict(), "galleries": [asdict(point) for point in points], "worst": list(worst)}
    replace_file(folder / "scores.json", json.dumps({**(about or {}), **scores}, indent=1) + "\n")
