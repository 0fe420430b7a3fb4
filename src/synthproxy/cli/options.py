"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from synthproxy.corpus import Rendering
    from synthproxy.synths import Synth

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]
Output = Annotated[Path, Parameter(name=["--out", "-o"])]
Weights = Annotated[Path | None, Parameter(help="Weights of the audio model, if they are not where they usually are.")]
Fast = Annotated[
    bool,
    Parameter(name="--fast", negative="", help="Play plug-ins as quickly as they can, even if they do not repeat."),
]
Files = Annotated[list[Path], Parameter(negative="")]

EXIT_DIFFERENT = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


@Parameter(name="*")
@dataclass(frozen=True)
class Clip:
    """The note that presets are heard through, and the clip it is in."""

    pitch: int = 60
    "MIDI pitch of the note."

    velocity: int = 100
    "MIDI velocity of the note."

    duration: float = 2.0
    "How long the key is held, in seconds."

    seconds: float = 5.0
    "Length of the clips."

    @property
    def rendering(self) -> Rendering:
        """How clips are rendered; one that is very short has a shorter fade-out."""
        from synthproxy.corpus import Rendering
        from synthproxy.synths import Note

        note = Note(self.pitch, self.velocity, self.duration)
        return Rendering(note=note, seconds=self.seconds, fade=min(Rendering.fade, abs(self.seconds) / 2))


@Parameter(name="*")
@dataclass(frozen=True)
class Kept:
    """What a corpus keeps of its clips beside their embeddings."""

    keep_audio: bool = False
    "Store the clips as well."

    keep_levels: bool = False
    "Store what an estimator sees of the clips, to train one: 80 kB for 5 s."


def synth_called(name: str, fast: bool) -> Synth:
    """The synth of this name, in the mode that ``--fast`` asks for."""
    from synthproxy.synths import get_synth

    return get_synth(name, "fast" if fast else "exact")
