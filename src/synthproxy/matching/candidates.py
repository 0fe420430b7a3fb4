"""Candidates for a target, and the bench that renders and scores them on all cores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, repeat
from math import inf
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import FailedRenderError
from synthproxy.matching.bounds import Bounds
from synthproxy.matching.distances import SAMPLE_RATE, SearchDistance
from synthproxy.matching.target import FurtherNote
from synthproxy.synths import Note, Synth
from synthproxy.synths.base import StartsAtOnce
from synthproxy.synths.space import Floats

BEGINNING = 0.15
"""Seconds of a sound by which a candidate may be told to be out of the question."""
_SHORT_BESIDE = 4.0
"""How many times as long the whole sound is, at least, where that is worth its own render."""


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
        beginning: the distance of its beginning alone; infinite where the bench does not tell.
    """

    preset: Floats
    note: Note
    origin: str
    distance: float = inf
    gain: float = 1.0
    island: int | None = None
    beginning: float = inf

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
        self._spent = 0.0
        self._distances = [SearchDistance(audio) for audio in self.targets]
        self._beginnings = self._beginnings_of_targets()
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="bench")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _beginnings_of_targets(self) -> list[SearchDistance]:
        """Distances from the beginning of each target, or none where rendering a beginning saves nothing."""
        long = min(map(len, self.targets)) >= _SHORT_BESIDE * BEGINNING * SAMPLE_RATE
        if not (long and isinstance(self.synth, StartsAtOnce)):
            return []
        return [SearchDistance(_beginning(audio)) for audio in self.targets]

    @property
    def renders(self) -> int:
        """Sounds rendered so far; a beginning counts as that part of a sound."""
        return round(self._spent)

    def notes(self, candidate: Candidate) -> list[Note]:
        """The note of each sound of the target, the candidate's first."""
        return [candidate.note, *(other.note(candidate.note) for other in self.further)]

    def render(self, candidate: Candidate) -> list[NDArray[np.float32]]:
        """The sounds of a candidate at the synth's own level, each as long as what it is to match."""
        return self._rendered(candidate, [len(audio) / SAMPLE_RATE for audio in self.targets])

    def _rendered(self, candidate: Candidate, seconds: Sequence[float]) -> list[NDArray[np.float32]]:
        notes = zip(self.notes(candidate), seconds, strict=True)
        return [self.synth.render(candidate.preset, note, length, SAMPLE_RATE) for note, length in notes]

    def within(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The candidates, brought within the bounds."""
        given = list(candidates)
        presets = self.bounds.within(presets_of(given)) if given else ()
        return [replace(c, preset=preset) for c, preset in zip(given, presets, strict=True)]

    def score(self, candidates: Iterable[Candidate], limits: Iterable[float] = ()) -> list[Candidate]:
        """The candidates, brought within the bounds, with their distances and gains.

        Args:
            limits: how far the beginning of each may be from the target's. One that begins farther away is not rendered
                to its end and stays infinitely far, where that saves anything.
        """
        heard = list(self._pool.map(self._heard, self.within(candidates), chain(limits, repeat(inf))))
        self._spent += sum(cost for _, cost in heard)
        return [candidate for candidate, _ in heard]

    def _heard(self, candidate: Candidate, limit: float) -> tuple[Candidate, float]:
        """A candidate with its distances, and how many sounds were rendered to tell them."""
        cost, beginning = 0.0, inf
        try:
            if self._beginnings and limit < inf:
                cost += sum(BEGINNING * SAMPLE_RATE / len(audio) for audio in self.targets)
                beginning, _ = _compared(self._beginnings, self._rendered(candidate, [BEGINNING] * len(self.targets)))
                if beginning > limit:
                    return replace(candidate, distance=inf, beginning=beginning), cost
            cost += len(self.targets)
            sounds = self.render(candidate)
        except FailedRenderError:
            return candidate, cost  # Infinitely far: whoever searches turns elsewhere.
        distance, gain = _compared(self._distances, sounds)
        if self._beginnings and beginning == inf:
            beginning, _ = _compared(self._beginnings, map(_beginning, sounds))
        return replace(candidate, distance=distance, gain=gain, beginning=beginning), cost


def _beginning(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    return audio[: round(BEGINNING * SAMPLE_RATE)]


def _compared(distances: Sequence[SearchDistance], sounds: Iterable[NDArray[np.float32]]) -> tuple[float, float]:
    """Mean distance of sounds from their targets, and the gain of the first."""
    measured = [distance([sound]) for distance, sound in zip(distances, sounds, strict=True)]
    return float(np.mean([values[0] for values, _ in measured])), float(measured[0][1][0])


def nearest(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    """The nearest candidates that sound different, nearest first.

    Of those that are as far to the last bit the first is taken: they differ in what is not heard, and a population
    would fill up with them.
    """
    unique: dict[float, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: c.distance):
        unique.setdefault(candidate.distance, candidate)
    return list(unique.values())[:count]


def presets_of(candidates: Sequence[Candidate]) -> Floats:
    """Preset vectors, (n, free)."""
    return np.stack([c.preset for c in candidates])
