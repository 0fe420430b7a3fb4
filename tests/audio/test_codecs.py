"""DAC and EnCodec: the latents that transformers finds by itself, before they become codes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synthproxy.audio.published import PublishedFrames
from synthproxy.audio.reductions import ReducedModel
from synthproxy.audio.transformers_models import MODELS, TransformersModel, build

transformers = pytest.importorskip("transformers", reason="pip install 'synthproxy[transformers]' to hear with codecs")

ROWS = {model.name: model for model in MODELS}
SMALL_DAC = {"encoder_hidden_size": 4, "decoder_hidden_size": 16, "codebook_size": 16}
SMALL_ENCODEC = {"num_filters": 2, "hidden_size": 12, "codebook_dim": 12, "codebook_size": 64}
WIDTHS = {"dac": 72, "encodec24": 12, "encodec48": 12}
TOLERANCE = 1e-4


def small(name: str) -> TransformersModel:
    """A row with a small network of the same kind."""
    added = SMALL_DAC if name == "dac" else SMALL_ENCODEC
    return replace(ROWS[name], channels=WIDTHS[name], configuration={**ROWS[name].configuration, **added})


def upstream(model: TransformersModel) -> torch.nn.Module:
    """The whole codec as its authors build it, with weights that all matter."""
    torch.manual_seed(4)
    if model.family == "dac":
        network = transformers.DacModel(transformers.DacConfig(**model.configuration))
    else:
        network = transformers.EncodecModel(transformers.EncodecConfig(**model.configuration))
        for layer in network.quantizer.layers:
            layer.codebook.embed.normal_()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()


@pytest.fixture(scope="module", params=list(WIDTHS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository: configuration and weights of the whole codec."""
    model = small(request.param)
    folder = tmp_path_factory.mktemp(request.param) / model.folder
    upstream(model).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> PublishedFrames:
    name = next(name for name, row in ROWS.items() if row.folder == folder.name)
    return build(small(name), folder)


def sounds(model: PublishedFrames, count: int = 2, seconds: float = 0.15) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, round(seconds * model.sample_rate), generator=generator) * 0.1


def published(folder: Path, audio: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Latents by upstream's own loading, padding and encoding: (batch, frames, channels)."""
    if folder.name == ROWS["dac"].folder:
        network = transformers.DacModel.from_pretrained(folder).eval()
        extractor = transformers.DacFeatureExtractor(sampling_rate=sample_rate, hop_length=network.config.hop_length)
        inputs = extractor(list(audio.numpy()), sampling_rate=sample_rate, return_tensors="np").input_values
        return network.encode(torch.from_numpy(np.stack(inputs))).projected_latents.transpose(1, 2)
    network = transformers.EncodecModel.from_pretrained(folder).eval()
    sound = torch.stack([audio] * network.config.audio_channels, dim=1)
    if network.config.normalize:
        sound = sound / audio.pow(2).mean(dim=1).sqrt()[:, None, None]
    return network.encoder(sound).transpose(1, 2)


def test_frames_are_the_latents_that_transformers_finds(model: PublishedFrames, folder: Path) -> None:
    audio = sounds(model)
    with torch.no_grad():
        expected = published(folder, audio, model.sample_rate)
    frames = model.frames(audio)
    assert frames.shape == expected.shape
    assert frames.std(dim=1).min() > 1e-3
    assert (frames - expected).abs().max() < TOLERANCE
    assert not frames.requires_grad


@pytest.mark.parametrize("folder", ["encodec24", "encodec48"], indirect=True)
def test_frames_of_encodec_become_the_codes_of_encodec(model: PublishedFrames, folder: Path) -> None:
    network = transformers.EncodecModel.from_pretrained(folder).eval()
    audio = sounds(model, count=1)
    sound = torch.stack([audio] * network.config.audio_channels, dim=1)
    with torch.no_grad():
        codes = network.encode(sound, bandwidth=network.config.target_bandwidths[-1]).audio_codes[0]
        ours = network.quantizer.encode(model.frames(audio).transpose(1, 2), network.config.target_bandwidths[-1])
    assert len(codes.unique()) > 10
    assert (ours.transpose(0, 1) == codes).float().mean() > 0.999


def test_embedding_is_the_mean_over_frames(model: PublishedFrames) -> None:
    reduced = ReducedModel(model, model.reduction)
    assert (reduced.name, reduced.dimension) == (model.name, WIDTHS[model.name])
    frames = model.frames(sounds(model)).double()
    assert (reduced.embed(sounds(model)) - frames.sum(dim=1) / frames.shape[1]).abs().max() < TOLERANCE


@pytest.mark.parametrize("folder", ["encodec24"], indirect=True)
def test_old_and_present_names_of_weight_normalisation_are_the_same_weights(
    model: PublishedFrames, folder: Path, tmp_path: Path
) -> None:
    old, present = (".weight_g", ".weight_v"), tuple(f".parametrizations.weight.original{i}" for i in range(2))
    state = load_file(folder / "model.safetensors")
    for given, wanted in ((old, present), (present, old)):
        names = {name: name.replace(given[0], wanted[0]).replace(given[1], wanted[1]) for name in state}
        assert sum(name.endswith(wanted) for name in names.values()) > 20
        save_file({names[name]: tensor for name, tensor in state.items()}, tmp_path / "model.safetensors")
        other = build(small(model.name), tmp_path)
        assert torch.equal(other.frames(sounds(model)), model.frames(sounds(model)))


def test_building_leaves_the_callers_random_numbers(model: PublishedFrames, folder: Path) -> None:
    before = torch.get_rng_state()
    build(small(model.name), folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sound_is_heard_alike_in_any_company_and_in_any_thread(model: PublishedFrames) -> None:
    audio = sounds(model, count=4)
    together = model.frames(audio)
    with ThreadPoolExecutor(4) as pool:
        alone = torch.cat(list(pool.map(model.frames, audio.split(1))))
    assert torch.equal(together, alone)


def test_five_seconds_have_the_frames_that_are_told(model: PublishedFrames) -> None:
    assert model.frames(sounds(model, count=1, seconds=5.0)).shape == (1, model.model.frames, WIDTHS[model.name])


@pytest.mark.parametrize("samples", [1, 319, 512, 513])
def test_shortest_sounds_have_a_frame_or_two(model: PublishedFrames, samples: int) -> None:
    frames = model.frames(torch.full((2, samples), 0.5))
    assert frames.shape[1] in (1, 2)
    assert frames.isfinite().all()


def test_silence_has_finite_frames(model: PublishedFrames) -> None:
    assert model.frames(torch.zeros(1, 4000)).isfinite().all()


def test_the_stereo_network_does_not_hear_the_level(model: PublishedFrames) -> None:
    audio = sounds(model, count=1)
    change = (model.frames(audio) - model.frames(audio * 0.25)).abs().max()
    assert (change < TOLERANCE) == (model.name == "encodec48")
