"""The estimator is the published network, hears what was published, and keeps its bounds."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from synthproxy.audio.levels import SAMPLE_RATE, MelLevels
from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.losses import ParameterLoss
from synthproxy.matching.estimators.network import Estimator, EstimatorSizes, LevelBounds
from synthproxy.synths import Note, get_synth
from synthproxy.training.tensors import read_tensors, write_tensors

BOUNDS = LevelBounds(-80.0, 40.0)


def noise(count: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("synth", "outputs", "parameters"),
    [("dexed-paper", 141, 4_138_567), ("diva", 396, 4_661_572), ("talnm", 103, 4_060_629)],
)
def test_parameters_and_outputs_are_those_published(synth, outputs, parameters):
    estimator = Estimator(get_synth(synth).space, BOUNDS).eval()
    assert sum(weight.numel() for weight in estimator.parameters()) == parameters
    with torch.no_grad():
        assert estimator(noise(2, 128 * 313).reshape(2, 128, 313)).shape == (2, outputs)


def test_maps_shrink_as_published_to_2_by_4(mixed_space):
    network = Estimator(mixed_space, BOUNDS).network.eval()
    shapes = []
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.zeros(1, 1, 128, 313))
    assert shapes[0] == (8, 64, 157)
    assert shapes[-2:] == [(512, 2, 4), (2048, 2, 4)]
    kinds = [type(layer).__name__ for layer in network]
    assert kinds[:5] == ["Conv2d", "LeakyReLU", "Conv2d", "LeakyReLU", "BatchNorm2d"]
    assert kinds[-3:] == ["Dropout", "Linear", "BatchNorm1d"]


def test_sizes_can_be_others(mixed_space):
    sizes = EstimatorSizes(channels=(4, 8), features=16, dropout=0.0)
    network = Estimator(mixed_space, BOUNDS, sizes).eval().network
    shapes = [tuple(weight.shape) for weight in network.parameters() if weight.ndim == 4]
    assert shapes == [(4, 1, 5, 5), (8, 4, 4, 4), (16, 8, 1, 1)]
    with torch.no_grad():
        assert network(torch.zeros(2, 1, 128, 4)).shape == (2, mixed_space.one_hot_width)


def test_initial_weights_are_kaiming_normal_for_the_slope(mixed_space):
    torch.manual_seed(0)
    for layer in Estimator(mixed_space, BOUNDS).network:
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.numel() > 2_000:
            fan_in = layer.weight[0].numel()
            assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / (1 + 0.1**2) / fan_in), rel=0.05)


def test_the_network_sees_the_training_levels_from_minus_one_to_one(mixed_space):
    batches = [MelLevels()(noise(2, 8_000, seed)) for seed in range(3)]
    everything = torch.cat(batches)
    bounds = LevelBounds.of(iter(batches))
    assert (bounds.low, bounds.high) == (float(everything.min()), float(everything.max()))
    estimator = Estimator(mixed_space, bounds).eval()
    seen = []
    estimator.network.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        estimator(everything)
    assert seen[0].shape == (6, 1, 128, everything.shape[2])
    assert [float(seen[0].min()), float(seen[0].max())] == pytest.approx([-1, 1], abs=1e-6)


def test_bounds_and_weights_are_saved_together(mixed_space, tmp_path: Path):
    estimator = Estimator(mixed_space, LevelBounds(-75.5, 12.25)).eval()
    write_tensors(tmp_path / "e.safetensors", estimator.state_dict(), {"format": "test", "format_version": 1})
    tensors, _ = read_tensors(tmp_path / "e.safetensors", "test")
    other = Estimator(mixed_space, LevelBounds(*tensors["bounds"].tolist())).eval()
    other.load_state_dict(tensors)
    assert other.bounds.tolist() == [-75.5, 12.25]
    sound = noise(2, 8_000)
    with torch.no_grad():
        assert torch.equal(other.hear(sound), estimator.hear(sound))


def test_estimates_are_valid_presets_whatever_the_batches_and_leave_the_mode_alone(mixed_space):
    estimator = Estimator(mixed_space, BOUNDS).train()
    sounds = noise(5, 8_000).numpy()
    presets = estimator.estimate(sounds, batch_size=2)
    mixed_space.validate(presets)
    assert presets.shape == (5, mixed_space.size)
    np.testing.assert_allclose(presets, estimator.estimate(sounds), atol=1e-5)
    assert estimator.training


def test_it_learns_to_hear_the_level_of_an_operator():
    synth = get_synth("dexed-paper")
    envelope = {f"op1_eg_level_{stage}": 1.0 for stage in (1, 2, 3)} | {f"op1_eg_rate_{stage}": 0.9 for stage in (1, 2)}
    space = synth.space.hold([p.name for p in synth.space.free if p.name != "op1_output_level"], envelope)
    heard, presets = synth.with_space(space), space.snap(np.linspace(0.4, 1.0, 48)[:, None])
    sounds = np.stack([heard.render(preset, Note(60, 100, 0.1), 0.12, SAMPLE_RATE) for preset in presets])
    levels, wanted = MelLevels()(torch.from_numpy(sounds)), torch.from_numpy(presets)
    torch.manual_seed(0)
    estimator = Estimator(space, LevelBounds.of([levels]))
    loss, steps = ParameterLoss(space), 45
    optimiser = torch.optim.AdamW(estimator.parameters(), lr=7e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 7e-3, steps)
    for _ in range(steps):
        rows = torch.randperm(len(presets))[:24]
        optimiser.zero_grad()
        loss(estimator(levels[rows]), wanted[rows]).total.backward()
        optimiser.step()
        rate.step()
    # The batch norm on its outputs makes their scale slow to learn, but not their order.
    assert spearmanr(estimator.estimate(sounds)[:, 0], presets[:, 0]).statistic > 0.9


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([], "must be finite"),
        ([torch.full((1, 2, 2), -80.0)], "are the training sounds silent"),
        ([torch.tensor([[[0.0, math.nan]]])], "not numbers"),
        ([torch.tensor([[[0.0, math.inf]]])], "must be finite"),
    ],
)
def test_bounds_of_nothing_or_silence_are_refused(levels, words):
    with pytest.raises(InvalidInputError, match=words):
        LevelBounds.of(levels)


def test_sounds_it_cannot_hear_are_refused(mixed_space):
    estimator = Estimator(mixed_space, BOUNDS)
    for sounds, words in (
        (np.zeros(8_000, np.float32), r"must be finite and \(n, samples\)"),
        (np.full((1, 8_000), np.nan, np.float32), "must be finite"),
        (np.zeros((1, 300), np.float32), "too short"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            estimator.estimate(sounds)
    with pytest.raises(InvalidInputError, match="at least one sound"):
        estimator.estimate(np.zeros((1, 8_000), np.float32), batch_size=0)
