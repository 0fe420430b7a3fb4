"""The sound to be matched: read, checked, and what can be said of its note before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.audio.io import read_audio, require_audible
from synthproxy.errors import InvalidInputError
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.pitch import estimate_pitch
from synthproxy.synths import Note

LONGEST_SECONDS = 30.0
SHORTEST_SECONDS = 0.005
_LEADING_SILENCE = 0.1  # Seconds; less than this belongs to the attack.
_SILENCE = 1e-4  # Relative to the peak: −80 dB.
_CLEAR = 0.85  # Periodicity above which the estimated pitch is believed.
_USUAL_LENGTHS = (2.0, 3.0)  # Those of the published clips and of NSynth.


@dataclass(frozen=True, eq=False)
class Target:
    """A sound to match.

    Args:
        path: the file it came from.
        audio: mono float32, (samples,), at 32 kHz, without leading silence.
        start: seconds of silence left out at the beginning.
        note: the note it seems to be, or that the user gave.
        pitches, durations: what else the note may be; a single entry where the user gave it.
    """

    path: Path
    audio: NDArray[np.float32]
    start: float
    note: Note
    pitches: tuple[int, ...]
    durations: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Length of the analysed sound."""
        return len(self.audio) / SAMPLE_RATE

    @property
    def notes(self) -> list[Note]:
        """The note at each of its possible pitches."""
        return [Note(pitch, self.note.velocity, self.note.duration) for pitch in self.pitches]


def read_target(path: Path, *, pitch: int | None = None, duration: float | None = None, velocity: int = 100) -> Target:
    """Read and analyse a sound; pitch and duration are estimated unless given.

    Raises:
        InvalidInputError: no sound can be read, it is silent, or it is shorter or longer than one note can be.
    """
    audio = read_audio(path, SAMPLE_RATE).samples
    require_audible(audio, path)
    if len(audio) > LONGEST_SECONDS * SAMPLE_RATE:
        raise InvalidInputError(
            f"{path}: lasts {len(audio) / SAMPLE_RATE:.0f} s; one note of at most {LONGEST_SECONDS:.0f} s can be "
            "matched, cut it first"
        )
    begin = int(np.argmax(np.abs(audio) > _SILENCE * np.abs(audio).max()))
    if begin < _LEADING_SILENCE * SAMPLE_RATE:
        begin = 0
    audio = audio[begin:]
    if len(audio) < SHORTEST_SECONDS * SAMPLE_RATE:
        raise InvalidInputError(
            f"{path}: only {1000 * len(audio) / SAMPLE_RATE:.1f} ms of it sound; give a longer recording of one note"
        )
    estimated, clarity = estimate_pitch(audio, SAMPLE_RATE)
    pitches = (pitch,) if pitch is not None else _possible_pitches(estimated, clarity)
    seconds = len(audio) / SAMPLE_RATE
    held = _held(audio) if duration is None else duration
    durations = (held,) if duration is not None else _possible_durations(held, seconds)
    return Target(path, audio, begin / SAMPLE_RATE, Note(pitches[0], velocity, held), pitches, durations)


def _possible_pitches(estimated: int, clarity: float) -> tuple[int, ...]:
    """The estimate, its octaves and middle C; a sound without clear pitch is more likely to be played at middle C."""
    octaves = [estimated, estimated - 12, estimated + 12]
    order = [*octaves, 60] if clarity >= _CLEAR else [60, *octaves]
    return tuple(dict.fromkeys(p for p in order if 0 <= p <= 127))


def _held(audio: NDArray[np.float32]) -> float:
    """How long the key seems to be held: until the steepest fall that lasts."""
    hop = SAMPLE_RATE // 50
    frames = audio[: len(audio) // hop * hop].reshape(-1, hop)
    if len(frames) < 8:
        return max(0.05, len(audio) / SAMPLE_RATE)
    level = 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + _SILENCE * np.abs(audio).max())
    span = 5
    smooth = np.convolve(level, np.ones(3) / 3, mode="same")
    fall = smooth[:-span] - smooth[span:]
    sounding = smooth[:-span] > level.max() - 50
    return float(np.clip((np.where(sounding, fall, -np.inf).argmax() + 2) * hop / SAMPLE_RATE, 0.05, 600))


def _possible_durations(held: float, seconds: float) -> tuple[float, ...]:
    return tuple(dict.fromkeys(round(min(d, seconds), 3) for d in (held, *_USUAL_LENGTHS, seconds)))
