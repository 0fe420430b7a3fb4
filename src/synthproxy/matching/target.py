"""The sound to be matched: read, checked, and what can be said of its note before anything is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.audio.io import read_audio, require_audible
from synthproxy.errors import InvalidInputError
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.pitch import estimate_pitch
from synthproxy.matching.release import estimate_releases
from synthproxy.synths import Note

LONGEST_SECONDS = 30.0
SHORTEST_SECONDS = 0.005
_LEADING_SILENCE = 0.1  # Seconds; less than this belongs to the attack.
_SILENCE = 1e-4  # Relative to the peak: −80 dB.
_CLEAR = 0.85  # Periodicity above which the estimated pitch is believed.
_SHORTEST_HELD, _LONGEST_HELD = 0.02, 600.0
_USUAL_LENGTHS = (2.0, 3.0)  # Those of the published clips and of NSynth.
_OTHER_LENGTH = 1.25  # Lengths that differ by less are as good as the same until one is refined.


@dataclass(frozen=True, eq=False)
class FurtherNote:
    """Another note of the instrument that the target is.

    Args:
        audio: mono float32, (samples,), at 32 kHz.
        above: semitones from the target's pitch up to its own.
        longer: how many times as long as the target's it is held.
    """

    audio: NDArray[np.float32]
    above: int
    longer: float

    def note(self, first: Note) -> Note:
        """The note of this sound when the target is played as ``first``."""
        duration = float(np.clip(first.duration * self.longer, _SHORTEST_HELD, _LONGEST_HELD))
        return replace(first, pitch=_midi(first.pitch + self.above), duration=duration)


@dataclass(frozen=True, eq=False)
class Target:
    """A sound to match.

    Args:
        path: the file it came from.
        audio: mono float32, (samples,), at 32 kHz, without leading silence.
        start: seconds of silence left out at the beginning.
        note: the note it seems to be, or that the user gave.
        pitches, durations: what else the note may be; a single entry where the user gave it.
        others: other notes of the same instrument, to be met by the same preset. Each has as many ``pitches`` as this
            one, in the same order: what its pitch is if this one's is that.
    """

    path: Path
    audio: NDArray[np.float32]
    start: float
    note: Note
    pitches: tuple[int, ...]
    durations: tuple[float, ...]
    others: tuple[Target, ...] = ()

    @property
    def sounds(self) -> tuple[Target, ...]:
        """This and the other notes."""
        return (self, *self.others)

    @property
    def further(self) -> tuple[FurtherNote, ...]:
        """The other notes, by how they differ from this one."""
        own = self.note
        return tuple(
            FurtherNote(t.audio, t.note.pitch - own.pitch, t.note.duration / own.duration) for t in self.others
        )

    @property
    def seconds(self) -> float:
        """Length of the analysed sound."""
        return len(self.audio) / SAMPLE_RATE

    @property
    def notes(self) -> list[Note]:
        """The note at each of its possible pitches."""
        return [Note(pitch, self.note.velocity, self.note.duration) for pitch in self.pitches]

    @property
    def likely_notes(self) -> list[Note]:
        """The same, and, where its length is a guess, each of them held to the end of the sound too."""
        held, end = self.note.duration, round(self.seconds, 3)
        likely = (held, end) if len(self.durations) > 1 and end > _OTHER_LENGTH * held else (held,)
        return [replace(note, duration=duration) for note in self.notes for duration in likely]


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
    durations = (duration,) if duration is not None else _possible_durations(audio)
    return Target(path, audio, begin / SAMPLE_RATE, Note(pitches[0], velocity, durations[0]), pitches, durations)


def read_targets(
    paths: Sequence[Path], *, pitches: Sequence[int] = (), duration: float | None = None, velocity: int = 100
) -> Target:
    """Read and analyse several notes of one instrument as one target.

    How far their pitches are apart is believed, so that all of them have as many possible pitches as the first.

    Args:
        paths: sound files with one note each.
        pitches: of each, in their order; none to have them estimated.

    Raises:
        InvalidInputError: no sound is given, pitches of only some, or a sound cannot be used: see :func:`read_target`.
    """
    if not paths:
        raise InvalidInputError("no sound to match was given")
    if pitches and len(pitches) != len(paths):
        raise InvalidInputError(f"--pitch: give one for each of the {len(paths)} sounds or none, got {len(pitches)}")
    given: Sequence[int | None] = pitches or [None] * len(paths)
    first, *others = [
        read_target(path, pitch=pitch, duration=duration, velocity=velocity)
        for path, pitch in zip(paths, given, strict=True)
    ]
    return replace(first, others=tuple(_in_step(other, first) for other in others))


def _in_step(other: Target, first: Target) -> Target:
    above = other.note.pitch - first.note.pitch
    return replace(other, pitches=tuple(_midi(pitch + above) for pitch in first.pitches))


def _midi(pitch: int) -> int:
    return min(max(pitch, 0), 127)


def _possible_pitches(estimated: int, clarity: float) -> tuple[int, ...]:
    """The estimate, its octaves and middle C; a sound without clear pitch is more likely to be played at middle C."""
    octaves = [estimated, estimated - 12, estimated + 12]
    order = [*octaves, 60] if clarity >= _CLEAR else [60, *octaves]
    return tuple(dict.fromkeys(p for p in order if 0 <= p <= 127))


def _possible_durations(audio: NDArray[np.float32]) -> tuple[float, ...]:
    """How long the key may have been held, likeliest first: until a release that is heard, to the end, or as usual."""
    seconds = len(audio) / SAMPLE_RATE
    releases = estimate_releases(audio, SAMPLE_RATE)
    order = [*releases, seconds, *_USUAL_LENGTHS]
    return tuple(dict.fromkeys(round(float(np.clip(d, _SHORTEST_HELD, seconds)), 3) for d in order))
