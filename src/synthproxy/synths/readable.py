"""Presets in JSON that a person can read: every parameter by name, categories by their label. For every synth alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file
from synthproxy.synths.base import NamedPreset, Note, Synth
from synthproxy.synths.preset_files import read_text
from synthproxy.synths.space import PresetSpace

SUFFIX = ".json"


def load_presets(synth: Synth, path: Path, note: Note) -> list[NamedPreset]:
    """The presets of a file: one of the synth's own, or JSON by :func:`save_presets`.

    Raises:
        InvalidInputError: the file is missing, damaged, or for another synth.
    """
    return _read(path, synth.space) if path.suffix.lower() == SUFFIX else synth.read_presets(path, note)


def load_preset(synth: Synth, path: Path, note: Note, number: int = 1) -> NamedPreset:
    """One of the presets of a file, the first is number 1.

    Raises:
        InvalidInputError: there is no preset of this number, or the file cannot be read: see :func:`load_presets`.
    """
    presets = load_presets(synth, path, note)
    if not 1 <= number <= len(presets):
        raise InvalidInputError(f"{path}: holds {len(presets)} presets, there is no number {number}")
    return presets[number - 1]


def save_presets(synth: Synth, path: Path, presets: Sequence[NamedPreset]) -> None:
    """Write presets in the form that the ending of ``path`` asks for: JSON, or one of the synth's own."""
    if path.suffix.lower() != SUFFIX:
        synth.write_presets(path, presets)
        return
    rows = [{"name": p.name, "parameters": synth.space.to_names(p.vector)} for p in presets]
    replace_file(path, json.dumps({"synth": synth.space.name, "presets": rows}, indent=1) + "\n")


def _read(path: Path, space: PresetSpace) -> list[NamedPreset]:
    try:
        data = json.loads(read_text(path))
        of, rows = data["synth"], [(str(row["name"]), dict(row["parameters"])) for row in data["presets"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"{path}: no JSON file of presets ({type(error).__name__}: {error})") from error
    if of != space.name:
        raise InvalidInputError(f"{path}: presets of {of!r}, not of {space.name!r}")
    presets = []
    for number, (name, named) in enumerate(rows, 1):
        try:
            presets.append(NamedPreset(space.snap(space.from_names(named)), name, f"{path.name}:{number}"))
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: preset {number}: {error}") from error
    return presets
