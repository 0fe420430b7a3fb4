"""Proposing: candidates of all sources, rendered, and the nearest with notes of other lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, zip_longest

import numpy as np

from synthproxy.corpus import Bank, Corpus
from synthproxy.matching.candidates import Bench, Candidate, nearest, presets_of
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.estimators.proposing import TrainedEstimator
from synthproxy.matching.proposers.proposing import Heard, TrainedProposer
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
_SCOUTING_PART = 0.25
"""Of what is drawn, at all notes that the target may be."""
_SCOUTING_UNTIL, _DRAWING_UNTIL = 0.125, 0.625
"""Part of the time for proposing after which no more is drawn; the rest is left to render what was drawn."""
_LIKELY_NOTES = 2
"""Notes at which the rest is drawn."""
_COMPARED = 4
"""Candidates of a note, the nearest, by which notes are compared."""
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


Going = Callable[[float], Callable[[Sequence[Candidate]], bool]]
"""Asked with a part of the budget, it says whether to go on until that is used up."""


def propose(
    bench: Bench,
    target: Target,
    sources: Sources,
    settings: MatchSettings,
    generator: np.random.Generator,
    going: Going,
) -> list[Candidate]:
    """Scored candidates of all sources, nearest first.

    Which note a target is cannot always be told from it. So a first part is tried at all that it is likely to be, and
    the rest at those of them that came nearest.
    """
    proposing = _Proposing(bench, target, sources, settings, generator, going)
    found, own, heard = proposing.found(), proposing.own(), proposing.heard
    scouts = proposing.drawn(heard, proposing.scouts, _SCOUTING_UNTIL)
    first = len(scouts)
    proposing.score([*proposing.begun(), *_by_turns(found[:first], own[:first], scouts)])
    notes = list(dict.fromkeys(sound.note for sound in heard))
    likely = proposing.likeliest(notes) if scouts else notes
    pitches = {note.pitch for note in likely} or set(target.pitches)
    drawn = proposing.drawn([h for h in heard if h.note in likely], settings.drawn - proposing.scouts, _DRAWING_UNTIL)
    rest = _by_turns(found[first:], [c for c in own[first:] if c.note.pitch in pitches], drawn)
    proposing.score([*rest, *proposing.random()])
    return proposing.at_other_lengths()


@dataclass(eq=False)
class _Proposing:
    """What is proposed for a target, and what of it has been scored."""

    bench: Bench
    target: Target
    sources: Sources
    settings: MatchSettings
    generator: np.random.Generator
    going: Going
    scored: list[Candidate] = field(default_factory=list)

    def found(self) -> list[Candidate]:
        """Those retrieved or told by trained networks, which are to be tried in this order."""
        synth, target, wanted = self.bench.synth, self.target, self.settings.retrieved
        found = [c for corpus in self.sources.corpora for c in retrieve(corpus, synth, target, wanted)]
        if self.sources.proxy:
            found += self.sources.proxy.propose(synth, target, [c.preset for c in found], wanted, self.generator)
        if self.sources.estimator:
            found = self.sources.estimator.propose(synth, target) + found
        return found

    def own(self) -> list[Candidate]:
        """Presets to try as they are, at all notes."""
        presets = () if self.sources.presets is None else self.sources.presets
        own = [Candidate(preset, note, "shipped") for preset in presets for note in self.target.notes]
        self.generator.shuffle(own)  # They lie sorted by kind, and a short budget is to try some of each.
        return self._audible(own)

    @cached_property
    def heard(self) -> list[Heard]:
        """What the proposer, if there is one, hears."""
        return self.sources.proposer.hear(self.target) if self.sources.proposer else []

    @property
    def scouts(self) -> int:
        """How many are drawn to tell notes apart."""
        return round(_SCOUTING_PART * self.settings.drawn) if len(self.heard) > _LIKELY_NOTES else 0

    def drawn(self, heard: Sequence[Heard], count: int, until: float) -> list[Candidate]:
        """So many by the proposer, or what it has drawn when that part of the time for proposing is over."""
        if not self.sources.proposer or not heard or not count:
            return []
        goes_on = self.going(until * self.settings.propose_until)
        synth, temperatures, bounds = self.bench.synth, self.settings.temperatures, self.bench.bounds
        return self._audible(
            self.sources.proposer.propose(
                synth, heard, count, temperatures, self.generator, lambda: goes_on(()), bounds
            )
        )

    def begun(self) -> list[Candidate]:
        """A preset to begin from at every note that the target may be, then changed as children of the search are."""
        if self.sources.begin is None:
            return []
        first = [Candidate(self.sources.begin, note, "start") for note in self.target.notes]
        variation = Variation(self.bench.synth.space, self.bench.seconds, self.settings.search, self.bench.bounds)
        children = variation.children(first, self.settings.random, self.generator)
        return [*first, *(replace(child, origin="start") for child in children)]

    def random(self) -> list[Candidate]:
        """Presets by chance, unless there is one to begin from."""
        if self.sources.begin is not None:
            return []
        wanted = self.settings.random
        chance = random_candidates(self.bench.synth.space, self.target.notes, 4 * wanted, self.generator)
        return self._audible(chance)[:wanted]

    def score(self, proposals: Sequence[Candidate]) -> None:
        """Render and compare them in their order, as many as there is time for."""
        keep_going, kept = self.going(self.settings.propose_until), self.settings.search.population
        for step in range(0, len(proposals), _STEP):
            self.scored = nearest([*self.scored, *self.bench.score(proposals[step : step + _STEP])], kept)
            if not keep_going(self.scored):
                break

    def likeliest(self, notes: Sequence[Note]) -> list[Note]:
        """Those of some notes at which candidates are nearest."""
        return sorted(notes, key=self._distance_at)[:_LIKELY_NOTES]

    def _distance_at(self, note: Note) -> float:
        distances = [c.distance for c in self.scored if c.note == note][:_COMPARED]
        return float(np.mean(distances)) if len(distances) == _COMPARED else float("inf")

    def at_other_lengths(self) -> list[Candidate]:
        """All that have been scored, and the nearest with notes of every length that the target may have."""
        durations = self.target.durations
        if len(durations) > 1:
            tried = self.scored[:_TRIED]
            others = [replace(c, note=replace(c.note, duration=length)) for c in tried for length in durations]
            self.scored = nearest([*self.scored, *self.bench.score(others)], self.settings.search.population)
        return self.scored

    def _audible(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Within bounds, those that are not certain to be all but silent, as far as is told without rendering."""
        synth, inside = self.bench.synth, self.bench.within(candidates)
        if not inside or not isinstance(synth, BoundsLoudness):
            return inside
        bound = synth.loudness_bound(presets_of(inside), inside[0].note, self.bench.seconds, SAMPLE_RATE)
        return [c for c, loudest in zip(inside, bound, strict=True) if loudest > _BARELY_AUDIBLE]


def _by_turns(*several: Sequence[Candidate]) -> list[Candidate]:
    """All of them, so that a budget that ends early has tried as many of each."""
    return [candidate for candidate in chain(*zip_longest(*several)) if candidate is not None]
