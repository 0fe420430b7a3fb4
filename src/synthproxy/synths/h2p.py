"""Preset files of u-he's synths, ``.h2p``: the text itself, kept to the byte, and the values of Diva's presets in it.

A file is a comment, some ``#`` lines, sections of ``key=value`` lines that ``#cm=NAME`` begins, and a binary tail.
Which key is which parameter, and in what range, is the table ``diva-h2p.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file
from synthproxy.synths.definition import Definition, definition_path
from synthproxy.synths.preset_files import StoredPreset, check_values, read_text
from synthproxy.synths.space import ON_GRID_TOLERANCE, Kind, Parameter

Key = tuple[str, str]
"""Name of a section, and of a line in it."""

ENCODING = "latin-1"  # Whatever the bytes are, they come back as they were.
WHOLE_TOLERANCE = 1e-6
MOST_DECIMALS = 8
SINGLE_PRECISION = 2.0**-24  # Of preset vectors, near 1.
NO_SOURCE, NO_DEPTH, OFF = 0.0, 0.5, 0.0

_LINE = re.compile(
    r"^(?:(?P<tail>\$\$\$\$|// Section for ugly)"
    r"|#cm=(?P<section>[^\r\n]*)"
    r"|(?P<key>[^\s/=][^=\r\n]*)=(?P<value>[^\r\n]*))",
    re.MULTILINE,
)


@dataclass(frozen=True)
class H2pFile:
    """A preset file as text, one character for each byte."""

    text: str

    @classmethod
    def read(cls, path: Path) -> H2pFile:
        """Read a file.

        Raises:
            InvalidInputError: it is missing, or holds no sections of a preset.
        """
        file = cls(read_text(path, ENCODING))
        if not file.program or not file.values:
            raise InvalidInputError(
                f"{path}: no preset of a u-he synth; expected lines '#AM=…', '#cm=…' and 'key=value'"
            )
        return file

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return self.text.encode(ENCODING)

    @cached_property
    def _places(self) -> dict[Key, tuple[int, int]]:
        """Where in the text each value begins and ends; the section of lines before the first is empty."""
        section, places = "", {}
        for line in _LINE.finditer(self.text):
            if line["tail"]:
                break
            if line["section"] is not None:
                section = line["section"].strip()
            else:
                places[section, line["key"]] = line.span("value")
        return places

    @cached_property
    def values(self) -> Mapping[Key, str]:
        """The text of every value, by section and key."""
        return {key: self.text[slice(*place)] for key, place in self._places.items() if key[0]}

    @property
    def program(self) -> str:
        """Which synth the preset is for; empty where it does not say so."""
        place = self._places.get(("", "#AM"))
        return self.text[slice(*place)].strip() if place else ""

    def with_values(self, changes: Mapping[Key, str]) -> H2pFile:
        """The file with these values in their lines, and all else as it was.

        Raises:
            InvalidInputError: it has no such line, or the value is more than a line.
        """
        text = self.text
        for key in changes:
            if key not in self.values:
                raise InvalidInputError(f"the preset has no key {'/'.join(key)!r}")
        for key in sorted(changes, key=self._places.__getitem__, reverse=True):
            if not re.fullmatch(r"[^\r\n\u0100-\U0010ffff]*", changes[key]):
                raise InvalidInputError(f"{'/'.join(key)}: {changes[key]!r} is not one line of {ENCODING} text")
            start, end = self._places[key]
            text = text[:start] + changes[key] + text[end:]
        return H2pFile(text)


@dataclass(frozen=True)
class _Setting:
    """What one key holds: always the same text, or a parameter. The fields are explained in the table."""

    section: str
    key: str
    text: str = ""
    parameter: str = ""
    low: float = 0.0
    high: float = 100.0
    values: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    decimals: int = 2
    source: bool = False
    depth: str = ""
    output: str = ""
    switch: str = ""
    sure: bool = True

    @classmethod
    def from_row(cls, section: str, key: str, row: str | Mapping[str, Any], sources: Sequence[str]) -> _Setting:
        if isinstance(row, str):
            return cls(section, key, text=row)
        fields = {k: v for k, v in row.items() if k != "steps"}
        for name in {"parameter", "depth"} & set(fields):
            fields[name] = f"{section.lower()}:{fields[name]}"
        fields["names"] = tuple(name.format(section[-1]) for name in row.get("names", ()))
        fields["switch"] = row.get("switch", "").format(section[-1])
        steps = row.get("steps", len(fields["names"]) or len(sources) * row.get("source", False))
        if steps:
            fields |= {"values": tuple(range(row.get("low", 0), row.get("low", 0) + steps)), "decimals": 0}
        return cls(section, key, **{**fields, "values": tuple(fields.get("values", ()))})

    def to_plugin(self, text: str) -> float:
        """The plug-in's value, in [0, 1]; a ValueError where the text cannot be one of the parameter."""
        text = text.strip()
        if self.names:
            return self.names.index(text.strip("'")) / (len(self.names) - 1)
        number = float(text)
        if not self.values:
            value = (number - self.low) / (self.high - self.low)
            if not -WHOLE_TOLERANCE < value < 1.0 + WHOLE_TOLERANCE:
                raise ValueError
            return min(max(value, 0.0), 1.0)
        step = min(range(len(self.values)), key=lambda i: abs(self.values[i] - number))
        if not abs(self.values[step] - number) < WHOLE_TOLERANCE:
            raise ValueError
        return step / (len(self.values) - 1)

    def to_text(self, value: float) -> str:
        """How a plug-in's value is written: as Diva does, with more decimals only where the value asks for them."""
        step = round(value * (len(self.values) - 1))
        if self.names:
            return f"'{self.names[step]}'"
        number = self.values[step] if self.values else self.low + value * (self.high - self.low)
        text = ""
        for decimals in range(self.decimals, MOST_DECIMALS + 1):
            text = f"{round(number, decimals) + 0.0:.{decimals}f}"
            if self.values or abs(self.to_plugin(text) - value) < SINGLE_PRECISION:
                break
        return text


@dataclass(frozen=True)
class H2p:
    """Presets of Diva, one to a file.

    A preset that uses what the space lacks is brought as close to it as it can be. A modulation source that is not
    there, or a processor that is fed by such a one, becomes none, which is what a wheel at rest amounts to, with its
    depth at nothing; an effect that its slot does not have is switched off.
    """

    table: Path = field(default_factory=lambda: definition_path("diva-h2p"))
    suffix = ".h2p"

    @cached_property
    def _table(self) -> dict[str, Any]:
        return tomllib.loads(self.table.read_text(encoding="utf8"))

    @cached_property
    def _settings(self) -> tuple[_Setting, ...]:
        """All keys, in the file's order."""
        table = self._table
        rows = {name: part["keys"] for part in table["sections"] for name in part["names"]}
        return tuple(
            _Setting.from_row(section, key, row, table["sources"])
            for section in table["order"]
            for key, row in rows[section].items()
        )

    def _matched(self, definition: Definition) -> list[tuple[_Setting, Parameter]]:
        """The keys that hold a parameter, with the parameter of the space that each is."""
        known = {p.name: p for p in definition.space.parameters}
        settings = [setting for setting in self._settings if setting.parameter]
        for setting in settings:
            if setting.parameter not in known:
                raise InvalidInputError(
                    f"{definition.name!r} has no parameter called {setting.parameter!r}: "
                    f"{self.suffix} files hold presets of {self._table['program']}"
                )
        return [(setting, known[setting.parameter]) for setting in settings]

    def read(self, path: Path, definition: Definition) -> list[StoredPreset]:
        """See :class:`~synthproxy.synths.preset_files.PresetFormat`."""
        file = H2pFile.read(path)
        if file.program.lower() != self._table["program"].lower():
            raise InvalidInputError(f"{path}: a preset of {file.program!r}, not of {self._table['program']!r}")
        present = {section for section, _ in file.values}
        values = {}
        for setting, _ in self._matched(definition):
            if setting.section not in present:
                raise InvalidInputError(f"{path}: cut short; there is no section '#cm={setting.section}'")
            text = file.values.get((setting.section, setting.key))
            if text is None:
                continue
            try:
                values[setting.parameter] = setting.to_plugin(text)
            except ValueError as error:
                where = f"{setting.section}/{setting.key}"
                raise InvalidInputError(f"{path}: {where} cannot be {text[:40]!r}") from error
        return [StoredPreset(path.stem, self._fitted(values, definition), path.name)]

    def _fitted(self, values: Mapping[str, float], definition: Definition) -> dict[str, float]:
        """The values without sources and effects that the space lacks."""
        fitted = dict(values)
        pairs = [(s, p) for s, p in self._matched(definition) if s.parameter in values and (s.source or s.switch)]
        lacking = {s.parameter for s, p in pairs if not _can_be(p, values[s.parameter])}
        sources = self._table["sources"]
        silent = {sources.index(s.output) / (len(sources) - 1) for s, p in pairs if s.output and s.parameter in lacking}
        for setting, parameter in pairs:
            if setting.parameter in lacking and (setting.output or setting.switch):
                del fitted[setting.parameter]
                if setting.switch:
                    fitted[setting.switch] = OFF
            elif setting.parameter in lacking or (values[setting.parameter] in silent and not parameter.held):
                fitted[setting.parameter] = NO_SOURCE
                if setting.depth:
                    fitted[setting.depth] = NO_DEPTH
        return fitted

    def write(self, path: Path, definition: Definition, presets: Sequence[StoredPreset]) -> None:
        """See :class:`~synthproxy.synths.preset_files.PresetFormat`; one preset only, and without the binary tail."""
        if len(presets) != 1:
            raise InvalidInputError(f"{path}: a {self.suffix} file holds one preset, got {len(presets)}")
        self._matched(definition)
        space = definition.space
        everything = definition.to_plugin(space.encode(space.defaults))
        values = dict(zip((p.name for p in space.parameters), everything.tolist(), strict=True))
        check_values(presets[0], definition, path)
        values.update(presets[0].values)
        replace_file(path, self._text(values).encode(ENCODING))

    def _text(self, values: Mapping[str, float]) -> str:
        table = self._table
        lines = ["/*@Meta", "", "*/", "", f"#AM={table['program']}", f"#Vers={table['version']}", "#Endian=little"]
        lines += [f"#nm={len(table['sources'])}", *(f"#ms={name}" for name in table["sources"])]
        lines += [f"#nv={len(table['amplifiers'])}", *(f"#mv={name}" for name in table["amplifiers"])]
        section = ""
        for setting in self._settings:
            if setting.section != section:
                section = setting.section
                lines.append(f"#cm={section}")
            text = setting.to_text(values[setting.parameter]) if setting.parameter else setting.text
            lines.append(f"{setting.key}={text}")
        return "\n".join([*lines, "", ""])


def _can_be(parameter: Parameter, value: float) -> bool:
    """Whether the space has this value of the plug-in as a category; what it does not vary may be anything."""
    if parameter.held or parameter.kind is not Kind.CATEGORICAL:
        return True
    possible = np.asarray(parameter.values or np.linspace(0.0, 1.0, parameter.cardinality))
    return bool((np.abs(possible - value) < ON_GRID_TOLERANCE).any())
