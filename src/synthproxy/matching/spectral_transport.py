"""Spectral optimal transport: by which interval the energy of one sound's spectrum must move to make another's.

It grows as a sound goes out of tune, where a difference of spectra stops growing once partials no longer overlap, and
does not see levels (after Torres, Peeters and Richard, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from synthproxy.audio.features import hann_window, spectrogram
from synthproxy.matching.distances import SAMPLE_RATE, Resolution, equal_length
from synthproxy.synths.space import Floats

RESOLUTION = Resolution(4096, 1024, 4096)
LOWEST_HERTZ = 20.0
HEARD = 1e-3
"""Frames quieter than this part of a sound's loudest, −60 dB, count as silent."""

_HERTZ = np.arange(RESOLUTION.n_fft // 2 + 1) * (SAMPLE_RATE / RESOLUTION.n_fft)
_USED = _HERTZ >= LOWEST_HERTZ
_OCTAVES = np.log2(_HERTZ[_USED])
FARTHEST = float(_OCTAVES[-1] - _OCTAVES[0])
"""The whole axis, in octaves: how far a sound is from silence."""


@dataclass(frozen=True)
class Transport:
    """Wasserstein-1 distances of magnitude spectra, each of sum 1, over log frequency from 20 Hz to 16 kHz; in octaves.

    Args:
        averaged: between the spectra averaged over time.
        framewise: mean over the frames in which both sounds are heard.
    """

    averaged: float
    framewise: float


def spectral_transport(sound: Floats, target: Floats) -> Transport:
    """Transport from a sound to its target.

    Where one is silent, or both are never heard at the same time, it is :data:`FARTHEST`; between silent ones it is 0.

    Args:
        sound, target: mono float32, (samples,), at 32 kHz; the shorter is padded with zeros at its end.
    """
    first, second = _magnitudes(np.stack(equal_length(sound, target)))
    if not (first.any() or second.any()):
        return Transport(0.0, 0.0)
    if not (first.any() and second.any()):
        return Transport(FARTHEST, FARTHEST)
    heard = _heard(first) & _heard(second)
    by_frame = work(first[heard], second[heard], _OCTAVES)
    return Transport(
        averaged=float(work(first.sum(axis=0), second.sum(axis=0), _OCTAVES)),
        framewise=float(by_frame.mean()) if len(by_frame) else FARTHEST,
    )


def work(first: NDArray[np.float64], second: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wasserstein-1 distance between distributions over places: the area between their cumulative forms.

    Args:
        first, second: weights, (..., places), in no row all zero.
        places: ascending, (places,).

    Returns:
        (...).
    """
    rising = [np.cumsum(weights, axis=-1) / weights.sum(axis=-1, keepdims=True) for weights in (first, second)]
    return np.asarray((np.abs(rising[0] - rising[1])[..., :-1] * np.diff(places)).sum(axis=-1))


def _magnitudes(audio: Floats) -> NDArray[np.float64]:
    """(sounds, samples) to (sounds, frames, used bins)."""
    window = hann_window(RESOLUTION.window_length, periodic=True)
    with torch.inference_mode():
        spectra = spectrogram(
            torch.from_numpy(audio), n_fft=RESOLUTION.n_fft, hop=RESOLUTION.hop, window=window, magnitude=True
        )
        return np.asarray(spectra.transpose(1, 2).double().numpy()[..., _USED])


def _heard(magnitudes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames of (frames, bins) are not silent."""
    levels = np.linalg.norm(magnitudes, axis=1)
    return np.asarray((levels > 0) & (levels >= HEARD * levels.max()))
