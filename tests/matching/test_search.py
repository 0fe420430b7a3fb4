"""Variation, evolution and refinement on the real engine."""

from collections import Counter

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.errors import InvalidInputError
from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import BEGINNING, Bench, Candidate, nearest, presets_of
from synthproxy.matching.distances import SearchDistance
from synthproxy.matching.match import State, match
from synthproxy.matching.refine import refine
from synthproxy.matching.saved_state import forget_state, load_state, save_state, task_identity
from synthproxy.matching.search import SearchSettings, Variation, evolve, random_candidates
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.target import read_target
from synthproxy.synths import Kind, Note, get_synth

RATE = 32_000
NOTE = Note(60, 100, 0.5)


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


@pytest.fixture(scope="module")
def target_preset(synth):
    drawn = synth.space.sample(np.random.default_rng(21), 300)
    return drawn[int(np.argmax(synth.loudness_bound(drawn, NOTE, 0.8, RATE)))]


@pytest.fixture(scope="module")
def target(synth, target_preset):
    return synth.render(target_preset, NOTE, 0.8, RATE)


def start(bench: Bench, count: int = 48) -> list[Candidate]:
    drawn = random_candidates(bench.synth.space, [NOTE], 6 * count, np.random.default_rng(1))
    bound = bench.synth.loudness_bound(np.stack([c.preset for c in drawn]), NOTE, 0.8, RATE)
    return nearest(bench.score([drawn[i] for i in np.argsort(-bound)[:count]]), count)


def within(bench: Bench, renders: int):
    end = bench.renders + renders
    return lambda _: bench.renders < end


def test_children_are_valid_presets_and_groups_cross_whole(synth):
    variation = Variation(synth.space, 1.0, SearchSettings(crossover=1.0, swap=0.0, note_change=0.0))
    generator = np.random.default_rng(4)
    parents = [Candidate(x, NOTE, "random") for x in synth.space.sample(generator, 2)]
    whole = 0
    for child in variation.children(parents, 200, generator):
        synth.space.validate(child.preset)
        whole += all(any((child.preset[g] == p.preset[g]).all() for p in parents) for g in variation.groups)
    assert whole > 20


def test_like_groups_are_the_operators(synth):
    (groups,) = Variation(synth.space, 1.0, SearchSettings()).alike
    names = np.asarray([p.name for p in synth.space.free])
    assert [names[group[0]][:3] for group in groups] == ["op1", "op2", "op3", "op4", "op5", "op6"]
    assert len({tuple(name[4:] for name in names[group]) for group in groups}) == 1


def test_evolution_comes_nearer_and_never_loses_its_best(synth, target):
    with Bench(synth, target, 1) as bench:
        population = start(bench)
        first = population[0].distance
        seen = []

        def going(current):
            seen.append(current[0].distance)
            return len(seen) < 14

        settings = SearchSettings(population=48)
        best = evolve(bench, population, np.random.default_rng(0), keep_going=going, settings=settings)
    assert best[0].distance < 0.9 * first
    assert seen == sorted(seen, reverse=True)
    assert len({c.key for c in best}) == len(best)


def one_parent(synth, target_preset, **settings):
    """Children of one preset that came about by nothing but what is asked for, and few mutations."""
    nothing = {"crossover": 1.0, "swap": 0.0, "copy": 0.0, "shift": 0.0, "rewire": 0.0, "note_change": 0.0}
    variation = Variation(synth.space, 1.0, SearchSettings(**(nothing | settings)), synth=synth)
    parent = Candidate(target_preset, NOTE, "random")
    return variation, presets_of(variation.children([parent], 60, np.random.default_rng(2)))


def test_an_operator_becomes_what_another_is(synth, target_preset):
    def copies(**settings):
        variation, children = one_parent(synth, target_preset, **settings)
        operators = children[:, variation.alike[0]]
        return sum(len(np.unique(one, axis=0)) < len(one) for one in operators)

    assert copies() == 0
    assert copies(copy=1.0) > 20


def test_one_parameter_of_several_operators_moves_by_one_step(synth, target_preset):
    def shifts(**settings):
        variation, children = one_parent(synth, target_preset, **settings)
        steps = np.round((children - target_preset)[:, variation.alike[0]], 3)
        counts = [
            [np.unique(column[column != 0], return_counts=True)[1].max(initial=0) for column in one.T] for one in steps
        ]
        return sum(max(one) >= 3 for one in counts)

    assert shifts() == 0
    assert shifts(shift=1.0) > 20


def test_a_child_is_rewired_unless_something_is_locked(synth, target_preset):
    column = [parameter.name for parameter in synth.space.free].index("algorithm")
    _, children = one_parent(synth, target_preset, rewire=1.0)
    assert (children[:, column] != target_preset[column]).mean() > 0.9
    _, children = one_parent(synth, target_preset)
    assert (children[:, column] == target_preset[column]).mean() > 0.9
    locked = Bounds.of(synth.space, target_preset, lock=["op1_detune"])
    assert Variation(synth.space, 1.0, SearchSettings(), locked, synth).synth is None


def test_of_presets_that_sound_the_same_one_is_kept(synth, target, target_preset):
    names = [parameter.name for parameter in synth.space.free]
    unheard = target_preset.copy()
    unheard[[names.index("lfo_pitch_mod_depth"), names.index("lfo_amp_mod_depth")]] = 0.0
    other = unheard.copy()
    other[names.index("lfo_speed")] = 1.0 - np.round(unheard[names.index("lfo_speed")])
    with Bench(synth, target, 1) as bench:
        scored = bench.score([Candidate(x, NOTE, "random") for x in synth.space.snap([unheard, other, target_preset])])
    assert scored[0].distance == scored[1].distance != scored[2].distance
    assert nearest(scored, 3) == [scored[2], scored[0]]


def test_children_are_held_to_the_beginnings_of_those_kept(synth, target, monkeypatch):
    asked: list[tuple[float, ...]] = []
    score = Bench.score

    def watched(self, candidates, limits=()):
        asked.append(tuple(limits))
        return score(self, candidates, limits)

    with Bench(synth, target, 1) as bench:
        population = start(bench)
        monkeypatch.setattr(Bench, "score", watched)
        for more in (0, 1):
            settings = SearchSettings(population=len(population) + more)
            evolve(bench, population, np.random.default_rng(0), settings=settings, keep_going=once())
    assert set(asked[0]) == {max(c.beginning for c in population)}
    assert set(asked[1]) == {float("inf")}


def test_what_begins_too_far_away_is_not_rendered_to_its_end(synth, target):
    with Bench(synth, target, 1) as bench:
        whole = start(bench)
        so_far = bench.renders
        beginnings = np.asarray([c.beginning for c in whole])
        limit = float(np.median(beginnings))
        again = bench.score(whole, [limit] * len(whole))
        spent = bench.renders - so_far
        sound = bench.render(whole[0])[0]
    heard = round(BEGINNING * RATE)
    assert whole[0].beginning == SearchDistance(target[:heard])([sound[:heard]])[0][0]
    passed = beginnings <= limit
    assert [c.distance for c in again] == [
        c.distance if ok else float("inf") for c, ok in zip(whole, passed, strict=True)
    ]
    assert [c.beginning for c in again] == beginnings.tolist()
    # A beginning of 0.15 s costs its part of the 0.8 s.
    assert spent == pytest.approx(passed.sum() + len(whole) * 0.15 / 0.8, abs=1)


def test_islands_exchange_nothing_until_they_are_one(synth, target, monkeypatch):
    settings = SearchSettings(population=24, crossover=1.0, swap=0.0, note_change=0.0)
    made: list[list[Candidate]] = []
    breed = Variation.children

    def watched(self, parents, count, generator):
        assert len({parent.island for parent in parents}) == 1
        return breed(self, parents, count, generator)

    monkeypatch.setattr(Variation, "children", watched)
    with Bench(synth, target, 1) as bench:
        apart = evolve(
            bench, start(bench), np.random.default_rng(0), islands=3, settings=settings,
            keep_going=lambda population: made.append(list(population)) or len(made) < 6,
        )  # fmt: skip
        assert [c.island for c in made[0]] == [0, 1, 2] * 8
        assert all(Counter(c.island for c in population) == {0: 8, 1: 8, 2: 8} for population in made)
        for island in range(3):
            best = [min(c.distance for c in population if c.island == island) for population in made]
            assert best == sorted(best, reverse=True)
        # They go on as they were, and then as one.
        going_on = evolve(bench, apart, np.random.default_rng(0), islands=3, settings=settings, keep_going=once())
        joined = evolve(bench, apart, np.random.default_rng(0), settings=settings, keep_going=once())
    assert Counter(c.island for c in going_on) == {0: 8, 1: 8, 2: 8}
    assert {c.island for c in joined} == {0}


def once():
    """Answers yes, and then no."""
    answers = iter((True, False))
    return lambda _: next(answers)


def test_refinement_sets_right_what_was_moved_a_little_and_a_switch(synth, target, target_preset):
    generator = np.random.default_rng(5)
    numerical = synth.space.columns(Kind.NUMERICAL)
    moved = target_preset.astype(float)
    moved[numerical] += 0.03 * generator.standard_normal(len(numerical))
    switch = [parameter.name for parameter in synth.space.free].index("op1_mode")
    moved[switch] = 1 - moved[switch]
    with Bench(synth, target, 1) as bench:
        (begin,) = bench.score([Candidate(synth.space.snap(moved), NOTE, "random")])
        (best,) = refine(bench, [begin], generator, keep_going=within(bench, 900))
    assert best.distance < 0.4 * begin.distance
    assert best.preset[switch] == target_preset[switch]
    synth.space.validate(best.preset)


def test_refinement_ends_where_no_move_helps_and_then_begins_with_the_next(synth, target, target_preset):
    names = ["op1_output_level", "op2_output_level", "op3_output_level"]
    others = [parameter.name for parameter in synth.space.free if parameter.name not in names]
    bounds = Bounds.of(synth.space, target_preset, lock=others)
    columns = bounds.open
    starts = np.repeat(target_preset[None].astype(float), 3, axis=0)
    starts[:, columns] = [[0.5, 0.5, 0.2], [0.9, 0.2, 0.6], [0.2, 0.9, 0.9]]
    with Bench(synth, target, 1, bounds=bounds) as bench:
        population = bench.score([Candidate(preset, NOTE, "random") for preset in synth.space.snap(starts)])
        population = sorted(population, key=lambda c: c.distance)
        found = refine(bench, population, np.random.default_rng(0), keep_going=within(bench, 3_000))
        assert bench.renders < 3_000
    assert found[0].distance < 0.2 * population[0].distance
    assert (
        found[0].preset[synth.space.columns(Kind.CATEGORICAL)] == target_preset[synth.space.columns(Kind.CATEGORICAL)]
    ).all()


def test_refinement_leaves_alone_what_is_not_heard(synth, target_preset):
    names = [parameter.name for parameter in synth.space.free]
    preset = target_preset.copy()
    preset[[names.index(f"pitch_eg_level_{stage}") for stage in (1, 2, 3, 4)]] = 0.5
    level, rates = names.index("op1_output_level"), [names.index(f"pitch_eg_rate_{stage}") for stage in (1, 2, 3, 4)]
    preset[level] = 0.9
    target = synth.render(preset, NOTE, 0.8, RATE)
    preset[level] = 0.4
    preset = synth.space.snap(preset)
    bounds = Bounds.of(synth.space, preset, lock=[n for i, n in enumerate(names) if i not in [level, *rates]])
    with Bench(synth, target, 1, bounds=bounds) as bench:
        (begin,) = bench.score([Candidate(preset, NOTE, "random")])
        scored, score = [], bench.score
        bench.score = lambda candidates: scored.extend(found := score(candidates)) or found  # type: ignore[method-assign]
        refine(bench, [begin], np.random.default_rng(0), keep_going=within(bench, 400))
    for rate in rates:  # At first, and again when all else has come to its end.
        assert 1 <= sum(c.preset[rate] != preset[rate] for c in scored) <= 3


def test_the_bench_gives_the_same_scores_with_any_number_of_workers(synth, target):
    drawn = random_candidates(synth.space, [NOTE], 12, np.random.default_rng(9))
    scores = []
    for workers in (1, 3):
        with Bench(synth, target, workers) as bench:
            scores.append([c.distance for c in bench.score(drawn)])
    assert scores[0] == scores[1]


def test_a_match_with_a_number_of_renders_repeats_and_finds_different_sounds(tmp_path, synth, target):
    write_audio(tmp_path / "target.wav", target, RATE)
    sound = read_target(tmp_path / "target.wav", pitch=60, duration=0.5)
    settings = MatchSettings(random=64, seed=3, search=SearchSettings(population=32))
    runs = [match(synth, sound, Budget(renders=400), settings=settings, workers=w) for w in (1, 2)]
    assert [m.candidate.key for m in runs[0].matches] == [m.candidate.key for m in runs[1].matches]
    first, *others = runs[0].matches
    assert first.level_matched.a_mean <= runs[0].proposal.level_matched.a_mean
    for other in others:
        assert first.level_matched.a_mean <= other.level_matched.a_mean
        assert np.abs(first.audio - other.audio).max() > 1e-3


def test_an_interrupted_match_goes_on_from_its_state(tmp_path, synth, target):
    write_audio(tmp_path / "target.wav", target, RATE)
    sound = read_target(tmp_path / "target.wav", pitch=60, duration=0.5)
    states: list[State] = []
    settings = MatchSettings(random=64, search=SearchSettings(population=32))
    match(
        synth, sound, Budget(renders=600), settings=settings, workers=1,
        report=lambda _, state: states.append(state), stop=lambda: states[-1].used > settings.apart_until + 0.05,
    )  # fmt: skip
    task = task_identity(synth, sound, renders=600)
    save_state(tmp_path, task, states[-1])
    assert load_state(tmp_path, "another task") is None
    state = load_state(tmp_path, task)
    assert [(c.key, c.island, c.beginning) for c in state.population] == [
        (c.key, c.island, c.beginning) for c in states[-1].population
    ]
    assert state.proposal.key == states[-1].proposal.key
    assert state.apart
    assert [c.key for c in state.apart] == [c.key for c in states[-1].apart]
    spent: list[int] = []
    result = match(
        synth, sound, Budget(renders=600, spent=state.used), settings=settings, start=state, workers=1,
        report=lambda progress, _: spent.append(progress.renders),
    )  # fmt: skip
    assert state.renders > 250
    assert spent[-1] - state.renders < 400
    assert len(result.matches) == settings.top
    assert result.matches[0].candidate.distance <= state.population[0].distance
    forget_state(tmp_path)
    assert load_state(tmp_path, task) is None


def test_a_match_interrupted_while_islands_are_apart_keeps_them_so(tmp_path, synth, target):
    write_audio(tmp_path / "target.wav", target, RATE)
    sound = read_target(tmp_path / "target.wav", pitch=60, duration=0.5)
    states: list[State] = []
    settings = MatchSettings(random=64, search=SearchSettings(population=32))
    match(
        synth, sound, Budget(renders=600), settings=settings, workers=1,
        report=lambda _, state: states.append(state), stop=lambda: states[-1].used > 0.35,
    )  # fmt: skip
    assert 0.35 < states[-1].used < settings.apart_until
    assert {c.island for c in states[-1].population} == set(range(settings.search.islands))
    assert not states[-1].apart


def test_a_population_is_no_larger_than_the_renders_bring_together():
    settings = SearchSettings(population=256, least=64, renders_each=60)
    sizes = [settings.within(renders).population for renders in (0, 600, 6_000, 60_000)]
    assert sizes == [64, 64, 100, 256]
    assert SearchSettings(population=32).within(60_000).population == 32


def test_evolution_ends_earlier_where_it_has_no_time_to_bring_candidates_together():
    settings = MatchSettings(search=SearchSettings(least=64, renders_each=60))
    assert settings.for_renders(64 * 60) == settings.for_renders(64 * 60 + 10)
    assert settings.for_renders(64 * 60).search_until == settings.search_until
    short = settings.for_renders(2_000)
    assert short.search == settings.search.within(2_000)
    assert settings.propose_until < short.apart_until < short.search_until < settings.search_until
    assert short.refine_until == settings.refine_until


def test_a_match_of_few_renders_searches_with_few_candidates(tmp_path, synth, target):
    write_audio(tmp_path / "target.wav", target, RATE)
    sound = read_target(tmp_path / "target.wav", pitch=60, duration=0.5)
    sizes: dict[str, int] = {}

    def report(progress, state):
        sizes[progress.stage] = len(state.population)

    settings = MatchSettings(random=128)
    match(synth, sound, Budget(renders=600), settings=settings, workers=1, report=report)
    assert sizes["propose"] > sizes["search"] == settings.search.least


def test_a_budget_tells_how_many_renders_there_will_be():
    assert Budget(renders=4_000).expected(10) == 4_000
    budget = Budget(seconds=1_000, spent=0.5)
    assert budget.expected(0) == 0
    assert budget.expected(6_000) == pytest.approx(12_000, rel=0.01)  # What an earlier run rendered is among them.


@pytest.mark.parametrize("limits", [{}, {"seconds": 1.0, "renders": 5}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_a_budget_wants_one_sensible_limit(limits):
    with pytest.raises(InvalidInputError):
        Budget(**limits)
