"""DyMN beside a naive computation that folds nothing, and its sizes beside the published ones."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from synthproxy.audio.dymn import MODELS, DyMN, build, weight_shapes
from synthproxy.audio.efficientat import LogMelFrontEnd
from synthproxy.audio.mobilenet import BLOCKS
from synthproxy.audio.published import PublishedFrames, describe
from synthproxy.audio.reductions import FrameModel, ReducedModel
from synthproxy.audio.sizes import scaled_channels
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import InvalidInputError

SMALL = dataclasses.replace(MODELS[0], width=0.2, channels=192)
PUBLISHED_MILLIONS = {"dymn04": 1.97, "dymn10": 10.57, "dymn20": 40.02}


def published_state(width: float) -> dict[str, Tensor]:
    """Random weights by their published names, of a size at which signals neither die nor explode."""
    random = torch.Generator().manual_seed(6)
    state, shapes = {}, weight_shapes(width)
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=random)
        if name.endswith(("running_var", "norm.weight", ".1.weight")):
            values = 0.7 + 0.6 * values.sigmoid()
        elif name.endswith("depth_act.lambdas"):
            values = torch.tensor([1.0, 1.0, 0.5, 0.5])
        elif name.endswith("depth_act.init_v"):
            values = torch.tensor([1.0, 0.0, 0.0, 0.0])
        elif len(shape) == 1 or ".residuals." in name or ".coef_net." in name:
            values = 0.3 * values
        elif (norm := name.replace("_conv.weight", "_norm.weight")) in shapes and shape[0] == 1:
            values = 2.5 * values * (shape[3] / shapes[norm][0]) ** -0.5
        else:
            values = values * math.prod(shape[1:]) ** -0.5
        state[name] = values
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / SMALL.file_name
    extras = {"classifier.5.weight": torch.zeros(3, 3), "in_c.1.num_batches_tracked": torch.tensor(7)}
    torch.save(published_state(SMALL.width) | extras, path)
    return path


@pytest.fixture(scope="module")
def model(weights: Path) -> PublishedFrames:
    return build(SMALL, weights)


def sounds(seconds: float) -> Tensor:
    """Noise, and a tone that fades."""
    time = torch.arange(round(seconds * 32_000)) / 32_000
    noise = 0.3 * torch.randn(time.shape, generator=torch.Generator().manual_seed(7))
    return torch.stack([noise, torch.sin(2 * math.pi * 440 * time) * torch.exp(-5 * time)])


class Layers:
    """The network's layers one by one, for one sound, by the formulas of the paper."""

    def __init__(self, state: dict[str, Tensor], prefix: str = "") -> None:
        self.state, self.prefix = state, prefix

    def __getitem__(self, name: str) -> Tensor:
        return self.state[self.prefix + name]

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, variance = self[f"{name}.running_mean"], self[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, self[f"{name}.weight"], self[f"{name}.bias"], eps=1e-3)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return self[f"{name}.weight"] @ x + self[f"{name}.bias"]

    def dynamic(
        self, x: Tensor, context: Tensor, name: str, outputs: int, size: int, stride: int, groups: int
    ) -> Tensor:
        shares = self.linear(context, f"{name}_conv.residuals.0").softmax(0)
        kernels = self[f"{name}_conv.weight"][0, 0].view(4, outputs, -1, size, size)
        kernel = sum(share * each for share, each in zip(shares, kernels, strict=True))
        assert isinstance(kernel, Tensor)
        return self.norm(F.conv2d(x, kernel, None, stride, (size - 1) // 2, 1, groups), f"{name}_norm")

    def bent(self, x: Tensor, context: Tensor) -> Tensor:
        lines = 2 * self.linear(context, "depth_act.coef_net.0").sigmoid() - 1
        lines = lines.view(1, -1, 1, 1, 4) * self["depth_act.lambdas"] + self["depth_act.init_v"]
        return (x[..., None] * lines[..., :2] + lines[..., 2:]).amax(-1)

    def block(self, x: Tensor, index: int) -> Tensor:
        settings = BLOCKS[index]
        activate = F.hardswish if settings.activation == "hardswish" else F.relu
        expanded = scaled_channels(settings.expanded_channels, SMALL.width)
        outputs = scaled_channels(settings.output_channels, SMALL.width)
        columns = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)], dim=2)
        joint = F.conv2d(columns, self["context_gen.joint_conv.weight"])
        joint = F.hardswish(self.norm(joint, "context_gen.joint_norm"))
        context = joint.mean((0, 2, 3))
        gates = []
        for part, name in zip(joint.split(x.shape[2:], dim=2), ("conv_f", "conv_t"), strict=True):
            if settings.stride == 2:
                padded = F.pad(part, (0, 0, 1, 1))
                count = (part.shape[2] + 1) // 2
                part = torch.cat([padded[:, :, 2 * k : 2 * k + 3].mean(2, keepdim=True) for k in range(count)], dim=2)
            gates.append(F.conv2d(part, self[f"context_gen.{name}.weight"], self[f"context_gen.{name}.bias"]).sigmoid())
        y = x
        if f"{self.prefix}exp_conv.weight" in self.state:
            y = activate(self.dynamic(y, context, "exp", expanded, 1, 1, 1))
        y = self.dynamic(y, context, "depth", expanded, settings.kernel, settings.stride, expanded)
        y = self.bent(y, context) * gates[0] * gates[1].transpose(2, 3)
        y = self.dynamic(y, context, "proj", outputs, 1, 1, 1)
        return x + y if settings.stride == 1 and x.shape[1] == outputs else y


def naive_frames(log_mel: Tensor, state: dict[str, Tensor]) -> Tensor:
    """(1, 128, frames) to (frames / 32, channels)."""
    layers = Layers(state)
    x = F.hardswish(layers.norm(F.conv2d(log_mel[:, None], state["in_c.0.weight"], None, 2, 1), "in_c.1"))
    for index in range(len(BLOCKS)):
        x = Layers(state, f"layers.{index}.").block(x, index)
    return F.hardswish(layers.norm(F.conv2d(x, state["out_c.0.weight"]), "out_c.1")).mean(2)[0].T


def test_frames_are_those_of_a_naive_computation(model: PublishedFrames) -> None:
    audio = sounds(1.0)[:1]
    expected = naive_frames(LogMelFrontEnd().of_clips(audio), published_state(SMALL.width))
    assert 0.1 < expected.std() < 10.0
    torch.testing.assert_close(model.frames(audio)[0], expected, atol=2e-5, rtol=2e-5)


def test_default_embedding_is_the_average_over_the_last_map(model: PublishedFrames) -> None:
    audio = sounds(5.0)[:1]
    frames = model.frames(audio)
    assert isinstance(model, FrameModel)
    assert frames.shape == (1, SMALL.frames, SMALL.channels)
    torch.testing.assert_close(ReducedModel(model, model.reduction).embed(audio), frames.sum(1) / SMALL.frames)


def test_a_row_does_not_depend_on_its_company(model: PublishedFrames) -> None:
    audio = sounds(0.5)
    together = model.frames(audio)
    assert torch.equal(together[1:], model.frames(audio[1:]))
    assert (together[0] - together[1]).abs().max() > 0.01


@pytest.mark.parametrize("samples", [1, 1023])
def test_short_sounds_are_padded_with_zeros(model: PublishedFrames, samples: int) -> None:
    audio = sounds(1.0)[1:, :samples]
    assert torch.isfinite(model.frames(audio)).all()
    assert torch.equal(model.frames(audio), model.frames(F.pad(audio, (0, 1024 - samples))))


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.name)
def test_sizes_are_the_published_ones(row: DyMN) -> None:
    shapes = weight_shapes(row.width)
    fixed = ("running_mean", "running_var", "lambdas", "init_v")
    assert row.parameters == sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(fixed))
    assert shapes["out_c.0.weight"][0] == row.channels
    hidden = scaled_channels(1280, row.width)
    classifier = (row.channels + 1) * hidden + (hidden + 1) * 527
    whole_file = sum(map(math.prod, shapes.values())) + classifier
    assert whole_file / 1e6 == pytest.approx(PUBLISHED_MILLIONS[row.name], abs=0.01)


def refusal(model: DyMN, path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        build(model, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, weights: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(weights.read_bytes()[:-2000])
    assert "damaged" in refusal(SMALL, damaged)
    assert "shape" in refusal(MODELS[1], weights)
    state = published_state(SMALL.width)
    torch.save({name: value for name, value in state.items() if "layers.3." not in name}, damaged)
    assert "missing" in refusal(SMALL, damaged)
    torch.save(state | {"layers.15.proj_norm.bias": torch.zeros(1)}, damaged)
    assert "unknown" in refusal(SMALL, damaged)
    assert "no weights at" in refusal(SMALL, tmp_path / "nothing.pt")


def test_description_finds_the_file(tmp_path: Path, weights: Path) -> None:
    assert describe(SMALL, WeightLocations(tmp_path, weights.parent)).available
    info = describe(MODELS[2], WeightLocations(tmp_path))
    assert (info.available, info.dimension, info.parameters) == (False, 1920, MODELS[2].parameters)
    assert MODELS[2].url in info.how_to_get
