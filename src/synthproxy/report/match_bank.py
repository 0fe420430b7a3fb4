"""The best presets of several matches as one bank file, to load into the synth at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.files import make_folder, replacing_together
from synthproxy.synths import NamedPreset, Note, Synth, get_synth
from synthproxy.synths.readable import load_preset, save_presets

MOST = 32
"""Presets of one bank: as many as that of a DX7 holds."""

_CONTENTS = "matches.json"


@dataclass(frozen=True)
class Collected:
    """One preset of a bank: its name, the folder of its match, and the sound it matches."""

    name: str
    folder: str
    target: str


def collect_matches(folders: Sequence[Path], out: Path, synth: str | None = None) -> list[Collected]:
    """Write the best preset of each match into one bank file, in their order.

    Args:
        folders: of matches, or folders of such folders, whose order is that of their names.
        out: the bank; its ending says in which form.
        synth: its name, or a definition file; without one what the matches say.

    Raises:
        InvalidInputError: a folder holds no match, there are more than fit, or the synth's files hold one preset each.
        IncompatibleError: the matches are of different synths.
    """
    found = [match for folder in folders for match in _matches_in(folder)]
    if len(found) > MOST:
        raise InvalidInputError(f"{out}: a bank holds {MOST} presets, got {len(found)} matches; collect them in parts")
    contents = [_read(folder) for folder in found]
    names = sorted({str(content["synth"]) for content in contents})
    if len(names) > 1:
        raise IncompatibleError(f"{out}: the matches are of different synths: {', '.join(names)}")
    player = get_synth(synth or names[0])
    presets = [_best(player, folder, content) for folder, content in zip(found, contents, strict=True)]
    _write(player, out, presets)
    return [
        Collected(preset.name, str(folder), str(content["target"]))
        for preset, folder, content in zip(presets, found, contents, strict=True)
    ]


def _matches_in(folder: Path) -> list[Path]:
    if (folder / _CONTENTS).is_file():
        return [folder]
    inside = sorted(file.parent for file in folder.glob(f"*/{_CONTENTS}"))
    if not inside:
        raise InvalidInputError(f"{folder}: no match in this folder; give one that synthproxy match has written")
    return inside


def _read(folder: Path) -> dict[str, Any]:
    path = folder / _CONTENTS
    try:
        content = json.loads(path.read_text(encoding="utf8"))
        note = content["candidates"][0]["note"]
        best = {
            "preset": folder / content["candidates"][0]["preset"],
            "note": Note(int(note["pitch"]), int(note["velocity"]), float(note["seconds"])),
        }
        return {"synth": content["synth"], "target": content["target"], **best}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidInputError(f"{path}: not what a match has written ({error}); match the sound again") from error


def _best(synth: Synth, folder: Path, content: dict[str, Any]) -> NamedPreset:
    preset = load_preset(synth, content["preset"], content["note"])
    return NamedPreset(preset.vector, preset.name or folder.name, str(folder))


def _write(synth: Synth, out: Path, presets: Sequence[NamedPreset]) -> None:
    make_folder(out.parent)
    with replacing_together(out.parent) as beside:
        try:
            save_presets(synth, beside / out.name, presets)
        except InvalidInputError as error:
            raise InvalidInputError(str(error).replace(str(beside / out.name), str(out))) from error
        if len(list(beside.iterdir())) > 1:
            raise InvalidInputError(f"{out}: {synth.name} keeps one preset in a file; give one that ends in .json")
