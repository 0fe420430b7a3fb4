"""What every synth offers: a preset space, and audio for a preset and a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

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


Mode = Literal["exact", "fast"]

EXACT_ERROR = 0.01
"""Largest repeat error at which a synth counts as repeating."""


@dataclass(frozen=True)
class Repeatability:
    """How a synth is kept from remembering what it played, and how well it repeats then.

    Two are equal if their modes are: by what means a synth repeats makes no difference to what is heard.

    Args:
        mode: ``exact``: the cheapest isolation that repeats, or the best where none does; ``fast``: the cheapest.
        isolation: what is done between renders.
        error: measured, None where no drawn preset made a sound; at most :data:`EXACT_ERROR` counts as repeating.
    """

    mode: Mode
    isolation: str = field(compare=False)
    error: float | None = field(compare=False)

    @property
    def repeats(self) -> bool:
        """Whether the same preset gives the same sound whatever was played before."""
        return self.error is not None and self.error <= EXACT_ERROR


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
        """Play one note: mono float32 audio of round(seconds × sample_rate) samples, at the default output level.

        Raises:
            FailedRenderError: this preset cannot be played.
        """

    def read_presets(self, path: Path, note: Note) -> list[NamedPreset]:
        """The presets of a file, as they sound with this note, on the space's grid."""

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        """Write presets to a file that the synth opens."""


@runtime_checkable
class BoundsLoudness(Protocol):
    """A synth that can tell, without rendering, how loud a preset can be at most."""

    def loudness_bound(self, presets: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float64]:
        """An upper bound of the RMS of each rendered clip, (n,). It must never be too low."""


@runtime_checkable
class StartsAtOnce(Protocol):
    """A synth that renders a short sound in a fraction of the time of a long one."""

    @property
    def starts_at_once(self) -> Literal[True]:
        """That it does; a plug-in that is started anew for each sound does not."""


@runtime_checkable
class Rewires(Protocol):
    """A synth with parts that can be connected in several ways."""

    def rewired(self, preset: Floats, generator: np.random.Generator) -> Floats:
        """The preset, (free,), connected in another way, its parts placed where they do most of what they did."""


@runtime_checkable
class KnowsAlike(Protocol):
    """A synth that has several presets for one sound, and knows which."""

    def canonical(self, presets: Floats) -> Floats:
        """One preset of those that sound like each, always the same one: (n, free) to (n, free)."""


@runtime_checkable
class NamesParts(Protocol):
    """A synth that can say what its parameters do in a preset."""

    def parts(self, preset: Floats) -> list[str]:
        """The part of the synth that each free parameter belongs to, (free,): ``the attack of operator 1``.

        Parameters with the same words belong together; those that set a pitch have none.
        """


@runtime_checkable
class ReadsMoreForms(Protocol):
    """A synth with preset files of several kinds."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of all of them, with the dot; first the one that is written if nothing else is asked for."""


@runtime_checkable
class NeedsSomething(Protocol):
    """A synth that may need what is not here: a plug-in or a package."""

    @property
    def missing(self) -> str:
        """What is missing to play it, and how to get it; empty if nothing is."""


@runtime_checkable
class MayNotRepeat(Protocol):
    """A synth whose sounds depend on what it has played before, unless that is prevented."""

    @property
    def repeatability(self) -> Repeatability:
        """How that is prevented, and how well it repeats then."""
