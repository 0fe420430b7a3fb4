"""Presets and sounds in one space: unit vectors, partners that find each other, gradients to soft presets."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.matching.joint import JointEmbedding, SoundTower
from synthproxy.proxies.tokens import to_soft

SIZES = {"dimension": 16, "hidden": 32, "preset_width": 16, "preset_feed_forward": 32, "preset_hidden": 16}


def hearing(mixed_space, presets: np.ndarray) -> np.ndarray:
    """A made-up ear: a fixed random mixture of the soft preset, in two parts of eight channels."""
    mixture = np.random.default_rng(5).normal(size=(mixed_space.one_hot_width, 16)).astype(np.float32)
    return np.tanh(mixed_space.one_hot(presets) @ mixture) * 3 + 7


def test_vectors_have_length_1_and_gradients_reach_soft_presets(mixed_space):
    torch.manual_seed(0)
    joint = JointEmbedding(mixed_space, 16, 8, **SIZES)
    presets = mixed_space.sample(np.random.default_rng(0), 5)
    sounds = hearing(mixed_space, presets)
    for vectors in (joint.embed_presets(presets), joint.embed_sounds(sounds)):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    soft = to_soft(mixed_space, torch.from_numpy(presets)).requires_grad_()
    (joint.of_presets(soft) @ joint.of_sounds(torch.from_numpy(sounds)).T).diagonal().sum().backward()
    assert (soft.grad != 0).any(dim=0).all()


def test_the_loss_is_that_of_finding_partners_both_ways(mixed_space):
    torch.manual_seed(0)
    joint = JointEmbedding(mixed_space, 16, 8, **SIZES).eval()
    presets = mixed_space.sample(np.random.default_rng(0), 6)
    soft, sounds = to_soft(mixed_space, torch.from_numpy(presets)), torch.from_numpy(hearing(mixed_space, presets))
    cosines = F.cosine_similarity(joint.of_sounds(sounds)[:, None], joint.of_presets(soft)[None], dim=2) * 14.0
    expected = -(cosines.log_softmax(0).diagonal() + cosines.log_softmax(1).diagonal()).mean() / 2
    torch.testing.assert_close(joint.loss(soft, sounds), expected)


def test_partners_find_each_other_after_training(mixed_space):
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    joint = JointEmbedding(mixed_space, 16, 8, **SIZES)
    joint.fit_inputs(hearing(mixed_space, mixed_space.sample(generator, 500)))
    optimiser = torch.optim.AdamW(joint.parameters(), lr=3e-3)
    for _ in range(200):
        presets = mixed_space.sample(generator, 128)
        sounds = torch.from_numpy(hearing(mixed_space, presets))
        joint.loss(to_soft(mixed_space, torch.from_numpy(presets)), sounds).backward()
        optimiser.step()
        optimiser.zero_grad()
    held_out = mixed_space.sample(generator, 100)
    cosines = joint.embed_sounds(hearing(mixed_space, held_out)) @ joint.embed_presets(held_out).T
    assert (cosines.argmax(axis=1) == np.arange(100)).mean() > 0.4


def test_inputs_are_standardised_by_channel():
    torch.manual_seed(0)
    tower = SoundTower(6, 3, 4, 8)
    rows = torch.randn(50, 6) * torch.tensor([1.0, 10.0, 0.0]).repeat(2) + torch.tensor([5.0, -3.0, 2.0]).repeat(2)
    tower.standardised.fit(rows.view(-1, 3))
    standard = tower.standardised(rows.view(-1, 3))
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(dim=0), torch.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(InvalidInputError, match="no parts of 4 channels"):
        SoundTower(6, 4, 4, 8)
