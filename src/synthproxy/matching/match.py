"""Matching: from a sound to presets, in stages, within a budget. The best so far is always there.

*Propose* candidates from corpora, from trained networks and at random, render and re-rank them at every note the
target may be, *search* by evolution, *refine* by moving single parameters, and return different good candidates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus import Bank, Corpus
from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate, nearest
from synthproxy.matching.distances import MINIMUM_SAMPLES, SAMPLE_RATE, Distances, distances, matching_gain
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.proxy_bank import ProxyBank
from synthproxy.matching.refine import refine
from synthproxy.matching.retrieval import retrieve
from synthproxy.matching.search import SearchSettings, Variation, evolve, random_candidates
from synthproxy.matching.target import Target
from synthproxy.synths import Note, Synth
from synthproxy.synths.base import BoundsLoudness
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers


@dataclass(frozen=True)
class MatchSettings:
    """How a match is made.

    Args:
        retrieved: presets taken from each corpus.
        random: presets drawn from the space, beside those of the corpora.
        drawn: presets drawn by a proposer, if there is one, over all notes that the target may be.
        temperatures: at which it draws them, an equal share each.
        proposal_part: part of the budget that proposing may take.
        apart_until: part of the budget after which islands evolve as one.
        search_until: part of the budget after which refinement takes over from evolution.
        top: candidates returned.
        difference: least mean difference between two returned sounds, in dB of their mel spectra.
        seed: of everything random.
        search: settings of the evolution.
    """

    retrieved: int = 256
    random: int = 256
    drawn: int = 1024
    temperatures: tuple[float, ...] = (0.3, 0.5, 0.75)
    proposal_part: float = 0.25
    apart_until: float = 0.5
    search_until: float = 0.8
    top: int = 5
    difference: float = 1.0
    seed: int = 0
    search: SearchSettings = field(default_factory=SearchSettings)

    def within(self, budget: Budget) -> MatchSettings:
        """The same, but that no more is drawn than may be rendered."""
        if budget.renders is None:
            return self
        return replace(self, drawn=min(self.drawn, math.ceil(self.proposal_part * budget.renders)))


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
        renders, seconds: spent so far, over all continuations.
    """

    population: tuple[Candidate, ...]
    used: float
    proposal: Candidate | None = None
    renders: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class MatchResult:
    """What a match found: different matches, nearest first; and the nearest candidate before any search, to compare."""

    matches: tuple[Match, ...]
    proposal: Match | None


Report = Callable[[Progress, State], None]
"""Called after each step, with what is known so far."""


def match(
    synth: Synth,
    target: Target,
    budget: Budget,
    *,
    corpora: Sequence[Corpus | Bank] = (),
    settings: MatchSettings | None = None,
    bounds: Bounds | None = None,
    begin: Floats | None = None,
    start: State | None = None,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
    proxy: ProxyBank | None = None,
    proposer: TrainedProposer | None = None,
    workers: int | None = None,
) -> MatchResult:
    """Find presets that sound like the target.

    Args:
        budget: seconds or renders; with a number of renders the result is reproducible.
        corpora: banks to retrieve from; without any, proposals are random.
        bounds: what is locked, and how far the rest may move; anywhere without.
        begin: a preset, (free,), to begin from; its variations take the place of random proposals.
        start: where an interrupted match of the same target stopped.
        proxy: a trained proxy to look through many presets with before any is rendered.
        proposer: a trained proposer, which draws presets for the target.
        report: called after each step; see :data:`Report`.
        stop: asked after each step; when it says yes, the best so far is returned.

    """
    begun = time.monotonic()
    settings = (settings or MatchSettings()).within(budget)
    generator = np.random.default_rng(settings.seed if start is None else (settings.seed, len(start.population)))
    with independent_workers(), _bench(synth, target, bounds, workers) as bench:
        stage = "propose"
        proposal = start.proposal if start else None

        def going(until: float) -> Callable[[Sequence[Candidate]], bool]:
            def ask(population: Sequence[Candidate]) -> bool:
                used = budget.used(bench.renders)
                if report:
                    nearest_so_far = population[0].distance if population else float("inf")
                    renders, seconds = bench.renders, time.monotonic() - begun
                    if start:
                        renders, seconds = renders + start.renders, seconds + start.seconds
                    state = State(tuple(population), used, proposal, renders, seconds)
                    report(Progress(stage, used, nearest_so_far, renders), state)
                return used < until and not (stop and stop())

            return ask

        population = (
            list(start.population)
            if start
            else _propose(bench, target, begin, corpora, proxy, proposer, settings, generator, going)
        )
        proposal = proposal or (population[0] if population else None)
        stage = "search"
        apart_until = min(settings.apart_until, settings.search_until)
        for islands, until in ((settings.search.islands, apart_until), (1, settings.search_until)):
            population = evolve(
                bench, population, generator, keep_going=going(until), settings=settings.search, islands=islands
            )
        stage = "refine"
        population = refine(bench, population, generator, keep_going=going(1.0))
        before = _measured(bench, proposal, bench.render(proposal)) if proposal else None
        return MatchResult(tuple(_different(bench, population, settings)), before)


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


def _different(bench: Bench, population: Sequence[Candidate], settings: MatchSettings) -> list[Match]:
    """The nearest candidates that differ from each other audibly, nearest first."""
    results: list[Match] = []
    spectra: list[NDArray[np.float32]] = []  # Of all notes, one after the other.
    for candidate in population:
        if not np.isfinite(candidate.distance):
            continue
        sounds = bench.render(candidate)
        levels = [_mel_levels(*pair).ravel() for pair in zip(sounds, bench.targets, strict=True)]
        spectrum = np.concatenate(levels)
        if any(np.abs(spectrum - other).mean() < settings.difference for other in spectra):
            continue  # Most are alike in the end, and the published distances take long.
        spectra.append(spectrum)
        results.append(_measured(bench, candidate, sounds))
        if len(results) == settings.top:
            break
    return results


def _propose(
    bench: Bench,
    target: Target,
    begin: Floats | None,
    corpora: Sequence[Corpus | Bank],
    proxy: ProxyBank | None,
    proposer: TrainedProposer | None,
    settings: MatchSettings,
    generator: np.random.Generator,
    going: Callable[[float], Callable[[Sequence[Candidate]], bool]],
) -> list[Candidate]:
    """Candidates of all sources, rendered; then the nearest with notes of other lengths."""
    proposals = [c for corpus in corpora for c in retrieve(corpus, bench.synth, target, settings.retrieved)]
    if proxy:
        proposals += proxy.propose(bench.synth, target, [c.preset for c in proposals], settings.retrieved, generator)
    if proposer:
        goes_on = going(_DRAWING_PART * settings.proposal_part)
        made = proposer.propose(
            bench.synth, target, settings.drawn, settings.temperatures, generator, lambda: goes_on(()), bench.bounds
        )
        proposals = _by_turns(proposals, _audible(bench, bench.within(made)))
    if begin is None:
        drawn = random_candidates(bench.synth.space, target.notes, 4 * settings.random, generator)
        proposals += _audible(bench, bench.within(drawn))[: settings.random]
    else:
        proposals = _variations(bench, begin, target.notes, settings, generator) + proposals
    scored: list[Candidate] = []
    keep_going = going(settings.proposal_part)
    for step in range(0, len(proposals), _STEP):
        scored = nearest([*scored, *bench.score(proposals[step : step + _STEP])], settings.search.population)
        if not keep_going(scored):
            break
    if len(target.durations) > 1:
        others = [
            replace(c, note=replace(c.note, duration=length)) for c in scored[:_TRIED] for length in target.durations
        ]
        scored = nearest([*scored, *bench.score(others)], settings.search.population)
    return scored


_STEP = 32
_TRIED = 8
_DRAWING_PART = 0.5  # Of the time for proposing; the rest is left to render what was drawn.


def _variations(
    bench: Bench, begin: Floats, notes: Sequence[Note], settings: MatchSettings, generator: np.random.Generator
) -> list[Candidate]:
    """A preset at every note that the target may be, then changed as children of the search are."""
    first = [Candidate(begin, note, "start") for note in notes]
    variation = Variation(bench.synth.space, bench.seconds, settings.search, bench.bounds)
    children = variation.children(first, settings.random, generator)
    return [*first, *(replace(child, origin="start") for child in children)]


def _by_turns(first: Sequence[Candidate], second: Sequence[Candidate]) -> list[Candidate]:
    """Both, so that a budget that ends early has tried as many of either."""
    return [candidate for candidate in chain(*zip_longest(first, second)) if candidate is not None]


def _audible(bench: Bench, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are not certain to be all but silent, as far as the synth can tell without rendering."""
    synth = bench.synth
    if not candidates or not isinstance(synth, BoundsLoudness):
        return list(candidates)
    presets = np.stack([c.preset for c in candidates])
    bound = synth.loudness_bound(presets, candidates[0].note, bench.seconds, SAMPLE_RATE)
    return [c for c, loudest in zip(candidates, bound, strict=True) if loudest > _BARELY_AUDIBLE]


_BARELY_AUDIBLE = 0.003


def _mel_levels(sound: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels in dB of the mel bands of a sound that is brought to the target's level."""
    import torch

    from synthproxy.audio.features import ESTIMATOR_MEL, MelSpectrogram, decibels

    with torch.inference_mode():
        levelled = sound * np.float32(matching_gain(sound, target))
        padded = np.pad(levelled, (0, max(0, MINIMUM_SAMPLES - len(levelled))))
        power = MelSpectrogram(ESTIMATOR_MEL)(torch.from_numpy(padded)[None])
        return np.asarray(decibels(power, floor=1e-8)[0].numpy())
