"""Training an estimator by a recipe: the loop that trains proxies, with other losses and other scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from synthproxy.corpus import Corpus
from synthproxy.corpus.parts import LearnedFrom, rows_of_parts
from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.checkpoint import EstimatorInfo, playing_synth
from synthproxy.matching.estimators.decoding import Decoding
from synthproxy.matching.estimators.heard import HeardPresets
from synthproxy.matching.estimators.learning import VALIDATION_BATCH, EstimatorTask, Losses
from synthproxy.matching.estimators.losses import ParameterLoss, PerceptualLoss
from synthproxy.matching.estimators.network import Estimator, LevelBounds
from synthproxy.matching.estimators.recipe import EstimatorRecipe
from synthproxy.matching.playing import Player
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.examples import Setting
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.recipe import CorpusChoice
from synthproxy.training.run import Plan, RunResult, train_network


def train_estimator(
    recipe: EstimatorRecipe,
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
        IncompatibleError: the run folder is of another recipe, or corpora and proxy do not belong together.
        InvalidInputError: a corpus keeps no levels or cannot be used, or the loss is no number any more.
        UnavailableError: the synth that plays predictions is not here.
    """
    training, validation = open_heard_corpora(recipe.corpus)
    training.setting.require_same(validation.setting, "training and validation corpus")
    proxy, about_proxy = _proxy(recipe, training.setting)
    player = player_of(training)
    learned = {"train": training.identity(), "validation": validation.identity(), "proxy": about_proxy}

    def make_task(plan: Plan) -> EstimatorTask:
        batches = training.in_order(VALIDATION_BATCH)
        bounds = LevelBounds.of(torch.from_numpy(levels).float() for _, _, levels in batches)
        return EstimatorTask(
            network=Estimator(training.setting.space, bounds, recipe.estimator),
            losses=_losses(recipe, training.setting, proxy, plan),
            validation=validation.to_reread(),
            player=player,
            rendered=recipe.training.rendered or len(validation),
            info=_info(recipe, training),
        )

    return train_network(recipe, run_folder, training, learned, make_task, progress=progress, stop=stop)


def open_heard_corpora(choice: CorpusChoice) -> tuple[HeardPresets, HeardPresets]:
    """What to learn from and what to validate on.

    Raises:
        InvalidInputError: a corpus is not there, is unfinished, keeps no levels, or cannot be split as asked.
    """
    corpus = Corpus.open(choice.train)
    corpus.require_levels()
    if choice.split:
        rows = rows_of_parts(corpus, choice.split)
        return HeardPresets(corpus, rows["train"], choice.block), HeardPresets(corpus, rows["validation"], choice.block)
    assert choice.validation is not None, "the recipe has either"
    other = Corpus.open(choice.validation)
    return HeardPresets.all_of(corpus, choice.block), HeardPresets.all_of(other, choice.block)


def player_of(heard: HeardPresets) -> Player:
    """Plays presets as those of a corpus were played.

    Raises:
        IncompatibleError: the synth has another preset space by now.
        UnavailableError: the synth is not here.
    """
    info = heard.corpus.info
    mode = info.repeatability.mode if info.repeatability else None
    return Player(playing_synth(info.synth, info.space, mode), info.rendering)


def _proxy(recipe: EstimatorRecipe, setting: Setting) -> tuple[Proxy | None, dict[str, Any]]:
    """The proxy, if any, and what tells it from others, as plain data for JSON."""
    if recipe.proxy is None:
        if recipe.loss.schedule.uses_proxy:
            raise InvalidInputError("proxy: missing; this loss schedule asks a proxy, give its checkpoint")
        return None, {}
    proxy, info = load_checkpoint(recipe.proxy.checkpoint)
    info.setting.require_same(setting, f"{recipe.proxy.checkpoint} and the training corpus")
    about = {name: value for name, value in info.to_dict().items() if name not in ("setting", "version")}
    return proxy, about


def _losses(recipe: EstimatorRecipe, setting: Setting, proxy: Proxy | None, plan: Plan) -> Losses:
    choice = recipe.loss
    decoding = Decoding(gradient=choice.gradient, temperature=choice.temperature, snap=choice.snap)
    parameter = ParameterLoss(
        setting.space, categorical_weight=choice.categorical_weight, label_smoothing=choice.label_smoothing
    )
    perceptual = None if proxy is None else PerceptualLoss(proxy, decoding)
    return Losses(choice.schedule, plan.total_steps, parameter, perceptual)


def _info(recipe: EstimatorRecipe, training: HeardPresets) -> EstimatorInfo:
    info = training.corpus.info
    return EstimatorInfo(
        synth=info.synth,
        space=info.space,
        rendering=info.rendering,
        mode=info.repeatability.mode if info.repeatability else None,
        sizes=recipe.estimator,
        learned_from=LearnedFrom.of(info, recipe.corpus.split),
    )
