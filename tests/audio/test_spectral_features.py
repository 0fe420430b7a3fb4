"""Spectral features against librosa, auraloss, torch.stft and formulas written out in loops."""

import math

import auraloss
import librosa
import numpy as np
import pytest
import torch

from synthproxy.audio.features import (
    ESTIMATOR_MEL,
    ESTIMATOR_POWER_FLOOR,
    MelSettings,
    MelSpectrogram,
    dct_matrix,
    decibels,
    hann_window,
    htk_mel_bank,
    kaldi_mel_bank,
    log_multi_resolution_spectrogram,
    mfcc,
    pre_emphasise,
    slaney_mel_bank,
    spectrogram,
)
from synthproxy.errors import InvalidInputError

RELATIVE = 1e-4
BANK_ERROR = 1e-6
DECIBEL_ERROR = 1e-2
MFCC_ERROR = 2e-2


@pytest.fixture(scope="module")
def audio() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(20_000) / 32_000
    tones = torch.stack([torch.sin(2 * math.pi * hertz * time) for hertz in (220.0, 3_000.0)])
    return 0.3 * tones + 0.05 * torch.randn(tones.shape, generator=generator)


def close(got: torch.Tensor, expected: torch.Tensor | np.ndarray, relative: float = RELATIVE) -> None:
    expected = torch.as_tensor(expected)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "hop", "length"), [(1024, 320, 800), (1024, 120, 600), (2048, 1024, 2048), (64, 16, 63)]
)
@pytest.mark.parametrize("periodic", [True, False])
def test_spectrogram_is_that_of_torch(
    audio: torch.Tensor, n_fft: int, hop: int, length: int, periodic: bool, centred: bool
) -> None:
    window = torch.hann_window(length, periodic=periodic)
    expected = torch.stft(audio, n_fft, hop, length, window, center=centred, return_complex=True).abs()
    got = spectrogram(
        audio, n_fft=n_fft, hop=hop, window=hann_window(length, periodic=periodic), centred=centred, magnitude=True
    )
    close(got, expected)


def test_magnitudes_are_those_auraloss_compares(audio: torch.Tensor) -> None:
    loss = auraloss.freq.STFTLoss(fft_size=1024, hop_size=256, win_length=1024, w_phs=0.0)
    expected, _ = loss.stft(audio)
    got = spectrogram(
        audio, n_fft=1024, hop=256, window=hann_window(1024, periodic=True), magnitude=True, power_floor=loss.eps
    )
    close(got, expected)


def test_gradient_of_a_floored_magnitude_is_finite_in_silence() -> None:
    silence = torch.zeros(1, 4_000, requires_grad=True)
    spectrogram(
        silence, n_fft=512, hop=128, window=hann_window(512, periodic=True), magnitude=True, power_floor=1e-8
    ).sum().backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


BANK_SHAPES = [(128, 1024, 32_000, 20.0, 16_000.0), (128, 2048, 44_100, 0.0, 22_050.0), (10, 512, 16_000, 300.0, 900.0)]


@pytest.mark.parametrize(("n_mels", "n_fft", "rate", "f_min", "f_max"), BANK_SHAPES)
def test_slaney_bank_is_that_of_librosa(n_mels: int, n_fft: int, rate: int, f_min: float, f_max: float) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max)
    np.testing.assert_allclose(slaney_mel_bank(n_mels, n_fft, rate, f_min, f_max), expected, atol=BANK_ERROR)


@pytest.mark.parametrize(
    ("n_mels", "n_fft", "rate", "f_min", "f_max"), [*BANK_SHAPES[2:], (40, 2048, 44_100, 20.0, 2e4)]
)
def test_htk_bank_is_that_of_librosa(n_mels: int, n_fft: int, rate: int, f_min: float, f_max: float) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max, htk=True, norm=None)
    np.testing.assert_allclose(htk_mel_bank(n_mels, n_fft, rate, f_min, f_max), expected, atol=BANK_ERROR)


@pytest.mark.parametrize("f_max", [15_000.0, 16_000.0])
def test_kaldi_bank_is_its_formula_written_out(f_max: float) -> None:
    n_mels, n_fft, rate = 128, 1024, 32_000

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    step = mel(f_max) / (n_mels + 1)
    expected = np.zeros((n_mels, n_fft // 2 + 1))
    for band in range(n_mels):
        left, centre, right = band * step, (band + 1) * step, (band + 2) * step
        for bin_index in range(n_fft // 2):
            position = mel(bin_index * rate / n_fft)
            if left < position <= centre:
                expected[band, bin_index] = (position - left) / (centre - left)
            elif centre < position < right:
                expected[band, bin_index] = (right - position) / (right - centre)
    np.testing.assert_allclose(kaldi_mel_bank(n_mels, n_fft, rate, 0.0, f_max), expected, atol=BANK_ERROR)


@pytest.mark.parametrize("scale", ["slaney", "htk", "kaldi"])
def test_mel_spectrogram_is_bank_times_spectrogram(audio: torch.Tensor, scale: str) -> None:
    settings = MelSettings(32_000, 1024, 256, 800, 96, 50.0, 12_000.0, scale)  # type: ignore[arg-type]
    spectra = MelSpectrogram(settings)
    plain = spectrogram(audio, n_fft=1024, hop=256, window=hann_window(800, periodic=True))
    close(spectra(audio), spectra.bank @ plain)


def test_mel_spectrogram_is_that_of_librosa(audio: torch.Tensor) -> None:
    got = MelSpectrogram(MelSettings(32_000, 1024, 256, 1024, 128, 0.0, 16_000.0, "slaney"))(audio)
    magnitude = torch.stft(audio, 1024, 256, window=torch.hann_window(1024), return_complex=True).abs().numpy()
    # Given a spectrum, librosa skips its own STFT, whose just-in-time compilation takes half a minute.
    expected = librosa.feature.melspectrogram(S=magnitude**2, sr=32_000, n_fft=1024, n_mels=128)
    close(got, expected)


def test_unit_energy_window_divides_power_by_the_windows_energy(audio: torch.Tensor) -> None:
    common = (44_100, 2048, 1024, 2048, 128, 20.0, 16_000.0, "slaney")
    plain = MelSpectrogram(MelSettings(*common))
    unit = MelSpectrogram(MelSettings(*common, unit_energy_window=True))
    close(unit(audio) * torch.hann_window(2048).square().sum(), plain(audio))


def test_decibels_and_mfcc_are_those_of_librosa(audio: torch.Tensor) -> None:
    mel = MelSpectrogram(MelSettings(32_000, 1024, 256, 1024, 128, 0.0, 16_000.0, "slaney"))(audio)
    level = decibels(mel, floor=1e-10)
    reference = librosa.power_to_db(mel.numpy(), ref=1.0, amin=1e-10, top_db=None)
    np.testing.assert_allclose(level, reference, atol=DECIBEL_ERROR)
    cepstra = librosa.feature.mfcc(S=reference, n_mfcc=40, dct_type=2, norm="ortho")
    np.testing.assert_allclose(mfcc(level, 40), cepstra, atol=MFCC_ERROR)


def test_dct_rows_are_orthonormal() -> None:
    matrix = dct_matrix(40, 128)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(40), atol=1e-6, rtol=0.0)


def test_pre_emphasis_keeps_pairs_only() -> None:
    emphasised = pre_emphasise(torch.tensor([[1.0, 2.0, 4.0]]), 0.97)
    torch.testing.assert_close(emphasised, torch.tensor([[2.0 - 0.97, 4.0 - 1.94]]))


def test_estimator_mel_of_five_seconds_has_its_published_shape_and_values() -> None:
    sound = 0.1 * torch.randn(1, 160_000, generator=torch.Generator().manual_seed(1))
    level = decibels(MelSpectrogram(ESTIMATOR_MEL)(sound), floor=ESTIMATOR_POWER_FLOOR)
    assert level.shape == (1, 128, 313)
    emphasised = sound[:, 1:] - 0.97 * sound[:, :-1]
    window = torch.hann_window(1024, periodic=False)
    power = torch.stft(emphasised, 1024, 512, 1024, window, return_complex=True).abs() ** 2
    expected = 10 * torch.log10((kaldi_mel_bank(128, 1024, 32_000, 0.0, 16_000.0) @ power).clamp(min=1e-8))
    torch.testing.assert_close(level, expected, atol=DECIBEL_ERROR, rtol=0.0)


def test_level_of_noise_is_the_same_at_every_resolution() -> None:
    noise = torch.randn(1, 88_200, generator=torch.Generator().manual_seed(2))
    levels = log_multi_resolution_spectrogram(noise, n_fft_sizes=(64, 512, 4096), power_floor=1e-8)
    assert [level.shape[1] for level in levels] == [33, 257, 2049]
    means = torch.stack([level[:, 2:-2].mean() for level in levels])
    assert means.max() - means.min() < 0.5


def test_sound_shorter_than_its_mirror_is_refused_in_words() -> None:
    with pytest.raises(InvalidInputError, match="too short"):
        spectrogram(torch.zeros(1, 100), n_fft=1024, hop=256, window=hann_window(1024, periodic=True))
    with pytest.raises(InvalidInputError, match="shorter than one frame"):
        spectrogram(torch.zeros(1, 100), n_fft=1024, hop=256, window=hann_window(1024, periodic=True), centred=False)
