"""Music2Latent beside the package's own encoding."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthproxy.audio.music2latent import MODELS, Music2Latent, build
from synthproxy.audio.published import PublishedFrames, describe
from synthproxy.audio.reductions import FrameModel, ReducedModel
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import InvalidInputError, UnavailableError

FEATURES, LATENT = MODELS
needs_package = pytest.mark.skipif(
    find_spec("music2latent") is None, reason="pip install 'synthproxy[music2latent]' brings the network"
)


@pytest.fixture(scope="module")
def encoder() -> nn.Module:
    """The package's encoder with random weights."""
    from music2latent.models import Encoder

    torch.manual_seed(10)
    encoder: nn.Module = Encoder()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.ndim < 2 else (2 / parameter[0].numel()) ** 0.5)
    return encoder.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, encoder: nn.Module) -> Path:
    path = tmp_path_factory.mktemp("weights") / FEATURES.file_name
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({"gen_state_dict": state | {"decoder.conv_inp.bias": torch.zeros(2)}, "fid": np.float64(1.5)}, path)
    return path


@pytest.fixture(scope="module")
def models(weights: Path) -> dict[str, PublishedFrames]:
    return {row.name: build(row, weights) for row in MODELS}


def sounds(samples: int, count: int = 1) -> Tensor:
    return 0.3 * torch.randn(count, samples, generator=torch.Generator().manual_seed(11))


@needs_package
@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.name)
def test_frames_are_those_that_the_package_encodes(
    models: dict[str, PublishedFrames], encoder: nn.Module, row: Music2Latent
) -> None:
    from music2latent.inference import encode_audio_inference

    audio = sounds(9800)
    generator = nn.Module()
    generator.encoder = encoder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = encode_audio_inference(
            audio, types.SimpleNamespace(gen=generator), 60 * 44_100, 1, "cpu", extract_features=row is FEATURES
        )
    frames = models[row.name].frames(audio)
    assert frames.shape == (1, 2, row.channels)
    torch.testing.assert_close(frames, expected.transpose(1, 2))


@needs_package
def test_default_embedding_is_the_mean_over_frames(models: dict[str, PublishedFrames]) -> None:
    model, audio = models[FEATURES.name], sounds(9800)
    assert isinstance(model, FrameModel)
    first, second = model.frames(audio)[0]
    torch.testing.assert_close(ReducedModel(model, model.reduction).embed(audio)[0], (first + second) / 2)


@needs_package
def test_a_row_does_not_depend_on_its_company(models: dict[str, PublishedFrames]) -> None:
    audio = sounds(5632, 2)
    together = models[LATENT.name].frames(audio)
    assert torch.equal(together[1:], models[LATENT.name].frames(audio[1:]))
    assert (together[0] - together[1]).abs().max() > 1e-3


@needs_package
@pytest.mark.parametrize("samples", [1, 5631])
def test_short_sounds_are_padded_with_zeros(models: dict[str, PublishedFrames], samples: int) -> None:
    audio = sounds(samples)
    frames = models[LATENT.name].frames(audio)
    assert frames.shape == (1, 1, 64)
    assert torch.isfinite(frames).all()
    assert torch.equal(frames, models[LATENT.name].frames(nn.functional.pad(audio, (0, 5632 - samples))))


@needs_package
def test_parameters_are_those_of_the_encoder(encoder: nn.Module) -> None:
    sizes = {name: parameter.numel() for name, parameter in encoder.named_parameters()}
    assert LATENT.parameters == sum(sizes.values())
    behind = ("bottleneck_layers.", "norm_out.", "conv_out.")
    assert FEATURES.parameters == sum(size for name, size in sizes.items() if not name.startswith(behind))
    assert FEATURES.frames == (5 * 44_100 - 3 * 512) // 512 // 8


@needs_package
def test_damaged_and_foreign_files_are_refused(tmp_path: Path, weights: Path, encoder: nn.Module) -> None:
    other = tmp_path / "other.pt"
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    for reason, content in {
        "missing": {"encoder.gain.scale": state["encoder.gain.scale"]},
        "shape": state | {"encoder.conv_out.weight": torch.zeros(3, 512, 1)},
        "dictionary of tensors": {"encoder": 1},
    }.items():
        torch.save({"gen_state_dict": content}, other)
        assert reason in refusal(other)
    other.write_bytes(weights.read_bytes()[:-2000])
    assert "damaged" in refusal(other)
    assert "no weights at" in refusal(tmp_path / "nothing.pt")


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        build(FEATURES, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_without_the_package_its_extra_is_named(tmp_path: Path) -> None:
    row = dataclasses.replace(FEATURES, package="no_such_package")
    with pytest.raises(UnavailableError, match=r"pip install 'synthproxy\[no_such_package\]'"):
        build(row, tmp_path)
    assert "no_such_package" in describe(row, WeightLocations(tmp_path)).how_to_get


def test_table_is_read_without_torch_and_the_package(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from synthproxy.audio.weights import WeightLocations;"
        "from synthproxy.audio.published import describe; from synthproxy.audio.music2latent import MODELS;"
        "infos = [describe(row, WeightLocations(Path(sys.argv[1]))) for row in MODELS];"
        "assert not {'torch', 'music2latent'} & set(sys.modules);"
        "print(*(info.dimension for info in infos))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["8192", "64"]
