"""The pitch of one note: YIN (de Cheveigné and Kawahara, 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FRAME_PERIODS = 2  # A frame holds at least this many periods of the lowest pitch.
_THRESHOLD = 0.15
_HOP_SECONDS = 0.02
_QUIET = 0.1  # Frames quieter than this part of the loudest do not vote.


def yin(
    audio: NDArray[np.float32], sample_rate: int, f_min: float = 30.0, f_max: float = 4200.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fundamental frequency in Hz, and aperiodicity (0 periodic, 1 not), of each frame.

    Args:
        audio: (samples,), mono.
        f_min, f_max: range of the search, in Hz.
    """
    longest, shortest = int(np.ceil(sample_rate / f_min)), max(2, int(sample_rate / f_max))
    window = _FRAME_PERIODS * longest
    hop = max(1, round(_HOP_SECONDS * sample_rate))
    padded = np.pad(audio.astype(np.float64), (0, max(0, window + longest - len(audio))))
    starts = np.arange(0, len(padded) - window - longest + 1, hop)
    frames = padded[starts[:, None] + np.arange(window + longest)]

    # Squared difference between the window and itself, lag samples later, through the autocorrelation.
    size = 1 << int(np.ceil(np.log2(window + longest)))
    spectrum = np.fft.rfft(frames, size) * np.conj(np.fft.rfft(frames[:, :window], size))
    correlation = np.fft.irfft(spectrum, size)[:, : longest + 1]
    energy = np.cumsum(np.pad(np.square(frames), ((0, 0), (1, 0))), axis=1)
    lags = np.arange(longest + 1)
    difference = energy[:, window : window + 1] + energy[:, lags + window] - energy[:, lags] - 2 * correlation
    difference = np.maximum(difference, 0)

    running = np.cumsum(difference[:, 1:], axis=1)
    normalised = np.ones_like(difference)
    normalised[:, 1:] = difference[:, 1:] * lags[1:] / np.where(running > 0, running, 1.0)
    return _first_dips(normalised, shortest, sample_rate)


def _first_dips(
    normalised: NDArray[np.float64], shortest: int, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first local minimum below the threshold, or the lowest, refined by a parabola."""
    inner = normalised[:, 1:-1]
    dips = np.zeros_like(normalised, dtype=bool)
    dips[:, 1:-1] = (inner <= normalised[:, :-2]) & (inner < normalised[:, 2:])
    dips[:, :shortest] = False
    low = dips & (normalised < _THRESHOLD)
    lag = np.where(low.any(axis=1), low.argmax(axis=1), np.where(dips, normalised, np.inf).argmin(axis=1))
    lag = np.clip(lag, 1, normalised.shape[1] - 2)
    row = np.arange(len(normalised))
    before, at, after = (normalised[row, lag + d] for d in (-1, 0, 1))
    curvature = before - 2 * at + after
    shift = np.where(curvature > 0, (before - after) / (2 * np.where(curvature > 0, curvature, 1.0)), 0.0)
    return sample_rate / (lag + np.clip(shift, -1, 1)), at


def estimate_pitch(audio: NDArray[np.float32], sample_rate: int) -> tuple[int, float]:
    """MIDI pitch of a sound's loud, most periodic part, and how periodic that part is (0–1).

    The pitch of a sound that is not periodic is a guess; the periodicity tells.
    """
    frequency, aperiodicity = yin(audio, sample_rate)
    hop = max(1, round(_HOP_SECONDS * sample_rate))
    energy = np.asarray([np.sqrt(np.mean(np.square(audio[i * hop : (i + 2) * hop]))) for i in range(len(frequency))])
    votes = np.nan_to_num(energy) >= _QUIET * np.max(np.nan_to_num(energy), initial=0.0)
    clarity = np.where(votes, 1 - np.minimum(aperiodicity, 1), -1.0)
    best = np.argsort(-clarity, kind="stable")[: max(1, int(votes.sum()) // 2)]
    pitch = 69 + 12 * np.log2(np.median(frequency[best]) / 440)
    return int(np.clip(np.rint(pitch), 0, 127)), float(np.clip(np.median(clarity[best]), 0, 1))
