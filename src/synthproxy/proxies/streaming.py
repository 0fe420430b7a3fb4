"""Examples that stay on disk: a corpus that does not fit into memory is read in blocks while it is learned from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus import Corpus
from synthproxy.corpus.store import SHARD
from synthproxy.proxies.examples import Examples, Setting
from synthproxy.synths.space import Floats


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
    def from_corpus(cls, corpus: Corpus, block: int) -> StreamedExamples:
        """All of a corpus, nothing of which is read yet."""
        return cls(Setting.of(corpus.info), corpus, corpus.counting(), block)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.counting))

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        return self.corpus.info.dimension

    def identity(self) -> dict[str, Any]:
        """What tells corpora apart without reading them: what they are made of, and how many items there are."""
        info = self.corpus.info
        return {
            "setting": self.setting.to_dict(),
            "size": len(self),
            "kind": info.kind,
            "seed": info.seed,
            "first": info.first,
            "items": info.size,
            "source_digest": info.source_digest,
            "rendering": asdict(info.rendering),
            "mode": info.repeatability.mode if info.repeatability else None,
        }

    @contextmanager
    def batches(self, size: int, seed: int) -> Iterator[StreamedBatches]:
        """Batches of so many presets; a thread reads ahead inside the block."""
        reader = ThreadPoolExecutor(1, thread_name_prefix="blocks")
        try:
            yield StreamedBatches(self, size, seed, reader)
        finally:
            reader.shutdown(cancel_futures=True)

    def first(self, count: int) -> Examples:
        """The first so many of them, in memory."""
        ends = np.cumsum(np.add.reduceat(self.counting, np.arange(0, len(self.counting), SHARD), dtype=np.int64))
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

    examples: Examples
    order: NDArray[np.int64]


class StreamedBatches:
    """Batches that run through the blocks of an epoch.

    Two blocks are in memory, the one being learned from and the next, which the only thread of ``reader`` reads
    meanwhile; and a third where one gives way to another.
    """

    def __init__(self, examples: StreamedExamples, size: int, seed: int, reader: ThreadPoolExecutor) -> None:
        self.examples, self.size, self.seed, self._reader = examples, size, seed, reader
        shards = np.arange(0, len(examples.counting), SHARD)
        self._counts = np.add.reduceat(examples.counting, shards, dtype=np.int64)
        self._orders: dict[int, BlockOrder] = {}
        self._reads: dict[tuple[int, int], Future[Block]] = {}

    def batch(self, epoch: int, place: int, share: slice = slice(None)) -> tuple[Floats, Floats]:
        """See :class:`~synthproxy.proxies.batches.Batches`.

        Raises:
            InvalidInputError: a shard is damaged.
        """
        order = self._order(epoch)
        at, end = place * self.size, (place + 1) * self.size
        presets, embeddings = [], []
        while at < end:
            number = order.block_at(at)
            block = self._block(epoch, number)
            rows = block.order[at - order.starts[number] : end - order.starts[number]]
            presets.append(block.examples.presets[rows])
            embeddings.append(block.examples.embeddings[rows])
            at += len(rows)
        return np.concatenate(presets)[share], np.concatenate(embeddings)[share]

    def _order(self, epoch: int) -> BlockOrder:
        if epoch not in self._orders:
            self._orders = {epoch: BlockOrder.of(self._counts, self.examples.block, self.seed, epoch)}
        return self._orders[epoch]

    def _block(self, epoch: int, number: int) -> Block:
        """A block of an epoch; the one that follows is asked for too, and all others are forgotten."""
        is_last = number + 1 == len(self._order(epoch).shards)
        wanted = ((epoch, number), (epoch + 1, 0) if is_last else (epoch, number + 1))
        self._reads = {key: self._reads.get(key) or self._reader.submit(self._read, *key) for key in wanted}
        return self._reads[epoch, number].result()

    def _read(self, epoch: int, number: int) -> Block:
        order = BlockOrder.of(self._counts, self.examples.block, self.seed, epoch)
        count = int(order.starts[number + 1] - order.starts[number])
        # Counted from 1: for a generator (seed, epoch, 0) is the same as (seed, epoch), which orders the shards.
        rows = np.random.default_rng((self.seed, epoch, number + 1)).permutation(count)
        return Block(self.examples.read(order.shards[number], count), rows)
