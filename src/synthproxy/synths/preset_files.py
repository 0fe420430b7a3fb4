"""Preset files of plug-ins: what every format offers, and the readable one that every synth has.

A format translates between a file and values by parameter name, each what the plug-in is set to, in [0, 1]. Which
presets of a space these are is not its business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file
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


def read_text(path: Path, encoding: str = "utf8") -> str:
    """The text of a file; an :class:`InvalidInputError` where there is none."""
    try:
        return path.read_bytes().decode(encoding)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: no text file") from error


class NamedValues:
    """JSON that a person can read: for each preset its name, and every value by parameter name."""

    suffix = ".json"

    def read(self, path: Path, definition: Definition) -> list[StoredPreset]:
        """See :class:`PresetFormat`."""
        known = {p.name for p in definition.space.parameters}
        try:
            data = json.loads(read_text(path))
            synth, rows = data["synth"], data["presets"]
            presets = [
                StoredPreset(str(row["name"]), {k: float(v) for k, v in row["values"].items()}, f"{path.name}:{number}")
                for number, row in enumerate(rows, 1)
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInputError(f"{path}: no JSON file of presets ({type(error).__name__}: {error})") from error
        if synth != definition.name:
            raise InvalidInputError(f"{path}: presets of {synth!r}, not of {definition.name!r}")
        for preset in presets:
            for name, value in preset.values.items():
                if name not in known:
                    raise InvalidInputError(f"{path}: {definition.name!r} has no parameter called {name!r}")
                if not 0.0 <= value <= 1.0:
                    raise InvalidInputError(f"{path}: {name} must lie in [0, 1], got {value:g}")
        return presets

    def write(self, path: Path, definition: Definition, presets: Sequence[StoredPreset]) -> None:
        """See :class:`PresetFormat`."""
        rows = [{"name": p.name, "values": dict(p.values)} for p in presets]
        replace_file(path, json.dumps({"synth": definition.name, "presets": rows}, indent=1) + "\n")
