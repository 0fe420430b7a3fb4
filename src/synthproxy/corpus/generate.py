"""Making a corpus: drawing, rendering and embedding on all cores, resumable at any moment.

Each worker thread makes whole shards by itself, from drawing to writing: the engine and PyTorch release the
interpreter lock, so rendering in one thread overlaps with embedding in another, and nothing is handed over.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus.rendering import Rendering
from synthproxy.corpus.sampling import draw_audible
from synthproxy.corpus.sources import NearSource, UniformSource
from synthproxy.corpus.store import Corpus, CorpusInfo, Shard
from synthproxy.errors import InvalidInputError
from synthproxy.synths import Synth
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers

if TYPE_CHECKING:
    from synthproxy.audio.base import AudioModel

BATCH = 32
"""Clips embedded at once. Fixed, and short batches are filled up: an embedding must not depend on its company."""

Progress = Callable[[int, int], None]
"""Called with the number of items done and the number of all."""

MakeShard = Callable[[int, threading.Event], Shard]


class StoppedError(Exception):
    """A worker was asked to give up its shard."""


@dataclass(frozen=True)
class GenerationResult:
    """What a run made.

    Args:
        size, made: items of the whole corpus, and items made now.
        draws_per_preset: how many presets were drawn per audible one.
        failed: draws that the synth could not play, over all runs; the corpus lists them with their reasons.
    """

    size: int
    made: int
    draws_per_preset: float
    failed: int = 0


def generate(
    path: Path,
    synth: Synth,
    audio_model: AudioModel,
    *,
    size: int,
    seed: int = 0,
    first: int = 0,
    near: Floats | None = None,
    exchange: bool = False,
    rendering: Rendering | None = None,
    keep_audio: bool = False,
    keep_levels: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> GenerationResult:
    """Make a corpus of synthetic presets, or complete the one that was begun at ``path``.

    Args:
        size, seed, first: items ``first`` to ``first + size`` of the endless corpus with this seed.
        near: presets of the synth, (n, free), to draw near to; without them draws are uniform.
        exchange: see :class:`~synthproxy.corpus.sources.NearSource`.
        keep_audio, keep_levels: store the clips as well, and what an estimator sees of them.
        workers: threads; all cores by default. The result does not depend on it.
        progress: see :data:`Progress`.

    Raises:
        InvalidInputError: ``exchange`` without presets to draw near to.
        IncompatibleError: a corpus of other settings is there.
        KeyboardInterrupt: finished shards are kept; the same call continues.
    """
    worker_count(workers)
    if exchange and near is None:
        raise InvalidInputError("--exchange: says what becomes of the values of presets; give those with --near")
    source = UniformSource(synth.space) if near is None else NearSource(synth.space, near, exchange)
    info = CorpusInfo.of(
        synth,
        audio_model,
        size=size,
        rendering=rendering or Rendering(),
        seed=seed,
        first=first,
        keeps_audio=keep_audio,
        keeps_levels=keep_levels,
        source_digest=source.digest,
    )
    corpus = Corpus.create(path, info)

    def make(number: int, stop: threading.Event) -> Shard:
        parts = []
        for rows in batches(info.rows(number)):
            if stop.is_set():
                raise StoppedError
            items = [first + row for row in rows]
            draws = draw_audible(synth, info.rendering, info.sample_rate, seed, items, source)
            corpus.note_failures(draws.failures)
            heard = Shard(draws.presets, embed_batch(audio_model, draws.audio), draws.attempts)
            parts.append(with_sounds(heard, draws.audio, info))
        return join(parts)

    made = complete(corpus, make, workers=workers, progress=progress)
    return GenerationResult(size, made, float(corpus.attempts().mean()), len(corpus.failures()))


def embed_batch(audio_model: AudioModel, audio: Floats) -> Floats:
    """Embeddings of at most ``BATCH`` clips, (n, samples) to (n, dimension), always computed as a full batch."""
    import torch

    with torch.inference_mode():
        embeddings = audio_model.embed(torch.from_numpy(_full(audio))).numpy()
    return np.asarray(embeddings[: len(audio)], dtype=np.float32)


def levels_batch(audio: Floats, sample_rate: int, seconds: float) -> NDArray[np.float16]:
    """Levels of at most ``BATCH`` clips, (n, samples) to (n, bands, frames), always computed as a full batch."""
    from synthproxy.audio.levels import clip_levels

    return clip_levels(_full(audio), sample_rate, seconds)[: len(audio)]


def _full(audio: Floats) -> Floats:
    """A batch filled up with silence."""
    full = np.zeros((BATCH, audio.shape[1]), dtype=np.float32)
    full[: len(audio)] = audio
    return full


def with_sounds(part: Shard, audio: Floats, info: CorpusInfo) -> Shard:
    """A part of a shard with what the corpus keeps of its sounds, (n, samples)."""
    levels = levels_batch(audio, info.sample_rate, info.seconds) if info.keeps_levels else None
    return replace(part, audio=audio if info.keeps_audio else None, levels=levels)


def join(parts: list[Shard]) -> Shard:
    """One shard of several smaller ones."""
    audio = [part.audio for part in parts if part.audio is not None]
    levels = [part.levels for part in parts if part.levels is not None]
    return Shard(
        np.concatenate([part.presets for part in parts]),
        np.concatenate([part.embeddings for part in parts]),
        np.concatenate([part.attempts for part in parts]),
        np.concatenate(audio) if audio else None,
        [name for part in parts for name in part.names],
        [origin for part in parts for origin in part.origins],
        np.concatenate(levels) if levels else None,
    )


def worker_count(workers: int | None) -> int:
    """The number of threads to use: as many as cores unless given."""
    if workers is not None and workers < 1:
        raise InvalidInputError(f"--workers: at least one is needed, got {workers}")
    return workers or os.cpu_count() or 1


def batches(rows: range) -> Iterator[range]:
    for start in range(rows.start, rows.stop, BATCH):
        yield range(start, min(start + BATCH, rows.stop))


def complete(corpus: Corpus, make: MakeShard, *, workers: int | None = None, progress: Progress | None = None) -> int:
    """Make every missing shard of a corpus and return the number of items made.

    Args:
        make: computes a shard; it is given the shard's number and an event that asks it to stop.
    """
    count = worker_count(workers)
    missing = corpus.missing_shards()
    total = sum(len(corpus.info.rows(number)) for number in missing)
    before = corpus.info.size - total
    made = 0
    stop = threading.Event()

    def work(number: int) -> int:
        corpus.write_shard(number, make(number, stop))
        return len(corpus.info.rows(number))

    with independent_workers(), ThreadPoolExecutor(count, thread_name_prefix="corpus") as pool:
        queue = iter(missing)
        running: set[Future[int]] = set()
        try:
            # Only as many shards as workers are under way, so that memory stays flat and a failure ends the run soon.
            for number in queue:
                running.add(pool.submit(work, number))
                if len(running) == count:
                    made += _collect(running, progress, before + made, corpus.info.size)
            while running:
                made += _collect(running, progress, before + made, corpus.info.size)
        except BaseException:
            stop.set()
            raise
    return made


def _collect(running: set[Future[int]], progress: Progress | None, done_before: int, size: int) -> int:
    """Wait until at least one shard is finished, take the finished out of ``running``, and count their items."""
    while True:
        # A bounded wait lets Ctrl-C through.
        finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        if finished:
            break
    running -= finished
    made = sum(future.result() for future in finished)
    if progress:
        progress(done_before + made, size)
    return made
