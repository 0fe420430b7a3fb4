"""A ranking of audio models as tables and a plot, written into a folder."""

from __future__ import annotations

import json
from pathlib import Path

from synthproxy.files import make_folder, replace_file
from synthproxy.ranking import Ranking
from synthproxy.ranking.correlation import Distance
from synthproxy.report.plots import bar_comparison
from synthproxy.report.tables import Cell, Table, write_tables


def summary_table(ranking: Ranking, distance: Distance) -> Table:
    """One row a model: mean ρ with its interval, how far behind the best it is, median, dimension and speed."""
    rows = tuple(
        (
            score.model,
            score.mean,
            f"{score.interval.low:.3f}–{score.interval.high:.3f}",
            f"{score.behind_best.low:.3f}–{score.behind_best.high:.3f}",
            score.median,
            score.deviation,
            score.dimension,
            score.clips_per_second,
        )
        for score in ranking.by(distance)
    )
    columns = ("model", "mean ρ", "95 %", "behind the best", "median", "SD", "dimension", "clips/s")
    caption = (
        f"Spearman's ρ by {_NAMES[distance]} distance, mean over {len(ranking.attributes)} attributes of "
        f"{ranking.synth} with up to {ranking.presets_per_attribute} base presets each, {ranking.steps} steps; "
        "SD over attributes. Intervals: base presets drawn anew. Speed: one thread, embedding only."
    )
    return Table(f"Audio models on {ranking.synth}, {_NAMES[distance]}", columns, rows, caption, {"mean ρ": "highest"})


def attribute_table(ranking: Ranking, distance: Distance) -> Table:
    """One row an attribute: what it rests on, then for each model the mean ρ ± its deviation over base presets.

    ``steps`` changed the sound; ``left out`` did not.
    """
    scores = ranking.by(distance)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            attribute.name,
            len(attribute.presets),
            sum(attribute.steps),
            sum(attribute.unchanged),
            *(f"{s.attributes[i].mean:.3f} ± {s.attributes[i].deviation:.3f}" for s in scores),
        )
        for i, attribute in enumerate(ranking.attributes)
    )
    columns = ("attribute", "presets", "steps", "left out", *(score.model for score in scores))
    return Table(f"ρ by attribute on {ranking.synth}, {_NAMES[distance]}", columns, rows)


_NAMES: dict[Distance, str] = {"l1": "L1", "l2": "L2", "cosine": "cosine"}


def write_ranking(ranking: Ranking, folder: Path) -> None:
    """Write ``scores.json``, the tables of every distance (Markdown, CSV, LaTeX), and a plot for each."""
    make_folder(folder)
    for distance in dict.fromkeys(score.distance for score in ranking.scores):
        tables = {"ranking": summary_table(ranking, distance), "attributes": attribute_table(ranking, distance)}
        write_tables(folder, {f"{name}-{distance}": table for name, table in tables.items()})
        scores = ranking.by(distance)
        plot = bar_comparison(
            [score.model for score in scores],
            [score.mean for score in scores],
            [(score.interval.low, score.interval.high) for score in scores],
            title=f"Which audio model puts sounds of {ranking.synth} into order?",
            below=f"mean Spearman's ρ, {_NAMES[distance]} distance, 95 % interval over base presets",
        )
        replace_file(folder / f"ranking-{distance}.png", plot)
    replace_file(folder / "scores.json", json.dumps(ranking.to_dict(), indent=1) + "\n")
