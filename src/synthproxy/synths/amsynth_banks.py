"""amsynth's preset files: banks of up to 128 presets, and single ones, as text in the synth's own units.

A file is a header, for each preset a line with its name and a line for every parameter, and in banks ``EOF``. Where
amsynth is lenient, with values out of range and parameters that are missing, so is this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file
from synthproxy.synths.definition import Definition
from synthproxy.synths.preset_files import StoredPreset, read_text

BANK_HEADER = "amSynth"
SINGLE_HEADER = "amSynth1.0preset"
CAPACITY = 128
"""Presets in a bank. A file with more makes amsynth write beyond its memory."""

UNUSED_NAMES = ("New Preset", "unused")
"""What amsynth calls a place of a bank that nothing was stored in."""

_ENCODING = "latin-1"  # Whatever the bytes are, they come back as they were.
_PRESET = re.compile("<preset> <name> (.*)")
_SETTING = re.compile(r"<parameter> (\S+) (\S+)")
_ENDS = {
    BANK_HEADER: re.compile(r"EOF\s*"),
    SINGLE_HEADER: re.compile(r"(<property> [^\n]*\n)*\0*"),
}
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_DECIMALS = 7
_SINGLE_PRECISION = 1e-7


@dataclass(frozen=True)
class Unit:
    """A parameter in amsynth's own unit, which the plug-in shows as 0 to 1, linearly."""

    minimum: float
    maximum: float
    default: float

    def to_plugin(self, native: float) -> float:
        """The plug-in's value; as on amsynth, what is out of range is moved to its end."""
        return (min(max(native, self.minimum), self.maximum) - self.minimum) / (self.maximum - self.minimum)

    def from_plugin(self, value: float) -> float:
        """The inverse of :meth:`to_plugin`."""
        return self.minimum + value * (self.maximum - self.minimum)


_TIME = Unit(0.0, 2.5, 0.0)
_UP = Unit(0.0, 1.0, 0.0)
_DOWN = Unit(0.0, 1.0, 1.0)

UNITS: Mapping[str, Unit] = {
    "amp_attack": _TIME,
    "amp_decay": _TIME,
    "amp_sustain": _DOWN,
    "amp_release": _TIME,
    "osc1_waveform": Unit(0.0, 4.0, 2.0),
    "filter_attack": _TIME,
    "filter_decay": _TIME,
    "filter_sustain": _DOWN,
    "filter_release": _TIME,
    "filter_resonance": Unit(0.0, 0.97, 0.0),
    "filter_env_amount": Unit(-16.0, 16.0, 0.0),
    "filter_cutoff": Unit(-0.5, 1.5, 1.5),
    "osc2_detune": Unit(-1.0, 1.0, 0.0),
    "osc2_waveform": Unit(0.0, 4.0, 2.0),
    "master_vol": Unit(0.0, 1.0, 0.67),
    "lfo_freq": Unit(0.0, 7.5, 0.0),
    "lfo_waveform": Unit(0.0, 6.0, 0.0),
    "osc2_range": Unit(-3.0, 4.0, 0.0),
    "osc_mix": Unit(-1.0, 1.0, 0.0),
    "freq_mod_amount": Unit(0.0, 1.25992105, 0.0),
    "filter_mod_amount": Unit(-1.0, 1.0, -1.0),
    "amp_mod_amount": Unit(-1.0, 1.0, -1.0),
    "osc_mix_mode": _UP,
    "osc1_pulsewidth": _DOWN,
    "osc2_pulsewidth": _DOWN,
    "reverb_roomsize": _UP,
    "reverb_damp": _UP,
    "reverb_wet": _UP,
    "reverb_width": _DOWN,
    "distortion_crunch": Unit(0.0, 0.9, 0.0),
    "osc2_sync": _UP,
    "portamento_time": _UP,
    "keyboard_mode": Unit(0.0, 2.0, 0.0),
    "osc2_pitch": Unit(-12.0, 12.0, 0.0),
    "filter_type": Unit(0.0, 4.0, 0.0),
    "filter_slope": _DOWN,
    "freq_mod_osc": Unit(0.0, 2.0, 0.0),
    "filter_kbd_track": _DOWN,
    "filter_vel_sens": _DOWN,
    "amp_vel_sens": _DOWN,
    "portamento_mode": _UP,
}
"""Every parameter in the plug-in's order; what a file does not name is at its default here."""


@dataclass(frozen=True)
class BankPreset:
    """One preset, kept exactly as it was found.

    Args:
        name: text of its line, one character for each byte.
        settings: names of its parameters and the text of their values, in the order of the file.
    """

    name: str
    settings: tuple[tuple[str, str], ...]

    @property
    def values(self) -> dict[str, float]:
        """Every parameter of the plug-in, in [0, 1].

        Raises:
            InvalidInputError: there is a parameter that amsynth does not have, or a value that is no number.
        """
        natives = {name: unit.default for name, unit in UNITS.items()}
        for name, text in self.settings:
            if name not in UNITS:
                raise InvalidInputError(f"amsynth has no parameter called {_readable(name)!r}")
            natives[name] = float(text) if _NUMBER.fullmatch(text) else float("nan")
            if not isfinite(natives[name]):
                raise InvalidInputError(f"{name} must be a number, got {_readable(text)!r}")
        return {name: UNITS[name].to_plugin(native) for name, native in natives.items()}

    @property
    def readable_name(self) -> str:
        """The name as it is meant: UTF-8."""
        return _readable(self.name).strip()


@dataclass(frozen=True)
class BankFile:
    """A file of presets, kept exactly as it was found.

    Args:
        presets: what it holds, in order.
        header: tells a bank from a single preset.
        end: what follows the last preset.
        newline: what ends a line.
    """

    presets: tuple[BankPreset, ...]
    header: str = BANK_HEADER
    end: str = "EOF\n"
    newline: str = "\n"

    @property
    def text(self) -> str:
        """The file's text, one character for each byte."""
        lines = [self.header]
        for preset in self.presets:
            lines.append(f"<preset> <name> {preset.name}")
            lines += [f"<parameter> {name} {text}" for name, text in preset.settings]
        return self.newline.join([*lines, self.end])


def parse_bank(text: str) -> BankFile:
    """Take the text of a bank or of a single preset apart; one character stands for each byte.

    Raises:
        InvalidInputError: it is something else, cut short or damaged.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    header, *lines = text.split(newline)
    if header not in _ENDS:
        raise InvalidInputError(f"no presets of amsynth; expected {BANK_HEADER!r} in the first line")
    found: list[tuple[str, list[tuple[str, str]]]] = []
    end_at = len(lines)
    for number, line in enumerate(lines):
        if named := _PRESET.fullmatch(line):
            found.append((named[1], []))
        elif found and (setting := _SETTING.fullmatch(line)):
            found[-1][1].append((setting[1], setting[2]))
        else:
            end_at = number
            break
    end = newline.join(lines[end_at:])
    if end_at == len(lines) or not _ENDS[header].fullmatch(end):
        raise InvalidInputError(f"cut short or damaged; line {end_at + 2} is no parameter, no preset and no end")
    return BankFile(tuple(BankPreset(name, tuple(settings)) for name, settings in found), header, end, newline)


def read_bank(path: Path) -> BankFile:
    """Read a bank or a single preset.

    Raises:
        InvalidInputError: it is missing, something else, cut short or damaged.
    """
    text = read_text(path, _ENCODING)
    try:
        return parse_bank(text)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def write_bank(path: Path, bank: BankFile) -> None:
    """Write a file; one that was read comes out as it was."""
    replace_file(path, bank.text.encode(_ENCODING))


class AmsynthBank:
    """Banks as a format of preset files; see :class:`~synthproxy.synths.preset_files.PresetFormat`."""

    suffix = ".bank"

    def read(self, path: Path, definition: Definition) -> list[StoredPreset]:
        """The presets of a bank or of a single-preset file; places that nothing was stored in are passed over."""
        _check(path, definition)
        presets = []
        for number, preset in enumerate(read_bank(path).presets, 1):
            origin = f"{path.name}:{number}"
            try:
                values = preset.values
            except InvalidInputError as error:
                raise InvalidInputError(f"{path}: preset {number}, {preset.readable_name!r}: {error}") from error
            if preset.name not in UNUSED_NAMES or values != BankPreset("", ()).values:
                presets.append(StoredPreset(preset.readable_name, values, origin))
        if not presets:
            raise InvalidInputError(f"{path}: nothing is stored in this bank of amsynth")
        return presets

    def write(self, path: Path, definition: Definition, presets: Sequence[StoredPreset]) -> None:
        """Write a bank of up to 128 presets."""
        _check(path, definition)
        if not 0 < len(presets) <= CAPACITY:
            raise InvalidInputError(f"{path}: a bank of amsynth holds 1 to {CAPACITY} presets, got {len(presets)}")
        defaults = definition.to_plugin(definition.space.encode(definition.space.defaults))
        unnamed = {p.name: float(v) for p, v in zip(definition.space.parameters, defaults, strict=True)}
        write_bank(path, BankFile(tuple(_to_text(preset.name, {**unnamed, **preset.values}) for preset in presets)))


def _check(path: Path, definition: Definition) -> None:
    if {p.name for p in definition.space.parameters} != set(UNITS):
        raise InvalidInputError(f"{path}: a bank of amsynth cannot hold presets of {definition.name!r}")


def _to_text(name: str, values: Mapping[str, float]) -> BankPreset:
    unknown = sorted(set(values) - set(UNITS))
    if unknown:
        raise InvalidInputError(f"preset {name!r}: amsynth has no parameter called {unknown[0]!r}")
    settings = []
    for parameter, unit in UNITS.items():
        value = values[parameter]
        if not 0.0 <= value <= 1.0:
            raise InvalidInputError(f"preset {name!r}: {parameter} must lie in [0, 1], got {value:g}")
        native = unit.from_plugin(value)
        if abs(unit.to_plugin(round(native)) - value) < _SINGLE_PRECISION:
            native = round(native)
        # Plain decimals: amsynth reads no more digits than these exactly.
        settings.append((parameter, f"{native:.{_DECIMALS}f}".rstrip("0").rstrip(".")))
    # A name is one line, and amsynth takes a preset without one apart wrongly.
    line = "".join(c if c.isprintable() else " " for c in name).strip() or "unnamed"
    return BankPreset(line.encode("utf8").decode(_ENCODING), tuple(settings))


def _readable(text: str) -> str:
    meant = text.encode(_ENCODING).decode("utf8", errors="replace")
    return "".join(c if c.isprintable() else "?" for c in meant)
