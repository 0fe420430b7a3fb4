"""Matching: from a sound to presets, in stages, within a budget. The best so far is always there.

*Propose* candidates from corpora and at random, render and re-rank them at every note the target may be, *search* by
evolution, *refine* by CMA-ES, and return different good candidates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus import Corpus
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate, nearest
from synthproxy.matching.distances import SAMPLE_RATE, Distances, distances
from synthproxy.matching.proxy_bank import ProxyBank
from synthproxy.matching.refine import refine
from synthproxy.matching.retrieval import retrieve
from synthproxy.matching.search import SearchSettings, evolve, random_candidates
from synthproxy.matching.target import Target
from synthproxy.synths import Synth
from synthproxy.synths.base import BoundsLoudness
from synthproxy.workers import independent_workers

SEARCH_UNTIL = 0.8
"""Part of the budget after which refinement takes over from evolution."""


@dataclass(frozen=True)
class MatchSettings:
    """How a match is made.

    Args:
        retrieved: presets taken from each corpus.
        random: presets drawn from the space, beside those of the corpora.
        proposal_part: part of the budget that proposing may take.
        top: candidates returned.
        difference: least mean difference between two returned sounds, in dB of their mel spectra.
        seed: of everything random.
        search: settings of the evolution.
    """

    retrieved: int = 256
    random: int = 256
    proposal_part: float = 0.25
    top: int = 5
    difference: float = 1.0
    seed: int = 0
    search: SearchSettings = field(default_factory=SearchSettings)


@dataclass(frozen=True, eq=False)
class Match:
    """One result: the candidate, its sound at the target's level, and how far it is by the published distances."""

    candidate: Candidate
    audio: NDArray[np.float32]
    raw: Distances
    level_matched: Distances


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
    corpora: Sequence[Corpus] = (),
    settings: MatchSettings | None = None,
    start: State | None = None,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
    proxy: ProxyBank | None = None,
    workers: int | None = None,
) -> MatchResult:
    """Find presets that sound like the target.

    Args:
        budget: seconds or renders; with a number of renders the result is reproducible.
        corpora: banks to retrieve from; without any, proposals are random.
        start: where an interrupted match of the same target stopped.
        proxy: a trained proxy to look through many presets with before any is rendered.
        report: called after each step; see :data:`Report`.
        stop: asked after each step; when it says yes, the best so far is returned.

    """
    begun = time.monotonic()
    settings = settings or MatchSettings()
    generator = np.random.default_rng(settings.seed if start is None else (settings.seed, len(start.population)))
    with independent_workers(), Bench(synth, target.audio, workers) as bench:
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
            list(start.population) if start else _propose(bench, target, corpora, proxy, settings, generator, going)
        )
        proposal = proposal or (population[0] if population else None)
        stage = "search"
        population = evolve(bench, population, generator, keep_going=going(SEARCH_UNTIL), settings=settings.search)
        stage = "refine"
        population = refine(bench, population, generator, keep_going=going(1.0))
        before = _measured(bench, proposal) if proposal else None
        return MatchResult(tuple(_different(bench, population, settings)), before)


def _measured(bench: Bench, candidate: Candidate) -> Match:
    audio = bench.render(candidate)
    return Match(
        candidate,
        audio * np.float32(candidate.gain),
        distances(audio, bench.target),
        distances(audio, bench.target, level_matched=True),
    )


def _different(bench: Bench, population: Sequence[Candidate], settings: MatchSettings) -> list[Match]:
    """The nearest candidates that differ from each other audibly, nearest first."""
    results: list[Match] = []
    spectra: list[NDArray[np.float32]] = []
    for candidate in population:
        if not np.isfinite(candidate.distance):
            continue
        spectrum = _mel_levels(bench.render(candidate) * np.float32(candidate.gain))
        if any(np.abs(spectrum - other).mean() < settings.difference for other in spectra):
            continue
        spectra.append(spectrum)
        results.append(_measured(bench, candidate))
        if len(results) == settings.top:
            break
    return results


def _propose(
    bench: Bench,
    target: Target,
    corpora: Sequence[Corpus],
    proxy: ProxyBank | None,
    settings: MatchSettings,
    generator: np.random.Generator,
    going: Callable[[float], Callable[[Sequence[Candidate]], bool]],
) -> list[Candidate]:
    """Candidates from corpora, the proxy and at random, rendered; then the nearest with notes of other lengths."""
    proposals = [c for corpus in corpora for c in retrieve(corpus, bench.synth, target, settings.retrieved)]
    if proxy:
        proposals += proxy.propose(bench.synth, target, [c.preset for c in proposals], settings.retrieved, generator)
    drawn = random_candidates(bench.synth.space, target.notes, 4 * settings.random, generator)
    proposals += _audible(bench, drawn)[: settings.random]
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


def _audible(bench: Bench, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are not certain to be all but silent, as far as the synth can tell without rendering."""
    synth = bench.synth
    if not candidates or not isinstance(synth, BoundsLoudness):
        return list(candidates)
    presets = np.stack([c.preset for c in candidates])
    bound = synth.loudness_bound(presets, candidates[0].note, bench.seconds, SAMPLE_RATE)
    return [c for c, loudest in zip(candidates, bound, strict=True) if loudest > _BARELY_AUDIBLE]


_BARELY_AUDIBLE = 0.003


def _mel_levels(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    from synthproxy.audio.features import ESTIMATOR_MEL, MelSpectrogram, decibels

    with torch.inference_mode():
        padded = np.pad(audio, (0, max(0, 4096 - len(audio))))
        power = MelSpectrogram(ESTIMATOR_MEL)(torch.from_numpy(padded)[None])
        return np.asarray(decibels(power, floor=1e-8)[0].numpy())
