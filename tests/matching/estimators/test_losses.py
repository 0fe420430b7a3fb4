"""The parameter loss against loops, and what the perceptual loss does with its proxy."""

import math

import numpy as np
import pytest
import torch

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.decoding import hard_presets
from synthproxy.matching.estimators.losses import ParameterLoss, PerceptualLoss
from synthproxy.proxies.zoo import make_proxy
from synthproxy.synths import Kind, PresetSpace, get_synth


def batch_of(space: PresetSpace, count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    outputs = 2 * torch.randn(count, space.one_hot_width, generator=torch.Generator().manual_seed(0))
    return outputs, torch.from_numpy(space.sample(np.random.default_rng(1), count))


def terms_in_loops(
    space: PresetSpace, outputs: torch.Tensor, presets: torch.Tensor, smoothing: float
) -> tuple[float, float, float]:
    """Mean absolute error, mean binary cross-entropy, and the sum of mean cross-entropies, value by value."""
    numerical, binary, categorical = [], [], 0.0
    for row in range(len(presets)):
        plain = 0
        for column, parameter in enumerate(space.free):
            value = float(presets[row, column])
            if parameter.kind is Kind.CATEGORICAL:
                continue
            probability = 1 / (1 + math.exp(-float(outputs[row, plain])))
            plain += 1
            if parameter.kind is Kind.NUMERICAL:
                numerical.append(abs(probability - value))
            else:
                binary.append(-math.log(probability if value else 1 - probability))
        place = plain
        for column, parameter in enumerate(space.free):
            if parameter.kind is Kind.CATEGORICAL:
                powers = [math.exp(float(x)) for x in outputs[row, place : place + parameter.cardinality]]
                place += parameter.cardinality
                for category, power in enumerate(powers):
                    wanted = smoothing / len(powers) + (1 - smoothing) * (category == int(presets[row, column]))
                    categorical -= wanted * math.log(power / sum(powers)) / len(presets)
    means = [float(np.mean(values)) if values else 0.0 for values in (numerical, binary)]
    return means[0], means[1], categorical


@pytest.mark.parametrize(("weight", "smoothing"), [(0.01, 0.02), (0.5, 0.0), (1.0, 0.2)])
@pytest.mark.parametrize("name", ["mixed", "dexed-paper", "diva"])
def test_parameter_loss_is_that_of_loops(name, weight, smoothing, mixed_space):
    space = mixed_space if name == "mixed" else get_synth(name).space
    outputs, presets = batch_of(space)
    terms = ParameterLoss(space, categorical_weight=weight, label_smoothing=smoothing)(outputs, presets)
    numerical, binary, categorical = terms_in_loops(space, outputs, presets, smoothing)
    found = [float(term) for term in (terms.numerical, terms.binary, terms.categorical)]
    assert found == pytest.approx([numerical, binary, weight * categorical], rel=1e-4)
    assert float(terms.total) == pytest.approx(numerical + binary + weight * categorical, rel=1e-4)


def test_published_settings_are_the_default(mixed_space):
    outputs, presets = batch_of(mixed_space)
    explicit = ParameterLoss(mixed_space, categorical_weight=0.01, label_smoothing=0.02)
    assert torch.equal(ParameterLoss(mixed_space)(outputs, presets).total, explicit(outputs, presets).total)


def test_kinds_that_a_space_lacks_cost_nothing(mixed_space):
    for kept, zero in ((["level"], "binary"), (["sync"], "categorical"), (["shape"], "numerical")):
        space = mixed_space.hold([p.name for p in mixed_space.free if p.name not in kept])
        outputs, presets = batch_of(space)
        terms = ParameterLoss(space)(outputs.requires_grad_(), presets)
        assert getattr(terms, zero) == 0
        terms.total.backward()
        assert outputs.grad.any()


def test_minimising_the_parameter_loss_finds_the_presets(mixed_space):
    _, presets = batch_of(mixed_space, 16)
    outputs = torch.zeros(16, mixed_space.one_hot_width, requires_grad=True)
    loss, optimiser = ParameterLoss(mixed_space), torch.optim.Adam([outputs], lr=0.2)
    for _ in range(150):
        optimiser.zero_grad()
        loss(outputs, presets).total.backward()
        optimiser.step()
    np.testing.assert_allclose(hard_presets(mixed_space, outputs), presets, atol=0.02)


def test_outputs_of_another_space_are_refused(mixed_space):
    with pytest.raises(InvalidInputError, match=r"are \(batch, 11\), got \(7, 12\)"):
        ParameterLoss(mixed_space)(torch.zeros(7, 12), batch_of(mixed_space)[1])


@pytest.mark.parametrize("name", ["hn-oh", "hn-ptgru", "tfm"])
def test_the_proxy_is_frozen_in_evaluation_mode_and_the_callers_own_is_left_alone(mixed_space, name):
    proxy = make_proxy(name, mixed_space, 5, **({"width": 16, "layers": 1} if name == "tfm" else {"width": 16})).train()
    outputs, presets = batch_of(mixed_space)
    loss = PerceptualLoss(proxy).train()
    assert not any(weight.requires_grad for weight in loss.parameters())
    assert proxy.training
    assert all(weight.requires_grad for weight in proxy.parameters())
    proxy.eval()
    with torch.no_grad():
        embeddings = proxy(loss.decoder(outputs))
    assert float(loss(outputs, embeddings)) < 1e-6  # A recurrent step with a gradient may round differently.
    other = torch.zeros_like(embeddings)
    assert float(loss(outputs, other)) == pytest.approx(float(embeddings.abs().mean()), rel=1e-5)
    loss(outputs.requires_grad_(), other).backward()
    assert outputs.grad.any()
    assert presets.shape == (7, mixed_space.size)
