"""What a run does for a proposer: its loss, its scores and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthproxy.matching.proposers.checkpoint import ProposerInfo, save_proposer
from synthproxy.matching.proposers.codes import PresetCode
from synthproxy.matching.proposers.network import Proposer, hide
from synthproxy.matching.proposers.noted import NotedPresets
from synthproxy.proxies.tokens import to_soft
from synthproxy.training.batches import Columns
from synthproxy.training.task import Better

VALIDATION_BATCH = 256
VALIDATION_SEED = 0


@dataclass(frozen=True)
class HiddenPresets:
    """Presets with their sounds, of which always the same is hidden.

    Args:
        columns: presets, embeddings, note values, classes and what is known, as in training.
    """

    columns: Columns

    @classmethod
    def of(cls, presets: NotedPresets) -> Self:
        """All of them, in memory."""
        vectors, embeddings, notes = presets.everything()
        space = presets.setting.space
        known = hide(space, len(vectors), np.random.default_rng(VALIDATION_SEED))
        return cls((vectors, embeddings, notes, PresetCode(space).classes(vectors), known))


@dataclass(frozen=True)
class ProposerTask:
    """A :class:`~synthproxy.training.task.Task`: what is hidden of presets is to be told from their sounds.

    Args:
        network: the proposer.
        noise: added to embeddings in training, in deviations of each channel.
        weights: what each parameter counts in the loss, (free,).
        validation: what it is judged by.
        info: what its checkpoints say of it.
    """

    best: ClassVar[Mapping[str, Better]] = {"loss": "lowest", "loss_from_nothing": "lowest"}
    shown: ClassVar[Mapping[str, str]] = {"loss": "loss", "loss_from_nothing": "from nothing"}
    watched: ClassVar[str] = "loss"

    network: Proposer
    noise: float
    weights: Tensor
    validation: HiddenPresets
    info: ProposerInfo

    @property
    def name(self) -> str:
        """What it is."""
        return "proposer"

    def move(self, device: torch.device) -> None:
        """Nothing is needed beside the network."""

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], step: int) -> Tensor:  # noqa: ARG002
        """See :class:`~synthproxy.training.task.Task`; a batch is as
        :class:`~synthproxy.matching.proposers.noted.HidingBatches` draws it.
        """
        presets, embeddings, notes, classes, known = batch
        sounds = self._with_noise(embeddings.float())
        logits = network(sounds, notes, to_soft(self.network.space, presets), known)
        return self.network.mean_missed(logits, classes, known, self.weights.to(logits.device))

    def scores(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Of the validation presets, with a random part hidden and with all of them.

        ``loss`` and ``loss_from_nothing`` are mean cross-entropies, ``accuracy`` and ``accuracy_from_nothing`` how
        often the likeliest class is the right one.
        """
        known = self.validation.columns[-1]
        partly, nothing = self._judge(known), self._judge(np.zeros_like(known))
        return {
            "loss": partly[0],
            "accuracy": partly[1],
            "loss_from_nothing": nothing[0],
            "accuracy_from_nothing": nothing[1],
        }

    def save(self, path: Path, metrics: Mapping[str, float]) -> None:
        """Write a checkpoint."""
        save_proposer(path, self.network, replace(self.info, metrics=metrics))

    def _with_noise(self, sounds: Tensor) -> Tensor:
        if not self.noise:
            return sounds
        deviation = self.network.hearing.standardised.deviation
        return sounds + self.noise * deviation.repeat(sounds.shape[1] // len(deviation)) * torch.randn_like(sounds)

    @torch.no_grad()
    def _judge(self, known: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean cross-entropy and accuracy over all parameters that are not known."""
        network, device = self.network.eval(), self.network.order.device
        missed = right = 0.0
        for start in range(0, len(known), VALIDATION_BATCH):
            rows = slice(start, start + VALIDATION_BATCH)
            columns = (*self.validation.columns[:-1], known)
            presets, embeddings, notes, classes, told = (torch.from_numpy(c[rows]).to(device) for c in columns)
            logits = network(embeddings.float(), notes, to_soft(network.space, presets), told)
            missed += float(network.missed(logits, classes)[~told].double().sum())
            right += float((logits.argmax(dim=2) == classes)[~told].sum())
        asked = max(int((~known).sum()), 1)
        return missed / asked, right / asked
