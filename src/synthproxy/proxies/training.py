"""Training a proxy by a recipe: one readable loop on any device, that can be stopped at any step and continued.

Batches, order and learning rates are functions of the step, and all other state is saved in one file, so that a run
that was killed and continued ends with the same bits as one that was not (same machine and threads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only

from synthproxy.errors import InvalidInputError
from synthproxy.interruption import stop_on_signals
from synthproxy.proxies.batches import TrainingExamples
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.recipe import CorpusChoice, TrainingRecipe
from synthproxy.proxies.run import Ending, Plan, TrainingRun, out_of_time
from synthproxy.proxies.run_folder import Counters, RunFolder


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Args:
        status: ``stopped`` runs continue when the same call is made again; the others are over.
        message: the same in a sentence.
        run_folder: where everything is.
        step, total_steps: how far it got.
        seconds: time spent training, over all continuations.
        best_l1, best_mrr: best validation scores; nothing before the first validation.
        leads: whether this is the only process of the run, or the first.
    """

    status: Ending | Literal["already finished"]
    message: str
    run_folder: Path
    step: int
    total_steps: int
    seconds: float
    best_l1: float | None
    best_mrr: float | None
    leads: bool = True


def train(
    recipe: TrainingRecipe,
    run_folder: Path,
    *,
    progress: bool | None = None,
    stop: Callable[[int], bool] | None = None,
) -> TrainingResult:
    """Train by a recipe, from the beginning or from where the run folder stands.

    Ctrl-C, SIGTERM and SIGUSR1 end the current step, save, and return.

    Args:
        recipe: what to train on what and how.
        run_folder: made if need be; the same call on the same folder continues.
        progress: show a progress bar; by default on a terminal only.
        stop: asked after each step, with the number of steps done; when it says yes, the run is saved and stopped.

    Raises:
        IncompatibleError: the run folder is of another recipe, or the two corpora do not belong together.
        InvalidInputError: a corpus cannot be used, the batch is larger than it, or the loss is no number any more.
    """
    training, validation = open_corpora(recipe.corpus)
    return train_on_examples(recipe, training, validation, run_folder, progress=progress, stop=stop)


def open_corpora(choice: CorpusChoice) -> tuple[TrainingExamples, Examples]:
    """What to learn from, in memory or to be read in blocks, and what to validate on.

    Raises:
        InvalidInputError: a corpus is not there, or unfinished.
    """
    from synthproxy.corpus import Corpus
    from synthproxy.proxies.streaming import StreamedExamples

    corpus = Corpus.open(choice.train)
    block = choice.block
    training = Examples.from_corpus(corpus) if block is None else StreamedExamples.from_corpus(corpus, block)
    return training, Examples.from_corpus(Corpus.open(choice.validation))


def train_on_examples(
    recipe: TrainingRecipe,
    training: TrainingExamples,
    validation: Examples,
    run_folder: Path,
    *,
    progress: bool | None = None,
    stop: Callable[[int], bool] | None = None,
) -> TrainingResult:
    """:func:`train` on examples that are given; the recipe's corpora are not opened."""
    training.setting.require_same(validation.setting, "training and validation corpus")
    if training.dimension != validation.dimension or len(validation) < 2:
        raise InvalidInputError(
            f"validation needs at least two presets with {training.dimension} values each, got "
            f"{len(validation)} with {validation.dimension}"
        )
    plan = Plan.of(recipe, len(training))
    folder = RunFolder.open(run_folder, recipe, training, validation)
    counters = folder.read_counters()
    if counters.step >= plan.total_steps or out_of_time(recipe, counters):
        return _result("already finished", folder, plan, counters)
    with (
        _threads(recipe.machine.threads),
        stop_on_signals() as request,
        training.batches(recipe.training.batch_size, recipe.training.seed) as batches,
    ):
        run = TrainingRun.prepare(recipe, training, batches, validation, folder, plan)
        return _result(run.until_end(request, progress, stop), folder, plan, run.counters)


def _result(
    status: Ending | Literal["already finished"], folder: RunFolder, plan: Plan, counters: Counters
) -> TrainingResult:
    place = f"after {counters.step} of {plan.total_steps} steps"
    message = {
        "finished": f"finished {place}; checkpoints are in {folder.path}",
        "already finished": f"{folder.path}: this run is finished ({place}); nothing was done",
        "time limit": f"time limit reached {place}; raise machine.max_minutes to continue",
        "stopped": f"stopped {place}; the same command continues",
    }[status]
    return TrainingResult(
        status,
        message,
        folder.path,
        counters.step,
        plan.total_steps,
        counters.seconds,
        counters.best_l1,
        counters.best_mrr,
        leads=getattr(rank_zero_only, "rank", None) in (None, 0),
    )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads inside the block."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
