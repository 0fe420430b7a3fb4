"""What a training run is given: a network with its loss and its scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

Better = Literal["lowest", "highest"]


class Task(Protocol):
    """What a run trains, on what, and how it is judged."""

    @property
    def name(self) -> str:
        """What the network is called on the terminal."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    @property
    def best(self) -> Mapping[str, Better]:
        """Scores by which the best checkpoint is kept, and which end of them is the better one."""

    @property
    def shown(self) -> Mapping[str, str]:
        """Scores that a person watching is told, and what they are called."""

    @property
    def watched(self) -> str:
        """The score that the learning rate may depend on; lower is better."""

    def move(self, device: torch.device) -> None:
        """Bring what the loss needs beside the network to a device."""

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], step: int) -> Tensor:
        """What is minimised, a scalar.

        Args:
            network: the network, as Fabric wraps it.
            batch: the columns of a batch, on the device.
            step: steps taken before.
        """

    def scores(self, step: int) -> dict[str, float]:
        """Scores of the network after so many steps."""

    def save(self, path: Path, metrics: Mapping[str, float]) -> None:
        """Write a checkpoint with these metrics."""
