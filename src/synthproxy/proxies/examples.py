"""What a proxy learns from and is judged by: presets with the embeddings of their sounds, and how these came about."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.synths.base import Note
from synthproxy.synths.space import Floats, PresetSpace

if TYPE_CHECKING:
    from synthproxy.corpus import Corpus, CorpusInfo
    from synthproxy.training.batches import Batches, Columns


@dataclass(frozen=True)
class Setting:
    """Everything that gives a preset its embedding: what a proxy stands in for.

    Args:
        synth: registered name of the synth.
        space: its preset space.
        audio_model: registered name of the audio model.
        audio_model_identity: changes when the audio model's weights or settings change.
        note: the note played.
        seconds: length of the clip that is heard.
    """

    synth: str
    space: PresetSpace
    audio_model: str
    audio_model_identity: str
    note: Note
    seconds: float

    def require_same(self, other: Setting, what: str) -> None:
        """Raise :class:`IncompatibleError`, starting with ``what``, unless the other setting is the same."""
        if self.space.digest != other.space.digest:
            raise IncompatibleError(
                f"{what}: the preset spaces differ ({self.space.name!r} with {self.space.size} free parameters, "
                f"{other.space.name!r} with {other.space.size})"
            )
        for field in ("synth", "audio_model", "audio_model_identity", "note", "seconds"):
            ours, theirs = getattr(self, field), getattr(other, field)
            if ours != theirs:
                raise IncompatibleError(f"{what}: {field.replace('_', ' ')} differs ({ours} and {theirs})")

    @classmethod
    def of(cls, info: CorpusInfo) -> Setting:
        """What made the embeddings of a corpus."""
        return cls(
            synth=info.synth,
            space=info.space,
            audio_model=info.audio_model,
            audio_model_identity=info.audio_model_identity,
            note=info.note,
            seconds=info.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "synth": self.synth,
            "space": self.space.to_dict(),
            "audio_model": self.audio_model,
            "audio_model_identity": self.audio_model_identity,
            "note": {"pitch": self.note.pitch, "velocity": self.note.velocity, "duration": self.note.duration},
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Setting:
        """The inverse of :meth:`to_dict`."""
        return cls(**{**data, "space": PresetSpace.from_dict(data["space"]), "note": Note(**data["note"])})


class TrainingExamples(Protocol):
    """What a run learns from: :class:`Examples` in memory, or
    :class:`~synthproxy.proxies.streaming.StreamedExamples`, which are read while it learns.
    """

    @property
    def setting(self) -> Setting:
        """What made the embeddings."""

    @property
    def dimension(self) -> int:
        """Values per embedding."""

    def __len__(self) -> int: ...

    def first(self, count: int) -> Examples:
        """The first so many of them, in memory."""

    def identity(self) -> dict[str, Any]:
        """What tells them from others, as plain data for JSON."""

    def batches(self, size: int, seed: int) -> AbstractContextManager[Batches]:
        """Batches of ``size`` presets, to be drawn inside the block."""


@dataclass(frozen=True)
class Examples:
    """Presets and the embeddings of their sounds, in memory.

    Args:
        setting: what made the embeddings.
        presets: float32, (n, free).
        embeddings: float32, (n, dimension).
    """

    setting: Setting
    presets: Floats
    embeddings: Floats

    def __post_init__(self) -> None:
        from synthproxy.proxies.tokens import check_presets

        check_presets(self.setting.space, self.presets)
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.presets):
            raise InvalidInputError(
                f"{len(self.presets)} presets need as many embeddings, got an array of {self.embeddings.shape}"
            )
        if not np.isfinite(self.embeddings).all():
            raise InvalidInputError(f"embeddings by {self.setting.audio_model} hold a value that is not finite")

    def __len__(self) -> int:
        return len(self.presets)

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        return int(self.embeddings.shape[1])

    @property
    def columns(self) -> Columns:
        """Presets and embeddings."""
        return self.presets, self.embeddings

    def first(self, count: int) -> Examples:
        """The first so many of them."""
        return Examples(self.setting, self.presets[:count], self.embeddings[:count])

    @classmethod
    def from_corpus(cls, corpus: Corpus, rows: NDArray[np.bool_] | None = None) -> Examples:
        """All of a corpus, or the items in these rows of its arrays, (size,), in memory."""
        chosen = slice(None) if rows is None else rows[corpus.counting()]
        return cls(Setting.of(corpus.info), corpus.presets()[chosen], corpus.embeddings()[chosen])

    def identity(self) -> dict[str, Any]:
        """What tells corpora apart without reading them twice: the setting, the size, and the sums of the values."""
        return {
            "setting": self.setting.to_dict(),
            "size": len(self),
            "presets_sum": float(self.presets.sum(dtype="float64")),
            "embeddings_sum": float(self.embeddings.sum(dtype="float64")),
        }

    def batches(self, size: int, seed: int) -> AbstractContextManager[Batches]:
        """Batches of so many presets, in an order of all of them that ``seed`` and the epoch decide."""
        from synthproxy.training.batches import BatchesInMemory

        return nullcontext(BatchesInMemory(self, size, seed))
