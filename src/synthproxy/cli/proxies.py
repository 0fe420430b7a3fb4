"""Commands that train proxies and judge them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synthproxy.cli.options import EXIT_INTERRUPTED, Json, Output
from synthproxy.report.printing import print_json, print_table

WORST = 20
"""Presets that are told to rank worst."""


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
    recipe: A TOML file.
    out: Run folder; runs/ and the recipe's name by default.
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
    recipe: A TOML file with tables [study] and [search].
    out: Folder of the study; runs/ and the recipe's name by default. Processes that are given the same one share it.
    most: Trials to stop after for now.
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
    out: Output | None = None,
    json: Json = False,
) -> None:
    """Judge a trained proxy, beside what trivial predictors reach.

    Parameters
    ----------
    checkpoint: A .safetensors file of a run folder.
    corpus: Corpus to judge by.
    training_corpus: Corpus it has learned from, for the nearest-preset baseline.
    out: Folder for all tables, in Markdown, CSV and LaTeX, and for scores by gallery size, which take longer.
    """
    from synthproxy.corpus import Corpus
    from synthproxy.proxies.checkpoint import load_checkpoint
    from synthproxy.proxies.evaluation import Protocol, by_gallery_size, worst_ranked
    from synthproxy.proxies.evaluation import evaluate as judge
    from synthproxy.proxies.examples import Examples
    from synthproxy.report.evaluation import write_evaluation
    from synthproxy.report.scores import score_table

    proxy, info = load_checkpoint(checkpoint)
    found = Corpus.open(corpus)
    examples = Examples.from_corpus(found)
    info.setting.require_same(examples.setting, str(checkpoint))
    training = Examples.from_corpus(Corpus.open(training_corpus)) if training_corpus else None
    evaluation = judge(proxy, examples, training=training)
    if out:
        predicted, true = proxy.embed(examples.presets), examples.embeddings
        names = found.names()
        worst = [
            (names[row] if names else f"row {row}", rank)
            for row, rank in worst_ranked(predicted, true, Protocol(), WORST)
        ]
        write_evaluation(evaluation, by_gallery_size(predicted, true), worst, out)
    if json:
        print_json(evaluation.to_dict())
    else:
        print_table(score_table(evaluation))
