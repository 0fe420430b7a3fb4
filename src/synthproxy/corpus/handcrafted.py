"""Importing presets that people made: brought onto the space's grid, without duplicates and silent ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthproxy.corpus.generate import (
    Progress,
    StoppedError,
    batches,
    complete,
    embed_batch,
    join,
    with_sounds,
    worker_count,
)
from synthproxy.corpus.rendering import Rendering, is_audible, may_be_audible, render_clip
from synthproxy.corpus.store import Corpus, CorpusInfo, Failure, Shard
from synthproxy.errors import FailedRenderError, InvalidInputError
from synthproxy.synths import NamedPreset, Note, Synth
from synthproxy.synths.base import ReadsMoreForms
from synthproxy.synths.readable import load_presets
from synthproxy.synths.space import Floats

if TYPE_CHECKING:
    from synthproxy.audio.base import AudioModel


@dataclass(frozen=True)
class ImportResult:
    """How many presets were found, were duplicates or silent, are in the corpus, or could not be played."""

    found: int
    duplicates: int
    silent: int
    kept: int
    failed: int = 0


def collect_presets(paths: Sequence[Path], synth: Synth, note: Note) -> list[NamedPreset]:
    """The presets of files, and of all the synth's own preset files in folders, in a fixed order.

    Raises:
        InvalidInputError: a path does not exist, a folder holds no preset file, or a file cannot be read.
    """
    files: list[Path] = []
    endings = synth.suffixes if isinstance(synth, ReadsMoreForms) else (synth.suffix,)
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.name.lower().endswith(endings) and p.is_file())
            if not inside:
                raise InvalidInputError(f"{path}: no {' or '.join(endings)} file in this folder")
            files += inside
        else:
            files.append(path)
    return [preset for file in files for preset in load_presets(synth, file, note)]


def preset_vectors(paths: Sequence[Path], synth: Synth, note: Note) -> Floats:
    """The presets of :func:`collect_presets` as vectors, each once: (n, free)."""
    return np.stack([preset.vector for preset in without_duplicates(collect_presets(paths, synth, note))])


def without_duplicates(presets: Sequence[NamedPreset]) -> list[NamedPreset]:
    """The presets whose vector did not occur before."""
    seen: dict[bytes, NamedPreset] = {}
    for preset in presets:
        seen.setdefault(preset.vector.tobytes(), preset)
    return list(seen.values())


def import_presets(
    path: Path,
    files: Sequence[Path],
    synth: Synth,
    audio_model: AudioModel,
    *,
    rendering: Rendering | None = None,
    keep_audio: bool = False,
    keep_levels: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Make a corpus of hand-crafted presets, or complete the one that was begun at ``path``.

    Numerical values are clipped to the space's intervals, all values snapped to its grids, and held parameters left
    at their defaults; duplicates and presets outside the loudness gate are dropped; names and origins are kept.
    """
    worker_count(workers)
    settings = rendering or Rendering()
    found = collect_presets(files, synth, settings.note)
    presets = without_duplicates(found)
    info = CorpusInfo.of(
        synth,
        audio_model,
        size=len(presets),
        rendering=settings,
        kind="hand-crafted",
        keeps_audio=keep_audio,
        keeps_levels=keep_levels,
        source_digest=hashlib.sha256(b"".join(p.vector.tobytes() for p in presets)).hexdigest(),
    )
    corpus = Corpus.create(path, info)

    def make(number: int, stop: threading.Event) -> Shard:
        parts = []
        for rows in batches(info.rows(number)):
            if stop.is_set():
                raise StoppedError
            shard, failures = _import_batch(presets[rows.start : rows.stop], synth, audio_model, info)
            corpus.note_failures([replace(failure, item=rows.start + failure.item) for failure in failures])
            parts.append(shard)
        return join(parts)

    complete(corpus, make, workers=workers, progress=progress)
    kept = len(corpus)
    failed = len(corpus.failures())
    return ImportResult(len(found), len(found) - len(presets), len(presets) - kept - failed, kept, failed)


def _import_batch(
    presets: Sequence[NamedPreset], synth: Synth, audio_model: AudioModel, info: CorpusInfo
) -> tuple[Shard, list[Failure]]:
    """A part of a shard, and which of its presets could not be played."""
    vectors = np.stack([p.vector for p in presets])
    audio = np.zeros((len(presets), round(info.seconds * info.sample_rate)), dtype=np.float32)
    audible = np.zeros(len(presets), dtype=np.uint16)
    failures = []
    for i in np.nonzero(may_be_audible(synth, vectors, info.rendering, info.sample_rate))[0].tolist():
        try:
            audio[i] = render_clip(synth, vectors[i], info.rendering, info.sample_rate)
        except FailedRenderError as error:
            failures.append(Failure(i, f"{presets[i].name} ({presets[i].origin}): {error}"))
            continue
        audible[i] = is_audible(audio[i], info.rendering)
    shard = Shard(
        vectors,
        embed_batch(audio_model, np.where(audible[:, None] > 0, audio, np.float32(0))),
        audible,
        names=[p.name for p in presets],
        origins=[p.origin for p in presets],
    )
    return with_sounds(shard, audio, info), failures
