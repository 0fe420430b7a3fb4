"""PaSST beside a naive computation, and what all published networks share: rows, weight files, frames."""

from __future__ import annotations

import argparse
import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from synthproxy.audio import published
from synthproxy.audio.efficientat import LogMelFrontEnd
from synthproxy.audio.passt import GRID, MODELS, PaSST, build
from synthproxy.audio.published import PublishedFrames, describe
from synthproxy.audio.reductions import FrameModel, ReducedModel
from synthproxy.audio.vision_transformer import PatchoutTransformer
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import InvalidInputError, UnavailableError

WIDTH, HEADS = 24, 3
SMALL = dataclasses.replace(MODELS[0], width=WIDTH, heads=HEADS, depth=2, channels=2 * WIDTH + 768)
SECOND = 32_000


def published_state(model: PaSST) -> dict[str, Tensor]:
    """Weights by the names of the published files, classifiers included."""
    torch.manual_seed(1)
    network = PatchoutTransformer(width=model.width, depth=model.depth, heads=model.heads, grid=GRID, stride=10)
    state = {name: 0.2 * torch.randn_like(tensor) for name, tensor in network.state_dict().items()}
    heads = ("head.0.weight", "head.0.bias", "head.1.weight", "head.1.bias", "head_dist.weight", "head_dist.bias")
    return state | {name: torch.zeros(3) for name in heads}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / SMALL.file_name
    torch.save(published_state(SMALL), path)
    return path


@pytest.fixture(scope="module")
def model(weights: Path) -> PublishedFrames:
    return build(SMALL, weights)


def sounds(seconds: float, count: int = 2) -> Tensor:
    return 0.3 * torch.randn(count, round(seconds * SECOND), generator=torch.Generator().manual_seed(2))


def normalised(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def naive_block(tokens: Tensor, state: dict[str, Tensor], name: str, heads: int) -> Tensor:
    """One block of a vision transformer for one picture, head by head."""
    query, key, value = linear(normalised(tokens, state, f"{name}.norm1"), state, f"{name}.attn.qkv").chunk(3, dim=-1)
    mixed = []
    for q, k, v in zip(query.chunk(heads, -1), key.chunk(heads, -1), value.chunk(heads, -1), strict=True):
        mixed.append((q @ k.T / math.sqrt(q.shape[-1])).softmax(-1) @ v)
    tokens = tokens + linear(torch.cat(mixed, -1), state, f"{name}.attn.proj")
    hidden = linear(normalised(tokens, state, f"{name}.norm2"), state, f"{name}.mlp.fc1")
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    return tokens + linear(hidden, state, f"{name}.mlp.fc2")


def naive_passt(log_mel: Tensor, state: dict[str, Tensor]) -> Tensor:
    """(128, frames) to (width,), patch by patch."""
    tokens = [state["cls_token"][0, 0] + state["new_pos_embed"][0, 0]]
    tokens.append(state["dist_token"][0, 0] + state["new_pos_embed"][0, 1])
    kernel = state["patch_embed.proj.weight"].flatten(1)
    for row in range(12):
        for column in range((log_mel.shape[1] - 16) // 10 + 1):
            patch = log_mel[10 * row : 10 * row + 16, 10 * column : 10 * column + 16].flatten()
            place = state["freq_new_pos_embed"][0, :, row, 0] + state["time_new_pos_embed"][0, :, 0, column]
            tokens.append(kernel @ patch + state["patch_embed.proj.bias"] + place)
    heard = torch.stack(tokens)
    for index in range(SMALL.depth):
        heard = naive_block(heard, state, f"blocks.{index}", HEADS)
    return normalised(heard[:2], state, "norm").mean(0)


def test_frames_are_those_of_a_naive_computation(model: PublishedFrames) -> None:
    audio, state, front_end = sounds(0.9, 1), published_state(SMALL), LogMelFrontEnd()
    frames = model.frames(audio)[0]
    assert frames.shape == (1 + audio.shape[1] // 1600, SMALL.channels)
    for index in (0, len(frames) - 1):
        levels = []
        for window in (5120, 20480, 1920):
            padded = F.pad(audio, (window // 2, window // 2), mode="reflect")
            levels.append(front_end.of_clips(padded[:, 1600 * index : 1600 * index + window])[0])
        near, far, mel = levels
        assert mel.shape == (128, 6)
        expected = torch.cat([naive_passt(near, state), naive_passt(far, state), mel.flatten()])
        torch.testing.assert_close(frames[index], expected, atol=1e-4, rtol=1e-4)


def test_five_seconds_are_the_frames_that_the_table_tells(model: PublishedFrames) -> None:
    frames = model.frames(sounds(5.0, 1))
    assert frames.shape == (1, SMALL.frames, SMALL.channels)
    assert isinstance(model, FrameModel)
    embedding = ReducedModel(model, model.reduction).embed(sounds(5.0, 1))
    torch.testing.assert_close(embedding, frames.sum(1) / SMALL.frames)
    assert embedding.shape == (1, SMALL.dimension)


def test_a_row_does_not_depend_on_its_company(model: PublishedFrames) -> None:
    audio = sounds(0.4)
    together = model.frames(audio)
    assert torch.equal(together[1:], model.frames(audio[1:]))
    assert not together.requires_grad


@pytest.mark.parametrize("samples", [1, 1000, 10_241])
def test_short_sounds_are_padded_with_zeros(model: PublishedFrames, samples: int) -> None:
    audio = sounds(1.0, 1)[:, :samples]
    frames = model.frames(audio)
    assert torch.isfinite(frames).all()
    assert torch.equal(frames, model.frames(F.pad(audio, (0, 10_241 - samples))))


def test_parameters_of_the_table_are_those_of_the_networks() -> None:
    for row in MODELS:
        with torch.device("meta"):
            network = PatchoutTransformer(width=768, depth=row.depth, heads=12, grid=GRID, stride=10)
        assert row.parameters == sum(parameter.numel() for parameter in network.parameters())
        assert row.dimension == 2304


def test_table_is_read_without_torch() -> None:
    code = (
        "import sys; from synthproxy.audio.passt import MODELS; assert 'torch' not in sys.modules; print(len(MODELS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(MODELS)


def test_description_says_what_is_missing(tmp_path: Path, weights: Path) -> None:
    info = describe(SMALL, WeightLocations(tmp_path / "cache", tmp_path))
    assert not info.available
    for part in (SMALL.url, SMALL.file_name, str(tmp_path / "cache"), "SYNTHPROXY_SHARED"):
        assert part in info.how_to_get
    info = describe(SMALL, WeightLocations(tmp_path / "cache", weights.parent))
    assert (info.available, info.how_to_get, info.dimension) == (True, "", SMALL.channels)


def test_missing_package_is_named_with_its_extra(tmp_path: Path) -> None:
    needy = dataclasses.replace(SMALL, package="no_such_package")
    info = describe(needy, WeightLocations(tmp_path))
    assert "pip install 'synthproxy[no_such_package]', and download" in info.how_to_get
    with pytest.raises(UnavailableError, match=r"pip install 'synthproxy\[no_such_package\]'"):
        published.require_package(needy)


def test_identity_tells_weights_apart(model: PublishedFrames, weights: Path, tmp_path: Path) -> None:
    assert model.identity.startswith("passt-s:1:")
    assert build(SMALL, weights.parent).identity == model.identity
    other = tmp_path / "other.pt"
    torch.save(published_state(SMALL) | {"norm.bias": torch.ones(WIDTH)}, other)
    assert build(SMALL, other).identity != model.identity


def refusal(model: PaSST, path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        build(model, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "noise"])
def test_damaged_file_is_refused(tmp_path: Path, weights: Path, damage: str) -> None:
    content = {
        "truncated": weights.read_bytes()[:-3000],
        "text": b"hello",
        "empty": b"",
        "noise": np.random.default_rng(0).bytes(4096),
    }[damage]
    path = tmp_path / SMALL.file_name
    path.write_bytes(content)
    assert "damaged" in refusal(SMALL, path)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no weights at" in refusal(SMALL, tmp_path / "nothing.pt")
    assert SMALL.file_name in refusal(SMALL, tmp_path)


def test_file_of_another_network_is_refused(tmp_path: Path, weights: Path) -> None:
    assert "missing" in refusal(dataclasses.replace(SMALL, depth=3), weights)
    assert "unknown" in refusal(dataclasses.replace(SMALL, depth=1), weights)
    assert "shape" in refusal(dataclasses.replace(SMALL, width=2 * WIDTH), weights)
    assert "is not the published" in refusal(dataclasses.replace(SMALL, sha256="0" * 64), weights)
    state = published_state(SMALL)
    state["norm.bias"][3] = math.nan
    for content, reason in (
        ([torch.zeros(1)], "dictionary of tensors"),
        ({"model": {"a": 1}}, "dictionary of tensors"),
        ({}, "dictionary of tensors"),
        (state, "not numbers"),
    ):
        path = tmp_path / "other.pt"
        torch.save(content, path)
        assert reason in refusal(SMALL, path)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, function: object, path: Path) -> None:
        self.function, self.path = function, path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return self.function, (self.path,)


def spring(path: Path) -> None:
    path.touch()


def test_what_training_left_in_a_file_is_ignored(tmp_path: Path, model: PublishedFrames) -> None:
    path = tmp_path / "training.pt"
    settings = argparse.Namespace(output=Path("/runs/7"), rate=np.float64(0.1))
    torch.save({"model": published_state(SMALL), "args": settings, "log": np.zeros(3)}, path)
    audio = sounds(0.4, 1)
    assert torch.equal(build(SMALL, path).frames(audio), model.frames(audio))


@pytest.mark.parametrize("function", [spring, Path.touch])
def test_code_in_a_file_is_never_run(tmp_path: Path, function: object) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "trap.pt"
    torch.save({"norm.bias": Trap(function, sprung)}, path)
    refusal(SMALL, path)
    assert not sprung.exists()
