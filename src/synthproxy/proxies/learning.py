"""What a run does for a proxy: its loss, its scores and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.checkpoint import load_checkpoint, save_checkpoint
from synthproxy.proxies.evaluation import Protocol, mean_absolute_error, validation_score
from synthproxy.proxies.examples import Examples, Setting, TrainingExamples
from synthproxy.proxies.losses import embedding_loss
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.recipe import Optimisation, TrainingRecipe
from synthproxy.proxies.tokens import to_soft
from synthproxy.proxies.zoo import make_proxy
from synthproxy.training.task import Better

OUTPUTS_SHOWN = 16_384
"""Embeddings that a new proxy is shown, to know where they lie."""


def new_proxy(recipe: TrainingRecipe, training: TrainingExamples) -> Proxy:
    """The proxy before its first step: new, or that of the checkpoint to start from."""
    choice = recipe.proxy
    proxy = make_proxy(choice.name, training.setting.space, training.dimension, **choice.sizes)
    if choice.start_from is None:
        proxy.fit_output(training.first(OUTPUTS_SHOWN).embeddings)
    else:
        start, info = load_checkpoint(choice.start_from)
        info.setting.require_same(training.setting, f"{choice.start_from} and the training corpus")
        if (start.name, dict(start.sizes), start.dimension) != (proxy.name, dict(proxy.sizes), proxy.dimension):
            raise InvalidInputError(f"{choice.start_from}: is a {start.name} of other sizes than the recipe's proxy")
        proxy.load_state_dict(start.state_dict())
    return proxy


@dataclass(frozen=True)
class ProxyTask:
    """A :class:`~synthproxy.training.task.Task`: embeddings of presets are to be told.

    Args:
        network: the proxy.
        options: what is minimised.
        setting: what it stands in for.
        validation: what it is judged by.
    """

    best: ClassVar[Mapping[str, Better]] = {"l1": "lowest", "mrr": "highest"}
    shown: ClassVar[Mapping[str, str]] = {"l1": "L1", "mrr": "MRR"}
    watched: ClassVar[str] = "l1"

    network: Proxy
    options: Optimisation
    setting: Setting
    validation: Examples

    @property
    def name(self) -> str:
        """That of the architecture."""
        return self.network.name

    def move(self, device: torch.device) -> None:
        """Nothing is needed beside the network."""

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], step: int) -> Tensor:  # noqa: ARG002
        """See :class:`~synthproxy.training.task.Task`; a batch is presets and embeddings."""
        presets, embeddings = batch
        predicted = network(to_soft(self.setting.space, presets))
        return embedding_loss(predicted, embeddings, self.options.loss, self.options.ranking)

    def scores(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """L1 and MRR of the validation presets."""
        predicted, true = self.network.embed(self.validation.presets), self.validation.embeddings
        protocol = Protocol(metric="l1" if self.options.loss == "l1" else "l2")
        return {
            "l1": mean_absolute_error(predicted, true),
            "mrr": validation_score(predicted, true, protocol).mrr,
        }

    def save(self, path: Path, metrics: Mapping[str, float]) -> None:
        """Write a checkpoint."""
        save_checkpoint(path, self.network, self.setting, metrics)
