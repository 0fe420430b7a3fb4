"""The numbers of the ranking, against SciPy and against what is known of perfect, deaf and circular ears."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from synthproxy.ranking.correlation import (
    DISTANCES,
    bootstrap_means,
    mean_over_attributes,
    order_correlation,
    pairwise_distances,
    spearman,
)

SCIPY_NAMES = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}

pairs = st.lists(
    st.tuples(st.integers(-5, 5), st.floats(-1e3, 1e3, allow_nan=False, allow_subnormal=False)),
    min_size=2,
    max_size=40,
).filter(lambda rows: len({x for x, _ in rows}) > 1 and len({y for _, y in rows}) > 1)


@given(pairs)
def test_rank_correlation_is_scipys_with_and_without_ties(rows: list[tuple[int, float]]) -> None:
    x, y = np.asarray(rows).T
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_a_sequence_without_order_correlates_with_nothing() -> None:
    assert spearman(np.ones(5), np.arange(5)) == 0.0


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("dimension", [1, 3, 6000])
def test_distances_are_scipys(distance: str, dimension: int) -> None:
    rows = np.random.default_rng(dimension).normal(size=(20, dimension)).astype(np.float32)
    expected = cdist(rows.astype(np.float64), rows.astype(np.float64), SCIPY_NAMES[distance])
    # SciPy's cosine distance of a vector from itself is off by rounding; ours of close vectors is not.
    np.testing.assert_allclose(pairwise_distances(rows, distance), expected, rtol=1e-6, atol=1e-9)


def test_cosine_distance_orders_what_is_nearly_the_same() -> None:
    angles = np.arange(5) * 1e-5
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert order_correlation(pairwise_distances(rows, "cosine")) == 1.0


def test_an_embedding_of_zeros_has_a_cosine_distance() -> None:
    rows = np.asarray([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(pairwise_distances(rows, "cosine"), [[0, 0, 1], [0, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_a_straight_path_is_a_perfect_order(distance: str) -> None:
    path = np.arange(20)[:, None] * np.asarray([[1.0, -2.0, 0.5]])
    assert order_correlation(pairwise_distances(path, distance)) == 1.0


def test_a_circle_is_hardly_an_order_from_its_ends() -> None:
    turn = 2 * np.pi * np.arange(20) / 20
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert abs(order_correlation(pairwise_distances(circle, "l2"))) < 0.25


def test_a_deaf_model_scores_nothing() -> None:
    assert order_correlation(pairwise_distances(np.ones((20, 8)), "l1")) == 0.0


def test_the_order_is_correlated_as_published() -> None:
    """The published code takes Pearson's correlation of the sorting permutation with the true order."""
    rows = np.random.default_rng(3).normal(size=(20, 4)) + np.arange(20)[:, None] / 5
    distances = pairwise_distances(rows, "l1")
    way = np.arange(20)
    from_first = np.corrcoef(np.argsort(distances[0]), way)[0, 1]
    from_last = np.corrcoef(np.argsort(distances[-1]), way[::-1])[0, 1]
    assert order_correlation(distances) == pytest.approx((from_first + from_last) / 2)


def test_resampling_is_that_of_presets_drawn_one_by_one() -> None:
    table = np.asarray([[0.9, 0.5, np.nan, 0.7], [np.nan, 1.0, 0.2, np.nan]])
    draws = np.random.default_rng(5).multinomial(4, np.full(4, 0.25), size=50)
    expected = []
    for counts in draws:
        drawn = [preset for preset, count in enumerate(counts) for _ in range(count)]
        rows = [[row[preset] for preset in drawn if not np.isnan(row[preset])] for row in table]
        expected.append(np.mean([np.mean(row) for row in rows if row]))
    np.testing.assert_allclose(bootstrap_means(table, seed=5, resamples=50), expected)


def test_the_mean_weighs_attributes_alike() -> None:
    assert mean_over_attributes(np.asarray([[1.0, 1.0, 1.0], [0.0, np.nan, np.nan]])) == 0.5


def test_a_single_preset_leaves_nothing_to_resample() -> None:
    assert set(bootstrap_means(np.asarray([[0.8], [0.6]]), seed=0, resamples=10)) == {0.7}
