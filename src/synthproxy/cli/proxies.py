"""Commands that train proxies, estimators and proposers, and judge them."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from synthproxy.cli.options import EXIT_INTERRUPTED, Files, Json, Output, Weights
from synthproxy.errors import InvalidInputError
from synthproxy.report.printing import print_json, print_table


def train(
    recipe: Path,
    *,
    out: Output | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", help="section.key=value")] = None,
    json: Json = False,
) -> None:
    """Train a proxy, an estimator or a proposer by a recipe; the same command continues one that was interrupted.

    Parameters
    ----------
    recipe:
        A TOML file; one with a table [estimator] trains an estimator, one with [proposer] a proposer.
    out:
        Run folder; runs/ and the recipe's name by default.
    """
    from synthproxy.matching.training import train_by_recipe

    result = train_by_recipe(recipe, out or Path("runs") / recipe.stem, set_ or ())
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


@Parameter(name="*", group="Options for proxies")
@dataclass(frozen=True)
class ProxyOptions:
    """How a proxy is judged."""

    hand_crafted: Path | None = None
    "Corpus of presets of people: how much worse, or better, it does on these."

    umap: Annotated[bool, Parameter(negative="")] = False
    "Draw the true embeddings in the plane, hand-crafted against synthetic ones."

    label: str | None = None
    "Draw them by this parameter, a categorical or binary one, too."


@Parameter(name="*", group="Options for estimators")
@dataclass(frozen=True)
class EstimatorOptions:
    """How an estimator is judged."""

    sounds: Path | None = None
    "Folder of recorded sounds to judge by: NSynth, a part of it, or any sound files."

    part: Literal["train", "validation", "test", "all"] | None = None
    "Part of the corpus, if it has learned from another part of it; test by default."

    most: int | None = None
    "Sounds of each kind to judge by; 256 by default."

    own_notes: Annotated[bool, Parameter(negative="")] = False
    "Play what is found for recorded sounds with the notes of these, where they are known."

    audio_model: str | None = None
    "Audio model by whose embeddings to judge, too."

    weights: Weights = None


def evaluate(
    checkpoint: Path,
    *,
    corpus: Path | None = None,
    training_corpus: Path | None = None,
    out: Output | None = None,
    json: Json = False,
    of_proxy: ProxyOptions = ProxyOptions(),
    of_estimator: EstimatorOptions = EstimatorOptions(),
) -> None:
    """Judge a trained proxy or estimator, beside what trivial predictors reach.

    Parameters
    ----------
    checkpoint:
        A .safetensors file of a run folder.
    corpus:
        Corpus to judge by.
    training_corpus:
        Corpus it has learned from, for the baselines that need it.
    out:
        Folder for all tables, in Markdown, CSV and LaTeX, and for what takes longer: of a proxy, scores by gallery
        size; of an estimator, sounds and presets of its matches, and a page to listen to them.
    """
    from synthproxy.matching.estimators.checkpoint import FORMAT
    from synthproxy.training.tensors import checkpoint_form

    if checkpoint_form(checkpoint) == FORMAT:
        refuse(of_proxy, f"{checkpoint} is an estimator")
        _evaluate_estimator(checkpoint, corpus, training_corpus, of_estimator, out, json)
    else:
        refuse(of_estimator, f"{checkpoint} is no estimator")
        _evaluate_proxy(checkpoint, corpus, training_corpus, of_proxy, out, json)


def refuse(options: ProxyOptions | EstimatorOptions, why: str) -> None:
    """Raise :class:`InvalidInputError` if any of the options was given."""
    for field in fields(options):
        if getattr(options, field.name) != field.default:
            raise InvalidInputError(f"--{field.name.replace('_', '-')} cannot be used here: {why}")


def _evaluate_proxy(
    checkpoint: Path,
    corpus: Path | None,
    training_corpus: Path | None,
    options: ProxyOptions,
    out: Path | None,
    json: bool,
) -> None:
    from synthproxy.report.evaluation import contrast_table
    from synthproxy.report.evaluation_folder import EvaluationOrder, run_evaluation
    from synthproxy.report.scores import score_table

    if corpus is None:
        raise InvalidInputError("a proxy is judged by a corpus; give one with --corpus")
    order = EvaluationOrder(checkpoint, corpus, training_corpus, options.hand_crafted, options.umap, options.label)
    evaluation = run_evaluation(order, out)
    if json:
        print_json(evaluation.to_dict())
        return
    print_table(score_table(evaluation))
    if evaluation.hand_crafted:
        print_table(contrast_table(evaluation.hand_crafted))


def _evaluate_estimator(
    checkpoint: Path,
    corpus: Path | None,
    training_corpus: Path | None,
    options: EstimatorOptions,
    out: Path | None,
    json: bool,
) -> None:
    from synthproxy.report.estimator_folder import MOST, EstimatorOrder, run_estimator_evaluation

    order = EstimatorOrder(
        checkpoint,
        corpus,
        options.sounds,
        training_corpus,
        options.part,
        MOST if options.most is None else options.most,
        options.own_notes,
        options.audio_model,
        options.weights,
    )
    found = run_estimator_evaluation(order, out)
    if json:
        print_json(found.to_dict())
        return
    for table in found.few_tables():
        print_table(table)


def report(runs: Files, *, out: Output, json: Json = False) -> None:
    """Set training runs side by side: tables, learning curves, one page, and one of sounds, from their folders alone.

    Parameters
    ----------
    runs:
        Folders of training runs of proxies and estimators. What `evaluate` wrote inside them is shown too.
    out:
        Folder for the page, the tables in Markdown, CSV and LaTeX, and the picture; listen/ in it for sounds.
    """
    from synthproxy.report.run_report import read_runs, write_report

    found = read_runs(runs)
    result = write_report(found, out)
    if json:
        print_json(result)
    else:
        for table in found.few_tables():
            print_table(table)
        print(f"{out / 'index.html'}: tables{' and learning curves' if found.proxies else ''}")
        if result["listen"]:
            print(f"{result['listen']}: what the estimators make of the same sounds")
