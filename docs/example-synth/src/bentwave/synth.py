"""The synth that synthproxy sees: its preset space, its sound, and its preset files.

A preset file (``.bent``) is text with one preset per line, each a JSON object of a name and the parameters by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file
from synthproxy.synths import NamedPreset, Note
from synthproxy.synths.definition import read_definition
from synthproxy.synths.preset_files import read_text
from synthproxy.synths.space import Floats

from .voice import play


class Bentwave:
    """Two cosines at a bent phase. Repeats to the bit, and may be used from several threads: it has no state."""

    name = "bentwave"
    suffix = ".bent"

    def __init__(self) -> None:
        self.space = read_definition(Path(__file__).with_name("bentwave.toml")).space

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float32]:
        """Play one note: mono, round(seconds × sample_rate) samples."""
        names = (parameter.name for parameter in self.space.parameters)
        knobs = dict(zip(names, self.space.decode(preset).tolist(), strict=True))
        return play(knobs, note, round(seconds * sample_rate), sample_rate)

    def read_presets(self, path: Path, note: Note) -> list[NamedPreset]:  # noqa: ARG002
        """The presets of a file; they are the same for every note."""
        lines = enumerate(read_text(path).split("\n"), 1)
        presets = [self._preset(line, f"{path.name}:{number}") for number, line in lines if line.strip()]
        if not presets:
            raise InvalidInputError(f"{path}: holds no presets")
        return presets

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        """Write presets, whole or not at all."""
        rows = [{"name": p.name, **self.space.to_names(p.vector)} for p in presets]
        replace_file(path, "".join(json.dumps(row) + "\n" for row in rows))

    def _preset(self, line: str, origin: str) -> NamedPreset:
        try:
            values = dict(json.loads(line))
            name = str(values.pop("name"))
            vector = self.space.from_names(values)
            self.space.validate(vector)
        except (KeyError, TypeError, ValueError, RecursionError, InvalidInputError) as error:
            raise InvalidInputError(f"{origin}: no preset of {self.name!r} ({error})") from error
        return NamedPreset(self.space.snap(vector), name, origin)
