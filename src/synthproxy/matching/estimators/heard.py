"""What an estimator learns from and is validated by: a part of a corpus that keeps levels, read in blocks or whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus import Corpus
from synthproxy.proxies.examples import Setting
from synthproxy.proxies.streaming import items_of_shards, streamed_batches, unread_identity
from synthproxy.synths.space import Floats
from synthproxy.training.batches import Batches, BatchesInMemory, Columns

COLUMNS = ("presets", "embeddings", "levels")


@dataclass(frozen=True)
class HeardPresets:
    """Presets with the embeddings of their sounds and the levels that an estimator sees of them.

    Args:
        corpus: a finished one that keeps levels.
        rows: which rows of its arrays these are, (size,).
        block: if there are more than so many, about so many are in memory at a time, two or three times over; all of
            them otherwise, or if None.
    """

    corpus: Corpus
    rows: NDArray[np.bool_]
    block: int | None = None

    def __post_init__(self) -> None:
        self.corpus.require_levels()

    @classmethod
    def all_of(cls, corpus: Corpus, block: int | None = None) -> Self:
        """All items of a corpus."""
        return cls(corpus, corpus.counting(), block)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.rows))

    @property
    def setting(self) -> Setting:
        """What made the embeddings."""
        return Setting.of(self.corpus.info)

    def identity(self) -> dict[str, Any]:
        """What tells them from others, as plain data for JSON."""
        return unread_identity(self.corpus, len(self))

    def presets(self) -> Floats:
        """All preset vectors, (n, free)."""
        return self.corpus.presets()[self.rows[self.corpus.counting()]]

    def read(self, shards: NDArray[np.int64], count: int) -> Columns:
        """Presets, embeddings and levels of the ``count`` items in some shards, in their order.

        Raises:
            InvalidInputError: a shard is damaged.
        """
        whole: Columns = ()
        first = 0
        for shard in shards.tolist():
            columns = self.corpus.read_columns(shard, self.rows, COLUMNS)
            whole = whole or tuple(np.empty((count, *column.shape[1:]), column.dtype) for column in columns)
            rows = slice(first, first := first + len(columns[0]))
            for store, column in zip(whole, columns, strict=True):
                store[rows] = column
        return whole

    def in_order(self, size: int) -> Iterator[Columns]:
        """All of them once, at most ``size`` at a time, a shard in memory at a time."""
        for shard in np.flatnonzero(items_of_shards(self.rows)).tolist():
            columns = self.corpus.read_columns(shard, self.rows, COLUMNS)
            for start in range(0, len(columns[0]), size):
                yield tuple(column[start : start + size] for column in columns)

    def batches(self, size: int, seed: int) -> AbstractContextManager[Batches]:
        """Batches of so many, in an order of all of them that ``seed`` and the epoch decide."""
        if self.block is not None and len(self) > self.block:
            return streamed_batches(self.read, self.rows, self.block, size, seed)
        return nullcontext(BatchesInMemory(self.in_memory(), size, seed))

    def in_memory(self) -> PresetsInMemory:
        """All of them."""
        return PresetsInMemory(self.read(np.flatnonzero(items_of_shards(self.rows)), len(self)))

    def to_reread(self) -> HeardPresets | PresetsInMemory:
        """What is read again and again: in memory, unless there are more than a block."""
        return self if self.block is not None and len(self) > self.block else self.in_memory()


@dataclass(frozen=True)
class PresetsInMemory:
    """Presets, embeddings and levels, all of them at once."""

    columns: Columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def in_order(self, size: int) -> Iterator[Columns]:
        """All of them once, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield tuple(column[start : start + size] for column in self.columns)
