"""Telling predicted from true embeddings, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.separability import fit_logistic_regression, separability


def pairs(count: int, dimension: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    true = generator.normal(2.0, 3.0, size=(count, dimension)).astype(np.float32)
    return (true + generator.normal(shift, 1.0, size=true.shape)).astype(np.float32), true


def by_scikit_learn(penalty: float):
    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=100_000))


@pytest.mark.parametrize("penalty", [0.1, 1.0, 50.0])
def test_weights_agree_with_scikit_learn(penalty):
    predicted, true = pairs(150, 12, 0.5)
    features = np.concatenate([predicted, true]).astype(np.float64)
    features[:, 3] = 7.0  # Nothing can be learned from a constant, nor divided by its deviation.
    classes = np.repeat([1.0, 0.0], 150)
    ours = fit_logistic_regression(torch.from_numpy(features), torch.from_numpy(classes), penalty)
    theirs = by_scikit_learn(penalty).fit(features, classes)
    np.testing.assert_allclose(ours.weights, theirs[-1].coef_[0], atol=1e-5)
    assert float(ours.bias) == pytest.approx(theirs[-1].intercept_[0], abs=1e-5)
    np.testing.assert_allclose(ours.logits(torch.from_numpy(features)), theirs.decision_function(features), atol=1e-4)


def test_accuracy_agrees_with_scikit_learn_on_folds_that_keep_pairs_together():
    predicted, true = pairs(120, 8, 0.8)
    found = separability(predicted, true, folds=4, seed=5)
    order = np.random.default_rng(5).permutation(120)
    hits = 0
    for part in np.array_split(order, 4):
        others = np.setdiff1d(order, part)
        learned = by_scikit_learn(1.0).fit(
            np.concatenate([predicted[others], true[others]]), np.repeat([1, 0], len(others))
        )
        hits += learned.predict(predicted[part]).sum() + (1 - learned.predict(true[part])).sum()
    assert found.accuracy == pytest.approx(hits / 240)
    assert (found.presets, found.folds) == (120, 4)
    assert found.interval.low < found.accuracy < found.interval.high


def test_equal_embeddings_cannot_be_told_apart_even_where_all_can_be_remembered():
    _, true = pairs(30, 200, 0.0)
    # A pair that fell into two folds would be remembered, and called by the wrong name.
    assert separability(true, true).accuracy == 0.5


def test_another_centre_gives_predictions_away():
    predicted, true = pairs(200, 16, 4.0)
    found = separability(predicted, true, most=80)
    assert found.accuracy > 0.95
    assert found.presets == 80


def test_noise_alone_is_hardly_told_apart_and_the_answer_repeats():
    predicted, true = pairs(600, 5, 0.0)
    once, again = separability(predicted, true), separability(predicted, true)
    assert once == again
    assert 0.4 < once.accuracy < 0.6


def test_two_pairs_suffice_and_less_or_worse_is_refused():
    predicted, true = pairs(2, 3, 0.0)
    assert separability(predicted, true).folds == 2
    with pytest.raises(InvalidInputError, match="at least two pairs"):
        separability(predicted[:1], true[:1])
    with pytest.raises(InvalidInputError, match="not finite"):
        separability(np.full_like(true, np.nan), true)
