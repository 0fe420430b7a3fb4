"""Spectral features in torch: spectrograms, mel bands, decibels, cepstra; differentiable, on any device.

Audio models and distances are built from these pieces; what a feature means for a model or a distance is decided there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthproxy.errors import InvalidInputError

MelScale = Literal["slaney", "htk", "kaldi"]

DECIBELS_PER_NEPER: Final = 10.0 / math.log(10.0)
BANDS_PER_PRODUCT: Final = 32


def hann_window(length: int, *, periodic: bool) -> Tensor:
    """Hann window of ``length`` samples: periodic for overlapping spectra, symmetric (both ends zero) otherwise."""
    return torch.hann_window(length, periodic=periodic)


def pre_emphasise(audio: Tensor, coefficient: float) -> Tensor:
    """First difference y[n] = x[n+1] − coefficient·x[n], which lifts high frequencies.

    Args:
        audio: (batch, samples) with at least two samples.
        coefficient: usually 0.97.

    Returns:
        (batch, samples − 1): only positions where both samples exist.
    """
    return audio[..., 1:] - coefficient * audio[..., :-1]


def reflect_pad(audio: Tensor, amount: int) -> Tensor:
    """Mirror ``amount`` samples at both ends, without repeating the edge sample.

    Args:
        audio: (batch, samples) with more than ``amount`` samples.
        amount: samples to add at each end.

    Returns:
        (batch, samples + 2·amount).
    """
    if amount == 0:
        return audio
    if audio.shape[-1] <= amount:
        raise InvalidInputError(
            f"sound of {audio.shape[-1]} samples is too short to mirror {amount} at its ends: pad it with zeros first"
        )
    # Three times faster on a CPU than torch's own reflection padding, which indexes every sample.
    head = audio[..., 1 : amount + 1].flip(-1)
    tail = audio[..., -amount - 1 : -1].flip(-1)
    return torch.cat([head, audio, tail], dim=-1)


def frames_of(audio: Tensor, n_fft: int, hop: int, window_length: int, *, centred: bool = True) -> Tensor:
    """Overlapping frames, as long as the window, placed where ``torch.stft`` places them.

    Args:
        audio: (batch, samples).
        n_fft: FFT size; the window lies in its middle.
        hop: samples from one frame to the next.
        window_length: samples of the window, at most ``n_fft``.
        centred: mirror half an FFT at both ends, so that frame *k* is centred on sample ``k · hop``.

    Returns:
        (batch, frames, window_length), a view where possible.
    """
    if centred:
        audio = reflect_pad(audio, n_fft // 2)
    if audio.shape[-1] < n_fft:
        raise InvalidInputError(
            f"sound of {audio.shape[-1]} samples is shorter than one frame of {n_fft}: pad it with zeros first"
        )
    count = 1 + (audio.shape[-1] - n_fft) // hop
    start = (n_fft - window_length) // 2
    return audio[..., start : start + (count - 1) * hop + window_length].unfold(-1, window_length, hop)


def power_of_frames(frames: Tensor, window: Tensor, n_fft: int) -> Tensor:
    """Power spectrum |FFT(window · frame)|² of each frame.

    Args:
        frames: (..., window_length).
        window: (window_length,).
        n_fft: FFT size; zeros are appended, which moves phases but no power.

    Returns:
        (..., n_fft // 2 + 1).
    """
    spectrum = torch.fft.rfft(frames * window, n=n_fft)
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power


def spectrogram(
    audio: Tensor,
    *,
    n_fft: int,
    hop: int,
    window: Tensor,
    centred: bool = True,
    magnitude: bool = False,
    power_floor: float = 0.0,
) -> Tensor:
    """Short-time spectrum, as ``torch.stft`` gives it but without phases.

    Args:
        audio: float32, (batch, samples).
        n_fft: FFT size.
        hop: samples from one frame to the next.
        window: (window_length,), at most ``n_fft`` long (:func:`hann_window`).
        centred: mirror half an FFT at both ends.
        magnitude: return |X| and not |X|².
        power_floor: smallest power kept; above zero it keeps the gradient of a magnitude finite.

    Returns:
        (batch, n_fft // 2 + 1, frames).
    """
    frames = frames_of(audio, n_fft, hop, window.shape[0], centred=centred)
    power = power_of_frames(frames, window, n_fft).transpose(-1, -2)
    if power_floor > 0.0:
        power = power.clamp(min=power_floor)
    return power.sqrt() if magnitude else power


def log_multi_resolution_spectrogram(audio: Tensor, *, n_fft_sizes: Sequence[int], power_floor: float) -> list[Tensor]:
    """Level in dB of spectra of several FFT sizes, each with 75 % overlap and a periodic Hann window of its length.

    The window's energy is divided out, so that the level of noise does not depend on the FFT size.

    Args:
        audio: float32, (batch, samples), longer than half the largest FFT.
        n_fft_sizes: FFT sizes in samples.
        power_floor: smallest power kept, before the logarithm.

    Returns:
        One (batch, n_fft // 2 + 1, frames) per size.
    """
    levels = []
    for n_fft in n_fft_sizes:
        window = hann_window(n_fft, periodic=True).to(audio)
        window = window / window.square().sum().sqrt()
        levels.append(decibels(spectrogram(audio, n_fft=n_fft, hop=n_fft // 4, window=window), floor=power_floor))
    return levels


def decibels(power: Tensor, *, floor: float) -> Tensor:
    """10·log10(max(power, floor)); the reference is a power of 1 and the floor does not depend on the sound."""
    return power.clamp(min=floor).log() * DECIBELS_PER_NEPER


def slaney_mel_bank(n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float) -> Tensor:
    """Mel filters of Slaney's Auditory Toolbox, each of unit area: ``librosa.filters.mel``'s default.

    Linear below 1 kHz (200/3 Hz per mel), logarithmic above (27 mels per factor 6.4).

    Args:
        n_mels: number of bands.
        n_fft: FFT size.
        sample_rate: rate in Hz.
        f_min: lower edge of the first band in Hz.
        f_max: upper edge of the last band in Hz.

    Returns:
        float32, (n_mels, n_fft // 2 + 1).
    """
    hertz_per_mel, knee_hertz = 200.0 / 3.0, 1000.0
    knee, step = knee_hertz / hertz_per_mel, math.log(6.4) / 27.0

    def mel(hertz: float) -> float:
        return hertz / hertz_per_mel if hertz < knee_hertz else knee + math.log(hertz / knee_hertz) / step

    mels = np.linspace(mel(f_min), mel(f_max), n_mels + 2)
    edges = np.where(mels < knee, mels * hertz_per_mel, knee_hertz * np.exp(step * (mels - knee)))
    areas = (edges[2:] - edges[:-2]) / 2.0
    return _as_bank(_triangles(edges, _bin_frequencies(n_fft, sample_rate)) / areas[:, None])


def htk_mel_bank(n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float) -> Tensor:
    """Mel filters on HTK's scale 2595·log10(1 + f/700), triangles in Hz with peaks of 1; arguments as above."""
    mels = np.linspace(_natural_mel(f_min), _natural_mel(f_max), n_mels + 2)
    edges = 700.0 * np.expm1(mels / 1127.0)
    return _as_bank(_triangles(edges, _bin_frequencies(n_fft, sample_rate)))


def kaldi_mel_bank(n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float) -> Tensor:
    """Mel filters of Kaldi: triangles on the axis 1127·ln(1 + f/700) with peaks of 1; the Nyquist bin gets no weight.

    Narrow bands at low frequencies can fall between two FFT bins and stay empty, as in Kaldi. Arguments as above.
    """
    edges = np.linspace(_natural_mel(f_min), _natural_mel(f_max), n_mels + 2)
    return _as_bank(_triangles(edges, _natural_mel(_bin_frequencies(n_fft, sample_rate))))


def _natural_mel(hertz: NDArray[np.floating] | float) -> NDArray[np.floating]:
    return np.asarray(1127.0 * np.log1p(hertz / 700.0))


def _bin_frequencies(n_fft: int, sample_rate: int) -> NDArray[np.floating]:
    return np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)


def _triangles(edges: NDArray[np.floating], positions: NDArray[np.floating]) -> NDArray[np.floating]:
    """Triangle *i* rises from edge *i* to 1 at edge *i* + 1 and falls to edge *i* + 2; (len(edges) − 2, positions)."""
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (positions - left) / (centre - left)
    falling = (right - positions) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _as_bank(bank: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(bank.astype(np.float32))


@dataclass(frozen=True)
class MelSettings:
    """Everything a mel spectrogram depends on. Frequencies in Hz, lengths in samples."""

    sample_rate: int
    n_fft: int
    hop: int
    window_length: int
    n_mels: int
    f_min: float
    f_max: float
    scale: MelScale
    periodic_window: bool = True
    pre_emphasis: float = 0.0
    unit_energy_window: bool = False


ESTIMATOR_MEL: Final = MelSettings(
    sample_rate=32_000,
    n_fft=1024,
    hop=512,
    window_length=1024,
    n_mels=128,
    f_min=0.0,
    f_max=16_000.0,
    scale="kaldi",
    periodic_window=False,
    pre_emphasis=0.97,
)
"""Mel spectrogram of the published estimator and of the distance MFCCD (128 × 313 for 5 s)."""

ESTIMATOR_POWER_FLOOR: Final = 1e-8


class MelSpectrogram(nn.Module):
    """Power in mel bands; keeps window and filters, so build it once and call it often (from any thread)."""

    window: Tensor
    bank: Tensor

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        self.settings = settings
        window = hann_window(settings.window_length, periodic=settings.periodic_window)
        if settings.unit_energy_window:
            window = window / window.square().sum().sqrt()
        make_bank = {"slaney": slaney_mel_bank, "htk": htk_mel_bank, "kaldi": kaldi_mel_bank}[settings.scale]
        bank = make_bank(settings.n_mels, settings.n_fft, settings.sample_rate, settings.f_min, settings.f_max)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bank", bank, persistent=False)
        self._bands = tuple(_band_ranges(bank))

    def forward(self, audio: Tensor) -> Tensor:
        """Mel spectrogram of whole sounds.

        Args:
            audio: float32, (batch, samples) at ``settings.sample_rate``, longer than half an FFT.

        Returns:
            Power, (batch, n_mels, frames); frames are centred, with mirrored ends.
        """
        settings = self.settings
        if settings.pre_emphasis:
            audio = pre_emphasise(audio, settings.pre_emphasis)
        return self.of_frames(frames_of(audio, settings.n_fft, settings.hop, settings.window_length)).transpose(-1, -2)

    def of_frames(self, frames: Tensor) -> Tensor:
        """Mel powers of frames cut (and pre-emphasised) by the caller: (..., window_length) to (..., n_mels)."""
        power = power_of_frames(frames, self.window, self.settings.n_fft)
        # Triangles are short: a product per group of neighbouring bands skips most of the zeros.
        return torch.cat(
            [power[..., low:high] @ self.bank[rows, low:high].T for rows, low, high in self._bands], dim=-1
        )


def _band_ranges(bank: Tensor) -> list[tuple[slice, int, int]]:
    """Groups of bands with the FFT bins [low, high) outside which all their weights are zero."""
    ranges = []
    for first in range(0, bank.shape[0], BANDS_PER_PRODUCT):
        rows = slice(first, first + BANDS_PER_PRODUCT)
        used = bank[rows].any(dim=0).nonzero().flatten().tolist()
        low, high = (used[0], used[-1] + 1) if used else (0, 1)
        ranges.append((rows, low, high))
    return ranges


def dct_matrix(n_coefficients: int, n_inputs: int) -> Tensor:
    """Orthonormal DCT-II, float32, (n_coefficients, n_inputs): rows are cosines, row 0 is constant."""
    order = np.arange(n_coefficients)[:, None]
    position = np.arange(n_inputs)[None, :] + 0.5
    matrix = np.cos(math.pi / n_inputs * order * position) * math.sqrt(2.0 / n_inputs)
    matrix[0] /= math.sqrt(2.0)
    return _as_bank(matrix)


def mfcc(mel_decibels: Tensor, n_coefficients: int) -> Tensor:
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of mel levels over the bands.

    Args:
        mel_decibels: (batch, n_mels, frames) in dB (:func:`decibels`).
        n_coefficients: how many to keep, the first (overall level) included.

    Returns:
        (batch, n_coefficients, frames).
    """
    return dct_matrix(n_coefficients, mel_decibels.shape[-2]).to(mel_decibels) @ mel_decibels
