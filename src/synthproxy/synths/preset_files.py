"""Preset files of plug-ins: what every format offers.

A format translates between a file and values by parameter name, each what the plug-in is set to, in [0, 1]. Which
presets of a space these are is not its business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from synthproxy.errors import InvalidInputError
from synthproxy.synths.definition import Definition


@dataclass(frozen=True)
class StoredPreset:
    """One preset of a file.

    Args:
        values: what the plug-in is set to, by parameter name, in [0, 1]; what is not named is at its default.
        origin: where it was found: the file, and the place in it.
    """

    name: str
    values: Mapping[str, float]
    origin: str = ""


class PresetFormat(Protocol):
    """A kind of preset file."""

    @property
    def suffix(self) -> str:
        """Ending of its files, with the dot."""

    def read(self, path: Path, definition: Definition) -> list[StoredPreset]:
        """The presets of a file.

        Raises:
            InvalidInputError: it is missing, damaged, something else, or for another synth.
        """

    def write(self, path: Path, definition: Definition, presets: Sequence[StoredPreset]) -> None:
        """Write presets, whole or not at all."""


def check_values(preset: StoredPreset, definition: Definition, path: Path) -> None:
    """Raise :class:`InvalidInputError` unless every value is of a parameter of the definition, and in [0, 1]."""
    known = {p.name for p in definition.space.parameters}
    for name, value in preset.values.items():
        if name not in known:
            raise InvalidInputError(f"{path}: {definition.name!r} has no parameter called {name!r}")
        if not 0.0 <= value <= 1.0:
            raise InvalidInputError(f"{path}: {name} must lie in [0, 1], got {value:g}")


def read_text(path: Path, encoding: str = "utf8") -> str:
    """The text of a file; an :class:`InvalidInputError` where there is none."""
    try:
        return path.read_bytes().decode(encoding)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: no text file") from error
