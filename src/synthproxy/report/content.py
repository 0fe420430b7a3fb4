"""What a listening page is made of: plain frozen data that says nothing about HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.report.tables import Direction, Table


@dataclass(frozen=True, eq=False)
class Sound:
    """One player of a comparison.

    Attributes:
        label: what it is: "target", "best match", "nearest in corpus".
        audio: float32, (samples,), mono; may exceed ±1, it is never clipped.
        sample_rate: Hz.
        details: short facts shown with it: "note 57, velocity 100, held 1.2 s", "from search".
        distances: distance name to value, taken at matched level; lower is closer to the target.
        file: the preset file to offer as a download: a path relative to the page.
        file_bytes: if given, the content of ``file``, embedded so that the page needs nothing beside it.

    Raises:
        InvalidInputError: audio that is not one channel of finite samples, or a sample rate that is not positive,
            or a ``file`` that is not relative.
    """

    label: str
    audio: NDArray[np.float32]
    sample_rate: int
    details: tuple[str, ...] = ()
    distances: Mapping[str, float] = field(default_factory=dict)
    file: str | None = None
    file_bytes: bytes | None = None

    def __post_init__(self) -> None:
        if self.audio.ndim != 1 or self.audio.size == 0:
            raise InvalidInputError(
                f"sound {self.label!r}: audio must be mono, (samples,), and not empty, got shape {self.audio.shape}"
            )
        if not np.isfinite(self.audio).all():
            raise InvalidInputError(f"sound {self.label!r}: some samples are NaN or infinite")
        if self.sample_rate <= 0:
            raise InvalidInputError(f"sound {self.label!r}: sample rate must be positive, got {self.sample_rate} Hz")
        if self.file is not None and self.file.startswith(("/", "\\")):
            raise InvalidInputError(f"sound {self.label!r}: give file relative to the page, got {self.file}")
        if self.file_bytes is not None and not self.file:
            raise InvalidInputError(f"sound {self.label!r}: file_bytes need a name to be saved under; give file too")

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.audio.size / self.sample_rate


@dataclass(frozen=True)
class Comparison:
    """A target and the sounds to hear beside it, on one time axis and one colour scale."""

    title: str
    target: Sound
    candidates: tuple[Sound, ...]
    note: str = ""

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """The target, then the candidates: the order of the number keys."""
        return (self.target, *self.candidates)


@dataclass(frozen=True)
class System:
    """A row of a sound table: the target, or what makes sounds that should be like it.

    Attributes:
        name: what it is called: "target", "PLoss", "ours".
        note: what it is, in a few words.
    """

    name: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Take:
    """One player of a sound table: a target, or what a system made of it.

    Attributes:
        audio: float32, (samples,), mono; or a sound file, which is read when the page is written.
        sample_rate: Hz, for samples; a file has its own.
        scores: name to value; NaN is no value.

    Raises:
        InvalidInputError: samples without a rate, or a rate that the file already has.
    """

    audio: NDArray[np.float32] | Path
    sample_rate: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.audio, Path) and self.sample_rate is not None:
            raise InvalidInputError(f"{self.audio}: a sound file has its own sample rate; leave sample_rate out")
        if not isinstance(self.audio, Path) and self.sample_rate is None:
            raise InvalidInputError("samples of a take need a sample rate; give sample_rate in Hz")


@dataclass(frozen=True, eq=False)
class Example:
    """A column of a sound table: a target and what the systems made of it.

    Attributes:
        title: which sound it is.
        takes: by the name of the system; one that made nothing of this target is left out.
        note: short facts: where it is from, its pitch.
    """

    title: str
    takes: Mapping[str, Take]
    note: str = ""


@dataclass(frozen=True, eq=False)
class SoundTable:
    """Systems side by side: a row for each, a column for each example.

    Attributes:
        title: what the examples are: "In-domain".
        systems: the rows from the top; the first is the target.
        examples: the columns, as they are ordered at first.
        scores: those to show and which end of each is the better one; columns can be sorted by them.
        note: shown above the table. A blank line starts a new paragraph.

    Raises:
        InvalidInputError: no system or no example, two systems of one name, an example without the target or with a
            take of a system that has no row.
    """

    title: str
    systems: tuple[System, ...]
    examples: tuple[Example, ...]
    scores: Mapping[str, Direction] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        if not names or not self.examples:
            raise InvalidInputError(
                f"sound table {self.title!r}: at least one system and one example are needed, "
                f"got {len(names)} and {len(self.examples)}"
            )
        if len(set(names)) < len(names):
            raise InvalidInputError(f"sound table {self.title!r}: each system needs a name of its own, got {names}")
        for example in self.examples:
            if names[0] not in example.takes:
                raise InvalidInputError(
                    f"sound table {self.title!r}: example {example.title!r} has no {names[0]!r}; "
                    "the first system is the target, which every example must have"
                )
            for name in example.takes:
                if name not in names:
                    raise InvalidInputError(
                        f"sound table {self.title!r}: example {example.title!r} has a take of {name!r}, "
                        f"which is not one of its systems: {', '.join(names)}"
                    )


@dataclass(frozen=True)
class Figure:
    """A picture with its description.

    ``png`` is shown on light pages and, unless there is a ``dark_png``, on dark ones too.
    """

    title: str
    png: bytes
    alternative_text: str
    caption: str = ""
    dark_png: bytes | None = None


@dataclass(frozen=True)
class Section:
    """A headed part of a page. A blank line in ``text`` starts a new paragraph."""

    heading: str
    text: str = ""
    contents: tuple[Comparison | SoundTable | Table | Figure, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole listening page. A blank line in ``introduction`` starts a new paragraph."""

    title: str
    introduction: str
    sections: tuple[Section, ...]
    footer: str = ""
