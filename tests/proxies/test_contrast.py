"""Synthetic against hand-crafted presets: numbers against plain computation, and what their intervals mean."""

import json
from dataclasses import replace

import numpy as np
import pytest

from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.proxies import make_proxy
from synthproxy.proxies.contrast import MEASURES, Judged, contrast
from synthproxy.proxies.evaluation import Protocol, evaluate
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.galleries import GalleryRanks, ranks_in_galleries
from synthproxy.proxies.ranking import chance_reciprocal_rank


def judged(examples: Examples, noise: float, gallery: int, runs: int = 6) -> Judged:
    """Embeddings predicted with so much noise, in galleries."""
    true = examples.embeddings
    predicted = true + np.random.default_rng(1).normal(0, noise, true.shape).astype(np.float32)
    ranks = ranks_in_galleries(predicted, true, gallery=gallery, runs=runs, metric="l1", seed=0)
    return Judged(predicted, examples, true.mean(axis=0), ranks)


@pytest.fixture
def kinds(small_space, make_examples) -> tuple[Judged, Judged]:
    """A good prediction of 200 presets and a worse one of 90 others."""
    many, few = make_examples(small_space, 200, 6, 0), make_examples(small_space, 90, 6, 7)
    return judged(many, 0.1, 60), judged(few, 0.3, 60)


def test_values_agree_with_their_definitions(kinds):
    found = contrast(*kinds)
    assert tuple(found.measures) == MEASURES
    for kind, name in zip(kinds, ("synthetic", "hand_crafted"), strict=True):
        values = {measure: getattr(both, name).value for measure, both in found.measures.items()}
        ranks, true = kind.ranks.presets, kind.examples.embeddings
        assert values["mrr"] == pytest.approx((1 / ranks).mean())
        assert values["recall@5"] == pytest.approx((ranks <= 5).mean())
        assert values["l1"] == pytest.approx(np.abs(kind.predicted - true).mean(), rel=1e-5)
        assert values["l1_of_mean"] == pytest.approx(np.abs(kind.constant - true).mean(), rel=1e-5)
    assert (found.gallery, found.synthetic.presets, found.hand_crafted.galleries) == (60, 200, 6)
    assert found.measures["mrr"].chance == chance_reciprocal_rank(60)
    assert found.measures["recall@10"].chance == pytest.approx(10 / 60)


def test_differences_are_relative_to_synthetic_with_the_sign_of_the_change(kinds):
    found = contrast(*kinds).measures
    for measure in found.values():
        assert measure.difference.value == pytest.approx(measure.hand_crafted.value / measure.synthetic.value - 1)
        assert measure.difference.interval.low < measure.difference.value < measure.difference.interval.high
    assert found["mrr"].difference.interval.high < 0 < found["l1"].difference.interval.low


def test_the_same_presets_in_both_places_do_not_differ(kinds):
    found = contrast(kinds[0], kinds[0])
    for measure in found.measures.values():
        assert measure.difference.value == pytest.approx(0)
        assert measure.difference.interval.low <= 0 <= measure.difference.interval.high


def test_an_interval_covers_the_truth_about_as_often_as_it_says(small_space, make_examples):
    """Presets that are found at rank 1 or 2 with equal probability: the mean reciprocal rank of all is 3/4."""
    examples = make_examples(small_space, 100, 6, 0)
    hits = 0
    for seed in range(60):
        ranks = np.random.default_rng(seed).integers(1, 3, size=(1, 100)).astype(np.float64)
        found = GalleryRanks(np.arange(100)[None], ranks, ranks)
        kind = Judged(examples.embeddings, examples, examples.embeddings.mean(axis=0), found)
        interval = contrast(kind, kind, seed).measures["mrr"].synthetic.interval
        hits += interval.low <= 0.75 <= interval.high
    assert 52 <= hits <= 60


def test_where_there_is_nothing_to_divide_by_there_is_no_difference(small_space, make_examples):
    examples = make_examples(small_space, 40, 6, 0)
    found = contrast(judged(examples, 0.0, 20), judged(examples, 0.2, 20))
    assert found.measures["l1"].synthetic.value == 0
    assert found.measures["l1"].difference is None
    assert found.measures["mrr"].difference is not None


def test_an_evaluation_contrasts_in_galleries_of_the_smaller_corpus(small_space, make_examples):
    synthetic, people = make_examples(small_space, 120, 6, 0), make_examples(small_space, 50, 6, 3)
    proxy = make_proxy("mlp-oh", small_space, 6, width=8)
    protocol = Protocol(gallery=80, runs=3)
    found = evaluate(proxy, synthetic, hand_crafted=people, protocol=protocol)
    assert (found.score.one_against_all.gallery, found.hand_crafted.gallery) == (80, 50)
    assert (found.hand_crafted.synthetic.galleries, found.hand_crafted.hand_crafted.galleries) == (3, 1)
    alone = evaluate(proxy, people, protocol=protocol).score
    assert found.hand_crafted.measures["mrr"].hand_crafted.value == pytest.approx(alone.one_against_all.mrr)
    assert found.hand_crafted.measures["l1"].hand_crafted.value == pytest.approx(alone.l1)
    assert json.loads(json.dumps(found.to_dict()))["hand_crafted"]["measures"]["recall@1"]["chance"] == 1 / 50
    assert evaluate(proxy, synthetic, protocol=protocol).to_dict()["hand_crafted"] is None


def test_equal_galleries_give_the_scores_of_the_evaluation(small_space, make_examples):
    synthetic, people = make_examples(small_space, 120, 6, 0), make_examples(small_space, 90, 6, 3)
    proxy = make_proxy("mlp-oh", small_space, 6, width=8)
    found = evaluate(proxy, synthetic, hand_crafted=people, protocol=Protocol(gallery=40, runs=5))
    test = found.score.one_against_all
    assert found.hand_crafted.measures["mrr"].synthetic.value == pytest.approx(test.mrr)
    assert found.hand_crafted.measures["recall@1"].synthetic.value == pytest.approx(test.recall_at[1])


def test_presets_that_do_not_belong_are_refused(small_space, make_examples):
    examples = make_examples(small_space, 30, 6, 0)
    proxy = make_proxy("mlp-oh", small_space, 6, width=8)
    other = replace(examples, setting=replace(examples.setting, audio_model="ears"))
    with pytest.raises(IncompatibleError, match="hand-crafted and evaluation examples: audio model differs"):
        evaluate(proxy, examples, hand_crafted=other)
    with pytest.raises(InvalidInputError, match="at least two examples, got 1"):
        evaluate(proxy, examples, hand_crafted=examples.first(1))
    with pytest.raises(InvalidInputError, match="for a proxy only"):
        evaluate(examples.embeddings, examples, hand_crafted=examples)
