"""What a proposer learns from and is validated by: presets of several corpora, each of which has its own note.

Of presets that are known to sound alike it is shown always the same one, since it cannot hear which it was. All of them
lie in memory with embeddings in half precision, or are read in blocks of shards of any of the corpora.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus import Corpus
from synthproxy.corpus.store import SHARD
from synthproxy.errors import InvalidInputError, SynthProxyError
from synthproxy.matching.proposers.codes import PresetCode
from synthproxy.matching.proposers.network import NOTE_VALUES, hide, note_values
from synthproxy.proxies.examples import Setting
from synthproxy.proxies.streaming import items_of_shards, streamed_batches, unread_identity
from synthproxy.synths import Note, get_synth
from synthproxy.synths.base import KnowsAlike
from synthproxy.training.batches import Batches, BatchesInMemory, Columns


@dataclass(frozen=True)
class NotedPresets:
    """Presets with the embeddings of their sounds and the note that each was played with.

    Args:
        corpora: finished ones, which differ in their note only.
        block: about so many presets are in memory at a time, two or three times over; all of them if None.
    """

    corpora: tuple[Corpus, ...]
    block: int | None = None

    @classmethod
    def open(cls, paths: Sequence[Path], block: int | None = None) -> Self:
        """All items of some corpora.

        Raises:
            InvalidInputError: one is not there, or unfinished.
            IncompatibleError: they do not belong together.
        """
        corpora = tuple(Corpus.open(path) for path in paths)
        for corpus in corpora[1:]:
            require_alike(corpora[0], corpus)
        return cls(corpora, block)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._rows))

    @property
    def setting(self) -> Setting:
        """What made the embeddings of the first corpus; those of the others, but for the note."""
        return Setting.of(self.corpora[0].info)

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        return self.corpora[0].info.dimension

    @property
    def notes(self) -> tuple[Note, ...]:
        """That of each corpus."""
        return tuple(corpus.info.note for corpus in self.corpora)

    def identity(self) -> dict[str, Any]:
        """What tells them from others, as plain data for JSON."""
        sizes = [int(np.count_nonzero(rows)) for rows in self._counting]
        each = [unread_identity(corpus, size) for corpus, size in zip(self.corpora, sizes, strict=True)]
        settings = [one.pop("setting") for one in each]  # They differ in the note, which the rest tells too.
        return {"setting": settings[0], "corpora": each}

    def read(self, shards: NDArray[np.int64], count: int) -> Columns:
        """Presets, embeddings (float16) and note values of the ``count`` items in some shards, in their order.

        Presets are canonical ones where the synth knows which sound alike.

        Args:
            shards: numbered through all corpora.

        Raises:
            InvalidInputError: a shard is damaged, or an embedding too large for half precision.
        """
        presets = np.empty((count, self.setting.space.size), dtype=np.float32)
        embeddings = np.empty((count, self.dimension), dtype=np.float16)
        notes = np.empty((count, NOTE_VALUES), dtype=np.float32)
        told, first = note_values(list(self.notes)).numpy(), 0
        for shard in shards.tolist():
            number = int(np.searchsorted(self._starts, shard, side="right")) - 1
            corpus, counting = self.corpora[number], self._counting[number]
            some, heard = corpus.read_shard(shard - int(self._starts[number]), counting)
            some = self._alike.canonical(some) if self._alike else some
            rows = slice(first, first := first + len(some))
            presets[rows], embeddings[rows], notes[rows] = some, _halved(heard, corpus), told[number]
        return presets, embeddings, notes

    def everything(self) -> Columns:
        """:meth:`read` of all of them."""
        return self.read(np.flatnonzero(items_of_shards(self._rows)), len(self))

    def some(self, count: int) -> Columns:
        """:meth:`read` of about ``count``, or all if there are fewer: whole shards, evenly spread over the corpora."""
        items = items_of_shards(self._rows)
        shards = np.flatnonzero(items)
        wanted = min(len(shards), -(-count // SHARD))
        chosen = shards[np.linspace(0, len(shards) - 1, wanted).round().astype(np.int64)]
        return self.read(chosen, int(items[chosen].sum()))

    @contextmanager
    def batches(self, size: int, seed: int) -> Iterator[Batches]:
        """Batches of so many of any corpus, with what is hidden of them; memory is filled inside the block."""
        code = PresetCode(self.setting.space)
        if self.block is None:
            yield HidingBatches(BatchesInMemory(_InMemory(self.everything()), size, seed), code, size, seed)
            return
        with streamed_batches(self.read, self._rows, self.block, size, seed) as drawn:
            yield HidingBatches(drawn, code, size, seed)

    @cached_property
    def _alike(self) -> KnowsAlike | None:
        """The synth, if it is here and knows which of these presets sound alike."""
        try:
            synth = get_synth(self.setting.synth)
        except SynthProxyError:
            return None
        return synth if isinstance(synth, KnowsAlike) and synth.space.digest == self.setting.space.digest else None

    @cached_property
    def _counting(self) -> tuple[NDArray[np.bool_], ...]:
        return tuple(corpus.counting() for corpus in self.corpora)

    @cached_property
    def _rows(self) -> NDArray[np.bool_]:
        """Which rows count, of all corpora filled up to whole shards, one after the other."""
        return np.concatenate([np.pad(rows, (0, -len(rows) % SHARD)) for rows in self._counting])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Number of the first shard of each corpus."""
        shards = [corpus.info.shards for corpus in self.corpora]
        return np.cumsum([0, *shards[:-1]])


def require_alike(corpus: Corpus, other: Corpus) -> None:
    """Raise :class:`IncompatibleError` unless two corpora differ in their note only."""
    ours, theirs = Setting.of(corpus.info), Setting.of(other.info)
    replace(ours, note=theirs.note).require_same(theirs, f"{corpus.path} and {other.path}")


@dataclass(frozen=True)
class HidingBatches:
    """Batches of presets, embeddings and note values, to which the classes and what is known of them are added.

    What is known depends on (seed, epoch, place) alone.

    Args:
        batches: draws presets.
        code: their classes.
        size: presets per batch.
    """

    batches: Batches
    code: PresetCode
    size: int
    seed: int

    def batch(self, epoch: int, place: int, share: slice = slice(None)) -> Columns:
        """See :class:`~synthproxy.training.batches.Batches`."""
        presets, embeddings, notes = self.batches.batch(epoch, place, share)
        # A fourth number keeps this generator apart from those that shuffle.
        known = hide(self.code.space, self.size, np.random.default_rng((self.seed, epoch, place, 1)))[share]
        return presets, embeddings, notes, self.code.classes(presets), known


@dataclass(frozen=True)
class _InMemory:
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns[0])


def _halved(embeddings: NDArray[np.float32], corpus: Corpus) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        halved = embeddings.astype(np.float16)
    if not np.isfinite(halved).all():
        raise InvalidInputError(
            f"{corpus.path}: embeddings by {corpus.info.audio_model} hold values that half precision cannot; take "
            "another audio model, such as mel@16"
        )
    return halved
