"""Commands that train proxies and judge them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synthproxy.cli.options import EXIT_INTERRUPTED, Files, Json, Output
from synthproxy.report.printing import print_json, print_table


def train(
    recipe: Path,
    *,
    out: Output | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", help="section.key=value")] = None,
    json: Json = False,
) -> None:
    """Train a proxy by a recipe; the same command continues one that was interrupted.

    Parameters
    ----------
    recipe:
        A TOML file.
    out:
        Run folder; runs/ and the recipe's name by default.
    """
    from synthproxy.proxies.recipe import read_recipe
    from synthproxy.proxies.training import train as run

    result = run(read_recipe(recipe, set_ or ()), out or Path("runs") / recipe.stem)
    if json and result.leads:
        print_json({**asdict(result), "run_folder": str(result.run_folder)})
    elif result.leads:
        print(result.message)
    if result.status == "stopped":
        sys.exit(EXIT_INTERRUPTED)


def tune(recipe: Path, *, out: Output | None = None, most: int | None = None, json: Json = False) -> None:
    """Try values of a training recipe and say which rank best; can be interrupted, and shared by several machines.

    Parameters
    ----------
    recipe:
        A TOML file with tables [study] and [search].
    out:
        Folder of the study; runs/ and the recipe's name by default. Processes that are given the same one share it.
    most:
        Trials to stop after for now.
    """
    from synthproxy.progress import counting
    from synthproxy.proxies.tuning import tune as run

    place = out or Path("runs") / recipe.stem
    with counting("trials") as progress:
        result = run(recipe, place, progress=progress, most=most)
    if json:
        print_json(asdict(result))
    else:
        print(f"{place}: {result.finished} trials finished, {result.pruned} pruned, {result.failed} failed")
        if result.best:
            print(f"best MRR {result.best_mrr:.4f}: " + " ".join(f"--set {k}={v}" for k, v in result.best.items()))
    if result.interrupted:
        sys.exit(EXIT_INTERRUPTED)


def evaluate(
    checkpoint: Path,
    *,
    corpus: Path,
    training_corpus: Path | None = None,
    hand_crafted: Path | None = None,
    out: Output | None = None,
    umap: Annotated[bool, Parameter(negative="")] = False,
    label: str | None = None,
    json: Json = False,
) -> None:
    """Judge a trained proxy, beside what trivial predictors reach.

    Parameters
    ----------
    checkpoint:
        A .safetensors file of a run folder.
    corpus:
        Corpus to judge by.
    training_corpus:
        Corpus it has learned from, for the nearest-preset baseline.
    hand_crafted:
        Corpus of presets of people: how much worse, or better, it does on these.
    out:
        Folder for all tables, in Markdown, CSV and LaTeX, and for scores by gallery size, which take longer.
    umap:
        Draw the true embeddings in the plane, hand-crafted against synthetic ones.
    label:
        Draw them by this parameter, a categorical or binary one, too.
    """
    from synthproxy.report.evaluation import contrast_table
    from synthproxy.report.evaluation_folder import EvaluationOrder, run_evaluation
    from synthproxy.report.scores import score_table

    order = EvaluationOrder(checkpoint, corpus, training_corpus, hand_crafted, umap, label)
    evaluation = run_evaluation(order, out)
    if json:
        print_json(evaluation.to_dict())
        return
    print_table(score_table(evaluation))
    if evaluation.hand_crafted:
        print_table(contrast_table(evaluation.hand_crafted))


def report(runs: Files, *, out: Output, json: Json = False) -> None:
    """Set training runs side by side: tables, learning curves and one page, from their folders alone.

    Parameters
    ----------
    runs:
        Folders of training runs. What `evaluate` wrote inside them is shown too.
    out:
        Folder for the page, the tables in Markdown, CSV and LaTeX, and the picture.
    """
    from synthproxy.report.run_report import FEW_COLUMNS, read_runs, run_table, write_report

    found = read_runs(runs)
    result = write_report(found, out)
    if json:
        print_json(result)
    else:
        print_table(run_table(found, FEW_COLUMNS))
        print(f"{out / 'index.html'}: tables and learning curves")
