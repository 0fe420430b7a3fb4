"""Matching: from a sound to presets, in stages, within a budget. The best so far is always there.

*Propose* candidates from corpora, from trained networks and at random, render and re-rank them at the notes that the
target may be, *search* by evolution, *refine* by moving single parameters, and *diversify*, so that what is returned
sounds different.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate
from synthproxy.matching.distances import Distances, distances, matching_gain
from synthproxy.matching.diversify import different, island_by_island, refine_each
from synthproxy.matching.propose import Sources, propose
from synthproxy.matching.refine import refine
from synthproxy.matching.search import evolve
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.target import Target
from synthproxy.synths import Note, Synth
from synthproxy.workers import independent_workers


@dataclass(frozen=True, eq=False)
class MatchedNote:
    """A result's sound for one note of the target.

    Args:
        note: what is played.
        gain: factor that brings it to the target's level.
        audio: the sound at the target's level, as long as the target, at 32 kHz.
        raw, level_matched: how far it is by the published distances.
    """

    note: Note
    gain: float
    audio: NDArray[np.float32]
    raw: Distances
    level_matched: Distances


@dataclass(frozen=True, eq=False)
class Match:
    """One result: the candidate, and what it sounds like for each note of the target."""

    candidate: Candidate
    notes: tuple[MatchedNote, ...]

    @property
    def audio(self) -> NDArray[np.float32]:
        """The sound for the first note, at the target's level."""
        return self.notes[0].audio

    @property
    def raw(self) -> Distances:
        """The published distances, in the mean over the notes."""
        return Distances.mean([note.raw for note in self.notes])

    @property
    def level_matched(self) -> Distances:
        """The same at matched level."""
        return Distances.mean([note.level_matched for note in self.notes])


@dataclass(frozen=True)
class Progress:
    """Where a match stands: stage, part of the budget used (0–1), search distance of the best, renders so far."""

    stage: str
    used: float
    distance: float
    renders: int


@dataclass(frozen=True, eq=False)
class State:
    """What an interrupted match needs to go on.

    Args:
        population: scored candidates, nearest first.
        used: part of the budget that is used up.
        proposal: the nearest candidate before any search, once there is one.
        apart: candidates that sound different, set aside when islands became one.
        renders, seconds: spent so far, over all continuations.
    """

    population: tuple[Candidate, ...]
    used: float
    proposal: Candidate | None = None
    apart: tuple[Candidate, ...] = ()
    renders: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class MatchResult:
    """What a match found: different matches, nearest by the published distances first; and the nearest proposal."""

    matches: tuple[Match, ...]
    proposal: Match | None


Report = Callable[[Progress, State], None]
"""Called after each step, with what is known so far."""


def match(
    synth: Synth,
    target: Target,
    budget: Budget,
    *,
    sources: Sources | None = None,
    settings: MatchSettings | None = None,
    bounds: Bounds | None = None,
    start: State | None = None,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
    workers: int | None = None,
) -> MatchResult:
    """Find presets that sound like the target.

    Args:
        budget: seconds or renders; with a number of renders the result is reproducible.
        sources: where proposals come from; without, they are random.
        bounds: what is locked, and how far the rest may move; anywhere without.
        start: where an interrupted match of the same target stopped.
        report: called after each step; see :data:`Report`.
        stop: asked after each step; when it says yes, the best so far is returned.

    """
    begun = time.monotonic()
    sources = sources or Sources()
    settings = (settings or MatchSettings()).within(budget)
    generator = np.random.default_rng(settings.seed if start is None else (settings.seed, len(start.population)))
    with independent_workers(), _bench(synth, target, bounds, workers) as bench:
        stage = "propose"
        proposal = start.proposal if start else None
        apart = list(start.apart) if start else []
        stopped = False

        def going(until: float) -> Callable[[Sequence[Candidate]], bool]:
            def ask(population: Sequence[Candidate]) -> bool:
                nonlocal stopped
                if stopped:
                    return False  # What is left only brings to an end; to go on, the state told last is needed.
                used = budget.used(bench.renders)
                if report:
                    nearest_so_far = population[0].distance if population else float("inf")
                    renders, seconds = bench.renders, time.monotonic() - begun
                    if start:
                        renders, seconds = renders + start.renders, seconds + start.seconds
                    state = State(tuple(population), used, proposal, tuple(apart), renders, seconds)
                    report(Progress(stage, used, nearest_so_far, renders), state)
                told_to_stop = bool(stop and stop())
                stopped = told_to_stop and bool(population)
                return used < until and not told_to_stop

            return ask

        population = list(start.population) if start else propose(bench, target, sources, settings, generator, going)
        proposal = proposal or (population[0] if population else None)
        stage = "search"
        settings = settings.for_renders(budget.expected(bench.renders + (start.renders if start else 0)))
        search = settings.search
        apart_until = min(settings.apart_until, settings.search_until)
        population = evolve(
            bench, population, generator, keep_going=going(apart_until), settings=search, islands=search.islands
        )
        apart = apart or different(bench, island_by_island(population), settings.top, settings.difference)
        population = evolve(bench, population, generator, keep_going=going(settings.search_until), settings=search)
        stage = "refine"
        wanted = settings.top - 1
        population = refine(bench, population, generator, keep_going=going(settings.refine_until if wanted else 1.0))
        stage = "diversify"
        best = population[:1]
        others = different(bench, [*best, *apart], 1 + wanted, settings.difference)[1:]
        ends = np.linspace(settings.refine_until, 1.0, 1 + len(others))[1:]
        others = refine_each(bench, others, generator, lambda place: going(float(ends[place]))(population))
        found = different(bench, [*best, *others, *population], settings.top, settings.difference)
        matches = sorted(
            (_measured(bench, one, bench.render(one)) for one in found), key=lambda match: match.level_matched.a_mean
        )
        before = _measured(bench, proposal, bench.render(proposal)) if proposal else None
        return MatchResult(tuple(matches), before)


def _bench(synth: Synth, target: Target, bounds: Bounds | None, workers: int | None) -> Bench:
    return Bench(synth, target.audio, workers, further=target.further, bounds=bounds)


def _measured(bench: Bench, candidate: Candidate, sounds: Sequence[NDArray[np.float32]]) -> Match:
    played = zip(bench.notes(candidate), sounds, bench.targets, strict=True)
    return Match(candidate, tuple(_measured_note(*one) for one in played))


def _measured_note(note: Note, sound: NDArray[np.float32], target: NDArray[np.float32]) -> MatchedNote:
    gain = float(matching_gain(sound, target))
    return MatchedNote(
        note,
        gain,
        sound * np.float32(gain),
        distances(sound, target),
        distances(sound, target, level_matched=True),
    )
