"""Refinement on the real synth: parameters are moved one at a time, and moves that help are taken together.

A pattern search (Hooke and Jeeves, 1961) in batches: every parameter has a step of its own, which grows where it helps
and shrinks where neither direction does. Switches and categories try their other values. So it fits a grid, and costs
one render for each parameter and round, whatever depends on what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthproxy.matching.candidates import Bench, Candidate, nearest
from synthproxy.synths import Kind, Note

FIRST_STEP, LARGEST_STEP = 0.12, 0.5
"""Parts of a parameter's range."""
GROWS, SHRINKS = 2.0, 1 / 3
FINEST = 1 / 256
"""Least step of a continuous parameter, and of the logarithm of the note's length."""
BATCH = 32
LEAST_GAIN = 1e-5


def refine(
    bench: Bench,
    population: Sequence[Candidate],
    generator: np.random.Generator,
    *,
    keep_going: Callable[[Sequence[Candidate]], bool],
) -> list[Candidate]:
    """Improve the nearest candidates, one after the other, until told to stop.

    Each descent ends when no move helps any more; the next starts from the nearest candidate that has not been a start.

    Args:
        population: scored candidates, nearest first.
        keep_going: asked with the population after each batch of moves.

    Returns:
        The population with what was found, nearest first.
    """
    best = list(population)
    started: set[tuple[bytes, Note]] = set()
    while keep_going(best):
        start = next((c for c in best if c.key not in started), None)
        if start is None:
            return best
        descent = _Descent(bench, start, generator)
        while keep_going(best) and not descent.settled:
            best = nearest([*best, *descent.move()], len(population))
        started |= {start.key, descent.best.key}
    return best


class _Descent:
    """One candidate on its way down. Its last coordinate is the length of the note."""

    def __init__(self, bench: Bench, start: Candidate, generator: np.random.Generator) -> None:
        self.bench, self.best, self.generator = bench, start, generator
        free = bench.synth.space.free
        self.low, self.range = bench.bounds.low, bench.bounds.high - bench.bounds.low
        self.choices = np.asarray([0 if p.kind is Kind.NUMERICAL else p.cardinality for p in free])
        self.least = np.asarray([1 / (p.cardinality - 1) if p.cardinality > 1 else FINEST for p in free] + [FINEST])
        self.step = np.full(len(free) + 1, FIRST_STEP)
        self.sign = generator.choice((-1.0, 1.0), len(free) + 1)
        self.failures = np.zeros(len(free) + 1, dtype=np.int64)
        self.places = [*bench.bounds.open.tolist(), len(free)]
        self.live = set(self.places)
        self.round: list[int] = []
        self.gained = False
        self.settled = False

    def move(self) -> list[Candidate]:
        """Try a batch of parameters and some moves together; the best so far may become another."""
        if not self.round:
            self.round = self.generator.permutation(sorted(self.live)).tolist()
        batch, self.round = self.round[:BATCH], self.round[BATCH:]
        moved = self.bench.score([self._moved(place) for place in batch])
        helped: list[tuple[int, Candidate]] = []
        for place, candidate in zip(batch, moved, strict=True):
            if candidate.distance < self.best.distance - LEAST_GAIN:
                helped.append((place, candidate))
                self.step[place] = min(GROWS * self.step[place], LARGEST_STEP)
                self.failures[place] = 0
            elif candidate.distance == self.best.distance:
                self.live.discard(place)  # It is not heard, and other steps seldom are either.
            else:
                self._failed(place)
        helped.sort(key=lambda entry: entry[1].distance)
        counts = sorted({len(helped), len(helped) // 2, len(helped) // 4, 2})
        together = self.bench.score([self._together(helped[:n]) for n in counts if 1 < n <= len(helped)])
        found = [*moved, *together]
        if helped:
            self.best, self.gained = nearest([self.best, *found], 1)[0], True
        if not self.live and not self.round:
            self._begin_again()
        return found

    def _begin_again(self) -> None:
        """What did not help before may help now that others have moved; if none has, there is nothing left to try."""
        self.settled = not self.gained
        self.live, self.gained = set(self.places), False
        self.step = np.maximum(self.least, FIRST_STEP / 2)

    def _failed(self, place: int) -> None:
        """After a failure either way the step shrinks; where it cannot, the parameter is left alone."""
        self.sign[place] *= -1
        self.failures[place] += 1
        if self.failures[place] < 2:
            return
        self.failures[place] = 0
        finest = self.step[place] <= self.least[place] or (place < len(self.choices) and self.choices[place])
        if finest:
            self.live.discard(place)
        self.step[place] = max(SHRINKS * self.step[place], self.least[place])

    def _moved(self, place: int) -> Candidate:
        best = self.best
        if place == len(self.choices):
            return replace(best, note=self._other_length(best.note), origin="refinement")
        preset = best.preset.astype(np.float64)
        if self.choices[place]:
            other = self.generator.integers(1, self.choices[place])
            preset[place] = (preset[place] + other) % self.choices[place]
        else:
            preset[place] += self._signed(place, preset)
        return self._at(preset)

    def _signed(self, place: int, preset: NDArray[np.float64]) -> float:
        """The step, in the direction that leads somewhere."""
        step = max(self.step[place], self.least[place]) * self.range[place]
        inside = self.low[place] <= preset[place] + self.sign[place] * step <= self.low[place] + self.range[place]
        if not inside:
            self.sign[place] *= -1
        return float(self.sign[place] * step)

    def _other_length(self, note: Note) -> Note:
        factor = np.exp(self.sign[-1] * self.step[-1])
        return replace(note, duration=round(float(np.clip(note.duration * factor, 0.02, self.bench.seconds)), 3))

    def _together(self, helped: Sequence[tuple[int, Candidate]]) -> Candidate:
        preset, note = self.best.preset.astype(np.float64), self.best.note
        for place, candidate in helped:
            if place == len(self.choices):
                note = candidate.note
            else:
                preset[place] = candidate.preset[place]
        return replace(self._at(preset), note=note)

    def _at(self, preset: NDArray[np.float64]) -> Candidate:
        return replace(self.best, preset=preset.astype(np.float32), origin="refinement")
