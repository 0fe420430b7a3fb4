"""Vital's presets in files: JSON with settings by name, modulations, wavetables, a sample and LFO shapes.

A file that is read and written again keeps all it held, known here or not. Nothing here makes sound.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file

SLOTS = 64
"""Number of modulations a preset has room for."""

WRITTEN_VERSION = "1.0.7"
"""The version whose presets are written. Vital opens those of its own version and of older ones."""

FRAME_SIZE = 2048
LAST_FRAME = 256
NOISE_SAMPLES = 44_100

_LARGEST_ARCHIVE = 1 << 28


@dataclass(frozen=True)
class Connection:
    """A modulation of a preset: what moves what. Either is empty where nothing is connected."""

    source: str = ""
    destination: str = ""

    def __bool__(self) -> bool:
        return bool(self.source and self.destination)


@dataclass(frozen=True)
class VitalFile:
    """A preset, kept exactly as it was found.

    Args:
        document: the file's JSON. It must not be changed.
        origin: where it was found, for messages.
    """

    document: Mapping[str, Any]
    origin: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.document, Mapping) or not isinstance(self.document.get("settings"), Mapping):
            raise InvalidInputError(f"{self.origin}: no preset of Vital; expected JSON with its settings")

    @classmethod
    def initial(cls, settings: Mapping[str, float], connections: Sequence[Connection], name: str) -> VitalFile:
        """A new preset, on three oscillators that go from saw to sine, white noise, and triangle LFOs."""
        content = {
            "sample": _white_noise(),
            "wavetables": [_saw_to_sine()] * 3,
            "lfos": [_TRIANGLE] * 8,
        }
        texts = {"author": "", "comments": "", "preset_name": "", "preset_style": "", "synth_version": WRITTEN_VERSION}
        return cls({**texts, "settings": content}).changed(settings, connections, name)

    def changed(
        self,
        settings: Mapping[str, float],
        connections: Sequence[Connection] | None = None,
        name: str | None = None,
    ) -> VitalFile:
        """The preset with some settings, and if given with all modulations and the name, replaced."""
        inside = {**self.document["settings"], **settings}
        if connections is not None:
            filled = [*connections, *[Connection()] * (SLOTS - len(connections))]
            inside["modulations"] = [{"destination": c.destination, "source": c.source} for c in filled]
        document = {**self.document, "settings": inside}
        if name is not None:
            document["preset_name"] = name
        return VitalFile(document, self.origin)

    def lighter(self) -> VitalFile:
        """The same sound with less to load: oscillators that are off have no wavetable."""
        settings = self.document["settings"]
        tables = [
            table if settings[f"osc_{number}_on"] else {**table, "groups": []}
            for number, table in enumerate(settings["wavetables"], 1)
        ]
        return VitalFile({**self.document, "settings": {**settings, "wavetables": tables}}, self.origin)

    @property
    def name(self) -> str:
        """What the preset is called."""
        return str(self.document.get("preset_name", ""))

    def settings(self, defaults: Mapping[str, float]) -> dict[str, float]:
        """The value of every setting that has a default; which it takes where the preset does not name it.

        Raises:
            InvalidInputError: a value is not a finite number, or all are missing.
        """
        found = self.document["settings"]
        known = defaults.keys() & found.keys()
        if not known:
            raise InvalidInputError(f"{self.origin}: no preset of Vital; it has none of its settings")
        for name in sorted(known):
            value = found[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
                raise InvalidInputError(f"{self.origin}: {name} must be a number, got {str(value)[:40]!r}")
        return {name: float(found.get(name, default)) for name, default in defaults.items()}

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Its modulations in the order of their slots; ``modulation_1_amount`` and the like belong to the first."""
        rows = self.document["settings"].get("modulations", ())
        try:
            found = tuple(Connection(row["source"], row["destination"]) for row in rows)
        except (TypeError, KeyError, AttributeError) as error:
            raise InvalidInputError(f"{self.origin}: modulations must name a source and a destination each") from error
        if len(found) > SLOTS or not all(isinstance(text, str) for c in found for text in (c.source, c.destination)):
            raise InvalidInputError(f"{self.origin}: modulations must be at most {SLOTS} pairs of names")
        return found

    def to_json(self) -> str:
        """The content of a ``.vital`` file."""
        return json.dumps(self.document, separators=(",", ":"))


def read_vital(path: Path) -> VitalFile:
    """Read a ``.vital`` file.

    Raises:
        InvalidInputError: it is missing, damaged, or something else.
    """
    return VitalFile(_read_json(path), str(path))


def write_vital(path: Path, file: VitalFile) -> None:
    """Write a ``.vital`` file."""
    replace_file(path, file.to_json())


def read_collection(path: Path) -> list[VitalFile]:
    """Read presets without wavetables, samples and LFO shapes from JSON, plain or compressed by gzip.

    The file is a list of objects with ``path`` and ``version`` (texts), ``settings`` (numbers by name) and
    ``modulations`` (a list as in a ``.vital`` file).

    Raises:
        InvalidInputError: it is missing, damaged, or something else.
    """
    rows = _read_json(path)
    if not isinstance(rows, list) or not rows:
        raise InvalidInputError(f"{path}: expected a list of presets of Vital, got {str(rows)[:40]!r}")
    return [_from_row(row, f"{path.name}:{number}") for number, row in enumerate(rows, 1)]


def _from_row(row: Any, origin: str) -> VitalFile:
    if not isinstance(row, dict) or not isinstance(row.get("settings"), dict):
        raise InvalidInputError(f"{origin}: no preset of Vital; expected an object with its settings")
    settings = {**row["settings"], "modulations": row.get("modulations", [])}
    where = str(row.get("path", ""))
    document = {"preset_name": Path(where).stem, "synth_version": row.get("version", ""), "settings": settings}
    return VitalFile(document, f"{origin} {where}".rstrip())


def _read_json(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as archive:
                data = archive.read(_LARGEST_ARCHIVE + 1)
        else:
            data = path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"{path}: cannot be read ({reason})") from error
    if len(data) > _LARGEST_ARCHIVE:
        raise InvalidInputError(f"{path}: more than {_LARGEST_ARCHIVE >> 20} MiB; expected presets of Vital")
    try:
        return json.loads(data.decode("utf8"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path}: no preset of Vital; expected JSON ({error})") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


# What a new preset plays

_TRIANGLE = {
    "name": "Triangle",
    "num_points": 3,
    "points": [0.0, 1.0, 0.5, 0.0, 1.0, 1.0],
    "powers": [0.0, 0.0, 0.0],
    "smooth": False,
}


def _saw_to_sine() -> dict[str, Any]:
    """A wavetable of saw, square, triangle and sine, their fundamentals in phase so that they blend."""
    phase = (np.arange(FRAME_SIZE) + 0.5) / FRAME_SIZE
    sine = np.sin(2 * np.pi * phase)
    shapes = (1 - 2 * phase, np.sign(sine), 2 / np.pi * np.arcsin(sine), sine)
    keyframes = [
        {"position": LAST_FRAME * i // (len(shapes) - 1), "wave_data": _encoded(shape, "<f4")}
        for i, shape in enumerate(shapes)
    ]
    component = {"interpolation": 0, "interpolation_style": 1, "keyframes": keyframes, "type": "Wave Source"}
    return {
        "author": "",
        "full_normalize": True,
        "groups": [{"components": [component]}],
        "name": "Saw to Sine",
        "remove_all_dc": True,
        "version": WRITTEN_VERSION,
    }


def _white_noise() -> dict[str, Any]:
    """A second of noise, the same everywhere: Vital's own differs with every instance."""
    words = np.frombuffer(hashlib.shake_256(b"white noise").digest(2 * NOISE_SAMPLES), dtype="<i2")
    return {
        "length": NOISE_SAMPLES,
        "name": "White Noise",
        "sample_rate": NOISE_SAMPLES,
        "samples": _encoded(0.9 * words, "<i2"),
    }


def _encoded(samples: np.ndarray[Any, Any], kind: str) -> str:
    return base64.b64encode(samples.astype(kind).tobytes()).decode("ascii")
