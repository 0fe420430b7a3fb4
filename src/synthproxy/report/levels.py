"""Loudness of the sounds of a comparison: equal for listening, with the way back to the levels they were given at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from synthproxy.report.content import Sound

HIGHEST_PEAK: Final = 0.98
COMFORTABLE_RMS: Final = 0.14
"""-17 dB of full scale. A ceiling, so that comparisons on one page are about equally loud."""


@dataclass(frozen=True, eq=False)
class Levelled:
    """A sound made as loud as its neighbours.

    ``audio``: float32, (samples,), within ±0.98; ``gain``: ``audio * gain`` is the sound as it was given.
    """

    audio: NDArray[np.float32]
    gain: float


def root_mean_square(audio: NDArray[np.float32]) -> float:
    """Root mean square of (samples,); summed in double precision."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def match_levels(sounds: Sequence[Sound]) -> tuple[Levelled, ...]:
    """Scale every sound to one common RMS at which no peak passes 0.98; silence stays silence, with gain 0."""
    levels = [root_mean_square(sound.audio) for sound in sounds]
    peaks = [float(np.abs(sound.audio).max()) for sound in sounds]
    crests = [peak / level for peak, level in zip(peaks, levels, strict=True) if level > 0]
    common = min([COMFORTABLE_RMS, *(HIGHEST_PEAK / crest for crest in crests)])
    return tuple(
        Levelled((sound.audio * (common / level)).astype(np.float32), level / common)
        if level > 0
        else Levelled(np.zeros_like(sound.audio, dtype=np.float32), 0.0)
        for sound, level in zip(sounds, levels, strict=True)
    )


def level_in_words(sound: Levelled, target: Levelled) -> str:
    """How loud a sound was as it was given, beside its target; nothing if the target was silent."""
    if target.gain == 0:
        return ""
    if sound.gain == 0:
        return "silent"
    decibels = 20 * math.log10(sound.gain / target.gain)
    if abs(decibels) < 0.5:
        return "as loud as the target"
    return f"{abs(decibels):.0f} dB {'louder' if decibels > 0 else 'quieter'} as rendered"
