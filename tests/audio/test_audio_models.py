"""What every audio model promises, and that EfficientAT is the published network."""

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from synthproxy.audio import efficientat
from synthproxy.audio.base import AudioModel
from synthproxy.audio.efficientat import EfficientAT, LogMelFrontEnd
from synthproxy.audio.features import htk_mel_bank
from synthproxy.audio.io import read_audio
from synthproxy.audio.mobilenet import ConvNorm, FoldedConvolution, MobileNet, fold_batch_norm
from synthproxy.audio.registry import HANDMADE, get_audio_model
from synthproxy.audio.sizes import SIZES
from synthproxy.errors import InvalidInputError

REFERENCE_ERROR = 1e-4
ROUNDING = 2e-5
DECIBEL_ERROR = 1e-2
DIMENSIONS = {"mn04": 192, "mn05": 240, "mn10": 472, "mn20": 944, "mn30": 1416, "mn40": 1888}
NETWORK_MODELS = ["mn04", "mn04_mel", "mn04-clip", "mn04_mel-clip"]
SECOND = 32_000


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=[*HANDMADE, *NETWORK_MODELS])
def model(request: pytest.FixtureRequest) -> AudioModel:
    weights = request.getfixturevalue("shared_folder") / "weights" if request.param in NETWORK_MODELS else None
    return get_audio_model(request.param, weights=weights)


@pytest.fixture(scope="module")
def trained(shared_folder: Path) -> MobileNet:
    from synthproxy.audio.weights import load_network

    return load_network(SIZES[0], shared_folder / "weights" / SIZES[0].file_name)[0]


def noise(batch: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


def test_model_keeps_the_contract(model: AudioModel) -> None:
    assert isinstance(model, AudioModel)
    embedding = model.embed(noise(3, SECOND))
    assert embedding.shape == (3, model.dimension)
    assert embedding.dtype == torch.float32
    assert not embedding.requires_grad
    assert not embedding.is_inference()
    assert embedding.isfinite().all()
    assert model.identity.startswith(model.name + ":")


def test_same_batch_gives_the_same_bits(model: AudioModel) -> None:
    sounds = noise(5, SECOND)
    assert torch.equal(model.embed(sounds), model.embed(sounds.clone()))


def test_row_depends_on_its_own_sound_only(model: AudioModel) -> None:
    sounds = noise(5, SECOND)
    together = model.embed(sounds)
    others = sounds.clone()
    others[:2] *= torch.linspace(9.0, 0.0, sounds.shape[1])
    scale = together.abs().max()
    assert (model.embed(others)[2:] - together[2:]).abs().max() <= ROUNDING * scale
    assert (model.embed(others)[:2] - together[:2]).abs().max() > 100 * ROUNDING * scale
    alone = torch.cat([model.embed(sound[None]) for sound in sounds])
    assert (alone - together).abs().max() <= ROUNDING * scale


@pytest.mark.parametrize("samples", [1, 2, 513, 2561, 5121])
def test_any_length_is_embedded(model: AudioModel, samples: int) -> None:
    embedding = model.embed(torch.full((2, samples), 0.5))
    assert embedding.shape == (2, model.dimension)
    assert embedding.isfinite().all()


def test_silence_is_embedded(model: AudioModel) -> None:
    assert model.embed(torch.zeros(1, SECOND)).isfinite().all()


def test_threads_do_not_disturb_each_other(model: AudioModel) -> None:
    batches = [noise(2, SECOND, seed) for seed in range(6)]
    alone = [model.embed(batch) for batch in batches]
    with ThreadPoolExecutor(3, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        together = list(pool.map(model.embed, batches))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("bad", [torch.zeros(9), torch.zeros(1, 1, 9), torch.zeros(1, 9).int(), torch.zeros(2, 0)])
def test_other_input_is_refused_in_words(bad: torch.Tensor) -> None:
    with pytest.raises(InvalidInputError, match="audio to embed"):
        get_audio_model("mel").embed(bad)


def test_default_mel_hears_loudness_pitch_and_movement() -> None:
    model = get_audio_model("mel")
    time = torch.arange(SECOND) / SECOND
    low, high = (torch.sin(2 * torch.pi * hertz * time) for hertz in (200.0, 4_000.0))
    pulsed = low * (1 + torch.sin(2 * torch.pi * 8 * time)) / 2
    embedded = model.embed(torch.stack([0.1 * low, 0.5 * low, 0.1 * high, 0.1 * pulsed]))
    mean, change = embedded.split(128, dim=1)
    assert mean[1].mean() > mean[0].mean()
    assert mean[2].argmax() > mean[0].argmax() + 30
    band = mean[0].argmax()
    assert change[3, band] > 5 * change[0, band]


def test_matched_mel_hears_the_same_at_any_level_and_mel_at_its_own() -> None:
    matched, mel = get_audio_model("mel-matched"), get_audio_model("mel")
    sound = torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 0, 32_000)
    at_level = sound * 0.04 / sound.square().mean().sqrt()
    torch.testing.assert_close(matched.embed(0.01 * sound), matched.embed(sound), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(matched.embed(sound), mel.embed(at_level), atol=1e-5, rtol=1e-5)
    assert matched.embed(torch.zeros(1, 32_000)).isfinite().all()


def test_mel128_and_mfcc40_are_the_published_features_computed_with_librosa() -> None:
    sounds = noise(2, 44_100)
    window = torch.hann_window(2048)
    power = torch.stft(sounds, 2048, 1024, window=window, return_complex=True).abs().square() / window.square().sum()
    bank = htk_mel_bank(128, 2048, 44_100, 20.0, 16_000.0).numpy()
    level = librosa.power_to_db(bank @ power.numpy(), amin=1e-8, top_db=None)
    np.testing.assert_allclose(get_audio_model("mel128").embed(sounds), level.mean(-1), atol=DECIBEL_ERROR)
    cepstra = librosa.feature.mfcc(S=level, n_mfcc=40).mean(-1)
    np.testing.assert_allclose(get_audio_model("mfcc40").embed(sounds), cepstra, atol=DECIBEL_ERROR)


def test_mstft_joins_seven_resolutions() -> None:
    sounds = noise(1, 44_100)
    embedded = get_audio_model("mstft").embed(sounds)[0]
    start = 0
    for n_fft in (64, 128, 256, 512, 1024, 2048, 4096):
        window = torch.hann_window(n_fft)
        power = torch.stft(sounds, n_fft, n_fft // 4, window=window, return_complex=True).abs().square()
        level = 10 * torch.log10((power / window.square().sum()).clamp(min=1e-8)).mean(-1)[0]
        stop = start + n_fft // 2 + 1
        torch.testing.assert_close(embedded[start:stop], level, atol=DECIBEL_ERROR, rtol=0.0)
        start = stop
    assert start == embedded.numel() == 4071


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_parameters_and_dimensions_are_the_published_ones(size: object) -> None:
    with torch.device("meta"):
        network = MobileNet(size.width)
        features = network.eval()(torch.zeros(1, 128, 16))
    assert sum(parameter.numel() for parameter in network.parameters()) == size.parameters
    assert features.shape == (1, DIMENSIONS[size.name])
    assert size.embedding_dimension(with_mel=False) == DIMENSIONS[size.name]
    assert size.embedding_dimension(with_mel=True) == DIMENSIONS[size.name] + 128


def test_windowed_embedding_is_the_reference_one(shared_folder: Path) -> None:
    model = get_audio_model("mn04_mel", weights=shared_folder / "weights")
    with np.load(shared_folder / "facts" / "mn04_mel_reference.npz") as reference:
        assert len(reference.files) >= 4
        sounds = [read_audio(shared_folder / "data" / "nsynth_dev" / name) for name in reference.files]
        expected = np.stack([reference[name] for name in reference.files])
    assert {sound.sample_rate for sound in sounds} == {model.sample_rate}
    embedded = model.embed(torch.from_numpy(np.stack([sound.samples for sound in sounds])))
    np.testing.assert_allclose(embedded, expected, atol=REFERENCE_ERROR)


@pytest.mark.parametrize("samples", [5120, 32_000, 33_599, 40_001])
def test_shared_frames_equal_spectra_of_each_window(samples: int) -> None:
    front_end = LogMelFrontEnd()
    audio = noise(2, samples)
    padded = torch.nn.functional.pad(audio[:, None], (2560, 2560), mode="reflect")[:, 0]
    starts = range(0, padded.shape[1] - 5120 + 1, 1600)
    naive = torch.stack([front_end.of_clips(padded[:, start : start + 5120]) for start in starts], dim=1)
    shared = front_end.of_windows(audio)
    assert shared.shape == (2, 1 + samples // 1600, 128, 16)
    torch.testing.assert_close(shared, naive, atol=1e-4, rtol=0.0)


def test_windowed_embedding_is_the_mean_over_windows_embedded_one_by_one(trained: MobileNet) -> None:
    audio = noise(1, SECOND)
    front_end = LogMelFrontEnd()
    padded = torch.nn.functional.pad(audio[:, None], (2560, 2560), mode="reflect")[:, 0]
    rows = [trained(front_end.of_clips(padded[:, start : start + 5120])) for start in range(0, SECOND + 1, 1600)]
    model = EfficientAT(SIZES[0], trained, "0" * 64, with_mel=False, whole_clip=False)
    torch.testing.assert_close(model.embed(audio)[0], torch.cat(rows).mean(dim=0), atol=1e-4, rtol=0.0)


def test_chunk_borders_do_not_show(trained: MobileNet, monkeypatch: pytest.MonkeyPatch) -> None:
    model = EfficientAT(SIZES[0], trained, "0" * 64, with_mel=True, whole_clip=False)
    audio = noise(3, SECOND)
    whole = model.embed(audio)
    monkeypatch.setattr(efficientat, "WINDOWS_PER_CHUNK", 5)
    torch.testing.assert_close(model.embed(audio), whole, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 16, 17, 50])
def test_folding_changes_rounding_only(trained: MobileNet, frames: int) -> None:
    folded = fold_batch_norm(trained)
    assert not any(isinstance(module, ConvNorm) for module in folded.modules())
    log_mel = torch.randn(2, 128, frames, generator=torch.Generator().manual_seed(frames))
    torch.testing.assert_close(folded(log_mel), trained(log_mel), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8])
def test_folded_convolution_equals_its_source_at_every_width(kernel: int, stride: int, frames: int) -> None:
    source = ConvNorm(4, 4, kernel, stride=stride, groups=4, activation="hardswish").eval()
    x = torch.randn(2, 4, 8, frames, generator=torch.Generator().manual_seed(frames))
    torch.testing.assert_close(FoldedConvolution(source)(x), source(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("frames", "kernel", "stride", "kept"), [(1, 5, 1, 1), (2, 3, 2, 2), (2, 5, 1, 3), (3, 5, 1, 5)]
)
def test_kernel_columns_that_only_meet_padding_are_cut_off(frames: int, kernel: int, stride: int, kept: int) -> None:
    folded = FoldedConvolution(ConvNorm(4, 4, kernel, stride=stride, groups=4, activation=None))
    columns, _ = folded.reached_columns(frames)
    assert columns.stop - columns.start == kept


def test_folding_leaves_the_original_alone(trained: MobileNet) -> None:
    before = copy.deepcopy(trained.state_dict())
    fold_batch_norm(trained)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def test_mel_averages_come_last_and_forms_have_names_of_their_own(shared_folder: Path) -> None:
    models = {name: get_audio_model(name, weights=shared_folder / "weights") for name in NETWORK_MODELS}
    audio = noise(1, SECOND)
    embedded = {name: model.embed(audio)[0] for name, model in models.items()}
    assert torch.equal(embedded["mn04_mel"][:192], embedded["mn04"])
    assert torch.equal(embedded["mn04_mel-clip"][:192], embedded["mn04-clip"])
    torch.testing.assert_close(embedded["mn04_mel-clip"][192:], LogMelFrontEnd().of_clips(audio)[0].mean(-1))
    assert len({model.identity for model in models.values()}) == len(models)
