"""When the key of one note was let go: where its sound suddenly begins to fall faster than it fell before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthproxy.audio.features import slaney_mel_bank

_HOP_SECONDS = 0.01
_WINDOW_SECONDS = 0.032
_BANDS = 32
_RANGE = 60.0  # Decibels below the loudest band within which a fall counts.
_SPANS = (4, 8, 16, 32)  # Frames before and after the release over which falls are compared.
_SLIGHT = 2.0  # Decibels; falls that differ less say nothing.
_LASTING = slice(5, 105)  # Frames after the release in which the sound must stay lower.
_ATTACK = 8  # Frames at the beginning in which no key is let go.
_APART = 20
_USUAL_SECONDS = 0.5
"""The weight of a release grows up to about here, as keys are seldom held so short, and sounds bend most at first."""


def estimate_releases(audio: NDArray[np.float32], sample_rate: int, count: int = 3) -> tuple[float, ...]:
    """Seconds after which the key may have been let go, likeliest first; none where no release is heard.

    A decay is no release, however steep, if it was as steep before; nor is a fall from which the sound recovers.

    Args:
        audio: (samples,), mono, from the beginning of the note.
        count: at most so many, at least a fifth of a second apart.
    """
    level = _levels(audio, sample_rate)
    seconds = _HOP_SECONDS * np.arange(len(level))
    # By its root, or a great fall, such as of a decay from the beginning, would outweigh a clear bend.
    score = _bends(level) * np.sqrt(_lasting_falls(level)) * seconds / (seconds + _USUAL_SECONDS)
    score[:_ATTACK] = 0
    found: list[float] = []
    while len(found) < count and score.max(initial=0.0) > 0:
        at = int(score.argmax())
        found.append(round(at * _HOP_SECONDS, 3))
        score[max(0, at - _APART) : at + _APART + 1] = 0
    return tuple(found)


def _levels(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Of each band in decibels, (frames, bands), none of them lower than the range allows."""
    hop, half = round(_HOP_SECONDS * sample_rate), round(_WINDOW_SECONDS * sample_rate / 2)
    window = np.hanning(2 * half)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio.astype(np.float64), half), 2 * half)[::hop]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    bank = slaney_mel_bank(_BANDS, 2 * half, sample_rate, 0.0, sample_rate / 2).numpy()
    decibels = 10 * np.log10(power @ bank.T + np.finfo(np.float64).tiny)
    return np.asarray(np.maximum(decibels, decibels.max() - _RANGE))


def _bends(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many decibels, over all bands and spans, each frame's fall is greater than that before it, (frames,)."""
    bends = np.zeros(len(level))
    for span in _SPANS:
        if len(level) > 2 * span:
            here, after = level[span:-span], level[2 * span :]
            # From the highest before, since a sound that has just risen has not fallen all the while.
            before = np.lib.stride_tricks.sliding_window_view(level, span + 1, axis=0).max(axis=-1)[: len(here)]
            bend = (here - after) - (before - here) - _SLIGHT
            bends[span:-span] += np.maximum(bend, 0).sum(axis=1)
    return bends


def _lasting_falls(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many decibels the sound stays below what it was before each frame, (frames,)."""
    mean = level.mean(axis=1)
    padded = np.pad(mean, (1, _LASTING.stop), mode="edge")
    later = np.lib.stride_tricks.sliding_window_view(padded[1 + _LASTING.start :], _LASTING.stop - _LASTING.start)
    return np.asarray(np.maximum(padded[: len(mean)] - later.max(axis=1)[: len(mean)], 0))
