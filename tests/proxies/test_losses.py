"""What a proxy minimises, against plain NumPy."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax

from synthproxy.proxies.learning import ProxyTask, new_proxy
from synthproxy.proxies.losses import embedding_loss, ranking_loss
from synthproxy.proxies.tokens import to_soft


def embeddings(seed: int, count: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, 5)))


@pytest.mark.parametrize(("norm", "metric"), [(1.0, "cityblock"), (2.0, "euclidean")])
def test_ranking_loss_is_the_cross_entropy_of_distances(norm: float, metric: str) -> None:
    predicted, true = embeddings(1), embeddings(2)
    distances = cdist(predicted, true, metric)
    logits = -4.0 * distances / np.diag(distances).mean()
    assert float(ranking_loss(predicted, true, norm)) == pytest.approx(-np.diag(log_softmax(logits, axis=1)).mean())


def test_ranking_loss_is_low_where_presets_are_told_apart_at_any_scale() -> None:
    true = embeddings(3)
    near = true + 0.1 * embeddings(4)
    confused = near.roll(1, dims=0)
    assert float(ranking_loss(near, true)) < 1e-3 < float(ranking_loss(confused, true))
    assert float(ranking_loss(100 * near, 100 * true)) == pytest.approx(float(ranking_loss(near, true)), rel=1e-6)


@pytest.mark.parametrize("loss", ["l1", "mse"])
def test_what_is_told_exactly_costs_nothing_and_has_a_gradient(loss: str) -> None:
    true = embeddings(5)
    predicted = true.clone().requires_grad_()
    value = embedding_loss(predicted, true, loss, ranking=0.01)  # type: ignore[arg-type]
    value.backward()
    assert value.item() == 0.0
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()


def test_ranking_counts_by_its_weight() -> None:
    predicted, true = embeddings(6), embeddings(7)
    l1, mse = float((predicted - true).abs().mean()), float(((predicted - true) ** 2).mean())
    assert float(embedding_loss(predicted, true, "l1")) == pytest.approx(l1)
    assert float(embedding_loss(predicted, true, "mse")) == pytest.approx(mse)
    expected = l1 + 0.25 * float(ranking_loss(predicted, true))
    assert float(embedding_loss(predicted, true, "l1", ranking=0.25)) == pytest.approx(expected)


@pytest.mark.parametrize(("loss", "ranking"), [("l1", 0.0), ("l1", 0.01), ("mse", 0.01)])
def test_runs_minimise_what_their_recipe_says(make_recipe, make_examples, small_space, loss, ranking):
    options = {"batch_size": 16, "epochs": 3, "learning_rate": 4e-3, "loss": loss, "ranking": ranking}
    recipe, examples = make_recipe(training=options), make_examples(small_space, 32, 4, 1)
    task = ProxyTask(new_proxy(recipe, examples), recipe.training, examples.setting, examples)
    presets, embeddings = torch.from_numpy(examples.presets), torch.from_numpy(examples.embeddings)
    with torch.no_grad():
        predicted = task.network(to_soft(small_space, presets))
        expected = embedding_loss(predicted, embeddings, loss, ranking)
        assert task.loss(task.network, (presets, embeddings), 0).item() == expected.item()
