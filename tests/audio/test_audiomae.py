"""AudioMAE beside PyTorch's own transformer layers and Kaldi's bands computed frame by frame."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthproxy.audio.audiomae import AVERAGED_FROM, MODELS, PATCHES, AudioMAE, build, kaldi_log_mel
from synthproxy.audio.features import kaldi_mel_bank
from synthproxy.audio.published import PublishedFrames, describe
from synthproxy.audio.reductions import FrameModel, ReducedModel
from synthproxy.audio.vision_transformer import MaskedAutoencoderEncoder
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import InvalidInputError

WIDTH, HEADS, DEPTH = 16, 2, 10
SMALL = dataclasses.replace(MODELS[1], width=WIDTH, heads=HEADS, depth=DEPTH, channels=WIDTH)
RATE = SMALL.sample_rate


def encoder(width: int, depth: int, heads: int) -> MaskedAutoencoderEncoder:
    return MaskedAutoencoderEncoder(width=width, depth=depth, heads=heads, patches=PATCHES, averaged_from=AVERAGED_FROM)


def published_state() -> dict[str, Tensor]:
    """Weights as fine-tuning names them, with its classifier."""
    torch.manual_seed(3)
    state = {name: 0.2 * torch.randn_like(value) for name, value in encoder(WIDTH, DEPTH, HEADS).state_dict().items()}
    renamed = {f"fc_{name}" if name.startswith("norm.") else name: value for name, value in state.items()}
    return renamed | {"head.weight": torch.zeros(5, WIDTH), "head.bias": torch.zeros(5)}


def pretrained_state() -> dict[str, Tensor]:
    """The same weights as pre-training names them, with its decoder."""
    state = {name.removeprefix("fc_"): value for name, value in published_state().items() if name[:5] != "head."}
    extras = (
        "mask_token",
        "decoder_pos_embed",
        "decoder_embed.weight",
        "decoder_blocks.0.attn.tau",
        "decoder_norm.bias",
    )
    return state | {name: torch.zeros(2) for name in extras}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / SMALL.file_name
    torch.save({"model": published_state(), "epoch": 99, "args": argparse.Namespace(output_dir=Path("/runs"))}, path)
    return path


@pytest.fixture(scope="module")
def model(weights: Path) -> PublishedFrames:
    return build(SMALL, weights)


def sounds(seconds: float, count: int = 2) -> Tensor:
    return 0.3 * torch.randn(count, round(seconds * RATE), generator=torch.Generator().manual_seed(4)) + 0.1


def reference_layer(state: dict[str, Tensor], name: str) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    names = {"self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.", "linear1.": "mlp.fc1."}
    names |= {"linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2."}
    pairs = [(theirs + kind, f"{name}.{ours}{kind}") for theirs, ours in names.items() for kind in ("weight", "bias")]
    layer.load_state_dict({theirs: state[ours] for theirs, ours in pairs})
    return layer.eval()


def reference_frames(log_mel: Tensor, state: dict[str, Tensor]) -> Tensor:
    """(1024, 128), normalised, to (512, width)."""
    patches = log_mel.view(64, 16, 8, 16).permute(0, 2, 1, 3).reshape(PATCHES, 256)
    tokens = patches @ state["patch_embed.proj.weight"].flatten(1).T + state["patch_embed.proj.bias"]
    x = (torch.cat([state["cls_token"][0], tokens]) + state["pos_embed"][0])[None]
    outputs = []
    for index in range(DEPTH):
        x = reference_layer(state, f"blocks.{index}")(x)
        outputs.append(nn.functional.layer_norm(x, (WIDTH,), state["norm.weight"], state["norm.bias"], 1e-6))
    return torch.stack(outputs[8:]).mean(0)[0, 1:]


def naive_log_mel(audio: np.ndarray, rate: int) -> np.ndarray:
    window, hop, n_fft = int(0.025 * rate), int(0.01 * rate), {16_000: 512, 44_100: 2048}[rate]
    bank = kaldi_mel_bank(128, n_fft, rate, 20.0, rate / 2).numpy()
    rows = []
    for start in range(0, len(audio) - window + 1, hop):
        frame = audio[start : start + window].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * np.hanning(window), n_fft)) ** 2
        rows.append(np.log(np.maximum(bank @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_bands_are_those_of_kaldi_computed_frame_by_frame(rate: int) -> None:
    audio = 0.3 * torch.randn(2, rate // 5, generator=torch.Generator().manual_seed(5))
    audio[1, 2000:] = 0.0
    expected = np.stack([naive_log_mel(row, rate) for row in audio.numpy()])
    np.testing.assert_allclose(kaldi_log_mel(audio, rate).numpy(), expected, atol=2e-3)


def test_frames_are_those_of_pytorchs_layers(model: PublishedFrames) -> None:
    audio = sounds(0.5, 1)
    level = torch.zeros(1024, 128)
    heard = naive_log_mel((audio - audio.mean())[0].numpy(), RATE)
    level[: len(heard)] = torch.from_numpy(heard).float()
    with torch.no_grad():
        expected = reference_frames((level + 4.2677393) / (2 * 4.5689974), pretrained_state())
    torch.testing.assert_close(model.frames(audio)[0], expected, atol=1e-3, rtol=1e-3)


def test_default_embedding_is_the_largest_value_of_each_channel(model: PublishedFrames) -> None:
    audio = sounds(0.3)
    frames = model.frames(audio)
    assert isinstance(model, FrameModel)
    assert frames.shape == (2, SMALL.frames, WIDTH)
    expected = torch.from_numpy(frames.numpy().max(axis=1))
    assert torch.equal(ReducedModel(model, model.reduction).embed(audio), expected)


def test_a_row_does_not_depend_on_its_company(model: PublishedFrames) -> None:
    audio = sounds(0.3)
    assert torch.equal(model.frames(audio)[1:], model.frames(audio[1:]))


@pytest.mark.parametrize("samples", [1, 399, 400])
def test_short_sounds_are_padded_with_zeros(model: PublishedFrames, samples: int) -> None:
    audio = sounds(0.025, 1)[:, :samples]
    frames = model.frames(audio)
    assert torch.isfinite(frames).all()
    assert torch.equal(frames, model.frames(nn.functional.pad(audio, (0, 400 - samples))))


def test_sound_beyond_1024_frames_is_not_heard(model: PublishedFrames) -> None:
    audio, heard = sounds(10.6, 1), 1023 * 160 + 400
    altered = torch.cat([audio[:, :heard], audio[:, heard:].flip(1)], dim=1)
    torch.testing.assert_close(model.frames(altered), model.frames(audio), atol=1e-4, rtol=1e-4)
    altered = torch.cat([audio[:, : heard - 800], audio[:, heard - 800 :].flip(1)], dim=1)
    assert (model.frames(altered) - model.frames(audio)).abs().max() > 1e-2


def test_pretrained_and_finetuned_files_are_read_alike(model: PublishedFrames, tmp_path: Path) -> None:
    path = tmp_path / "pretrained.pth"
    torch.save({"model": pretrained_state()}, path)
    audio = sounds(0.2, 1)
    assert torch.equal(build(SMALL, path).frames(audio), model.frames(audio))


def test_parameters_are_those_that_upstream_counts_without_its_classifier() -> None:
    with torch.device("meta"):
        network = encoder(768, 12, 12)
    learned = sum(value.numel() for name, value in network.named_parameters() if name != "pos_embed")
    printed_by_upstream, classifier = 85_659_407, 527 * 768 + 527
    assert {row.parameters for row in MODELS} == {learned} == {printed_by_upstream - classifier}


def refusal(model: AudioMAE, path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        build(model, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, weights: Path) -> None:
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(weights.read_bytes()[:-2000])
    assert "damaged" in refusal(SMALL, damaged)
    assert "missing" in refusal(dataclasses.replace(SMALL, depth=12), weights)
    assert "unknown" in refusal(dataclasses.replace(SMALL, depth=9), weights)
    assert "shape" in refusal(dataclasses.replace(SMALL, width=2 * WIDTH), weights)
    assert "no weights at" in refusal(SMALL, tmp_path / "nothing.pth")


def test_description_finds_the_file(tmp_path: Path, weights: Path) -> None:
    assert describe(SMALL, WeightLocations(tmp_path, weights.parent)).available
    info = describe(MODELS[2], WeightLocations(tmp_path))
    assert (info.available, info.dimension, info.sample_rate) == (False, 768, 44_100)
    assert "pretrained.pth" in info.how_to_get
