"""Ranks against independent implementations, baselines, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.proxies import make_proxy
from synthproxy.proxies.evaluation import (
    Protocol,
    evaluate,
    mean_absolute_error,
    nearest_preset,
    worst_ranked,
)
from synthproxy.proxies.galleries import by_gallery_size, ranks_in_galleries
from synthproxy.proxies.ranking import (
    bootstrap_interval,
    chance_reciprocal_rank,
    disjoint_candidates,
    mean_reciprocal_rank,
    rank_of_match,
    ranks_against_all,
    ranks_among,
    ranks_both_ways,
    recall,
)


def rank_by_hand(distances, match):
    """The mean place of the match over all orders that sort the candidates, by counting."""
    better = sum(1 for d in distances if d < distances[match])
    ties = sum(1 for d in distances if d == distances[match])
    return sum(range(better + 1, better + ties + 1)) / ties


@given(arrays.arrays(np.float32, (4, 6), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])), st.integers(0, 5))
def test_ranks_and_ties_agree_with_counting(distances, match):
    ranks = rank_of_match(torch.from_numpy(distances), torch.full((4,), match))
    assert ranks.tolist() == [rank_by_hand(row.tolist(), match) for row in distances]


def test_what_is_not_a_number_is_never_a_hit():
    nan = float("nan")
    ranks = rank_of_match(torch.tensor([[nan, 1.0, 2.0], [1.0, nan, nan], [nan, nan, nan]]), torch.zeros(3).long())
    assert ranks.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_one_against_all_agrees_with_brute_force(metric):
    generator = np.random.default_rng(0)
    gallery = generator.normal(size=(300, 8)).astype(np.float32)
    queries = gallery + generator.normal(size=gallery.shape).astype(np.float32)
    wanted = []
    for i, query in enumerate(queries.astype(np.float64)):
        difference = np.abs(gallery - query)
        distance = difference.sum(axis=1) if metric == "l1" else (difference**2).sum(axis=1)
        wanted.append(1 + np.flatnonzero(np.argsort(distance) == i)[0])
    ranks = ranks_against_all(queries, gallery, metric)
    assert ranks.tolist() == wanted
    assert mean_reciprocal_rank(ranks) == pytest.approx(np.mean([1 / rank for rank in wanted]))
    assert mean_reciprocal_rank(ranks, 2) == pytest.approx(np.mean([1 / r if r <= 2 else 0 for r in wanted]))
    assert recall(ranks, 5) == np.mean([r <= 5 for r in wanted])


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_both_ways_at_once_agree_with_each_by_itself(metric):
    generator = np.random.default_rng(0)
    one = generator.integers(0, 3, size=(700, 3)).astype(np.float32)  # Many ties, and more than one block.
    other = generator.integers(0, 3, size=(700, 3)).astype(np.float32)
    one[5], other[600] = np.nan, np.nan
    (forward,), (backward,) = ranks_both_ways(one, other, metric=metric)
    assert np.array_equal(forward, ranks_against_all(one, other, metric))
    assert np.array_equal(backward, ranks_against_all(other, one, metric))


@pytest.mark.parametrize(("size", "galleries"), [(300, 12), (40, 5)])  # Distances are shared, and are not.
def test_many_galleries_at_once_agree_with_each_by_itself(size, galleries):
    generator = np.random.default_rng(1)
    one, other = generator.integers(0, 4, size=(2, 700, 3)).astype(np.float32)
    one[5], other[600] = np.nan, np.nan
    rows = np.stack([generator.permutation(700)[:size] for _ in range(galleries)])
    forward, backward = ranks_both_ways(one, other, rows)
    assert np.array_equal(forward, [ranks_against_all(one[drawn], other[drawn]) for drawn in rows])
    assert np.array_equal(backward, [ranks_against_all(other[drawn], one[drawn]) for drawn in rows])


def test_one_gallery_that_holds_everything_says_it_all():
    true = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    found = ranks_in_galleries(true, true, gallery=100, runs=5, metric="l1", seed=3)
    assert (found.runs, found.gallery) == (1, 40)
    assert sorted(found.rows[0]) == list(range(40))
    several = ranks_in_galleries(true, true, gallery=10, runs=5, metric="l1", seed=3)
    assert several.presets.shape == several.sounds.shape == (5, 10)
    assert all(len(set(rows)) == 10 for rows in several.rows)


def test_validation_uses_every_preset_once_in_a_large_corpus():
    candidates = disjoint_candidates(4 * 6, 4, 6, seed=0)
    assert sorted(candidates.ravel()) == list(range(24))
    assert candidates[1].tolist() == [1, 5, 9, 13, 17, 21]  # the second of every batch of four


@given(size=st.integers(2, 60), queries=st.integers(1, 20), wanted=st.integers(2, 40), seed=st.integers(0, 99))
def test_candidates_of_a_small_corpus_hold_the_match_first_and_once(size, queries, wanted, seed):
    candidates = disjoint_candidates(size, queries, wanted, seed)
    assert candidates.shape == (min(queries, size), min(wanted, size))
    assert candidates[:, 0].tolist() == list(range(len(candidates)))
    assert all(len(set(row)) == len(row) and 0 <= row.min() <= row.max() < size for row in candidates)
    assert np.array_equal(candidates, disjoint_candidates(size, queries, wanted, seed))


def test_own_candidates_are_ranked_as_by_hand():
    generator = np.random.default_rng(1)
    pool, queries = generator.normal(size=(40, 5)).astype(np.float32), generator.normal(size=(7, 5)).astype(np.float32)
    candidates = disjoint_candidates(40, 7, 10, seed=3)
    wanted = [
        rank_by_hand(np.abs(pool[row] - q).sum(axis=1).tolist(), 0) for q, row in zip(queries, candidates, strict=True)
    ]
    assert ranks_among(queries, pool, candidates).tolist() == wanted


def test_chance_is_the_harmonic_number_over_n_and_the_published_figures():
    assert chance_reciprocal_rank(3) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert round(chance_reciprocal_rank(512), 4) == 0.0133
    assert round(chance_reciprocal_rank(4096), 4) == 0.0022


def test_random_embeddings_score_at_chance(small_space, make_examples):
    examples = make_examples(small_space, 600, 6, 0)
    noise = np.random.default_rng(5).normal(size=examples.embeddings.shape).astype(np.float32)
    result = evaluate(noise, examples, protocol=Protocol(queries=600, candidates=64))
    assert result.chance.validation == chance_reciprocal_rank(64)
    assert result.score.validation.mrr == pytest.approx(result.chance.validation, rel=0.35)


def test_true_embeddings_score_perfectly_and_constant_ones_do_not(small_space, make_examples):
    examples = make_examples(small_space, 300, 6, 0)
    result = evaluate(examples.embeddings, examples, protocol=Protocol(queries=50, candidates=40, gallery=100, runs=3))
    score = result.score
    assert (score.l1, score.validation.mrr, score.one_against_all.mrr) == (0.0, 1.0, 1.0)
    assert score.one_against_all.recall_at == {1: 1.0, 5: 1.0, 10: 1.0}
    assert (score.one_against_all.gallery, score.one_against_all.runs) == (100, 3)
    assert result.modality_gap == pytest.approx(0.0, abs=1e-6)
    assert result.separability.accuracy == 0.5
    # All candidates of a constant tie: expected rank (n + 1) / 2, never a hit.
    assert result.baselines["mean"].validation.mrr == pytest.approx(2 / 41)
    assert result.baselines["mean"].l1 > 0.1


def test_nearest_preset_agrees_with_brute_force_over_the_one_hot_form(tal_space):
    generator = np.random.default_rng(0)
    presets, known = tal_space.sample(generator, 20), tal_space.sample(generator, 300)
    one_hot, others = tal_space.one_hot(presets).astype(np.float64), tal_space.one_hot(known).astype(np.float64)
    wanted = np.abs(one_hot[:, None] - others).sum(axis=2).argmin(axis=1)
    assert nearest_preset(tal_space, presets, known).tolist() == wanted.tolist()


def test_nearest_preset_baseline_is_perfect_for_presets_that_were_learned_from(small_space, make_examples):
    examples = make_examples(small_space, 80, 6, 0)
    result = evaluate(np.zeros_like(examples.embeddings), examples, training=examples)
    assert result.baselines["nearest preset"].l1 == 0.0
    assert result.baselines["nearest preset"].validation.mrr == 1.0


def test_evaluation_is_plain_data_and_repeats(small_space, make_examples):
    examples = make_examples(small_space, 60, 6, 0)
    proxy = make_proxy("mlp-oh", small_space, 6, width=8)
    once, again = (evaluate(proxy, examples, protocol=Protocol(gallery=20, runs=4)).to_dict() for _ in range(2))
    assert once == again
    assert once["score"]["one_against_all"]["deviation"] > 0


def test_interval_covers_the_mean_and_narrows_with_more_queries():
    ranks = 1.0 + np.random.default_rng(0).geometric(0.3, size=2_000)
    wide, narrow = bootstrap_interval(ranks[:50]), bootstrap_interval(ranks)
    assert narrow.low < mean_reciprocal_rank(ranks) < narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3


def test_mean_absolute_error_agrees_with_its_definition():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 3_000, 3)).astype(np.float32)
    assert mean_absolute_error(a, b) == pytest.approx(float(np.abs(a - b).mean()), rel=1e-6)


def test_things_that_do_not_fit_are_refused(small_space, tal_space, make_examples):
    examples = make_examples(small_space, 30, 6, 0)
    with pytest.raises(InvalidInputError, match="at least two examples"):
        evaluate(examples.embeddings[:1], examples.first(1))
    with pytest.raises(InvalidInputError, match=r"must be \(30, 6\)"):
        evaluate(examples.embeddings[:, :5], examples)
    with pytest.raises(InvalidInputError, match="takes presets of 'talnm'"):
        evaluate(make_proxy("mlp-oh", tal_space, 6, width=8), examples)
    other = replace(examples, setting=replace(examples.setting, audio_model_identity="bands-2"))
    with pytest.raises(IncompatibleError, match="audio model identity differs"):
        evaluate(examples.embeddings, examples, training=other)


def test_both_directions_are_scored_and_swap_with_the_embeddings(small_space, make_examples):
    examples = make_examples(small_space, 120, 6, 0)
    noisy = examples.embeddings + np.random.default_rng(1).normal(0, 0.3, examples.embeddings.shape).astype(np.float32)
    protocol = Protocol(gallery=50, runs=4)
    score = evaluate(noisy, examples, protocol=protocol).score
    swapped = evaluate(examples.embeddings, replace(examples, embeddings=noisy), protocol=protocol).score
    assert score.one_against_all == swapped.sounds_among_presets
    assert score.one_against_all != score.sounds_among_presets
    perfect = evaluate(examples.embeddings, examples, protocol=protocol).score.sounds_among_presets
    assert (perfect.mean_rank, perfect.median_rank) == (1 / 50, 1 / 50)


def test_cosine_distance_does_not_see_lengths(small_space, make_examples):
    true = make_examples(small_space, 90, 6, 0).embeddings
    longer = true * np.random.default_rng(0).uniform(0.1, 10, (90, 1)).astype(np.float32)
    assert (ranks_against_all(longer, true, "cosine") == 1).all()
    assert (ranks_against_all(longer, true, "l2") > 1).any()


def test_larger_galleries_are_harder_and_the_worst_are_told():
    generator = np.random.default_rng(0)
    true = generator.normal(size=(700, 4)).astype(np.float32)
    predicted = true + generator.normal(0, 0.2, true.shape).astype(np.float32)
    predicted[3] = -5 * true[3]
    points = by_gallery_size(predicted, true, sizes=(64, 128, 512, 1024))
    assert [point.gallery for point in points] == [64, 128, 512]
    assert points[0].mrr > points[2].mrr > points[2].chance
    assert points[2].interval.low < points[2].mrr < points[2].interval.high
    ranks = ranks_against_all(predicted, true)
    worst = worst_ranked(predicted, true, Protocol(), 5)
    assert [rank for _, rank in worst] == sorted(ranks, reverse=True)[:5]
    assert all(ranks[row] == rank for row, rank in worst)
    assert 3 in [row for row, _ in worst]
