"""Several different presets: chosen among islands, refined one by one, kept when a match is interrupted."""

from dataclasses import replace

import numpy as np
import pytest

from synthproxy.matching.candidates import Bench, Candidate
from synthproxy.matching.diversify import different, island_by_island, refine_each
from synthproxy.synths import Note, get_synth

RATE = 32_000
NOTE = Note(60, 100, 0.3)


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


@pytest.fixture
def bench(synth):
    target = synth.render(synth.space.snap(synth.space.encode(synth.space.defaults)), NOTE, 0.5, RATE)
    with Bench(synth, target, workers=1) as bench:
        yield bench


@pytest.fixture
def audible(bench, synth) -> list[Candidate]:
    """Scored candidates near the default preset, nearest first."""
    generator = np.random.default_rng(3)
    default = synth.space.encode(synth.space.defaults)
    moved = np.where(generator.random((40, synth.space.size)) < 0.1, synth.space.sample(generator, 40), default)
    scored = bench.score([Candidate(x, NOTE, "random") for x in synth.space.snap(moved.astype(np.float32))])
    return sorted((c for c in scored if np.isfinite(c.distance)), key=lambda c: c.distance)


def test_islands_take_turns():
    def candidate(place, island):
        return Candidate(np.zeros(1, np.float32), NOTE, "search", float(place), island=island)

    population = [candidate(place, island) for place, island in enumerate([2, 2, 0, 2, 0, 1])]
    assert [c.distance for c in island_by_island(population)] == [0, 2, 5, 1, 4, 3]
    assert island_by_island([]) == []


def test_what_sounds_like_one_before_is_left_out(bench, audible):
    louder = replace(audible[0], gain=2.0, origin="again")
    chosen = different(bench, [audible[0], louder, *audible[1:]], 4, 2.0)
    assert len(chosen) == 4
    assert chosen[0] is audible[0]
    assert louder not in chosen
    assert [c.distance for c in chosen] == sorted(c.distance for c in chosen)
    assert len(different(bench, audible, len(audible), 1e-9)) > len(chosen)
    assert len(different(bench, audible, len(audible), 1e6)) == 1
    silent = replace(audible[0], distance=float("inf"))
    assert different(bench, [silent], 4, 2.0) == []


def test_each_is_refined_by_itself_until_its_share_is_used_up(bench, audible):
    generator = np.random.default_rng(0)
    others, asked = audible[3:6], []

    def keep_going(place):
        asked.append(place)
        return asked.count(place) <= 12 and place != 1

    refined = refine_each(bench, others, generator, keep_going)
    assert asked == sorted(asked)
    assert refined[1] is others[1]
    for before, after in zip(others, refined, strict=True):
        assert after.distance <= before.distance
    assert refined[0].distance < others[0].distance
    assert refined[0].origin == "refinement"
