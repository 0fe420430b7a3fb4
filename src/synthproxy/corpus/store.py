"""Corpora on disk: presets, embeddings and, if asked for, audio or levels of mel bands, in a Zarr group.

Items are written in *shards*: one shard is one unit of work and one atomic write per array. A shard counts once its
entry in ``done`` is set, which is written last; whatever else a killed process left behind is written over.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
import zarr
import zarr.errors
from numpy.typing import NDArray

from synthproxy import __version__
from synthproxy.audio.base import AudioModel
from synthproxy.corpus.rendering import Rendering, repeatability
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.files import make_folder
from synthproxy.synths import Note, PresetSpace, Synth
from synthproxy.synths.base import Repeatability
from synthproxy.synths.space import Floats

SHARD = 512
"""Items of a shard. A multiple of every batch size, so that batches are the same however a corpus is split."""

_CHUNK = 32  # Rows that are read at once; a shard is one file of many chunks.
_ATTRIBUTE = "synthproxy"
_TEXT_WIDTH = 96
_FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class CorpusInfo:
    """What a corpus is made of; two corpora with equal info hold equal items.

    Args:
        synth: registered name of the synth, and ``space`` its preset space.
        audio_model: name of the audio model; ``audio_model_identity`` changes with its weights.
        dimension: of the embeddings.
        sample_rate: of the clips, in Hz.
        rendering: note, length, fade-out and gate of the clips.
        seed, first, size: items ``first`` to ``first + size`` of the endless corpus with this seed; for hand-crafted
            presets ``size`` counts those that were given, silent ones included.
        kind: ``synthetic`` or ``hand-crafted``.
        keeps_audio, keeps_levels: whether the clips are stored, and what an estimator sees of them.
        repeatability: of a synth that may not repeat: its mode, by what means it was made to repeat, and how well.
    """

    synth: str
    space: PresetSpace
    audio_model: str
    audio_model_identity: str
    dimension: int
    sample_rate: int
    size: int
    rendering: Rendering = field(default_factory=Rendering)
    seed: int = 0
    first: int = 0
    kind: str = "synthetic"
    keeps_audio: bool = False
    keeps_levels: bool = False
    source_digest: str = ""
    repeatability: Repeatability | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InvalidInputError(f"a corpus has at least one item, got a size of {self.size}")
        if self.seed < 0:
            raise InvalidInputError(f"a seed must not be negative, got {self.seed}")
        if self.first < 0 or self.first % SHARD:
            raise InvalidInputError(f"a range must start at a multiple of {SHARD}, got {self.first}")

    @classmethod
    def of(cls, synth: Synth, audio_model: AudioModel, *, size: int, **others: Any) -> CorpusInfo:
        """What a corpus is made of whose presets this synth plays, and whose sounds this audio model hears."""
        return cls(
            synth=synth.name,
            space=synth.space,
            audio_model=audio_model.name,
            audio_model_identity=audio_model.identity,
            dimension=audio_model.dimension,
            sample_rate=audio_model.sample_rate,
            size=size,
            repeatability=repeatability(synth),
            **others,
        )

    @property
    def note(self) -> Note:
        """The note that every preset is played with."""
        return self.rendering.note

    @property
    def seconds(self) -> float:
        """Length of the clips."""
        return self.rendering.seconds

    @property
    def shards(self) -> int:
        """Number of shards, the last one possibly short."""
        return -(-self.size // SHARD)

    def rows(self, shard: int) -> range:
        """Rows of a shard within the arrays."""
        return range(shard * SHARD, min((shard + 1) * SHARD, self.size))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "space": self.space.to_dict()} | {
            "rendering": asdict(self.rendering),
            "repeatability": asdict(self.repeatability) if self.repeatability else None,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CorpusInfo:
        """The inverse of :meth:`to_dict`."""
        rendering = Rendering(**{**data["rendering"], "note": Note(**data["rendering"]["note"])})
        repeats = Repeatability(**data["repeatability"]) if data.get("repeatability") else None
        space = PresetSpace.from_dict(data["space"])
        return cls(**{**data, "space": space, "rendering": rendering, "repeatability": repeats})

    def differences(self, other: CorpusInfo, *, ignoring: Sequence[str] = ("version",)) -> list[str]:
        """Names of the fields in which two corpora differ."""
        names = [f.name for f in fields(self) if f.name not in ignoring]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


@dataclass(frozen=True)
class Shard:
    """The items of one shard; every array has one row per item. ``levels`` is float16, (n, bands, frames)."""

    presets: Floats
    embeddings: Floats
    attempts: NDArray[np.uint16]
    audio: Floats | None = None
    names: Sequence[str] = ()
    origins: Sequence[str] = ()
    levels: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class Failure:
    """A preset that could not be played: the item it was for, and the reason, which names the preset."""

    item: int
    reason: str


class Corpus:
    """A corpus that can be read and, shard by shard, completed. Rows of silent hand-crafted presets are left out."""

    def __init__(self, path: Path, group: zarr.Group, info: CorpusInfo) -> None:
        self.path, self.info, self._group = path, info, group

    @classmethod
    def open(cls, path: Path, *, partial: bool = False) -> Corpus:
        """Open a finished corpus; with ``partial``, also one that is still being made (its finished shards count)."""
        corpus = cls._open(path)
        missing = len(corpus.missing_shards())
        if missing and not partial:
            raise InvalidInputError(
                f"{path}: unfinished, {missing} of {corpus.info.shards} shards are missing; "
                "run the command that makes it again"
            )
        return corpus

    @classmethod
    def _open(cls, path: Path, mode: Literal["r", "r+"] = "r") -> Corpus:
        try:
            group = zarr.open_group(path, mode=mode)
            info = CorpusInfo.from_dict(dict(group.attrs[_ATTRIBUTE]))  # type: ignore[arg-type]
        except (FileNotFoundError, zarr.errors.GroupNotFoundError) as error:
            raise InvalidInputError(f"{path}: there is no corpus") from error
        except OSError as error:
            raise InvalidInputError(f"{path}: not a corpus ({error.strerror or error})") from error
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(f"{path}: not a corpus, or damaged ({error})") from error
        return cls(path, group, info)

    @classmethod
    def create(cls, path: Path, info: CorpusInfo) -> Corpus:
        """Make an empty corpus, or open the one begun there with the same settings.

        Raises:
            IncompatibleError: there is a corpus of other settings.
            InvalidInputError: the folder holds something else, or cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            begun = cls._open(path, "r+")
            differing = begun.info.differences(info)
            if differing:
                raise IncompatibleError(
                    f"{path}: there is a corpus with another {', '.join(differing)}; choose another folder"
                )
            return begun
        # Laying out takes several writes: done beside, and renamed once it is whole.
        beside = path.with_name(f".{path.name}.{uuid4().hex[:12]}")
        make_folder(path.parent)
        try:
            cls._lay_out(beside, info)
            beside.replace(path)
        except OSError as error:
            raise InvalidInputError(f"{path}: cannot be written ({error.strerror or error})") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return cls._open(path, "r+")

    @classmethod
    def _lay_out(cls, path: Path, info: CorpusInfo) -> None:
        widths: dict[str, tuple[tuple[int, ...], str]] = {
            "presets": ((info.space.size,), "float32"),
            "embeddings": ((info.dimension,), "float32"),
            "attempts": ((), "uint16"),
        }
        if info.keeps_audio:
            widths["audio"] = ((round(info.seconds * info.sample_rate),), "float32")
        if info.keeps_levels:
            from synthproxy.audio.levels import levels_shape

            widths["levels"] = (levels_shape(info.seconds), "float16")
        if info.kind == "hand-crafted":
            widths |= {"names": ((_TEXT_WIDTH,), "uint8"), "origins": ((_TEXT_WIDTH,), "uint8")}
        group = zarr.open_group(path, mode="w-")
        for name, (width, kind) in widths.items():
            group.create_array(
                name, shape=(info.size, *width), shards=(SHARD, *width), chunks=(_CHUNK, *width), dtype=kind
            )
        group.create_array("done", shape=(info.shards,), chunks=(1,), dtype="uint8", fill_value=0)
        group.attrs[_ATTRIBUTE] = info.to_dict()

    # Shards

    def missing_shards(self) -> list[int]:
        """Shards that are still to be made."""
        done = np.asarray(self._group["done"][:])  # type: ignore[index]
        return [int(i) for i in np.nonzero(done == 0)[0]]

    def write_shard(self, number: int, shard: Shard) -> None:
        """Store a whole shard and then mark it as done; safe from several threads and machines at once."""
        rows = self.info.rows(number)
        columns: dict[str, Any] = {
            "presets": shard.presets,
            "embeddings": shard.embeddings,
            "attempts": shard.attempts,
            "audio": shard.audio,
            "levels": shard.levels,
            "names": _to_bytes(shard.names) if shard.names else None,
            "origins": _to_bytes(shard.origins) if shard.origins else None,
        }
        try:
            for name, values in columns.items():
                if values is not None and name in self._group:
                    self._array(name)[rows.start : rows.stop] = values
            self._array("done")[number] = 1
        except OSError as error:
            raise InvalidInputError(f"{self.path}: cannot be written ({error.strerror or error})") from error

    def shards(self) -> Iterator[tuple[int, Shard]]:
        """The finished shards as they are stored, one at a time."""
        missing = set(self.missing_shards())
        for number in range(self.info.shards):
            if number in missing:
                continue
            rows = slice(number * SHARD, (number + 1) * SHARD)
            stored = {name: np.asarray(self._array(name)[rows]) for name in _STORED if name in self._group}
            yield (
                number,
                Shard(
                    stored["presets"],
                    stored["embeddings"],
                    stored["attempts"],
                    stored.get("audio"),
                    _to_text(stored["names"]) if "names" in stored else (),
                    _to_text(stored["origins"]) if "origins" in stored else (),
                    stored.get("levels"),
                ),
            )

    def read_shard(self, number: int, counting: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Presets (n, free) and embeddings (n, dimension) of the items of one shard; see :meth:`read_columns`."""
        presets, embeddings = self.read_columns(number, counting, ("presets", "embeddings"))
        return presets, embeddings

    def read_columns(self, number: int, counting: NDArray[np.bool_], names: Sequence[str]) -> tuple[NDArray[Any], ...]:
        """Some arrays of the items of one shard, nothing else being read.

        Args:
            number: of the shard.
            counting: what :meth:`counting` told, or some of these rows only.
            names: of the arrays: ``presets``, ``embeddings``, ``levels``, …

        Raises:
            InvalidInputError: the shard is damaged, or the corpus holds no such array.
        """
        if "levels" in names:
            self.require_levels()
        rows = self.info.rows(number)
        chosen = counting[rows.start : rows.stop]
        try:
            stored = tuple(np.asarray(self._array(name)[rows.start : rows.stop]) for name in names)
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidInputError(
                f"{self.path}: shard {number} cannot be read ({error}); make the corpus again"
            ) from error
        return stored if chosen.all() else tuple(column[chosen] for column in stored)

    def require_levels(self) -> None:
        """Raise :class:`InvalidInputError` unless levels of mel bands are stored."""
        if "levels" not in self._group:
            raise InvalidInputError(f"{self.path}: this corpus holds no levels; make it with --keep-levels")

    # What went wrong

    def note_failures(self, failures: Sequence[Failure]) -> None:
        """Add to the list of presets that could not be played."""
        if failures:
            with (self.path / _FAILURES).open("a", encoding="utf8") as file:
                file.write("".join(json.dumps(asdict(failure)) + "\n" for failure in failures))

    def failures(self) -> list[Failure]:
        """Presets that could not be played, each once, in the order of the items."""
        file = self.path / _FAILURES
        lines = file.read_text(encoding="utf8").splitlines() if file.exists() else []
        return sorted({Failure(**json.loads(line)) for line in lines}, key=lambda f: (f.item, f.reason))

    # Items

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def _rows(self) -> NDArray[np.int64]:
        return np.nonzero(self.counting())[0]

    def counting(self) -> NDArray[np.bool_]:
        """Which rows of the arrays are items, (size,): those of finished shards that are not silent."""
        done = np.repeat(np.asarray(self._array("done")[:]) == 1, SHARD)[: self.info.size]
        # Only presets that were given may be silent; drawn ones are not, which saves reading as many numbers.
        return done & (np.asarray(self._array("attempts")[:]) > 0) if self.info.kind == "hand-crafted" else done

    def presets(self) -> Floats:
        """All preset vectors, (n, free)."""
        return np.asarray(self._column("presets"), dtype=np.float32)

    def embeddings(self) -> Floats:
        """All embeddings, (n, dimension)."""
        return np.asarray(self._column("embeddings"), dtype=np.float32)

    def attempts(self) -> NDArray[np.uint16]:
        """How many draws each preset took, (n,); 1 for hand-crafted ones."""
        return np.asarray(self._column("attempts"), dtype=np.uint16)

    def audio(self, item: int) -> Floats:
        """The stored clip of one item, (samples,)."""
        if "audio" not in self._group:
            raise InvalidInputError(f"{self.path}: this corpus holds no audio; make it with --keep-audio")
        return np.asarray(self._array("audio")[int(self._rows[item])])

    def names(self) -> list[str]:
        """Names of hand-crafted presets; empty for synthetic ones."""
        return _to_text(self._column("names")) if "names" in self._group else []

    def origins(self) -> list[str]:
        """Where hand-crafted presets come from: the file and the place in it."""
        return _to_text(self._column("origins")) if "origins" in self._group else []

    def _array(self, name: str) -> Any:
        return self._group[name]

    def _column(self, name: str) -> Any:
        everything = np.asarray(self._array(name)[:])
        rows = self._rows
        return everything if len(rows) == len(everything) else everything[rows]


_STORED = ("presets", "embeddings", "attempts", "audio", "levels", "names", "origins")


def _to_bytes(texts: Sequence[str]) -> NDArray[np.uint8]:
    rows = np.zeros((len(texts), _TEXT_WIDTH), dtype=np.uint8)
    for row, text in zip(rows, texts, strict=True):
        # Undecodable bytes of a file name become question marks; cut between characters, not inside one.
        encoded = text.encode("utf8", errors="replace")[:_TEXT_WIDTH].decode("utf8", errors="ignore").encode("utf8")
        row[: len(encoded)] = np.frombuffer(encoded, dtype=np.uint8)
    return rows


def _to_text(rows: NDArray[np.uint8]) -> list[str]:
    return [row.tobytes().rstrip(b"\0").decode("utf8") for row in rows]


def merge_corpora(parts: Sequence[Path], path: Path) -> Corpus:
    """Join the ranges of one corpus, made apart, into a whole; can be resumed.

    Raises:
        IncompatibleError: the parts differ in more than their range, or their ranges do not follow each other.
    """
    opened = sorted((Corpus.open(part) for part in parts), key=lambda corpus: corpus.info.first)
    if not opened:
        raise InvalidInputError("no corpora to merge")
    head = opened[0].info
    end = head.first
    for part in opened:
        differing = head.differences(part.info, ignoring=("first", "size", "version"))
        if differing or head.kind != "synthetic":
            raise IncompatibleError(f"{part.path}: does not belong with {opened[0].path}; differs in {differing}")
        if part.info.first != end:
            raise IncompatibleError(f"{part.path}: starts at item {part.info.first}, expected {end}")
        end += part.info.size
    whole = Corpus.create(path, replace(head, size=end - head.first))
    missing = set(whole.missing_shards())
    for part in opened:
        offset = (part.info.first - head.first) // SHARD
        for number, shard in part.shards():
            if offset + number in missing:
                whole.write_shard(offset + number, shard)
    return whole
