"""Outputs become presets, and gradients reach what the mode says."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.decoding import Decoder, Decoding, Grids, hard_presets
from synthproxy.proxies.tokens import SoftLayout, to_hard, to_soft
from synthproxy.synths import Kind, PresetSpace, get_synth

MODES = ["published", "soft", "straight-through", "gumbel"]
TRAINING_MODES = MODES[1:]
# Columns of soft presets of the mixed space.
NUMERICAL, CHOICES = [0, 2, 3, 4], [1, 5, 6, 7, 8, 9, 10]


def random_outputs(space: PresetSpace, count: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(count, space.one_hot_width, generator=torch.Generator().manual_seed(seed))


def decode(space: PresetSpace, outputs: torch.Tensor, mode: str, **settings: object) -> torch.Tensor:
    return Decoder(space, Decoding(gradient=mode, **settings))(outputs, torch.Generator().manual_seed(0))


def gradient_of(space: PresetSpace, mode: str, **settings: object) -> torch.Tensor:
    """Gradient of a weighted sum of soft presets with regard to their outputs: (batch, one_hot_width)."""
    outputs = random_outputs(space, 6).requires_grad_()
    weights = torch.randn(space.one_hot_width, generator=torch.Generator().manual_seed(9))
    (decode(space, outputs, mode, **settings) @ weights).sum().backward()
    return outputs.grad


@pytest.mark.parametrize("mode", ["published", "straight-through", "gumbel"])
def test_choices_are_choices_unless_soft_ones_are_asked_for(mixed_space, mode):
    outputs = random_outputs(mixed_space, 50)
    soft = decode(mixed_space, outputs, mode)
    again = to_soft(mixed_space, to_hard(mixed_space, soft))
    assert torch.equal(soft[:, CHOICES], again[:, CHOICES])
    torch.testing.assert_close(soft[:, NUMERICAL], outputs[:, NUMERICAL].sigmoid())


@pytest.mark.parametrize("mode", ["published", "straight-through"])
def test_the_likeliest_is_chosen(mixed_space, mode):
    outputs = random_outputs(mixed_space, 50)
    hard = to_hard(mixed_space, decode(mixed_space, outputs, mode))
    layout = SoftLayout.of(mixed_space)
    for column, columns in zip(layout.categorical, layout.categories, strict=True):
        assert torch.equal(hard[:, column].long(), outputs[:, columns].argmax(dim=1))
    assert torch.equal(hard[:, mixed_space.columns(Kind.BINARY)] == 1, outputs[:, [1, 5]] > 0)


def test_soft_presets_are_the_probabilities(mixed_space):
    outputs = random_outputs(mixed_space, 5)
    soft = decode(mixed_space, outputs, "soft")
    expected = [outputs[:, :6].sigmoid(), outputs[:, 6:9].softmax(1), outputs[:, 9:].softmax(1)]
    torch.testing.assert_close(soft, torch.cat(expected, dim=1))


def test_published_decoding_lets_no_gradient_through_a_choice(mixed_space):
    gradient = gradient_of(mixed_space, "published")
    assert not gradient[:, CHOICES].any()
    assert gradient[:, NUMERICAL].all()


@pytest.mark.parametrize("mode", TRAINING_MODES)
def test_other_modes_let_a_gradient_through_every_output(mixed_space, mode):
    assert gradient_of(mixed_space, mode).abs().min() > 0


def test_straight_through_has_the_gradient_of_soft(mixed_space):
    torch.testing.assert_close(gradient_of(mixed_space, "straight-through"), gradient_of(mixed_space, "soft"))


def test_gumbel_draws_by_the_probabilities_and_repeats_with_its_generator(mixed_space):
    outputs = random_outputs(mixed_space, 1)
    decoder = Decoder(mixed_space, Decoding(gradient="gumbel", temperature=0.3))
    many = decoder(outputs.expand(20_000, -1), torch.Generator().manual_seed(1))
    probabilities = decode(mixed_space, outputs, "soft")
    torch.testing.assert_close(many.mean(dim=0, keepdim=True), probabilities, atol=0.015, rtol=0)
    again = [decoder(outputs, torch.Generator().manual_seed(2)) for _ in range(2)]
    assert torch.equal(*again)


@pytest.mark.parametrize("name", ["dexed-paper", "diva", "talnm", "mixed"])
def test_snapped_values_are_those_of_the_space(name, mixed_space):
    space = mixed_space if name == "mixed" else get_synth(name).space
    columns = space.columns(Kind.NUMERICAL)
    presets = np.random.default_rng(0).random((200, space.size)).astype(np.float32)
    presets[:, space.columns(Kind.CATEGORICAL)] = 0
    snapped = Grids(space)(torch.from_numpy(presets[:, columns]))
    assert np.array_equal(snapped.numpy(), space.snap(presets)[:, columns])


def test_snapping_keeps_the_gradient_even_outside_the_interval(mixed_space):
    plain, snapped = (gradient_of(mixed_space, "soft", snap=snap) for snap in (False, True))
    torch.testing.assert_close(plain, snapped)
    outputs = torch.full((1, 11), 9.0)
    assert decode(mixed_space, outputs, "soft", snap=True)[0, 3].item() == pytest.approx(0.6)


@pytest.mark.parametrize("mode", MODES)
def test_spaces_with_one_kind_only_work(mixed_space, mode):
    for kept in (["level", "decay"], ["sync", "mute"], ["shape", "mode"], ["coarse"]):
        space = mixed_space.hold([p.name for p in mixed_space.free if p.name not in kept])
        outputs = random_outputs(space, 4).requires_grad_()
        soft = decode(space, outputs, mode, snap=True)
        assert soft.shape == (4, space.one_hot_width)
        space.validate(hard_presets(space, outputs))


def test_hard_presets_are_valid_and_the_likeliest(mixed_space):
    outputs = random_outputs(mixed_space, 40)
    presets = hard_presets(mixed_space, outputs)
    mixed_space.validate(presets)
    expected = to_hard(mixed_space, decode(mixed_space, outputs, "published", snap=True))
    np.testing.assert_allclose(presets, expected, rtol=1e-6)


def test_outputs_of_another_space_and_impossible_settings_are_refused(mixed_space):
    with pytest.raises(InvalidInputError, match=r"are \(batch, 11\), got \(2, 12\)"):
        Decoder(mixed_space)(torch.zeros(2, 12))
    with pytest.raises(InvalidInputError, match=r"are \(batch, 11\), got \(11,\)"):
        hard_presets(mixed_space, torch.zeros(11))
    for mistake in ({"gradient": "hard"}, {"temperature": 0}, {"snapp": True}):
        with pytest.raises(ValidationError):
            Decoding(**mistake)
