"""CLAP: the front end of its published feature extractor, the vectors of its published network."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.audio.features import MelSpectrogram, decibels
from synthproxy.audio.published import PublishedFrames
from synthproxy.audio.reductions import ReducedModel
from synthproxy.audio.transformers_models import MODELS, build

transformers = pytest.importorskip("transformers", reason="pip install 'synthproxy[transformers]' to hear with CLAP")
clap = pytest.importorskip("synthproxy.audio.clap")

RATE = 48_000
WINDOW = 10 * RATE
WIDTH = 12
SMALL_TOWER = {
    "patch_embeds_hidden_size": 8,
    "hidden_size": 16,
    "depths": (1, 1),
    "num_attention_heads": (1, 2),
    "projection_dim": WIDTH,
}
SMALL_TEXT = {"vocab_size": 30, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
ROW = replace(MODELS[0], channels=WIDTH, configuration=SMALL_TOWER)
MEL_TOLERANCE_DB = 0.05


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """Both towers, small, as their authors build them, with weights and running averages that all matter."""
    torch.manual_seed(3)
    config = transformers.ClapConfig(
        audio_config=SMALL_TOWER, text_config={**SMALL_TEXT, "num_attention_heads": 2}, projection_dim=WIDTH
    )
    network = transformers.ClapModel(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        network.audio_model.audio_encoder.batch_norm.running_mean.uniform_(-60, -20)
        network.audio_model.audio_encoder.batch_norm.running_var.uniform_(50, 200)
    return network


@pytest.fixture(scope="module")
def folder(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository: configuration and weights of both towers."""
    folder = tmp_path_factory.mktemp("hub") / ROW.folder
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> PublishedFrames:
    return build(ROW, folder)


@pytest.fixture(scope="module")
def extractor() -> object:
    """The feature extractor with the settings published with both checkpoints."""
    return transformers.ClapFeatureExtractor(frequency_min=50, frequency_max=14_000, truncation="rand_trunc")


def tones(seconds: float, count: int = 1) -> torch.Tensor:
    """Decaying tones in a little noise, each of another pitch."""
    time = torch.arange(round(seconds * RATE)) / RATE
    pitches = 220.0 * 1.7 ** torch.arange(count)[:, None]
    noise = torch.randn(count, len(time), generator=torch.Generator().manual_seed(2))
    return 0.5 * torch.sin(2 * torch.pi * pitches * time) * torch.exp(-2 * time) + 1e-3 * noise


@pytest.mark.parametrize("seconds", [0.01, 1.5, 4.0, 5.0, 10.0])
def test_log_mel_is_that_of_the_published_feature_extractor(extractor: object, seconds: float) -> None:
    audio = clap.to_sixteen_bits(tones(seconds))
    published = extractor(audio[0].numpy(), sampling_rate=RATE, return_tensors="pt").input_features[0, 0]  # type: ignore[operator]
    mel = MelSpectrogram(clap.LOG_MEL)(clap.ten_second_windows(audio)[0])
    ours = decibels(mel, floor=clap.POWER_FLOOR)[0].T
    assert ours.shape == published.shape == (1001, 64)
    assert (ours - published).abs().max() < MEL_TOLERANCE_DB


def test_a_clip_is_the_vector_of_the_published_model(model: PublishedFrames, folder: Path, extractor: object) -> None:
    published = transformers.ClapModel.from_pretrained(folder).eval()
    audio = tones(4.0, count=2)
    inputs = extractor(list(clap.to_sixteen_bits(audio).numpy()), sampling_rate=RATE, return_tensors="pt")  # type: ignore[operator]
    with torch.no_grad():
        heard = published.audio_model(input_features=inputs.input_features).pooler_output
        expected = torch.nn.functional.normalize(published.audio_projection(heard), dim=-1)
    frames = model.frames(audio)
    assert frames.shape == (2, 1, WIDTH)
    assert (frames[:, 0] - expected).abs().max() < 1e-4
    assert (frames[0] - frames[1]).abs().max() > 1e-3


def test_vectors_have_the_length_one_and_are_the_embedding(model: PublishedFrames) -> None:
    frames = model.frames(tones(4.0, count=2))
    assert frames.norm(dim=-1).sub(1).abs().max() < 1e-6
    assert torch.equal(ReducedModel(model, model.reduction).embed(tones(4.0, count=2)), frames[:, 0])


def test_a_long_clip_is_heard_in_windows_of_which_the_last_ends_with_it(model: PublishedFrames) -> None:
    audio = tones(24.0)
    frames = model.frames(audio)
    assert frames.shape == (1, 3, WIDTH)
    for window, start in enumerate((0, WINDOW, audio.shape[1] - WINDOW)):
        alone = model.frames(audio[:, start : start + WINDOW])
        assert (frames[:, window] - alone[:, 0]).abs().max() < 1e-5
    reduced = ReducedModel(model, "mean").embed(audio)
    assert (reduced[0] - torch.from_numpy(np.mean(frames[0].numpy(), axis=0))).abs().max() < 1e-6


def test_two_whole_windows_are_two(model: PublishedFrames) -> None:
    audio = tones(20.0)
    assert model.frames(audio).shape == (1, 2, WIDTH)
    assert torch.equal(clap.ten_second_windows(audio).flatten(1), audio)


def test_samples_are_those_of_a_sixteen_bit_file() -> None:
    audio = torch.tensor([[0.0, 1.0, -1.0, 1.5, -2.0, 0.99 / 32767, -0.99 / 32767, 1.01 / 32767, 0.5]])
    expected = torch.tensor([[0, 32767, -32767, 32767, -32767, 0, 0, 1, 16383]]) / 32767
    assert torch.equal(clap.to_sixteen_bits(audio), expected)


def test_what_sixteen_bits_do_not_keep_is_not_heard(model: PublishedFrames) -> None:
    silence = torch.zeros(1, RATE)
    whisper = torch.full_like(silence, 0.9 / 32767)
    assert torch.equal(model.frames(silence), model.frames(whisper))
    assert model.frames(silence).isfinite().all()


def test_a_sound_is_heard_alike_in_any_company_and_in_any_thread(model: PublishedFrames) -> None:
    audio = tones(1.0, count=3)
    together = model.frames(audio)
    with ThreadPoolExecutor(3) as pool:
        alone = torch.cat(list(pool.map(model.frames, audio.split(1))))
    assert torch.equal(together, alone)


def test_one_sample_is_heard(model: PublishedFrames) -> None:
    frames = model.frames(torch.tensor([[0.5]]))
    assert frames.shape == (1, 1, WIDTH)
    assert frames.isfinite().all()
