"""What is known of a proxy, as tables and a plot, written into a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from synthproxy.files import make_folder, replace_file
from synthproxy.proxies.evaluation import Evaluation, GalleryPoint, OneAgainstAllScore
from synthproxy.report.plots import learning_curve
from synthproxy.report.scores import score_table
from synthproxy.report.tables import Cell, Table, to_csv, to_latex, to_markdown


def direction_table(evaluation: Evaluation) -> Table:
    """Both directions of looking up, a row each."""
    score = evaluation.score
    rows: tuple[tuple[Cell, ...], ...] = (
        ("presets among sounds", *_cells(score.one_against_all)),
        ("sounds among presets", *_cells(score.sounds_among_presets)),
    )
    columns = ("", "MRR", "SD", *(f"MRR@{k}" for k in score.one_against_all.mrr_at))
    columns += (*(f"recall@{k}" for k in score.one_against_all.recall_at), "mean rank", "median rank")
    caption = (
        f"Runs: {score.one_against_all.runs}, galleries of {score.one_against_all.gallery:,}; SD over runs. "
        f"Ranks are parts of the gallery. Modality gap {evaluation.modality_gap:.3f}."
    )
    return Table("Looked up both ways", columns, rows, caption)


def _cells(score: OneAgainstAllScore) -> tuple[float, ...]:
    ranks = (score.mean_rank, score.median_rank)
    return (score.mrr, score.deviation, *score.mrr_at.values(), *score.recall_at.values(), *ranks)


def gallery_table(points: Sequence[GalleryPoint]) -> Table:
    """MRR by gallery size."""
    rows = tuple((p.gallery, p.mrr, f"{p.interval.low:.3f}–{p.interval.high:.3f}", p.chance) for p in points)
    return Table("MRR by gallery size", ("gallery", "MRR", "95 %", "chance"), rows)


def worst_table(worst: Sequence[tuple[str, float]]) -> Table:
    """Presets that rank worst."""
    return Table("Presets that rank worst", ("preset", "rank"), tuple(worst))


def write_evaluation(
    evaluation: Evaluation, points: Sequence[GalleryPoint], worst: Sequence[tuple[str, float]], folder: Path
) -> None:
    """Write ``scores.json``, every table in Markdown, CSV and LaTeX, and the plot of MRR against gallery size."""
    make_folder(folder)
    tables = {"scores": score_table(evaluation), "directions": direction_table(evaluation)}
    tables |= {"galleries": gallery_table(points), "worst": worst_table(worst)}
    for name, table in tables.items():
        replace_file(folder / f"{name}.md", to_markdown(table))
        replace_file(folder / f"{name}.csv", to_csv(table))
        replace_file(folder / f"{name}.tex", to_latex(table))
    if points:
        curve = learning_curve(
            [asdict(point) for point in points],
            seen="gallery",
            scores={"mrr": "MRR, presets among sounds"},
            below="sounds in the gallery",
        )
        replace_file(folder / "galleries.png", curve)
    data = {**evaluation.to_dict(), "galleries": [asdict(point) for point in points], "worst": list(worst)}
    replace_file(folder / "scores.json", json.dumps(data, indent=1) + "\n")
