"""Locked parameters and nearness: what a match may change, through every stage of it."""

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.errors import InvalidInputError
from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate, presets_of
from synthproxy.matching.match import State, match
from synthproxy.matching.propose import Sources
from synthproxy.matching.search import SearchSettings, Variation
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.target import read_target
from synthproxy.synths import Kind, Note, Parameter, PresetSpace, get_synth

RATE = 32_000
NOTE = Note(60, 100, 0.4)
SETTINGS = MatchSettings(random=48, seed=5, search=SearchSettings(population=32))


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


@pytest.fixture(scope="module")
def loud(synth):
    """The two loudest of many drawn presets."""
    drawn = synth.space.sample(np.random.default_rng(8), 300)
    return drawn[np.argsort(-synth.loudness_bound(drawn, NOTE, 0.6, RATE))[:2]]


@pytest.fixture(scope="module")
def target(synth, loud, tmp_path_factory):
    path = tmp_path_factory.mktemp("target") / "target.wav"
    write_audio(path, synth.render(loud[0], NOTE, 0.6, RATE), RATE)
    return read_target(path, pitch=60, duration=0.4)


def columns(space: PresetSpace, *patterns: str) -> list[int]:
    found = {space.parameters[i].name for i in space.matching(patterns)}
    return [i for i, p in enumerate(space.free) if p.name in found]


def test_without_limits_every_value_stays_as_it_is(synth):
    drawn = synth.space.sample(np.random.default_rng(0), 50)
    bounds = Bounds.of(synth.space)
    assert not bounds.locked
    np.testing.assert_array_equal(bounds.within(drawn), drawn)


def test_locked_groups_and_patterns_keep_the_values_of_the_preset(synth, loud):
    bounds = Bounds.of(synth.space, loud[0], lock=["operators.3", "lfo", "op?_detune"])
    kept = columns(synth.space, "operators.3", "lfo", "op?_detune")
    assert bounds.locked == [synth.space.free[i].name for i in kept]
    drawn = synth.space.sample(np.random.default_rng(1), 20)
    brought = bounds.within(drawn)
    assert (brought[:, kept] == loud[0][kept]).all()
    np.testing.assert_array_equal(np.delete(brought, kept, axis=1), np.delete(drawn, kept, axis=1))


def test_without_a_preset_locked_parameters_keep_their_defaults(synth):
    bounds = Bounds.of(synth.space, lock=["algorithm"])
    defaults = synth.space.snap(synth.space.encode(synth.space.defaults))
    kept = columns(synth.space, "algorithm")
    assert (bounds.within(synth.space.sample(np.random.default_rng(1), 20))[:, kept] == defaults[kept]).all()


def test_near_is_a_part_of_the_range_and_leaves_categories_alone(mixed_space):
    start = mixed_space.from_names(
        {"shape": "saw", "level": 0.5, "sync": 1.0, "coarse": 0.5, "decay": 0.3, "octave": 0.5}
    )
    bounds = Bounds.of(mixed_space, start, near=0.3)
    near = bounds.within(mixed_space.sample(np.random.default_rng(2), 500))
    mixed_space.validate(near)
    for i, p in enumerate(mixed_space.free):
        if p.kind is Kind.NUMERICAL:
            assert np.abs(near[:, i] - start[i]).max() <= 0.3 * (p.high - p.low) + 1e-6
        else:
            assert (near[:, i] == start[i]).all()
    assert set(near[:, 3].tolist()) == {0.25, 0.5}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lock": ["operators.9"]}, "operators.9"),
        ({"lock": ["*"]}, "every parameter is locked"),
        ({"near": 0.5}, "--start"),
        ({"near": 0.0}, "above 0"),
        ({"near": float("nan")}, "above 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(synth, options, words):
    with pytest.raises(InvalidInputError, match=words.replace("*", ".")):
        Bounds.of(synth.space, **options)


def test_what_a_synth_holds_cannot_be_locked():
    space = PresetSpace("s", (Parameter("a"), Parameter("b"), Parameter("c", held=True)))
    with pytest.raises(InvalidInputError, match="always keeps 'c'"):
        Bounds.of(space, lock=["c"])


def test_children_keep_what_is_locked_and_change_the_rest(synth, loud):
    bounds = Bounds.of(synth.space, loud[0], lock=["operators.1", "algorithm"])
    variation = Variation(synth.space, 1.0, SearchSettings(swap=0.5), bounds)
    generator = np.random.default_rng(3)
    parents = [Candidate(x, NOTE, "random") for x in bounds.within(loud)]
    children = presets_of(variation.children(parents, 200, generator))
    kept = columns(synth.space, "operators.1", "algorithm")
    assert (children[:, kept] == loud[0][kept]).all()
    assert len(np.unique(children, axis=0)) > 150


def test_continuous_knobs_move_a_little(mixed_space):
    variation = Variation(mixed_space, 1.0, SearchSettings(swap=0.0))
    start = mixed_space.snap(mixed_space.from_names({"level": 0.5}))
    generator = np.random.default_rng(3)
    children = presets_of(variation.children([Candidate(start, NOTE, "start")], 300, generator))
    level = children[:, 1]
    moved = np.abs(level[level != start[1]] - start[1])
    assert len(moved) > 50
    assert np.median(moved) < 0.25


def test_the_bench_brings_candidates_within_bounds_before_it_renders_them(synth, loud, target):
    bounds = Bounds.of(synth.space, loud[0], lock=["lfo", "operators"])
    with Bench(synth, target.audio, 1, bounds=bounds) as bench:
        scored, same = bench.score([Candidate(loud[1], NOTE, "retrieval"), Candidate(loud[0], NOTE, "start")])
    kept = columns(synth.space, "lfo", "operators")
    assert (scored.preset[kept] == loud[0][kept]).all()
    assert same.distance == pytest.approx(0, abs=1e-4)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "corpus"
    rendering = Rendering(note=NOTE, seconds=0.6)
    generate(path, get_synth("dexed-paper"), get_audio_model("mel"), size=64, seed=4, rendering=rendering, workers=1)
    return Corpus.open(path)


def test_locked_values_hold_in_every_stage_and_every_result(synth, loud, target, bank):
    bounds = Bounds.of(synth.space, loud[1], lock=["operators.2", "feedback"])
    kept = columns(synth.space, "operators.2", "feedback")
    populations: list[State] = []
    stages = set()

    def report(progress, state):
        stages.add(progress.stage)
        populations.append(state)

    result = match(
        synth, target, Budget(renders=500), sources=Sources([bank]), settings=SETTINGS, bounds=bounds, workers=1,
        report=report,
    )  # fmt: skip
    assert stages == {"propose", "search", "refine", "diversify"}
    everything = [c.preset for state in populations for c in state.population]
    everything += [m.candidate.preset for m in result.matches]
    assert (np.stack(everything)[:, kept] == loud[1][kept]).all()
    assert "retrieval" in {c.origin for c in populations[0].population}


def test_a_match_begins_from_a_preset_and_stays_near_it(synth, loud, target):
    numerical = synth.space.columns(Kind.NUMERICAL)
    moved = loud[0].astype(float)
    moved[numerical] += 0.05 * np.random.default_rng(6).standard_normal(len(numerical))
    begin = synth.space.snap(moved)
    bounds = Bounds.of(synth.space, begin, near=0.15)
    first: list[State] = []
    results = [
        match(
            synth, target, Budget(renders=300), sources=Sources(begin=begin), settings=SETTINGS, bounds=bounds,
            workers=workers, report=lambda _, state: first.append(state),
        )
        for workers in (1, 2)
    ]  # fmt: skip
    assert {c.origin for c in first[0].population} == {"start"}
    with Bench(synth, target.audio, 1) as bench:
        (own,) = bench.score([Candidate(begin, NOTE, "start")])
    best = results[0].matches[0].candidate
    assert best.distance < own.distance
    reach = np.asarray([p.high - p.low for p in synth.space.free]) * 0.15 + 1e-6
    assert (np.abs(best.preset - begin)[numerical] <= reach[numerical]).all()
    others = np.setdiff1d(np.arange(synth.space.size), numerical)
    assert (best.preset[others] == begin[others]).all()
    assert [m.candidate.key for m in results[0].matches] == [m.candidate.key for m in results[1].matches]


def test_a_match_with_one_parameter_left_ends(synth, loud, target):
    names = [p.name for p in synth.space.free if p.name != "lfo_speed"]
    bounds = Bounds.of(synth.space, loud[0], lock=names)
    result = match(
        synth, target, Budget(renders=100), settings=SETTINGS, bounds=bounds, sources=Sources(begin=loud[0]), workers=1
    )
    assert (
        result.matches[0].candidate.preset[columns(synth.space, *names)] == loud[0][columns(synth.space, *names)]
    ).all()
