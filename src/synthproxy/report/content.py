"""What a listening page is made of: plain frozen data that says nothing about HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.report.tables import Table


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
    contents: tuple[Comparison | Table | Figure, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole listening page. A blank line in ``introduction`` starts a new paragraph."""

    title: str
    introduction: str
    sections: tuple[Section, ...]
    footer: str = ""
