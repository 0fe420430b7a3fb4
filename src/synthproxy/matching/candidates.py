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
from synthproxy.matching.bounds import Bounds
from synthproxy.matching.distances import SAMPLE_RATE, SearchDistance
from synthproxy.matching.target import FurtherNote
from synthproxy.synths import Note, Synth
from synthproxy.synths.space import Floats


@dataclass(frozen=True, eq=False)
class Candidate:
    """A preset with the note to play it, and how near it comes.

    Args:
        preset: (free,).
        origin: where it came from: ``retrieval``, ``proxy``, ``estimator``, ``shipped``, ``proposer``, ``random``,
            ``search``, ``refinement``.
        distance: search distance from the target, the mean over its notes; infinite until it has been rendered.
        gain: factor that brings its sound to the target's level.
        island: the population that it evolves in, where several do apart.
    """

    preset: Floats
    note: Note
    origin: str
    distance: float = float("inf")
    gain: float = 1.0
    island: int | None = None

    @property
    def key(self) -> tuple[bytes, Note]:
        """Equal for candidates that sound alike."""
        return self.preset.tobytes(), self.note


class Bench:
    """Renders candidates and measures their distance from one target, with a thread per core.

    Results come in the order of the candidates, whatever the threads do. Sounds are only kept while they are scored.

    Args:
        target: mono float32 at 32 kHz.
        further: other notes that the same preset has to meet; the distance is the mean over all.
        bounds: where candidates may be; every one is brought there before it is rendered.
    """

    def __init__(
        self,
        synth: Synth,
        target: NDArray[np.float32],
        workers: int | None = None,
        *,
        further: Sequence[FurtherNote] = (),
        bounds: Bounds | None = None,
    ) -> None:
        self.synth, self.target, self.further = synth, target, further
        self.bounds = bounds or Bounds.of(synth.space)
        self.targets = [target, *(other.audio for other in further)]
        self.seconds = len(target) / SAMPLE_RATE
        self.renders = 0
        self._distances = [SearchDistance(audio) for audio in self.targets]
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="bench")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def notes(self, candidate: Candidate) -> list[Note]:
        """The note of each sound of the target, the candidate's first."""
        return [candidate.note, *(other.note(candidate.note) for other in self.further)]

    def render(self, candidate: Candidate) -> list[NDArray[np.float32]]:
        """The sounds of a candidate at the synth's own level, each as long as what it is to match."""
        return [
            self.synth.render(candidate.preset, note, len(audio) / SAMPLE_RATE, SAMPLE_RATE)
            for note, audio in zip(self.notes(candidate), self.targets, strict=True)
        ]

    def within(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The candidates, brought within the bounds."""
        given = list(candidates)
        presets = self.bounds.within(presets_of(given)) if given else ()
        return [replace(c, preset=preset) for c, preset in zip(given, presets, strict=True)]

    def score(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The candidates, brought within the bounds, with their distances and gains."""

        def measure(candidate: Candidate) -> Candidate:
            try:
                sounds = self.render(candidate)
            except FailedRenderError:
                return candidate  # Infinitely far: whoever searches turns elsewhere.
            measured = [distance([sound]) for distance, sound in zip(self._distances, sounds, strict=True)]
            mean = float(np.mean([values[0] for values, _ in measured]))
            return replace(candidate, distance=mean, gain=float(measured[0][1][0]))

        scored = list(self._pool.map(measure, self.within(candidates)))
        self.renders += len(scored) * len(self.targets)
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
