"""Training a proxy by a recipe: one readable loop on any device, that can be stopped at any step and continued.

Batches, order and learning rates are functions of the step, and all other state is saved in one file, so that a run
that was killed and continued ends with the same bits as one that was not (same machine and threads).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.examples import Examples, TrainingExamples
from synthproxy.proxies.learning import ProxyTask, new_proxy
from synthproxy.proxies.recipe import CorpusChoice, TrainingRecipe
from synthproxy.training.run import Plan, RunResult, train_network


def train(
    recipe: TrainingRecipe,
    run_folder: Path,
    *,
    progress: bool | None = None,
    stop: Callable[[int], bool] | None = None,
) -> RunResult:
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
        InvalidInputError: a corpus is not there, is unfinished, or cannot be split as asked.
    """
    from synthproxy.corpus import Corpus
    from synthproxy.corpus.parts import rows_of_parts
    from synthproxy.proxies.streaming import StreamedExamples

    corpus = Corpus.open(choice.train)
    rows = rows_of_parts(corpus, choice.split) if choice.split else None
    learned, block = rows["train"] if rows else None, choice.block
    training: TrainingExamples
    if block is None:
        training = Examples.from_corpus(corpus, learned)
    else:
        training = StreamedExamples.from_corpus(corpus, block, learned)
    if rows:
        return training, Examples.from_corpus(corpus, rows["validation"])
    assert choice.validation is not None, "the recipe has either"
    return training, Examples.from_corpus(Corpus.open(choice.validation))


def train_on_examples(
    recipe: TrainingRecipe,
    training: TrainingExamples,
    validation: Examples,
    run_folder: Path,
    *,
    progress: bool | None = None,
    stop: Callable[[int], bool] | None = None,
) -> RunResult:
    """:func:`train` on examples that are given; the recipe's corpora are not opened."""
    training.setting.require_same(validation.setting, "training and validation corpus")
    if training.dimension != validation.dimension or len(validation) < 2:
        raise InvalidInputError(
            f"validation needs at least two presets with {training.dimension} values each, got "
            f"{len(validation)} with {validation.dimension}"
        )

    def make_task(_: Plan) -> ProxyTask:
        return ProxyTask(new_proxy(recipe, training), recipe.training, training.setting, validation)

    learned = {"train": training.identity(), "validation": validation.identity()}
    return train_network(recipe, run_folder, training, learned, make_task, progress=progress, stop=stop)
