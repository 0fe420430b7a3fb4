"""The scores that ``evaluate`` left in the folders of training runs, as rows for machines and tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.contrast import Estimate, Measure
from synthproxy.proxies.ranking import Interval
from synthproxy.report.evaluation import CONTRAST_COLUMNS, MEASURE_NAMES, contrast_cells
from synthproxy.report.tables import Cell, Direction, Table

CONTRASTED: Final = ("mrr", "recall@1", "l1")


@dataclass(frozen=True)
class FoundScores:
    """What one ``scores.json`` holds, as plain data.

    Args:
        file: it.
        row: the scores of the proxy by name, with the run and the checkpoint they are of.
        baselines: the same of what it is compared with, as far as it can be told.
        contrast: a row for each measure of synthetic and hand-crafted presets; none if one kind was judged.
    """

    file: Path
    row: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any]]
    contrast: Sequence[Mapping[str, Any]]


def find_scores(run: Path, name: str) -> list[FoundScores]:
    """What ``evaluate`` wrote into the folder of a run or below; where it was more than once, the name tells where.

    Raises:
        InvalidInputError: a file is damaged, or of another version.
    """
    files = sorted(run.rglob("scores.json"))
    found = []
    for file in files:
        called = name if len(files) == 1 else f"{name}, {file.parent.relative_to(run).as_posix()}"
        try:
            data = json.loads(file.read_text(encoding="utf8"))
            if "one_against_all" in data.get("score", {}):  # Others write files of this name, too.
                found.append(_found(file, called, data))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"{file}: not scores that this version reads ({error!r}); run `synthproxy evaluate` again"
            ) from error
    return found


def _found(file: Path, run: str, data: Mapping[str, Any]) -> FoundScores:
    about = {"run": run, "checkpoint": Path(data.get("checkpoint", "")).stem}
    row = {
        **about,
        "scores": str(file),
        "corpus": data.get("corpus", ""),
        **_scores(data["score"]),
        "gallery": data["score"]["one_against_all"]["gallery"],
        "modality_gap": data["modality_gap"],
        "told_apart": data.get("separability", {}).get("accuracy"),
    }
    chance = {
        "mrr": data["chance"]["validation"],
        "gallery_mrr": data["chance"]["one_against_all"],
        **{f"recall@{k}": k / row["gallery"] for k in (1, 10)},
    }
    baselines = {name: _scores(score) for name, score in data["baselines"].items()}
    both = data.get("hand_crafted") or {"measures": {}, "gallery": 0}
    contrast = [
        {**about, "gallery": both["gallery"], "measure": name, **measure} for name, measure in both["measures"].items()
    ]
    return FoundScores(file, row, {**baselines, "chance": chance}, contrast)


def _scores(score: Mapping[str, Any]) -> dict[str, Any]:
    validation, test = score["validation"], score["one_against_all"]
    return {
        "presets": score["cases"],
        "mrr": validation["mrr"],
        "mrr_interval": validation["interval"],
        "gallery_mrr": test["mrr"],
        "recall@1": test["recall_at"]["1"],
        "recall@10": test["recall_at"]["10"],
        "l1": score["l1"],
    }


def evaluation_table(scores: Sequence[FoundScores]) -> Table:
    """One row for each evaluation, and below them one for each baseline that differs."""
    best: dict[str, Direction] = {"MRR": "highest", "test MRR": "highest", "L1": "lowest"}
    columns = ("run", "checkpoint", "presets", "MRR", "95 %", "test MRR", "recall@1", "recall@10")
    caption = (
        "MRR: sounds, each looked up among its own few hundred presets. Test MRR and recall: presets looked up among "
        f"{_sizes(found.row for found in scores)} sounds. L1: mean absolute error of the embedding. Gap: distance of "
        "the centres of predicted and true embeddings. Told apart: share that a logistic regression rightly calls "
        "predicted or true."
    )
    return Table(
        "Test scores",
        (*columns, "L1", "gap", "told apart"),
        tuple(_test_cells(row) for row in (*(found.row for found in scores), *_baseline_rows(scores))),
        caption,
        best if _comparable(scores) else {},
    )


def _baseline_rows(scores: Sequence[FoundScores]) -> list[Mapping[str, Any]]:
    """Baselines of all evaluations, equal ones once."""
    runs: dict[str, dict[str, str]] = {}
    for found in scores:
        for name, values in found.baselines.items():
            runs.setdefault(name, {}).setdefault(json.dumps(values), found.row["run"])
    return [
        {**json.loads(values), "run": name if len(distinct) == 1 else f"{name}, as for {run}"}
        for name, distinct in runs.items()
        for values, run in distinct.items()
    ]


def _test_cells(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    def cells(*keys: str) -> tuple[Cell, ...]:
        return tuple("" if row.get(key) is None else row[key] for key in keys)

    interval = row.get("mrr_interval")
    return (
        *cells("run", "checkpoint", "presets", "mrr"),
        f"±{(interval['high'] - interval['low']) / 2:.3f}" if interval else "",
        *cells("gallery_mrr", "recall@1", "recall@10", "l1", "modality_gap", "told_apart"),
    )


def _comparable(scores: Sequence[FoundScores]) -> bool:
    """Whether all were judged by one corpus, in galleries of one size."""
    return len({(found.row["corpus"], found.row["presets"], found.row["gallery"]) for found in scores}) == 1


def _sizes(rows: Iterable[Mapping[str, Any]]) -> str:
    """The sizes of galleries that occur."""
    return " or ".join(f"{size:,}" for size in sorted({row["gallery"] for row in rows}))


def contrast_tables(scores: Sequence[FoundScores]) -> dict[str, Table]:
    """For each measure a table of synthetic against hand-crafted presets, one row for each evaluation of both."""
    tables = {}
    for measure in CONTRASTED:
        rows = tuple(
            (row["run"], row["checkpoint"], *contrast_cells(_measure(row)))
            for found in scores
            for row in found.contrast
            if row["measure"] == measure
        )
        if rows:
            tables[f"hand-crafted-{measure.replace('@', '-')}"] = _contrast_table(measure, rows, scores)
    return tables


def _contrast_table(measure: str, rows: tuple[tuple[Cell, ...], ...], scores: Sequence[FoundScores]) -> Table:
    better: Direction = "lowest" if measure == "l1" else "highest"
    sizes = _sizes(row for found in scores for row in found.contrast)
    galleries = "" if measure == "l1" else f"Presets looked up among {sizes} sounds of their kind. "
    return Table(
        f"{MEASURE_NAMES.get(measure, measure)} of synthetic and hand-crafted presets",
        ("run", "checkpoint", *CONTRAST_COLUMNS),
        rows,
        f"{galleries}Difference: of hand-crafted from synthetic, relative to synthetic. Intervals: presets drawn anew.",
        {"synthetic": better, "hand-crafted": better} if _comparable(scores) else {},
    )


def _measure(row: Mapping[str, Any]) -> Measure:
    def estimate(data: Mapping[str, Any]) -> Estimate:
        return Estimate(data["value"], Interval(**data["interval"]))

    difference = estimate(row["difference"]) if row["difference"] else None
    return Measure(estimate(row["synthetic"]), estimate(row["hand_crafted"]), difference, row["chance"])
