"""Examples that stay on disk: a corpus that does not fit into memory is read in blocks while it is learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus import Corpus
from synthproxy.corpus.store import SHARD
from synthproxy.proxies.examples import Examples, Setting
from synthproxy.training.batches import Columns

ReadShards = Callable[[NDArray[np.int64], int], Columns]
"""Reads the items of some shards, of which there are so many, in their order."""


@dataclass(frozen=True)
class StreamedExamples:
    """A corpus on disk, to be learned from in blocks.

    In each epoch its shards are taken in another order and gathered into blocks, and the presets of a block shuffled.
    One byte per preset stays in memory beside the blocks.

    Args:
        setting: what made the embeddings.
        corpus: a finished corpus.
        counting: which of its rows are items, (size,).
        block: about so many presets make a block, which consists of whole shards.
    """

    setting: Setting
    corpus: Corpus
    counting: NDArray[np.bool_]
    block: int

    @classmethod
    def from_corpus(cls, corpus: Corpus, block: int, rows: NDArray[np.bool_] | None = None) -> StreamedExamples:
        """All of a corpus, or the items in these rows of its arrays, (size,); nothing is read yet."""
        return cls(Setting.of(corpus.info), corpus, corpus.counting() if rows is None else rows, block)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.counting))

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        return self.corpus.info.dimension

    def identity(self) -> dict[str, Any]:
        """What tells corpora apart without reading them: what they are made of, and how many items there are."""
        return unread_identity(self.corpus, len(self))

    def batches(self, size: int, seed: int) -> AbstractContextManager[StreamedBatches]:
        """Batches of so many presets; a thread reads ahead inside the block."""
        return streamed_batches(lambda *shards: self.read(*shards).columns, self.counting, self.block, size, seed)

    def first(self, count: int) -> Examples:
        """The first so many of them, in memory."""
        ends = np.cumsum(items_of_shards(self.counting))
        shards = min(int(np.searchsorted(ends, count)) + 1, len(ends))
        return self.read(np.arange(shards), int(ends[shards - 1])).first(count)

    def read(self, shards: NDArray[np.int64], count: int) -> Examples:
        """The ``count`` items of some shards, in their order.

        Raises:
            InvalidInputError: a shard is damaged.
        """
        presets = np.empty((count, self.setting.space.size), dtype=np.float32)
        embeddings = np.empty((count, self.dimension), dtype=np.float32)
        first = 0
        for shard in shards.tolist():
            some_presets, some_embeddings = self.corpus.read_shard(shard, self.counting)
            rows = slice(first, first := first + len(some_presets))
            presets[rows], embeddings[rows] = some_presets, some_embeddings
        return Examples(self.setting, presets, embeddings)


def unread_identity(corpus: Corpus, size: int) -> dict[str, Any]:
    """What tells a corpus, of which so many items are used, from others without reading it, as plain data for JSON."""
    info = corpus.info
    return {
        "setting": Setting.of(info).to_dict(),
        "size": size,
        "kind": info.kind,
        "seed": info.seed,
        "first": info.first,
        "items": info.size,
        "source_digest": info.source_digest,
        "rendering": asdict(info.rendering),
        "mode": info.repeatability.mode if info.repeatability else None,
    }


@dataclass(frozen=True)
class BlockOrder:
    """How an epoch falls into blocks.

    Args:
        shards: the shards of each block.
        starts: place in the epoch of the first preset of each block, and of the end of the last, (blocks + 1,).
    """

    shards: tuple[NDArray[np.int64], ...]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, counts: NDArray[np.int64], block: int, seed: int, epoch: int) -> BlockOrder:
        """That of an epoch, for shards with so many items: (shards,)."""
        shards = np.random.default_rng((seed, epoch)).permutation(np.flatnonzero(counts))
        ends = np.cumsum(counts[shards])
        starts = ends - counts[shards]
        firsts = np.flatnonzero(np.diff(starts // block, prepend=-1))
        return cls(tuple(np.split(shards, firsts[1:])), np.append(starts[firsts], ends[-1:]))

    def block_at(self, place: int) -> int:
        """The block that a place in the epoch lies in."""
        return int(np.searchsorted(self.starts, place, side="right")) - 1


@dataclass(frozen=True)
class Block:
    """Examples, and the order in which they are learned from: (n,)."""

    columns: Columns
    order: NDArray[np.int64]


@contextmanager
def streamed_batches(
    read: ReadShards, counting: NDArray[np.bool_], block: int, size: int, seed: int
) -> Iterator[StreamedBatches]:
    """Batches of ``size`` presets in blocks of about ``block``; a thread reads ahead inside the ``with``.

    Args:
        read: reads the items of shards.
        counting: which rows of the corpus are learned from, (size,).
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix="blocks")
    try:
        yield StreamedBatches(read, items_of_shards(counting), block, size, seed, reader)
    finally:
        reader.shutdown(cancel_futures=True)


def items_of_shards(counting: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many rows count in each shard: (size,) to (shards,)."""
    return np.add.reduceat(counting, np.arange(0, len(counting), SHARD), dtype=np.int64)


class StreamedBatches:
    """Batches that run through the blocks of an epoch.

    Two blocks are in memory, the one being learned from and the next, which the only thread of ``reader`` reads
    meanwhile; and a third where one gives way to another.
    """

    def __init__(
        self,
        read: ReadShards,
        counts: NDArray[np.int64],
        block: int,
        size: int,
        seed: int,
        reader: ThreadPoolExecutor,
    ) -> None:
        self.block, self.size, self.seed, self._reader = block, size, seed, reader
        self._read_shards, self._counts = read, counts
        self._orders: dict[int, BlockOrder] = {}
        self._reads: dict[tuple[int, int], Future[Block]] = {}

    def batch(self, epoch: int, place: int, share: slice = slice(None)) -> Columns:
        """See :class:`~synthproxy.training.batches.Batches`.

        Raises:
            InvalidInputError: a shard is damaged.
        """
        order = self._order(epoch)
        at, end = place * self.size, (place + 1) * self.size
        parts: list[Columns] = []
        while at < end:
            number = order.block_at(at)
            block = self._block(epoch, number)
            rows = block.order[at - order.starts[number] : end - order.starts[number]]
            parts.append(tuple(column[rows] for column in block.columns))
            at += len(rows)
        return tuple(np.concatenate(column)[share] for column in zip(*parts, strict=True))

    def _order(self, epoch: int) -> BlockOrder:
        if epoch not in self._orders:
            self._orders = {epoch: BlockOrder.of(self._counts, self.block, self.seed, epoch)}
        return self._orders[epoch]

    def _block(self, epoch: int, number: int) -> Block:
        """A block of an epoch; the one that follows is asked for too, and all others are forgotten."""
        is_last = number + 1 == len(self._order(epoch).shards)
        wanted = ((epoch, number), (epoch + 1, 0) if is_last else (epoch, number + 1))
        self._reads = {key: self._reads.get(key) or self._reader.submit(self._read, *key) for key in wanted}
        return self._reads[epoch, number].result()

    def _read(self, epoch: int, number: int) -> Block:
        order = BlockOrder.of(self._counts, self.block, self.seed, epoch)
        count = int(order.starts[number + 1] - order.starts[number])
        # Counted from 1: for a generator (seed, epoch, 0) is the same as (seed, epoch), which orders the shards.
        rows = np.random.default_rng((self.seed, epoch, number + 1)).permutation(count)
        return Block(self._read_shards(order.shards[number], count), rows)
