"""Sets of recorded sounds: an NSynth folder, or any folder of sound files. They are what is matched, not learned from.

NSynth (Engel et al. 2017) is a folder with ``examples.json``, which tells the note of each sound, and ``audio/*.wav``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.audio.io import read_audio
from synthproxy.errors import InvalidInputError
from synthproxy.synths import Note

NSYNTH_HELD = 3.0
"""Seconds for which every note of NSynth is held; its sounds last 4 s."""

NSYNTH_NOTES = "examples.json"
NSYNTH_AUDIO = "audio"
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")


@dataclass(frozen=True)
class RecordedSound:
    """One sound of a set.

    Args:
        name: of the sound; unique in its set.
        path: its file.
        note: the note that is played; None where it is not known.
        instrument: what plays it, and ``family``, the kind of instrument; empty where they are not known.
    """

    name: str
    path: Path
    note: Note | None = None
    instrument: str = ""
    family: str = ""

    @property
    def stem(self) -> str:
        """Its name without the ending of the file."""
        return self.name.removesuffix(self.path.suffix)


def find_sounds(folder: Path) -> list[RecordedSound]:
    """The sounds of a set, in order of their names; none of them is read.

    Args:
        folder: one with an ``examples.json`` is taken for NSynth, or a part of it: the sounds that it lists, with their
            notes. Otherwise all sound files in the folder and those inside it, named by their path in the folder.

    Raises:
        InvalidInputError: there is no such folder or no sound in it, ``examples.json`` is broken, or sounds that it
            lists are missing.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: there is no such folder; give one with sound files")
    if (folder / NSYNTH_NOTES).exists():
        return _nsynth(folder)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUND_SUFFIXES and p.is_file())
    inside = {path.relative_to(folder): path for path in files}
    # Hidden files are not the user's sounds: some systems leave one beside each file, of the same name but no sound.
    shown = {name: path for name, path in inside.items() if not any(part.startswith(".") for part in name.parts)}
    if not shown:
        raise InvalidInputError(f"{folder}: no sound file in this folder ({', '.join(SOUND_SUFFIXES)})")
    return [RecordedSound(name.as_posix(), path) for name, path in shown.items()]


def read_clip(path: Path, sample_rate: int, seconds: float) -> NDArray[np.float32]:
    """A sound file as a clip: mono, at this rate, padded with zeros or cut to its length.

    Args:
        path: the file.
        sample_rate: rate in Hz.
        seconds: length of the clip.

    Returns:
        float32, (round(seconds × sample_rate),).

    Raises:
        InvalidInputError: the file cannot be read as sound, or the clip would have no samples.
    """
    length = round(seconds * sample_rate)
    if length < 1:
        raise InvalidInputError(f"a clip has at least one sample, got {seconds} s at {sample_rate} Hz")
    samples = read_audio(path, sample_rate).samples[:length]
    return np.pad(samples, (0, length - len(samples)))


def _nsynth(folder: Path) -> list[RecordedSound]:
    notes, audio = folder / NSYNTH_NOTES, folder / NSYNTH_AUDIO
    examples = _read_examples(notes)
    sounds = [_nsynth_sound(notes, audio, name, examples[name]) for name in sorted(examples)]
    # One look at the folder: NSynth has up to 300,000 files.
    present = {path.name for path in audio.iterdir()} if audio.is_dir() else set()
    missing = [sound.path for sound in sounds if sound.path.name not in present]
    if missing:
        raise InvalidInputError(
            f"{notes}: {len(missing)} of the {len(sounds)} sounds that it lists are missing, such as {missing[0]}; "
            "unpack the whole archive, or take them out of the list"
        )
    return sounds


def _read_examples(path: Path) -> dict[str, Any]:
    try:
        examples = json.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path}: not JSON ({error}); unpack the archive again") from error
    if not isinstance(examples, dict) or not examples:
        raise InvalidInputError(f"{path}: must be a JSON object with an entry for each sound; is this NSynth's?")
    return examples


def _nsynth_sound(notes: Path, audio: Path, name: str, entry: Any) -> RecordedSound:
    if not isinstance(entry, dict):
        raise InvalidInputError(f"{notes}: the entry of {name!r} is no JSON object")
    if Path(name).name != name:
        raise InvalidInputError(f"{notes}: {name!r} is no name of a sound")
    try:
        note = Note(_whole(entry, "pitch"), _whole(entry, "velocity"), NSYNTH_HELD)
    except InvalidInputError as error:
        raise InvalidInputError(f"{notes}: {name!r}: {error}") from error
    instrument, family = (str(entry.get(key, "")) for key in ("instrument_str", "instrument_family_str"))
    return RecordedSound(name, audio / f"{name}.wav", note, instrument, family)


def _whole(entry: dict[str, Any], key: str) -> int:
    number = entry.get(key)
    if type(number) is not int:
        raise InvalidInputError(f"its {key} must be a whole number, got {number!r:.40}")
    return number
