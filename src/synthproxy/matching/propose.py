"""Proposing: candidates of all sources, rendered, and the nearest with notes of other lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import numpy as np

from synthproxy.corpus import Bank, Corpus
from synthproxy.matching.candidates import Bench, Candidate, nearest
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.estimators.proposing import TrainedEstimator
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.proxy_bank import ProxyBank
from synthproxy.matching.retrieval import retrieve
from synthproxy.matching.search import Variation, random_candidates
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.target import Target
from synthproxy.synths import Note
from synthproxy.synths.base import BoundsLoudness
from synthproxy.synths.space import Floats

_STEP = 32
_TRIED = 8
_DRAWING_PART = 0.5
"""Of the time for proposing; the rest is left to render what was drawn."""
_BARELY_AUDIBLE = 0.003


@dataclass(frozen=True, eq=False)
class Sources:
    """Where proposals come from; random presets are among them always, unless there is a preset to begin from.

    Args:
        corpora: banks to retrieve from.
        proxy: a trained proxy to look through many presets with before any is rendered.
        estimator: a trained estimator, which tells one preset for each note that the target may be.
        proposer: a trained proposer, which draws presets for the target.
        presets: presets to try as they are, (n, free), such as those that come with the package.
        begin: a preset, (free,), whose variations take the place of random presets.
    """

    corpora: Sequence[Corpus | Bank] = ()
    proxy: ProxyBank | None = None
    estimator: TrainedEstimator | None = None
    proposer: TrainedProposer | None = None
    presets: Floats | None = None
    begin: Floats | None = None


def propose(
    bench: Bench,
    target: Target,
    sources: Sources,
    settings: MatchSettings,
    generator: np.random.Generator,
    going: Callable[[float], Callable[[Sequence[Candidate]], bool]],
) -> list[Candidate]:
    """Scored candidates of all sources, nearest first.

    Args:
        going: asked with a part of the budget, it says whether to go on until that is used up.
    """
    proposals = [c for corpus in sources.corpora for c in retrieve(corpus, bench.synth, target, settings.retrieved)]
    if sources.proxy:
        known = [c.preset for c in proposals]
        proposals += sources.proxy.propose(bench.synth, target, known, settings.retrieved, generator)
    if sources.estimator:
        proposals = sources.estimator.propose(bench.synth, target) + proposals
    tried = () if sources.presets is None else sources.presets
    own = [Candidate(preset, note, "shipped") for preset in tried for note in target.notes]
    generator.shuffle(own)  # They lie sorted by kind, and a short budget is to try some of each.
    drawn: list[Candidate] = []
    if sources.proposer:
        goes_on = going(_DRAWING_PART * settings.propose_until)
        drawn = sources.proposer.propose(
            bench.synth, target, settings.drawn, settings.temperatures, generator, lambda: goes_on(()), bench.bounds
        )
    proposals = _by_turns(proposals, *(_audible(bench, bench.within(some)) for some in (own, drawn)))
    if sources.begin is None:
        chance = random_candidates(bench.synth.space, target.notes, 4 * settings.random, generator)
        proposals += _audible(bench, bench.within(chance))[: settings.random]
    else:
        proposals = _variations(bench, sources.begin, target.notes, settings, generator) + proposals
    scored: list[Candidate] = []
    keep_going = going(settings.propose_until)
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


def _variations(
    bench: Bench, begin: Floats, notes: Sequence[Note], settings: MatchSettings, generator: np.random.Generator
) -> list[Candidate]:
    """A preset at every note that the target may be, then changed as children of the search are."""
    first = [Candidate(begin, note, "start") for note in notes]
    variation = Variation(bench.synth.space, bench.seconds, settings.search, bench.bounds)
    children = variation.children(first, settings.random, generator)
    return [*first, *(replace(child, origin="start") for child in children)]


def _by_turns(*several: Sequence[Candidate]) -> list[Candidate]:
    """All of them, so that a budget that ends early has tried as many of each."""
    return [candidate for candidate in chain(*zip_longest(*several)) if candidate is not None]


def _audible(bench: Bench, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are not certain to be all but silent, as far as the synth can tell without rendering."""
    synth = bench.synth
    if not candidates or not isinstance(synth, BoundsLoudness):
        return list(candidates)
    presets = np.stack([c.preset for c in candidates])
    bound = synth.loudness_bound(presets, candidates[0].note, bench.seconds, SAMPLE_RATE)
    return [c for c, loudest in zip(candidates, bound, strict=True) if loudest > _BARELY_AUDIBLE]
