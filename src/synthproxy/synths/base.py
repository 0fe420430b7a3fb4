"""What every synth offers: a preset space, and audio for a preset and a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Floats, PresetSpace


@dataclass(frozen=True)
class Note:
    """A key struck and released: MIDI pitch and velocity, and how long it is held, in seconds."""

    pitch: int = 60
    velocity: int = 100
    duration: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.pitch <= 127:
            raise InvalidInputError(f"a MIDI pitch lies in 0..127, got {self.pitch}")
        if not 1 <= self.velocity <= 127:
            raise InvalidInputError(f"a MIDI velocity lies in 1..127, got {self.velocity}")
        if not 0.0 < self.duration <= 600.0:
            raise InvalidInputError(f"a note lasts more than 0 and at most 600 seconds, got {self.duration}")


@dataclass(frozen=True)
class NamedPreset:
    """A preset as it came from a file: its vector (free,), its name, and where it was found."""

    vector: Floats
    name: str
    origin: str


@runtime_checkable
class Synth(Protocol):
    """A sound generator. One object may be used from several threads at once."""

    @property
    def name(self) -> str:
        """Registered name."""

    @property
    def space(self) -> PresetSpace:
        """Its parameters; preset vectors are those of this space."""

    @property
    def suffix(self) -> str:
        """Ending of its preset files, with the dot."""

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float32]:
        """Play one note: mono float32 audio of round(seconds × sample_rate) samples, at the default output level."""

    def read_presets(self, path: Path, note: Note) -> list[NamedPreset]:
        """The presets of a file, as they sound with this note, on the space's grid."""

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        """Write presets to a file that the synth opens."""


@runtime_checkable
class BoundsLoudness(Protocol):
    """A synth that can tell, without rendering, how loud a preset can be at most."""

    def loudness_bound(self, presets: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float64]:
        """An upper bound of the RMS of each rendered clip, (n,). It must never be too low."""
