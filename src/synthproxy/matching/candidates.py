"""Candidates for a target, and the bench that renders and scores them on all cores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import FailedRenderError
from synthproxy.matching.distances import SAMPLE_RATE, SearchDistance
from synthproxy.synths import Note, Synth
from synthproxy.synths.space import Floats


@dataclass(frozen=True, eq=False)
class Candidate:
    """A preset with the note to play it, and how near it comes.

    Args:
        preset: (free,).
        origin: where it came from: ``retrieval``, ``random``, ``search``, ``refinement``.
        distance: search distance from the target; infinite until it has been rendered.
        gain: factor that brings its sound to the target's level.
    """

    preset: Floats
    note: Note
    origin: str
    distance: float = float("inf")
    gain: float = 1.0

    @property
    def key(self) -> tuple[bytes, Note]:
        """Equal for candidates that sound alike."""
        return self.preset.tobytes(), self.note


class Bench:
    """Renders candidates and measures their distance from one target, with a thread per core.

    Results come in the order of the candidates, whatever the threads do. Sounds are only kept while they are scored.

    Args:
        target: mono float32 at 32 kHz.
    """

    def __init__(self, synth: Synth, target: NDArray[np.float32], workers: int | None = None) -> None:
        self.synth, self.target = synth, target
        self.seconds = len(target) / SAMPLE_RATE
        self.renders = 0
        self._distance = SearchDistance(target)
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="bench")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def render(self, candidate: Candidate) -> NDArray[np.float32]:
        """The sound of a candidate at the synth's own level, as long as the target."""
        return self.synth.render(candidate.preset, candidate.note, self.seconds, SAMPLE_RATE)

    def score(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The candidates with their distances and gains."""

        def measure(candidate: Candidate) -> Candidate:
            try:
                sound = self.render(candidate)
            except FailedRenderError:
                return candidate  # Infinitely far: whoever searches turns elsewhere.
            (distance,), (gain,) = self._distance([sound])
            return replace(candidate, distance=float(distance), gain=float(gain))

        scored = list(self._pool.map(measure, candidates))
        self.renders += len(scored)
        return scored


def nearest(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    """The nearest different candidates, nearest first."""
    unique: dict[tuple[bytes, Note], Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: c.distance):
        unique.setdefault(candidate.key, candidate)
    return list(unique.values())[:count]


def presets_of(candidates: Sequence[Candidate]) -> Floats:
    """Preset vectors, (n, free)."""
    return np.stack([c.preset for c in candidates])
