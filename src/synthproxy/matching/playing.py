"""Playing predicted presets and comparing them with their targets, on all cores.

Each worker has one PyTorch thread, so that results do not depend on the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from synthproxy.corpus import Rendering, render_clip
from synthproxy.corpus.generate import worker_count
from synthproxy.errors import FailedRenderError
from synthproxy.matching.distances import SAMPLE_RATE, Comparison, compare
from synthproxy.synths import Note, Synth
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers

Result = TypeVar("Result")


@dataclass(frozen=True)
class Player:
    """Plays presets as a corpus had them: a synth, with the note, length and fade-out of its clips."""

    synth: Synth
    rendering: Rendering

    @property
    def samples(self) -> int:
        """Length of a sound."""
        return round(self.rendering.seconds * SAMPLE_RATE)

    def play(self, presets: Floats, notes: Sequence[Note] | None = None) -> tuple[Floats, int]:
        """Sounds of presets, and how many could not be played: their sounds are silent.

        Args:
            presets: (n, free).
            notes: one for each, if not all are played with the note of the rendering.

        Returns:
            float32, (n, samples), at 32 kHz.
        """
        sounds = np.zeros((len(presets), self.samples), dtype=np.float32)

        def play_one(row: int) -> bool:
            rendering = replace(self.rendering, note=notes[row]) if notes else self.rendering
            try:
                sound = render_clip(self.synth, presets[row], rendering, SAMPLE_RATE)
            except FailedRenderError:
                return False
            if is_finite := bool(np.isfinite(sound).all()):
                sounds[row] = sound
            return is_finite

        return sounds, on_all_cores(play_one, range(len(presets))).count(False)


def comparisons(sounds: Floats, targets: Floats) -> list[Comparison]:
    """What the distances of sounds from their targets, (n, samples) each, are made of."""
    return on_all_cores(compare, sounds, targets)


def on_all_cores(function: Callable[..., Result], *arguments: Sequence[Any] | Floats) -> list[Result]:
    """``map`` over threads, in order, each with one PyTorch thread."""
    with independent_workers(), ThreadPoolExecutor(worker_count(None), thread_name_prefix="scores") as pool:
        return list(pool.map(function, *arguments))


def in_chunks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` that cover so many rows."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
