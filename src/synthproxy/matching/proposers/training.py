"""Training a proposer by a recipe: the loop that trains proxies, on corpora of several notes at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from synthproxy.audio.reductions import segments_kept
from synthproxy.corpus.parts import LearnedFrom
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.matching.proposers.checkpoint import ProposerInfo, load_proposer
from synthproxy.matching.proposers.learning import HiddenPresets, ProposerTask
from synthproxy.matching.proposers.network import Proposer, require_parts
from synthproxy.matching.proposers.noted import NotedPresets, require_alike
from synthproxy.matching.proposers.recipe import ProposerRecipe
from synthproxy.synths import PresetSpace
from synthproxy.training.run import Plan, RunResult, train_network
from synthproxy.training.tensors import described

SHOWN = 16_384
"""Presets that a new proposer is shown with their sounds, to know where embeddings lie and which values are usual."""


def train_proposer(
    recipe: ProposerRecipe,
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
        IncompatibleError: the run folder is of another recipe, or the corpora do not belong together.
        InvalidInputError: a corpus cannot be used, or the loss is no number any more.
    """
    training, validation = open_noted_corpora(recipe)
    info = _info(recipe, training)
    require_parts(info.dimension, info.segments, info.sizes.tokens)

    # Before anything is written, since what is wrong with them is a mistake of the recipe.
    weights = loss_weights(info.space, recipe.training.weights)
    begin = _weights_of(recipe.training.begin, info) if recipe.training.begin else None

    def make_task(_: Plan) -> ProposerTask:
        network = _new_proposer(info, training)
        if begin is not None:
            _take(network, begin)
        return ProposerTask(network, recipe.training.noise, weights, HiddenPresets.of(validation), info)

    learned = {"train": training.identity(), "validation": validation.identity()}
    return train_network(recipe, run_folder, training, learned, make_task, progress=progress, stop=stop)


def open_noted_corpora(recipe: ProposerRecipe) -> tuple[NotedPresets, NotedPresets]:
    """What to learn from and what to validate on.

    Raises:
        InvalidInputError: a corpus is not there, unfinished, or there is nothing in those to validate by.
        IncompatibleError: they differ in more than their notes.
    """
    training = NotedPresets.open(recipe.corpus.train, recipe.corpus.block)
    validation = NotedPresets.open(recipe.corpus.validation)
    require_alike(training.corpora[0], validation.corpora[0])
    if not len(validation):
        raise InvalidInputError("corpus.validation: these corpora hold no preset that sounds")
    return training, validation


def segments_of(audio_model: str) -> int:
    """Parts of the clip that the embeddings of an audio model keep apart: 16 for ``mel@16``, one for ``mel``."""
    return segments_kept(audio_model.partition("@")[2])


def loss_weights(space: PresetSpace, weights: Mapping[str, float]) -> Tensor:
    """What each parameter counts in the loss, (free,), by name or group; 1 where nothing is said.

    Raises:
        InvalidInputError: a pattern fits nothing that is free.
    """
    counts = torch.ones(space.size)
    for pattern, weight in weights.items():
        columns = space.columns_matching(pattern)
        if not columns:
            raise InvalidInputError(f"training.weights: {space.name!r} always keeps {pattern!r} at its default")
        counts[columns] = weight
    return counts


def _new_proposer(info: ProposerInfo, training: NotedPresets) -> Proposer:
    network = info.new_network()
    presets, embeddings, _ = training.some(SHOWN)
    network.hearing.fit(torch.from_numpy(embeddings).float())
    network.usual.copy_(torch.from_numpy(network.code.usual(presets)))
    return network


def _weights_of(begin: Path, info: ProposerInfo) -> dict[str, Tensor]:
    """Those of a proposer of the same presets and sounds, which a network of these sizes can take."""
    known, about = load_proposer(begin)
    if (about.space, about.audio_model_identity) != (info.space, info.audio_model_identity):
        raise IncompatibleError(f"{begin}: of other presets, or heard by another audio model, than the corpora")
    weights = known.state_dict()
    del weights["usual"]  # Which values are usual is told by what is learned from now.
    with described(begin), torch.random.fork_rng(devices=[]):
        _take(info.new_network(), weights)
    return weights


def _take(network: Proposer, weights: Mapping[str, Tensor]) -> None:
    """Give a network those weights that it has; where it is wider, they become the first part of its own."""
    own = network.state_dict()
    for name, weight in weights.items():
        if name in own:
            part = own[name][tuple(slice(size) for size in weight.shape)]
            if part.shape != weight.shape:
                raise InvalidInputError(f"{name} is wider ({tuple(weight.shape)}) than here ({tuple(own[name].shape)})")
            part.copy_(weight)


def _info(recipe: ProposerRecipe, training: NotedPresets) -> ProposerInfo:
    setting = training.setting
    return ProposerInfo(
        synth=setting.synth,
        space=setting.space,
        audio_model=setting.audio_model,
        audio_model_identity=setting.audio_model_identity,
        dimension=training.dimension,
        segments=segments_of(setting.audio_model),
        seconds=setting.seconds,
        sizes=recipe.proposer,
        notes=training.notes,
        learned_from=tuple(LearnedFrom.of(corpus.info, None) for corpus in training.corpora),
    )
