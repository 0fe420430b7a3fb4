"""Training runs side by side, from their folders alone: tables, learning curves, and one page with all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synthproxy.errors import InvalidInputError
from synthproxy.files import make_folder, replace_file
from synthproxy.proxies.run_summary import RunSummary, read_run
from synthproxy.report.content import Figure, Page, Section
from synthproxy.report.page import write_page
from synthproxy.report.plots import ON_DARK
from synthproxy.report.run_curves import run_curves
from synthproxy.report.run_scores import FoundScores, contrast_tables, evaluation_table, find_scores
from synthproxy.report.tables import Direction, Table, write_tables

COLUMNS: Final = {
    "run": "run",
    "proxy": "proxy",
    "synth": "synth",
    "audio_model": "audio model",
    "parameters": "parameters",
    "presets_seen": "presets seen",
    "minutes": "minutes",
    "best_mrr": "best MRR",
    "best_l1": "best L1",
    "last_mrr": "last MRR",
    "last_l1": "last L1",
    "presets_per_second": "presets/s",
}
"""Keys of a run's row, and what they are called in the table."""
FEW_COLUMNS: Final = ("run", "proxy", "parameters", "presets_seen", "minutes", "best_mrr", "best_l1")
"""What a terminal has room for."""


@dataclass(frozen=True)
class ReportedRun:
    """A run, what it is called in tables, and the scores found in its folder."""

    name: str
    summary: RunSummary
    scores: tuple[FoundScores, ...]

    def row(self) -> dict[str, Any]:
        """What is known of it, by the keys of :data:`COLUMNS`; None where nothing is."""
        run = self.summary
        seconds = run.last("seconds")
        values = (
            *(self.name, run.proxy, run.synth, run.audio_model, run.parameters, run.last("presets")),
            None if seconds is None else seconds / 60,
            *(run.best("mrr"), run.best("l1"), run.last("mrr"), run.last("l1")),
            None if run.presets_per_second is None else round(run.presets_per_second, 1),
        )
        return dict(zip(COLUMNS, values, strict=True))


def read_runs(paths: Sequence[Path]) -> list[ReportedRun]:
    """Read the folders of training runs, each once, and the scores inside.

    Raises:
        InvalidInputError: no folders, one that is not of a run, or a damaged file in one.
    """
    once = list({path.resolve(): path for path in paths}.items())
    if not once:
        raise InvalidInputError("a report needs the folder of at least one training run")
    short = [whole.name for whole, _ in once]
    names = [name if short.count(name) == 1 else str(path) for name, (_, path) in zip(short, once, strict=True)]
    return [
        ReportedRun(name, read_run(path), tuple(find_scores(path, name)))
        for name, (_, path) in zip(names, once, strict=True)
    ]


def run_table(runs: Sequence[ReportedRun], keys: Sequence[str] = tuple(COLUMNS)) -> Table:
    """One row a run; the best values are marked if all were validated by the same presets."""
    rows = tuple(tuple("" if row[key] is None else row[key] for key in keys) for row in (run.row() for run in runs))
    marks: dict[str, Direction] = {
        "best_mrr": "highest",
        "best_l1": "lowest",
        "last_mrr": "highest",
        "last_l1": "lowest",
    }
    comparable = all(run.summary.validation == runs[0].summary.validation for run in runs)
    caption = (
        "Scores of validations during training. Minutes and presets/s: training and validations, on the machine of "
        "each run."
    )
    if not comparable:
        caption += " The runs were validated by different presets: their scores do not compare."
    best = {COLUMNS[key]: marks[key] for key in keys if key in marks and comparable}
    return Table("Training runs", tuple(COLUMNS[key] for key in keys), rows, caption, best)


def write_report(runs: Sequence[ReportedRun], folder: Path) -> dict[str, Any]:
    """Write the page ``index.html``, the tables (Markdown, CSV, LaTeX) and ``learning-curves.png``.

    Returns:
        The rows of the tables: ``runs``, ``scores`` and ``hand_crafted``.
    """
    make_folder(folder)
    scores = [found for run in runs for found in run.scores]
    tables = {"runs": run_table(runs)}
    if scores:
        tables |= {"test-scores": evaluation_table(scores), **contrast_tables(scores)}
    curves = _curves(runs)
    write_tables(folder, tables)
    if curves:
        replace_file(folder / "learning-curves.png", curves.png)
        replace_file(folder / "learning-curves-dark.png", curves.dark_png or b"")
    shown = {**tables, "runs": run_table(runs, _telling(runs))}
    write_page(folder / "index.html", _page(runs, shown, curves, _pictures(scores)))
    return {
        "runs": [run.row() for run in runs],
        "scores": [found.row for found in scores],
        "hand_crafted": [row for found in scores for row in found.contrast],
    }


def _telling(runs: Sequence[ReportedRun]) -> list[str]:
    """Columns without those that are the same for all and stand in the introduction."""
    rows = [run.row() for run in runs]
    return [key for key in COLUMNS if key not in ("synth", "audio_model") or len({row[key] for row in rows}) > 1]


def _curves(runs: Sequence[ReportedRun]) -> Figure | None:
    points = {run.name: run.summary.metrics for run in runs if run.summary.metrics}
    if not points:
        return None
    best = [run.summary.best("mrr") or 0.0 for run in runs]
    text = (
        f"MRR and L1 of {len(points)} runs against presets seen and time; best MRR {min(best):.3f} to {max(best):.3f}."
    )
    return Figure(
        "Learning curves",
        run_curves(points),
        text,
        "Validation during training. Above at equal presets seen, below at equal time.",
        run_curves(points, palette=ON_DARK),
    )


def _pictures(scores: Sequence[FoundScores]) -> list[Figure]:
    """The pictures of embeddings that lie beside scores; evaluations by the same corpora draw the same ones."""
    files = [file for found in scores for file in sorted(found.file.parent.glob("umap-*.png"))]
    light = [file for file in files if not file.stem.endswith("-dark")]
    figures: dict[bytes, Figure] = {}
    for file in sorted(light, key=lambda file: file.stem != "umap-kind"):
        dark, name = file.with_stem(f"{file.stem}-dark"), file.stem.removeprefix("umap-")
        figure = Figure(
            f"True embeddings, by {name}",
            file.read_bytes(),
            f"Points in the plane, one for each preset, told apart by {name}",
            f"Places by UMAP: near to each other where sounds are alike. From {file.parent}.",
            dark.read_bytes() if dark.is_file() else None,
        )
        figures.setdefault(figure.png, figure)
    return list(figures.values())


def _page(
    runs: Sequence[ReportedRun], tables: dict[str, Table], curves: Figure | None, pictures: Sequence[Figure]
) -> Page:
    trained = Section("Training", "", (tables["runs"], *((curves,) if curves else ())))
    sections = [trained]
    if "test-scores" in tables:
        text = "A trained proxy is judged by presets that it has never met, beside what trivial predictors reach."
        sections.append(Section("Test", text, (tables["test-scores"],)))
    contrasts = tuple(table for name, table in tables.items() if name.startswith("hand-crafted"))
    if contrasts:
        text = "Proxies learn from presets that were drawn at random; people make others."
        sections.append(Section("Synthetic and hand-crafted", text, contrasts))
    if pictures:
        sections.append(Section("Embeddings", "", tuple(pictures)))
    synths = ", ".join(sorted({run.summary.synth for run in runs}))
    models = ", ".join(sorted({run.summary.audio_model for run in runs}))
    count = "One training run" if len(runs) == 1 else f"{len(runs)} training runs"
    introduction = f"{count}: from presets of {synths} to the embeddings that {models} would give their sounds."
    return Page("Training runs", introduction, tuple(sections))
