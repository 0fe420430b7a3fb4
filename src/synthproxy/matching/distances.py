"""How far a sound is from its target: the four published distances and their mean, and a quicker one to search by.

STFT, multi-resolution STFT and mel distance are each spectral convergence plus the L1 distance of log magnitudes, as in
``auraloss`` (Steinmetz and Reiss, 2020); MFCCD is the L1 distance of mel-frequency cepstra without the level. All are
taken per clip, so that a value does not depend on what else is in the batch; :meth:`Distances.of` also has the form of
the published figures, which does.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthproxy.audio.features import (
    ESTIMATOR_MEL,
    ESTIMATOR_POWER_FLOOR,
    MelSpectrogram,
    decibels,
    hann_window,
    mfcc,
    slaney_mel_bank,
    spectrogram,
)

SAMPLE_RATE = 32_000
MINIMUM_SAMPLES = 4096
"""Shorter sounds are padded with zeros: the longest analysis window must fit."""

_POWER_FLOOR = 1e-8
_MFCC_WEIGHT = 0.25
_N_MFCC = 40
_N_MELS = 128


@dataclass(frozen=True)
class Resolution:
    """FFT size, hop and window length of one short-time spectrum, in samples."""

    n_fft: int
    hop: int
    window_length: int


STFT = Resolution(1024, 256, 1024)
MULTI_RESOLUTION = (Resolution(1024, 120, 600), Resolution(2048, 240, 1200), Resolution(512, 50, 240))
SEARCH_RESOLUTION = Resolution(1024, 512, 1024)


@dataclass(frozen=True)
class Distances:
    """The published distances of one sound from its target; lower is closer. ``a_mean`` is the mean of the four."""

    stft: float
    mstft: float
    mel: float
    mfccd: float

    @property
    def a_mean(self) -> float:
        """Mean of the four."""
        return (self.stft + self.mstft + self.mel + self.mfccd) / 4

    def to_dict(self) -> dict[str, float]:
        """The four and their mean, by name."""
        return {**asdict(self), "a_mean": self.a_mean}

    @classmethod
    def mean(cls, several: Sequence[Distances]) -> Distances:
        """The mean of each of them, every clip counting alike."""
        return cls(*np.mean([(d.stft, d.mstft, d.mel, d.mfccd) for d in several], axis=0).tolist())

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> Distances:
        """The distances of one clip, or of several together, as published: spectral convergence with norms over all.

        Loud clips then count more than quiet ones, so the value is not the mean over the clips.
        """
        errors = np.sum([c.squared_errors for c in comparisons], axis=0)
        targets = np.sum([c.squared_targets for c in comparisons], axis=0)
        spectral = np.sqrt(errors / targets) + np.mean([c.log_l1 for c in comparisons], axis=0)
        return cls(
            stft=float(spectral[0]),
            mstft=float(spectral[2:].mean()),
            mel=float(spectral[1]),
            mfccd=_MFCC_WEIGHT * float(np.mean([c.cepstral_l1 for c in comparisons])),
        )


@dataclass(frozen=True)
class Comparison:
    """What the distances of one sound from its target are made of.

    The first three have a value for each spectrum: STFT, its mel bands, then those of several resolutions.

    Args:
        squared_errors: squared norm of the difference of the magnitudes.
        squared_targets: squared norm of the target's magnitudes.
        log_l1: mean absolute difference of the log magnitudes.
        cepstral_l1: mean absolute difference of the mel-frequency cepstra.
    """

    squared_errors: tuple[float, ...]
    squared_targets: tuple[float, ...]
    log_l1: tuple[float, ...]
    cepstral_l1: float


def rms(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square over the last axis."""
    return np.asarray(np.sqrt(np.mean(np.square(audio, dtype=np.float64), axis=-1)))


def matching_gain(sound: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    """Factors that bring sounds, (..., samples), to the target's RMS; 1 for a silent sound."""
    level = rms(sound)
    return np.where(level > 0, rms(target) / np.where(level > 0, level, 1.0), 1.0)


def distances(sound: NDArray[np.float32], target: NDArray[np.float32], *, level_matched: bool = False) -> Distances:
    """The published distances, with their published settings.

    Args:
        sound, target: mono float32, (samples,), at 32 kHz; the shorter is padded with zeros at its end.
        level_matched: first scale the sound to the target's RMS.
    """
    return Distances.of([compare(sound, target, level_matched=level_matched)])


def equal_length(sound: NDArray[np.float32], target: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Both sounds, (samples,), the shorter padded with zeros at its end; at least :data:`MINIMUM_SAMPLES` long."""
    length = max(len(sound), len(target), MINIMUM_SAMPLES)
    return [np.pad(audio, (0, length - len(audio))) for audio in (sound, target)]


def compare(sound: NDArray[np.float32], target: NDArray[np.float32], *, level_matched: bool = False) -> Comparison:
    """What :meth:`Distances.of` needs of a sound and its target; arguments as of :func:`distances`."""
    x, y = equal_length(sound, target)
    if level_matched:
        x = (x * matching_gain(x, y)).astype(np.float32)
    pair = torch.from_numpy(np.stack([x, y]))
    with torch.inference_mode():
        magnitudes = _magnitudes(pair, STFT)
        spectra = [magnitudes, _mel_bank() @ magnitudes, *(_magnitudes(pair, r) for r in MULTI_RESOLUTION)]
        return Comparison(
            squared_errors=tuple(_squared_norm(target - sound) for sound, target in spectra),
            squared_targets=tuple(_squared_norm(target) for _, target in spectra),
            log_l1=tuple(_l1(pair.log()) for pair in spectra),
            cepstral_l1=_l1(_cepstra(pair)),
        )


def _magnitudes(audio: Tensor, resolution: Resolution) -> Tensor:
    window = hann_window(resolution.window_length, periodic=True)
    return spectrogram(
        audio, n_fft=resolution.n_fft, hop=resolution.hop, window=window, magnitude=True, power_floor=_POWER_FLOOR
    )


def _squared_norm(magnitudes: Tensor) -> float:
    return float(torch.linalg.norm(magnitudes)) ** 2


def _l1(pair: Tensor) -> float:
    return float((pair[0] - pair[1]).abs().mean())


def _cepstra(audio: Tensor) -> Tensor:
    return mfcc(decibels(_estimator_mel()(audio), floor=ESTIMATOR_POWER_FLOOR), _N_MFCC)[:, 1:]


@cache
def _mel_bank() -> Tensor:
    return slaney_mel_bank(_N_MELS, STFT.n_fft, SAMPLE_RATE, 0.0, SAMPLE_RATE / 2)


@cache
def _estimator_mel() -> MelSpectrogram:
    return MelSpectrogram(ESTIMATOR_MEL)


class SearchDistance:
    """Level-matched distance of many sounds from one target, at a tenth of the cost of :func:`distances`.

    One short-time spectrum serves three terms: spectral convergence and log-magnitude distance of the spectrum and of
    its mel bands, and the L1 distance of the mel cepstrum. It is what searches minimise, and never reported alone.
    Several threads may ask at once.

    Args:
        target: mono float32, (samples,), at 32 kHz.
    """

    def __init__(self, target: NDArray[np.float32]) -> None:
        self.length = max(len(target), MINIMUM_SAMPLES)
        padded = np.pad(target, (0, self.length - len(target)))
        self._level = rms(padded)
        self._of_thread = threading.local()
        self._target = _SearchSpectra(self.length)
        self._target.analyse(padded, 1.0)
        self._norms = [_norm(self._target.magnitudes), _norm(self._target.mel)]

    def __call__(self, audio: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances (n,) and the gains (n,) that match the sounds' levels to the target's.

        A silent sound, or one with samples that are not finite, is infinitely far.
        """
        values = np.full(len(audio), np.inf)
        gains = np.ones(len(audio))
        for i, sound in enumerate(audio):
            # One sound at a time stays in the processor's cache; a batch is slower.
            level = float(rms(sound)) * np.sqrt(len(sound) / self.length)
            if not np.isfinite(level) or level <= 0:
                continue
            gains[i] = self._level / level
            values[i] = self._compare(sound[: self.length], gains[i])
        return values, gains

    def _compare(self, audio: NDArray[np.float32], gain: float) -> float:
        if not hasattr(self._of_thread, "spectra"):
            self._of_thread.spectra = _SearchSpectra(self.length)
        ours, target = self._of_thread.spectra, self._target
        ours.analyse(audio, gain)
        l1 = [_l1_of(ours.log_magnitudes, target.log_magnitudes), _l1_of(ours.log_mel, target.log_mel)]
        cepstral = _l1_of(ours.cepstra, target.cepstra)
        ours.magnitudes -= target.magnitudes
        ours.mel -= target.mel
        convergence = [_norm(ours.magnitudes) / self._norms[0], _norm(ours.mel) / self._norms[1]]
        # The spectrum stands for two of the four published distances, STFT and multi-resolution STFT.
        return (2 * (convergence[0] + l1[0]) + convergence[1] + l1[1] + _MFCC_WEIGHT * cepstral) / 4


class _SearchSpectra:
    """Spectra of one sound after the other, in memory that is taken once: taking it anew costs as long as they do.

    Each is (frames, bands).
    """

    def __init__(self, samples: int) -> None:
        resolution = SEARCH_RESOLUTION
        self._margin = resolution.n_fft // 2
        self._audio = np.zeros(samples + 2 * self._margin, dtype=np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(self._audio, resolution.n_fft)[:: resolution.hop]
        bins = resolution.n_fft // 2 + 1
        self._window = hann_window(resolution.window_length, periodic=True).numpy()
        self._mel_bank = np.ascontiguousarray(_mel_bank().numpy().T)
        self._cosines = _cepstral_cosines()
        self._frames, self._windowed = frames, torch.empty(frames.shape)
        self._spectrum = torch.empty((len(frames), bins), dtype=torch.complex64)
        self.magnitudes, self.log_magnitudes = np.empty((2, len(frames), bins), dtype=np.float32)
        self.mel, self.log_mel = np.empty((2, len(frames), _N_MELS), dtype=np.float32)
        self.cepstra = np.empty((len(frames), _N_MFCC - 1), dtype=np.float32)

    def analyse(self, audio: NDArray[np.float32], gain: float) -> None:
        """Those of a sound times a gain; a shorter one is followed by silence, and both ends are mirrored."""
        margin, padded = self._margin, self._audio
        inner = padded[margin:-margin]
        np.multiply(audio, np.float32(gain), out=inner[: len(audio)])
        inner[len(audio) :] = 0.0
        padded[:margin] = inner[margin:0:-1]
        padded[-margin:] = inner[-2 : -margin - 2 : -1]
        np.multiply(self._frames, self._window, out=self._windowed.numpy())
        torch.fft.rfft(self._windowed, out=self._spectrum)
        np.abs(self._spectrum.numpy(), out=self.magnitudes)
        np.maximum(self.magnitudes, np.float32(np.sqrt(_POWER_FLOOR)), out=self.magnitudes)
        _multiply(self.magnitudes, self._mel_bank, self.mel)
        np.log(self.magnitudes, out=self.log_magnitudes)
        np.log(self.mel, out=self.log_mel)
        _multiply(self.log_mel, self._cosines, self.cepstra)


@cache
def _cepstral_cosines() -> NDArray[np.float32]:
    """Takes the logarithm of mel magnitudes to their cepstrum without the level, (bands, coefficients)."""
    # ln to dB of power: 20 / ln 10, as in the cepstral distance that this stands for.
    decibels_of_bands = torch.eye(_N_MELS)[None] * (20 / float(np.log(10)))
    return np.ascontiguousarray(mfcc(decibels_of_bands, _N_MFCC)[0, 1:].numpy().T)


def _multiply(left: NDArray[np.float32], right: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    # By torch, which asks one thread where each core has a worker; NumPy's product would ask them all.
    torch.matmul(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))


def _norm(values: NDArray[np.float32]) -> float:
    return float(torch.linalg.norm(torch.from_numpy(values)))


def _l1_of(values: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Mean absolute difference; the values are lost."""
    values -= others
    np.abs(values, out=values)
    return float(values.mean())
