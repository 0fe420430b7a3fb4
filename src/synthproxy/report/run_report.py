"""Training runs side by side, from their folders alone: tables, learning curves, and one page with all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synthproxy.errors import InvalidInputError
from synthproxy.files import make_folder, replace_file
from synthproxy.matching.estimators.summary import read_estimator_run
from synthproxy.proxies.run_summary import RunSummary, kind_of_run, read_run
from synthproxy.report import estimator_runs
from synthproxy.report.content import Figure, Page, Section
from synthproxy.report.estimator_runs import (
    ReportedEstimator,
    estimator_table,
    find_judgements,
    judgement_rows,
    judgement_tables,
    listening_page,
)
from synthproxy.report.listening_folder import write_listening_page
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
LISTEN: Final = "listen"
"""Folder of the page with sounds, beside the other."""


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


@dataclass(frozen=True)
class Runs:
    """Training runs by what they train."""

    proxies: tuple[ReportedRun, ...]
    estimators: tuple[ReportedEstimator, ...]

    def few_tables(self) -> list[Table]:
        """What a terminal has room for."""
        found = [run_table(self.proxies, FEW_COLUMNS)] if self.proxies else []
        return found + ([estimator_table(self.estimators, estimator_runs.FEW_COLUMNS)] if self.estimators else [])


def read_runs(paths: Sequence[Path]) -> Runs:
    """Read the folders of training runs of proxies and estimators, each once, and the scores inside.

    Raises:
        InvalidInputError: no folders, one that is not of such a run, or a damaged file in one.
    """
    once = list({path.resolve(): path for path in paths}.items())
    if not once:
        raise InvalidInputError("a report needs the folder of at least one training run")
    short = [whole.name for whole, _ in once]
    names = [name if short.count(name) == 1 else str(path) for name, (_, path) in zip(short, once, strict=True)]
    proxies, estimators = [], []
    for name, (_, path) in zip(names, once, strict=True):
        kind = kind_of_run(path)
        if kind == "proxy":
            proxies.append(ReportedRun(name, read_run(path), tuple(find_scores(path, name))))
        elif kind == "estimator":
            estimators.append(ReportedEstimator(name, read_estimator_run(path), find_judgements(path, name)))
        else:
            raise InvalidInputError(
                f"{path}: the run of a {kind}; only those of proxies and of estimators can be set side by side"
            )
    return Runs(tuple(proxies), tuple(estimators))


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


def write_report(runs: Runs, folder: Path) -> dict[str, Any]:
    """Write the page ``index.html``, the tables (Markdown, CSV, LaTeX) and ``learning-curves.png``.

    Sounds that were kept when estimators were judged are set side by side on a page of their own, in ``listen/``.

    Returns:
        The rows of the tables: ``runs``, ``scores`` and ``hand_crafted`` of proxies, ``estimators`` and ``judgements``
        of these; and ``listen``, the page with sounds, or None.
    """
    scores = [found for run in runs.proxies for found in run.scores]
    judged = judgement_rows(runs.estimators)
    tables = {"runs": run_table(runs.proxies)} if runs.proxies else {}
    if scores:
        tables |= {"test-scores": evaluation_table(scores), **contrast_tables(scores)}
    if runs.estimators:
        tables |= {"estimators": estimator_table(runs.estimators), **judgement_tables(judged)}
    sounds = listening_page(runs.estimators)
    curves = _curves(runs.proxies)
    make_folder(folder)
    listen = write_listening_page(folder / LISTEN, sounds) if sounds else None
    write_tables(folder, tables)
    if curves:
        replace_file(folder / "learning-curves.png", curves.png)
        replace_file(folder / "learning-curves-dark.png", curves.dark_png or b"")
    if runs.proxies:
        tables["runs"] = run_table(runs.proxies, _telling(runs.proxies))
    write_page(folder / "index.html", _page(runs, tables, curves, _pictures(scores), listen))
    return {
        "runs": [run.row() for run in runs.proxies],
        "estimators": [run.row() for run in runs.estimators],
        "judgements": judged,
        "scores": [found.row for found in scores],
        "hand_crafted": [row for found in scores for row in found.contrast],
        "listen": str(listen) if listen else None,
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
    runs: Runs, tables: dict[str, Table], curves: Figure | None, pictures: Sequence[Figure], listen: Path | None
) -> Page:
    sections = []
    if "runs" in tables:
        sections.append(Section("Training", "", (tables["runs"], *((curves,) if curves else ()))))
    if "test-scores" in tables:
        text = "A trained proxy is judged by presets that it has never met, beside what trivial predictors reach."
        sections.append(Section("Test", text, (tables["test-scores"],)))
    contrasts = tuple(table for name, table in tables.items() if name.startswith("hand-crafted"))
    if contrasts:
        text = "Proxies learn from presets that were drawn at random; people make others."
        sections.append(Section("Synthetic and hand-crafted", text, contrasts))
    if pictures:
        sections.append(Section("Embeddings", "", tuple(pictures)))
    if runs.estimators:
        text = f"What they make of the same sounds can be heard on {LISTEN}/index.html beside this page."
        judged = tuple(table for name, table in tables.items() if name.startswith("estimators"))
        sections.append(Section("Estimators", text if listen else "", judged))
    return Page("Training runs", "\n\n".join(_introduction(runs)), tuple(sections))


def _introduction(runs: Runs) -> Iterator[str]:
    if runs.proxies:
        synths = ", ".join(sorted({run.summary.synth for run in runs.proxies}))
        models = ", ".join(sorted({run.summary.audio_model for run in runs.proxies}))
        what = f"from presets of {synths} to the embeddings that {models} would give their sounds"
        yield f"{_count(runs.proxies)}: {what}."
    if runs.estimators:
        synths = ", ".join(sorted({run.summary.synth for run in runs.estimators}))
        yield f"{_count(runs.estimators)} of estimators: from sounds to presets of {synths}."


def _count(runs: Sequence[object]) -> str:
    return "One training run" if len(runs) == 1 else f"{len(runs)} training runs"
