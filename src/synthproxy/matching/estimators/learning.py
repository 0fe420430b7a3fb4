"""What a run does for an estimator: its losses, its scores, which take rendering, and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from synthproxy.matching.distances import Distances
from synthproxy.matching.estimators.checkpoint import EstimatorInfo, save_estimator
from synthproxy.matching.estimators.decoding import hard_presets
from synthproxy.matching.estimators.heard import HeardPresets, PresetsInMemory
from synthproxy.matching.estimators.losses import ParameterLoss, PerceptualLoss
from synthproxy.matching.estimators.network import Estimator
from synthproxy.matching.estimators.parameter_scores import parameter_scores
from synthproxy.matching.estimators.schedules import LossSchedule
from synthproxy.matching.playing import Player, comparisons, in_chunks
from synthproxy.matching.scores import PUBLISHED_BATCH, distances_in_batches
from synthproxy.synths.space import Floats
from synthproxy.training.task import Better

VALIDATION_BATCH = 128
SOUNDS_AT_ONCE = 2 * PUBLISHED_BATCH


@dataclass(frozen=True)
class Losses:
    """What an estimator minimises.

    Args:
        schedule: weights of the two losses over the steps.
        total_steps: of the whole training.
        parameter: how far its outputs are from the presets.
        perceptual: how far the predicted presets' sounds are from the targets, as a proxy hears them; None without one.
    """

    schedule: LossSchedule
    total_steps: int
    parameter: ParameterLoss
    perceptual: PerceptualLoss | None


@dataclass(frozen=True)
class EstimatorTask:
    """A :class:`~synthproxy.training.task.Task`: presets are to be told from levels.

    Args:
        network: the estimator.
        losses: what it minimises.
        validation: what it is judged by.
        player: plays predicted presets.
        rendered: so many of the validation presets are played, evenly spread over them.
        info: what its checkpoints say of it.
    """

    best: ClassVar[Mapping[str, Better]] = {"loss": "lowest", "a_mean": "lowest"}
    shown: ClassVar[Mapping[str, str]] = {"loss": "loss", "a_mean": "a_mean"}
    watched: ClassVar[str] = "a_mean"

    network: Estimator
    losses: Losses
    validation: HeardPresets | PresetsInMemory
    player: Player
    rendered: int
    info: EstimatorInfo

    @property
    def name(self) -> str:
        """What it is."""
        return "estimator"

    def move(self, device: torch.device) -> None:
        """Bring the proxy to the device."""
        if self.losses.perceptual is not None:
            self.losses.perceptual.to(device)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], step: int) -> Tensor:
        """See :class:`~synthproxy.training.task.Task`; a batch is presets, embeddings and levels."""
        presets, embeddings, levels = batch
        outputs = network(levels.float())
        losses, weights = self.losses, self.losses.schedule.weights(step, self.losses.total_steps)
        loss: Tensor = weights.parameter * losses.parameter(outputs, presets).total
        if losses.perceptual is not None and weights.perceptual > 0:
            loss = loss + weights.perceptual * losses.perceptual(outputs, embeddings)
        return loss

    def scores(self, step: int) -> dict[str, float]:
        """Losses over all validation presets, and distances of those that are played.

        ``loss`` weighs the two losses as the last step does, so that validations compare.
        """
        losses, predicted, true = self._judge()
        at_end = self.losses.schedule.weights(self.losses.total_steps, self.losses.total_steps)
        now = self.losses.schedule.weights(step, self.losses.total_steps)
        total = at_end.parameter * losses["parameter_loss"] + at_end.perceptual * losses.get("perceptual_loss", 0.0)
        parameters = parameter_scores(self.network.space, predicted, true)
        accuracies = {
            "numerical_error": parameters.numerical_error,
            "binary_accuracy": parameters.binary_accuracy,
            "categorical_accuracy": parameters.categorical_accuracy,
        }
        return {
            "loss": total,
            **losses,
            **self._distances(predicted, true),
            **{name: score for name, score in accuracies.items() if score is not None},
            "parameter_weight": now.parameter,
            "perceptual_weight": now.perceptual,
        }

    def save(self, path: Path, metrics: Mapping[str, float]) -> None:
        """Write a checkpoint."""
        save_estimator(path, self.network, replace(self.info, metrics=metrics))

    def _judge(self) -> tuple[dict[str, float], Floats, Floats]:
        """Mean losses of the validation presets, their predictions and themselves."""
        network, device = self.network.eval(), self.network.bounds.device
        sums: dict[str, float] = {}
        predicted, true = [], []
        with torch.no_grad():
            for presets, embeddings, levels in self.validation.in_order(VALIDATION_BATCH):
                outputs = network(torch.from_numpy(levels).to(device).float())
                wanted, heard = (torch.from_numpy(values).to(device) for values in (presets, embeddings))
                for name, loss in self._losses(outputs, wanted, heard).items():
                    sums[name] = sums.get(name, 0.0) + float(loss) * len(presets)
                predicted.append(hard_presets(network.space, outputs))
                true.append(presets)
        means = {name: total / len(self.validation) for name, total in sums.items()}
        return means, np.concatenate(predicted), np.concatenate(true)

    def _losses(self, outputs: Tensor, presets: Tensor, embeddings: Tensor) -> dict[str, Tensor]:
        terms = self.losses.parameter(outputs, presets)
        found = {
            "parameter_loss": terms.total,
            "numerical_loss": terms.numerical,
            "binary_loss": terms.binary,
            "categorical_loss": terms.categorical,
        }
        if self.losses.perceptual is not None:
            found["perceptual_loss"] = self.losses.perceptual(outputs, embeddings)
        return found

    def _distances(self, predicted: Floats, true: Floats) -> dict[str, float]:
        """Distances of played predictions from their targets: means of those of each clip, and in published form."""
        rows = np.linspace(0, len(true) - 1, min(self.rendered, len(true))).round().astype(np.int64)
        pairs = []
        for part in in_chunks(len(rows), SOUNDS_AT_ONCE):
            sounds, _ = self.player.play(predicted[rows[part]])
            targets, _ = self.player.play(true[rows[part]])
            pairs += comparisons(sounds, targets)
        each = [Distances.of([pair]).to_dict() for pair in pairs]
        means = {name: float(np.mean([distances[name] for distances in each])) for name in each[0]}
        return {**means, "a_mean_in_batches": distances_in_batches(pairs).a_mean}
