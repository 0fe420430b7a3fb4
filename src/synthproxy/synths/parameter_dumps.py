"""Collections of presets that a host dumped from a plug-in: for each preset, every parameter's index, name and value.

They are JSON, ``{"preset": [{"index": 3, "name": "Filter Cutoff", "value": 0.5}, …]}``, often compressed by gzip.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file
from synthproxy.synths.definition import Definition, comparable_name
from synthproxy.synths.preset_files import StoredPreset, check_values

GZIP_MAGIC = b"\x1f\x8b"
LARGEST = 64 * 2**20
"""Bytes of JSON that are read at most, some ten thousand presets: a small file can unpack to any size."""

LEAST_SHARE = 0.5
"""Share of the synth's parameters that a preset must have to be taken for one of it."""


class ParameterDump:
    """Parameters found by index and name or, where the indices of a build differ, by name alone."""

    suffix = ".json.gz"

    def read(self, path: Path, definition: Definition) -> list[StoredPreset]:
        """See :class:`~synthproxy.synths.preset_files.PresetFormat`; plain JSON is read as well."""
        text = _unpacked(path)
        try:
            presets = {str(name): _entries(entries) for name, entries in json.loads(text).items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInputError(f"{path}: no JSON dump of presets ({type(error).__name__}: {error})") from error
        if not presets:
            raise InvalidInputError(f"{path}: the dump holds no presets")
        return [
            StoredPreset(name, _named(entries, definition, f"{path}: {name!r}"), f"{path.name}:{number}")
            for number, (name, entries) in enumerate(presets.items(), 1)
        ]

    def write(self, path: Path, definition: Definition, presets: Sequence[StoredPreset]) -> None:
        """See :class:`~synthproxy.synths.preset_files.PresetFormat`; compressed where the name ends in ``.gz``."""
        indices = dict(zip((p.name for p in definition.space.parameters), definition.indices, strict=True))
        dump: dict[str, list[dict[str, Any]]] = {}
        for preset in presets:
            check_values(preset, definition, path)
            entries = [{"index": indices[n], "name": n, "value": float(v)} for n, v in preset.values.items()]
            dump[_unused(preset.name, dump)] = sorted(entries, key=lambda entry: entry["index"])
        content = json.dumps(dump, indent=1).encode()
        replace_file(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _unpacked(path: Path) -> str:
    """The text of a file, plain or compressed, if it is not larger than it may be."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if data.startswith(GZIP_MAGIC):
            with gzip.GzipFile(fileobj=BytesIO(data)) as packed:
                data = packed.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInputError(f"{path}: damaged; it does not unpack ({error})") from error
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > LARGEST:
        raise InvalidInputError(f"{path}: more than {LARGEST >> 20} MiB of JSON; split the dump into several files")
    try:
        return data.decode("utf8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: no JSON dump of presets, nor a gzip file") from error


def _entries(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, float]]:
    """Index, name to compare, and value of each entry; an error of Python's where they are of another kind."""
    found = []
    for entry in entries:
        index, name, value = entry["index"], entry["name"], entry["value"]
        if type(index) is not int or type(value) not in (int, float) or not 0 <= value <= 1:
            raise ValueError(f"{name!r:.40} is {value!r:.40} at {index!r:.40}; values lie in [0, 1]")
        found.append((index, comparable_name(name), float(value)))
    return found


def _named(entries: Sequence[tuple[int, str, float]], definition: Definition, where: str) -> dict[str, float]:
    """Values by the definition's names; what the dump lacks is left out."""
    exact = {(index, name): value for index, name, value in entries}
    count = Counter(name for _, name, _ in entries)
    by_name = {name: value for _, name, value in entries if count[name] == 1}
    values = {}
    for parameter, index in zip(definition.space.parameters, definition.indices, strict=True):
        # A VST3 host may not say which module a parameter is of, as in "Attack" for "env1:attack".
        at_index = exact.get((index, comparable_name(parameter.name.rpartition(":")[2])))
        value = by_name.get(comparable_name(parameter.name)) if at_index is None else at_index
        if value is not None:
            values[parameter.name] = value
    if len(values) < LEAST_SHARE * len(definition.indices):
        raise InvalidInputError(
            f"{where} is no preset of {definition.name!r}: "
            f"it has {len(values)} of its {len(definition.indices)} parameters"
        )
    return values


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """The name, numbered where a preset has it already."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free
