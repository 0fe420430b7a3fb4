"""OpenL3 beside a computation that folds nothing, with PyTorch's own spectrogram."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from synthproxy.audio.features import htk_mel_bank
from synthproxy.audio.openl3 import MODELS, OpenL3, build, weight_shapes
from synthproxy.audio.published import PublishedFrames, describe
from synthproxy.audio.reductions import FrameModel, ReducedModel
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import InvalidInputError

WIDTH = 1
BY_NAME = {row.name: row for row in MODELS}
SMALL = dataclasses.replace(BY_NAME["openl3-6144"], width=WIDTH, channels=16 * WIDTH * 6)
SECOND = 48_000


def published_state(width: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(8)
    state = {}
    for name, shape in weight_shapes(width).items():
        values = torch.randn(shape, generator=random)
        if name.endswith("running_var") or ("normalization" in name and name.endswith("weight")):
            values = 0.5 + values.sigmoid()
        elif len(shape) == 4:
            values = values * (2 / math.prod(shape[1:])) ** 0.5
        state[name] = values
    state["speclayer.mel_basis"] = htk_mel_bank(256, 2048, SECOND, 0.0, 24_000.0)
    state["batch_normalization_1.running_mean"] = torch.tensor([-30.0])
    state["batch_normalization_1.running_var"] = torch.tensor([400.0])
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / SMALL.file_name
    extras = {"speclayer.dft_real_kernels": torch.zeros(3, 1, 4), "speclayer.dft_imag_kernels": torch.zeros(3, 1, 4)}
    extras["batch_normalization_3.num_batches_tracked"] = torch.tensor(5)
    torch.save(published_state(WIDTH) | extras, path)
    return path


@pytest.fixture(scope="module")
def model(weights: Path) -> PublishedFrames:
    return build(SMALL, weights)


def sounds(seconds: float) -> Tensor:
    """Noise that fades, and a tone between silences."""
    time = torch.arange(round(seconds * SECOND)) / SECOND
    noise = torch.randn(time.shape, generator=torch.Generator().manual_seed(9)) * torch.exp(-8 * time)
    return torch.stack([noise, torch.sin(2 * math.pi * 440 * time) * (time < 0.2)])


def plain_frame(window: Tensor, state: dict[str, Tensor], pooled: tuple[int, int]) -> Tensor:
    """(48000,) to (channels,)."""
    padded = F.pad(window, (982, 982))
    spectrum = torch.stft(padded, 2048, 242, window=torch.hann_window(2048), center=False, return_complex=True).abs()
    level = 10 * (state["speclayer.mel_basis"] @ spectrum**2).sqrt().clamp(min=1e-10).log10()
    level = (level - level.max()).clamp(min=-80)
    assert level.shape == (256, 199)

    def norm(x: Tensor, number: int) -> Tensor:
        mean, variance, weight, bias = (
            state[f"batch_normalization_{number}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    def convolve(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    x = norm(level[None, None], 1)
    for number in range(1, 8):
        x = norm(convolve(x, f"conv2d_{number}"), number + 1).relu()
        x = F.max_pool2d(x, 2) if number in (2, 4, 6) else x
    x = convolve(x, "audio_embedding_layer")[0]
    rows = []
    for top in range(0, 33 - pooled[0], pooled[0]):
        rows += [
            x[:, top : top + pooled[0], left : left + pooled[1]].amax((1, 2))
            for left in range(0, 25 - pooled[1], pooled[1])
        ]
    return torch.cat(rows)


def test_frames_are_those_of_windows_heard_one_by_one(model: PublishedFrames) -> None:
    audio = sounds(1.2)[:1]
    padded = F.pad(audio[0], (24_000, 100_000))
    frames = model.frames(audio)[0]
    assert len(frames) == 3
    for index, frame in enumerate(frames):
        window = padded[24_000 * index : 24_000 * index + SECOND]
        torch.testing.assert_close(frame, plain_frame(window, published_state(WIDTH), (8, 8)), atol=3e-5, rtol=3e-5)


def test_small_embedding_keeps_one_value_per_channel(weights: Path) -> None:
    row = dataclasses.replace(BY_NAME["openl3-512-1s"], width=WIDTH, channels=8 * WIDTH)
    audio = sounds(2.5)[:1]
    frames = build(row, weights).frames(audio)[0]
    padded = F.pad(audio[0], (0, SECOND))
    expected = [
        plain_frame(padded[start : start + SECOND], published_state(WIDTH), (32, 24)) for start in (0, 48_000, 96_000)
    ]
    torch.testing.assert_close(frames, torch.stack(expected), atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize("name", BY_NAME)
def test_five_seconds_are_the_frames_that_the_table_tells(weights: Path, name: str) -> None:
    row = BY_NAME[name]
    channels = 8 * WIDTH * (12 if row.channels == 6144 else 1)
    model = build(dataclasses.replace(row, width=WIDTH, channels=channels), weights)
    audio = torch.zeros(1, 5 * SECOND)
    assert isinstance(model, FrameModel)
    assert model.frames(audio).shape == (1, row.frames, channels)
    assert ReducedModel(model, model.reduction).embed(audio).shape == (1, row.dimension * channels // row.channels)


def test_default_embedding_is_the_largest_value_of_each_channel(model: PublishedFrames) -> None:
    audio = sounds(0.6)
    expected = torch.from_numpy(model.frames(audio).numpy().max(axis=1))
    assert torch.equal(ReducedModel(model, model.reduction).embed(audio), expected)


def test_a_row_does_not_depend_on_its_company(model: PublishedFrames) -> None:
    audio = sounds(0.6)
    together = model.frames(audio)
    assert torch.equal(together[1:], model.frames(audio[1:]))
    assert (together[0] - together[1]).abs().max() > 0.1


@pytest.mark.parametrize("samples", [1, 24_001])
def test_short_sounds_are_padded_with_zeros(model: PublishedFrames, samples: int) -> None:
    audio = sounds(1.0)[:1, :samples]
    frames = model.frames(audio)
    assert torch.isfinite(frames).all()
    assert torch.equal(frames, model.frames(F.pad(audio, (0, 5))))


def test_parameters_are_those_of_the_layers() -> None:
    learned = [
        math.prod(shape)
        for name, shape in weight_shapes(64).items()
        if "running" not in name and "speclayer" not in name
    ]
    assert {row.parameters for row in MODELS} == {sum(learned)}


def refusal(model: OpenL3, path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        build(model, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, weights: Path) -> None:
    other = tmp_path / "other.pth.tar"
    other.write_bytes(weights.read_bytes()[:-2000])
    assert "damaged" in refusal(SMALL, other)
    assert "shape" in refusal(BY_NAME["openl3-512"], weights)
    state = published_state(WIDTH)
    torch.save(state | {"speclayer.mel_basis": torch.zeros(128, 1025)}, other)
    assert "mel_basis has shape" in refusal(SMALL, other)
    torch.save({name: value for name, value in state.items() if "conv2d_7" not in name}, other)
    assert "missing" in refusal(SMALL, other)
    torch.save(state | {"conv2d_9.bias": torch.zeros(1)}, other)
    assert "unknown" in refusal(SMALL, other)
    assert "no weights at" in refusal(SMALL, tmp_path / "nothing.pth.tar")


def test_description_finds_the_file(tmp_path: Path, weights: Path) -> None:
    assert describe(SMALL, WeightLocations(tmp_path, weights.parent)).available
    info = describe(BY_NAME["openl3-6144-1s"], WeightLocations(tmp_path))
    assert (info.available, info.dimension) == (False, 5 * 6144)
    assert "torchopenl3_mel256_music_6144.pth.tar" in info.how_to_get
