"""How a preset becomes the clip that an audio model hears, and which clips are heard at all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths import Note, Synth
from synthproxy.synths.base import BoundsLoudness, MayNotRepeat, Repeatability
from synthproxy.synths.space import Floats


@dataclass(frozen=True)
class Rendering:
    """Settings of every clip of a corpus; the defaults are the published ones.

    Args:
        note: the note played at the start of the clip.
        seconds: length of the clip.
        fade: length of the linear fade-out at its end, in seconds.
        minimum_rms, maximum_rms: a preset is kept only if the RMS of its clip lies strictly between them.
    """

    note: Note = field(default_factory=Note)
    seconds: float = 5.0
    fade: float = 0.1
    minimum_rms: float = 0.01
    maximum_rms: float = 1.0

    def __post_init__(self) -> None:
        if not 0.05 <= self.seconds <= 60:
            raise InvalidInputError(f"a clip lasts between 0.05 and 60 seconds, got {self.seconds}")
        if not 0 <= self.fade <= self.seconds:
            raise InvalidInputError(f"the fade-out must fit into the clip of {self.seconds} s, got {self.fade}")


def render_clip(synth: Synth, preset: Floats, rendering: Rendering, sample_rate: int) -> NDArray[np.float32]:
    """The clip of one preset: mono, round(seconds × sample_rate) samples, faded out."""
    audio = synth.render(preset, rendering.note, rendering.seconds, sample_rate)
    faded = round(rendering.fade * sample_rate)
    if faded:
        audio[-faded:] *= np.linspace(1.0, 0.0, faded, dtype=np.float32)
    return audio


def repeatability(synth: Synth) -> Repeatability | None:
    """How well a synth repeats, and by what means; None for one that always does."""
    return synth.repeatability if isinstance(synth, MayNotRepeat) else None


def rms(audio: NDArray[np.float32]) -> float:
    """Root mean square of a clip, summed in double precision."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def is_audible(audio: NDArray[np.float32], rendering: Rendering) -> bool:
    """Whether a clip passes the loudness gate; one with NaN or infinite samples never does."""
    return rendering.minimum_rms < rms(audio) < rendering.maximum_rms


def may_be_audible(synth: Synth, presets: Floats, rendering: Rendering, sample_rate: int) -> NDArray[np.bool_]:
    """False for presets that are certain to fail the gate, found without rendering where the synth can tell: (n,)."""
    if not isinstance(synth, BoundsLoudness):
        return np.ones(len(presets), dtype=bool)
    return synth.loudness_bound(presets, rendering.note, rendering.seconds, sample_rate) > rendering.minimum_rms
