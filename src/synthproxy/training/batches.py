"""Batches that a run learns from: functions of (seed, epoch, place in the epoch), wherever the examples are."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

Columns = tuple[NDArray[Any], ...]
"""Arrays with a row for each preset: presets (n, free), embeddings (n, dimension), and what else is learned from."""


class Batches(Protocol):
    """Draws batches; the same one whenever it is asked for, cheapest in order."""

    def batch(self, epoch: int, place: int, share: slice = slice(None)) -> Columns:
        """What is known of the presets of a batch of an epoch.

        Args:
            epoch, place: counted from 0; every preset comes once per epoch, but for a last batch that is not full.
            share: the rows of the batch to take, as one of several processes does.
        """


class InMemory(Protocol):
    """Examples that are in memory."""

    @property
    def columns(self) -> Columns:
        """All of them."""

    def __len__(self) -> int: ...


class BatchesInMemory:
    """Batches of one permutation of all examples per epoch."""

    def __init__(self, examples: InMemory, size: int, seed: int) -> None:
        self.examples, self.size, self.seed = examples, size, seed
        self._order, self._ordered_epoch = torch.empty(0, dtype=torch.int64), -1

    def batch(self, epoch: int, place: int, share: slice = slice(None)) -> Columns:
        """See :class:`Batches`."""
        if epoch != self._ordered_epoch:
            self._order, self._ordered_epoch = self._permutation(epoch), epoch
        rows = self._order[place * self.size : (place + 1) * self.size][share].numpy()
        return tuple(column[rows] for column in self.examples.columns)

    def _permutation(self, epoch: int) -> Tensor:
        # One number for (seed, epoch); the factor keeps runs of neighbouring seeds apart.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.examples), generator=generator)
