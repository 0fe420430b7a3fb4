"""Training runs of estimators side by side: what they are, and the scores and sounds that ``evaluate`` left in them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.evaluation import ESTIMATOR, NEAREST
from synthproxy.matching.estimators.summary import EstimatorSummary
from synthproxy.report.content import Page, Section
from synthproxy.report.estimator_folder import IN_DOMAIN_FOLDER, OUT_OF_DOMAIN, OUT_OF_DOMAIN_FOLDER
from synthproxy.report.estimator_scores import FEW_SOUND_COLUMNS, SOUND_COLUMNS
from synthproxy.report.match_sounds import SOUND_SUFFIX, TARGET
from synthproxy.report.sound_folders import sound_table_from_folders
from synthproxy.report.tables import Cell, Direction, Table

COLUMNS: Final = {
    "run": "run",
    "schedule": "schedule",
    "gradient": "gradient",
    "proxy": "proxy",
    "synth": "synth",
    "presets_seen": "presets seen",
    "minutes": "minutes",
    "best_a_mean": "best a_mean",
    "last_a_mean": "last a_mean",
}
"""Keys of a run's row, and what they are called in the table."""
FEW_COLUMNS: Final = ("run", "schedule", "gradient", "presets_seen", "minutes", "best_a_mean")
"""What a terminal has room for."""


class _Domain(NamedTuple):
    key: str
    folder: str
    title: str


_DOMAINS: Final = (
    _Domain("in_domain", IN_DOMAIN_FOLDER, "In domain"),
    _Domain("out_of_domain", OUT_OF_DOMAIN_FOLDER, OUT_OF_DOMAIN),
)


@dataclass(frozen=True)
class Judgement:
    """What ``evaluate`` wrote of an estimator: in which folder, and what its ``scores.json`` holds, as plain data."""

    name: str
    folder: Path
    data: Mapping[str, Any]


@dataclass(frozen=True)
class ReportedEstimator:
    """A run, what it is called in tables, and how its estimator was judged."""

    name: str
    summary: EstimatorSummary
    judgements: tuple[Judgement, ...]

    def row(self) -> dict[str, Any]:
        """What is known of it, by the keys of :data:`COLUMNS`; None where nothing is."""
        run = self.summary
        seconds = run.last("seconds")
        values = (
            *(self.name, run.schedule, run.gradient, run.proxy, run.synth, run.last("presets")),
            None if seconds is None else seconds / 60,
            *(run.lowest("a_mean"), run.last("a_mean")),
        )
        return dict(zip(COLUMNS, values, strict=True))


def find_judgements(run: Path, name: str) -> tuple[Judgement, ...]:
    """What ``evaluate`` wrote into the folder of a run or below; where it was more than once, the name tells where.

    Raises:
        InvalidInputError: a file is damaged.
    """
    found = {}
    for file in sorted(run.rglob("scores.json")):
        try:
            data = json.loads(file.read_text(encoding="utf8"))
            if "in_domain" in data:  # Others write files of this name, too.
                found[file.parent] = data
        except (OSError, ValueError, TypeError) as error:
            raise InvalidInputError(f"{file}: damaged ({error!r}); run `synthproxy evaluate` again") from error
    several = len(found) > 1
    return tuple(
        Judgement(f"{name}, {folder.relative_to(run).as_posix()}" if several else name, folder, data)
        for folder, data in found.items()
    )


def estimator_table(runs: Sequence[ReportedEstimator], keys: Sequence[str] = tuple(COLUMNS)) -> Table:
    """One row a run; the best values are marked if all were validated by the same presets."""
    rows = tuple(tuple("" if row[key] is None else row[key] for key in keys) for row in (run.row() for run in runs))
    comparable = all(run.summary.validation == runs[0].summary.validation for run in runs)
    caption = "a_mean: of validations during training, by presets that are played again; lower is nearer."
    if not comparable:
        caption += " The runs were validated by different presets: their scores do not compare."
    marked: dict[str, Direction] = {COLUMNS[key]: "lowest" for key in keys if key.endswith("a_mean") and comparable}
    return Table("Training runs of estimators", tuple(COLUMNS[key] for key in keys), rows, caption, marked)


def judgement_rows(runs: Sequence[ReportedEstimator]) -> list[dict[str, Any]]:
    """A row for each evaluation, ``in-domain`` or ``out-of-domain``, and each way to match: means over sounds.

    Raises:
        InvalidInputError: a ``scores.json`` is not as this version writes it.
    """
    rows = []
    for domain in _DOMAINS:
        for one in _judged(runs, domain):
            try:
                found = one.data[domain.key]
                for way, scores in found["scores"].items():
                    means = {key: scores["per_clip"][key]["mean"] for key in FEW_SOUND_COLUMNS}
                    interval = scores["per_clip"][FEW_SOUND_COLUMNS[0]]["interval"]
                    about = {"domain": domain.folder, "run": one.name, "way": way, "sounds": found["cases"]}
                    rows.append({**about, **means, "low": interval["low"], "high": interval["high"]})
            except (KeyError, TypeError, AttributeError) as error:
                raise InvalidInputError(
                    f"{one.folder}: no scores that this version reads ({error!r}); run `synthproxy evaluate` again"
                ) from error
    return rows


def judgement_tables(rows: Sequence[Mapping[str, Any]]) -> dict[str, Table]:
    """Tables of :func:`judgement_rows`, by the names of their files: estimators, then baselines, equal ones once."""
    tables = {}
    first, *others = (SOUND_COLUMNS[key] for key in FEW_SOUND_COLUMNS)
    caption = "Means over sounds; lower is nearer, but for envelope: correlation of RMS envelopes."
    for domain in _DOMAINS:
        inside = [row for row in rows if row["domain"] == domain.folder]
        estimators = [(row["run"], *_cells(row)) for row in inside if row["way"] == ESTIMATOR]
        runs: dict[tuple[str, tuple[Cell, ...]], str] = {}
        for row in inside:
            if row["way"] != ESTIMATOR:
                runs.setdefault((row["way"], _cells(row)), row["run"])
        ways = Counter(way for way, _ in runs)
        baselines = [(way if ways[way] == 1 else f"{way}, as for {run}", *cells) for (way, cells), run in runs.items()]
        if inside:
            columns = ("run", "sounds", first, "95 %", *others)
            shown = tuple(estimators + baselines)
            tables[f"estimators-{domain.folder}"] = Table(f"{domain.title}: scores", columns, shown, caption)
    return tables


def _cells(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    first, *others = (row[key] for key in FEW_SOUND_COLUMNS)
    return (row["sounds"], first, f"{row['low']:.2f}–{row['high']:.2f}", *others)


def _judged(runs: Sequence[ReportedEstimator], domain: _Domain) -> list[Judgement]:
    return [one for run in runs for one in run.judgements if one.data.get(domain.key)]


def listening_page(runs: Sequence[ReportedEstimator]) -> Page | None:
    """What the estimators made of the same targets, side by side; None if ``evaluate`` has left no sounds.

    Estimators that were judged by other targets have a table of their own.
    """
    sections = []
    for domain in _DOMAINS:
        groups: dict[frozenset[str], list[Judgement]] = {}
        for one in _judged(runs, domain):
            if targets := _content(one.folder / domain.folder / TARGET):
                groups.setdefault(targets, []).append(one)
        for group in groups.values():
            title = domain.title if len(groups) == 1 else f"{domain.title}: {', '.join(one.name for one in group)}"
            table = sound_table_from_folders(title, _systems(group, domain))
            sections.append(Section(title, "", (table,)))
    if not sections:
        return None
    introduction = "What estimators make of the same sounds. Distances are taken at matched level; lower is closer."
    return Page("Estimators to listen to", introduction, tuple(sections))


def _systems(group: Sequence[Judgement], domain: _Domain) -> dict[str, Path]:
    """Folders of sounds by the names of their rows."""
    nearest: dict[frozenset[str], Judgement] = {}
    for one in group:
        if content := _content(one.folder / domain.folder / NEAREST):
            nearest.setdefault(content, one)
    baselines = {NEAREST if len(nearest) == 1 else f"{NEAREST}, as for {one.name}": one for one in nearest.values()}
    return {
        TARGET: group[0].folder / domain.folder / TARGET,
        **{one.name: one.folder / domain.folder / ESTIMATOR for one in group},
        **{name: one.folder / domain.folder / NEAREST for name, one in baselines.items()},
    }


def _content(folder: Path) -> frozenset[str]:
    """What tells the sounds in a folder, with their names, from others."""
    files = folder.glob(f"*{SOUND_SUFFIX}")
    return frozenset(f"{file.name}: {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)
