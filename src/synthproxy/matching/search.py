"""Evolutionary search on the real synth: presets exchange whole groups of parameters, and mutate.

A steady-state genetic search, in islands at first. Groups are those of the preset space (an operator, an envelope), so
that a crossover moves what belongs together. The note is part of a candidate: its length evolves too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from synthproxy.matching.bounds import Bounds
from synthproxy.matching.candidates import Bench, Candidate, nearest, presets_of
from synthproxy.synths import Kind, Note, PresetSpace
from synthproxy.synths.base import Rewires
from synthproxy.synths.space import Floats

_SHIFTED = 0.7
"""Part of the like groups whose parameter moves, where it moves in several."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings of the genetic search.

    Args:
        population: candidates kept, at most.
        least: candidates kept however few renders there are, unless ``population`` is fewer.
        renders_each: renders that a search needs for each candidate that it keeps. With fewer it has no time to bring
            them together, and with many more it has done so, and finds nothing any more.
        islands: equal parts of the population, which at first exchange nothing.
        children: candidates made and rendered per generation.
        tournament: the best of this many random candidates becomes a parent.
        crossover: probability that a child has two parents.
        swap: probability that one operator, or other group, of a child changes places with another like it.
        copy: probability that one becomes what another like it is.
        shift: probability that the same parameter of several like groups moves by the same step.
        rewire: probability that a child of a synth that can be rewired is.
        note_change: probability that a child's note gets another length.
    """

    population: int = 256
    least: int = 64
    renders_each: int = 60
    islands: int = 4
    children: int = 32
    tournament: int = 4
    crossover: float = 0.6
    swap: float = 0.05
    copy: float = 0.03
    shift: float = 0.15
    rewire: float = 0.06
    note_change: float = 0.1

    def within(self, renders: float) -> SearchSettings:
        """The same, but that no more candidates are kept than so many renders bring together."""
        fitting = max(self.least, round(renders / self.renders_each))
        return replace(self, population=min(self.population, fitting))


class Variation:
    """Makes children: crossover by groups, like groups moved, parts rewired, and mutation, all of them within bounds.

    Args:
        seconds: length of the target, beyond which no note is held.
        synth: that of the presets, if it can rewire them.
    """

    def __init__(
        self,
        space: PresetSpace,
        seconds: float,
        settings: SearchSettings,
        bounds: Bounds | None = None,
        synth: Rewires | None = None,
    ) -> None:
        self.space, self.seconds, self.settings = space, seconds, settings
        self.bounds = bounds or Bounds.of(space)
        # What is locked would not come along to where its part goes.
        self.synth = synth if len(self.bounds.open) == space.size else None
        names = [p.group or p.name for p in space.free]
        self.groups = [np.asarray([i for i, n in enumerate(names) if n == group]) for group in dict.fromkeys(names)]
        self.alike = self._alike_groups(names)
        self.categorical = np.isin(np.arange(space.size), space.columns(Kind.CATEGORICAL))
        self.defaults = space.snap(space.encode(space.defaults)).astype(np.float64)
        self.cardinality = np.asarray([max(p.cardinality, 2) for p in space.free])
        # At least one step of the grid, or nothing would change; a continuous knob has none.
        self.least = np.asarray([1.0 / (p.cardinality - 1) if p.cardinality > 1 else 0.0 for p in space.free])

    def _alike_groups(self, names: Sequence[str]) -> list[NDArray[np.int64]]:
        """Groups whose parameters are the same, one by one, as those of ``operators.1`` and ``operators.2``.

        Returns:
            Columns of each, (groups, parameters), for each kind of group.
        """
        stems: dict[tuple[str, int], list[NDArray[np.int64]]] = {}
        for group in self.groups:
            stem, _, number = names[group[0]].rpartition(".")
            if stem and number.isdigit():
                stems.setdefault((stem, len(group)), []).append(group)
        return [np.stack(groups) for groups in stems.values() if len(groups) > 1]

    def children(self, population: Sequence[Candidate], count: int, generator: np.random.Generator) -> list[Candidate]:
        """New candidates, each from one or two of the population."""
        children = [self._child(population, generator) for _ in range(count)]
        # At once, since bringing one preset within the bounds takes as long as bringing many there.
        presets = self.bounds.within(presets_of(children))
        return [replace(child, preset=preset) for child, preset in zip(children, presets, strict=True)]

    def _child(self, population: Sequence[Candidate], generator: np.random.Generator) -> Candidate:
        first = self._parent(population, generator)
        preset, note = first.preset.astype(np.float64), first.note
        crossed = generator.random() < self.settings.crossover
        if crossed:
            second = self._parent(population, generator)
            share = generator.uniform(0.1, 0.9)
            for group in self.groups:
                if generator.random() < share:
                    preset[group] = second.preset[group]
            if generator.random() < 0.5:
                note = second.note
        if self.alike:
            self._vary_alike(preset, self.alike[generator.integers(len(self.alike))], generator)
        if self.synth and generator.random() < self.settings.rewire:
            preset = self.synth.rewired(preset.astype(np.float32), generator).astype(np.float64)
        if not crossed or generator.random() < 0.7:
            self._mutate(preset, generator)
        if generator.random() < self.settings.note_change:
            note = self._other_length(note, generator)
        return Candidate(preset.astype(np.float32), note, "search", island=first.island)

    def _vary_alike(
        self, preset: NDArray[np.float64], groups: NDArray[np.int64], generator: np.random.Generator
    ) -> None:
        """Two of the groups change places, one becomes another, or one parameter of several moves, now and then."""
        here, there = generator.choice(groups, size=2, replace=False)
        if generator.random() < self.settings.swap:
            preset[here], preset[there] = preset[there].copy(), preset[here].copy()
        if generator.random() < self.settings.copy:
            preset[here] = preset[there]
        if generator.random() < self.settings.shift:
            same = generator.choice(groups, axis=1)
            if not self.categorical[same[0]]:
                moved = same[generator.random(len(same)) < _SHIFTED]
                preset[moved] += self._step(same[0], generator)

    def _parent(self, population: Sequence[Candidate], generator: np.random.Generator) -> Candidate:
        """The nearest of a few; the population is sorted, so it has the lowest index."""
        return population[int(generator.integers(len(population), size=self.settings.tournament).min())]

    def _mutate(self, preset: NDArray[np.float64], generator: np.random.Generator) -> None:
        """Change a few parameters: numerical ones by a step of random size, others to a random value."""
        free = self.bounds.open
        count = min(1 + generator.geometric(0.35), len(free))
        for i in generator.choice(free, size=count, replace=False):
            if generator.random() < 0.1:
                preset[i] = self.defaults[i]
            elif self.categorical[i]:
                preset[i] = generator.integers(self.cardinality[i])
            elif generator.random() < 0.1:
                preset[i] = generator.uniform(self.bounds.low[i], self.bounds.high[i])
            else:
                preset[i] += self._step(i, generator)

    def _step(self, column: int, generator: np.random.Generator) -> float:
        """Of random size, from one of the grid to the whole range."""
        step = 10 ** generator.uniform(-2.3, -0.5) * generator.standard_normal()
        return float(step if abs(step) > self.least[column] else np.copysign(self.least[column], step))

    def _other_length(self, note: Note, generator: np.random.Generator) -> Note:
        duration = note.duration * np.exp(0.3 * generator.standard_normal())
        return replace(note, duration=round(float(np.clip(duration, 0.02, self.seconds)), 3))


def evolve(
    bench: Bench,
    population: Sequence[Candidate],
    generator: np.random.Generator,
    *,
    keep_going: Callable[[Sequence[Candidate]], bool],
    settings: SearchSettings | None = None,
    islands: int = 1,
) -> list[Candidate]:
    """Improve a scored population until ``keep_going``, asked with it after each generation, says no.

    Args:
        islands: equal parts of the population that exchange nothing. What a population has in common soon is what it
            will always have, so that several come to more than one. Candidates that are of none yet are dealt out.

    Returns:
        The population, nearest first.
    """
    settings = settings or SearchSettings()
    synth = bench.synth if isinstance(bench.synth, Rewires) else None
    variation = Variation(bench.synth.space, bench.seconds, settings, bench.bounds, synth)
    parts = _dealt(nearest(population, settings.population), islands)
    shares = [len(share) for share in np.array_split(np.arange(settings.children), max(1, len(parts)))]
    while keep_going(best := nearest(chain(*parts.values()), settings.population)):
        known = {c.key for c in best}
        children = [
            variation.children(part, share, generator) for part, share in zip(parts.values(), shares, strict=True)
        ]
        fresh = {c.key: c for c in chain(*children) if c.key not in known}
        full = settings.population // len(parts)
        limits: dict[int | None, float] = {island: _limit(part, full) for island, part in parts.items()}
        scored = bench.score(fresh.values(), [limits[c.island] for c in fresh.values()])
        for island, part in parts.items():
            own = [c for c in scored if c.island == island]
            parts[island] = nearest([*part, *own], full)
    return best


def _limit(part: Sequence[Candidate], full: int) -> float:
    """How far a child's beginning may be: as far as that of any candidate kept, once there are as many as may be.

    Half of all children begin farther away, and of those among them that would have been kept nearly none are lost.
    """
    return max(c.beginning for c in part) if len(part) == full else float("inf")


def _dealt(population: Sequence[Candidate], count: int) -> dict[int, list[Candidate]]:
    """The candidates of each island, nearest first."""
    parts: dict[int, list[Candidate]] = {}
    for place, candidate in enumerate(population):
        island = place % count if candidate.island is None or count == 1 else candidate.island
        parts.setdefault(island, []).append(replace(candidate, island=island))
    return parts


def draw_presets(space: PresetSpace, count: int, generator: np.random.Generator) -> Floats:
    """Presets to start from: half drawn from the space, half of these with many parameters left at their default.

    Defaults are what a synth's makers think neutral, so presets near them are simple, clear sounds; uniform draws are
    hardly ever.
    """
    drawn = space.sample(generator, count)
    plain = generator.random((count, space.size)) < generator.uniform(0.3, 0.95, (count, 1))
    plain[: count // 2] = False
    defaults = space.snap(space.encode(space.defaults))
    return np.where(plain, defaults, drawn).astype(np.float32)


def random_candidates(
    space: PresetSpace, notes: Sequence[Note], count: int, generator: np.random.Generator
) -> list[Candidate]:
    """Candidates by :func:`draw_presets`, the notes dealt out among them."""
    return [Candidate(x, notes[i % len(notes)], "random") for i, x in enumerate(draw_presets(space, count, generator))]
