"""A proposer makes children of a search: part of each parent is drawn anew, the rest and what is locked are kept."""

import numpy as np
import pytest

from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate
from synthproxy.matching.match import MatchSettings, match
from synthproxy.matching.redrawing import FEWEST, Redrawing
from synthproxy.matching.search import SearchSettings, evolve

RATE = 32_000


@pytest.fixture
def parents(synth, target):
    presets = synth.space.sample(np.random.default_rng(5), 24)
    return [Candidate(x, target.notes[i % len(target.notes)], "random") for i, x in enumerate(presets)]


def test_children_keep_most_of_their_parents_their_note_and_all_that_is_locked(trained, synth, target, parents):
    start = synth.space.sample(np.random.default_rng(3), 1)[0]
    bounds = Bounds.of(synth.space, start, lock=["operators.2", "algorithm"])
    redrawing = Redrawing.of(trained, bounds, target)
    children = redrawing.children(parents, np.random.default_rng(0))
    assert [child.note for child in children] == [parent.note for parent in parents]
    same = np.stack([c.preset for c in children]) == np.stack([p.preset for p in parents])
    synth.space.validate(np.stack([c.preset for c in children]))
    locked = np.isin([parameter.name for parameter in synth.space.free], bounds.locked)
    assert same[:, locked].all()
    changed = (~same).mean(axis=1)
    assert (changed > 0).mean() > 0.8  # A value may be drawn as it was.
    assert changed.min() < 4 * FEWEST
    assert 0.05 < changed.mean() < 0.5
    again = redrawing.children(parents, np.random.default_rng(0))
    assert [c.key for c in again] == [c.key for c in children]


def test_what_is_forgotten_is_told_from_nothing_but_the_sound_and_the_rest(trained, synth, target, parents):
    redrawing = Redrawing.of(trained, Bounds.of(synth.space), target)
    children = redrawing.children(parents, np.random.default_rng(1))
    hidden = np.stack([c.preset for c in children]) != np.stack([p.preset for p in parents])
    others = [
        Candidate(np.where(row, synth.space.sample(np.random.default_rng(9), 1)[0], p.preset), p.note, "random")
        for row, p in zip(hidden, parents, strict=True)
    ]
    again = redrawing.children(others, np.random.default_rng(1))
    kept = [np.array_equal(a.preset[row], b.preset[row]) for a, b, row in zip(children, again, hidden, strict=True)]
    assert all(kept)


def test_a_search_has_children_of_both_kinds_and_gets_nearer(trained, synth, target, parents):
    with Bench(synth, target.audio) as bench:
        population = bench.score(parents)
        asked = []

        def redraw(chosen, generator):
            asked.append(len(chosen))
            return Redrawing.of(trained, bench.bounds, target).children(chosen, generator)

        generations = iter([True] * 4 + [False])
        settings = SearchSettings(population=16, children=10, redrawn=0.3)
        found = evolve(
            bench,
            population,
            np.random.default_rng(0),
            keep_going=lambda _: next(generations),
            settings=settings,
            redraw=redraw,
        )
    assert asked == [3] * 4
    assert found[0].distance < min(c.distance for c in population)
    assert {"search", "proposer"} & {c.origin for c in found}


def test_where_the_proposer_knows_nothing_that_is_open_there_is_nothing_to_redraw(trained, synth, target):
    known = {parameter.name for parameter in trained.info.space.free}
    bounds = Bounds.of(synth.space, lock=[p.name for p in synth.space.free if p.name in known])
    assert bounds.open.size
    assert Redrawing.of(trained, bounds, target) is None
    settings = MatchSettings(random=16, search=SearchSettings(population=8, children=8))
    found = match(synth, target, Budget(renders=60), settings=settings, bounds=bounds, proposer=trained, workers=1)
    assert found.matches
