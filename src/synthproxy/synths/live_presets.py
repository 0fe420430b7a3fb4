"""Preset files that only the plug-in itself understands: its state, in the containers of VST2 and VST3.

To write one, the plug-in is set to the preset and asked for its state; to read one, it is given the state and asked
what its parameters are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.files import replace_file
from synthproxy.synths.definition import PluginSettings
from synthproxy.synths.fxp import pack_program, program_from_state, read_fxp
from synthproxy.synths.plugin_process import PluginFailedError, PluginProcess
from synthproxy.synths.vstpreset import juce_state_to_vstpreset, pack_vstpreset, read_vstpreset


class LiveFormat(Protocol):
    """A kind of preset file that a running plug-in is needed for."""

    @property
    def suffix(self) -> str:
        """Ending of its files, with the dot."""

    def read(self, path: Path, process: PluginProcess, settings: PluginSettings) -> tuple[str, list[float]]:
        """Name of the preset, and the values of all the plug-in's parameters."""

    def pack(self, state: bytes, name: str, process: PluginProcess, settings: PluginSettings) -> bytes:
        """The file of a state that the host saved."""


class Fxp:
    """VST2's container; see :mod:`synthproxy.synths.fxp`."""

    suffix = ".fxp"

    def read(self, path: Path, process: PluginProcess, settings: PluginSettings) -> tuple[str, list[float]]:  # noqa: ARG002
        """See :class:`LiveFormat`."""
        program = read_fxp(path)
        own = program_from_state(process.state([], np.empty(0)), "", len(process.names))
        if program.plugin_id != own.plugin_id:
            raise InvalidInputError(f"{path}: a preset of {program.plugin_id!r}, not of this plug-in {own.plugin_id!r}")
        return program.name, _loaded(process, pack_program(program), self.suffix, path)

    def pack(self, state: bytes, name: str, process: PluginProcess, settings: PluginSettings) -> bytes:  # noqa: ARG002
        """See :class:`LiveFormat`."""
        return pack_program(program_from_state(state, name, len(process.names)))


class VstPreset:
    """VST3's container; see :mod:`synthproxy.synths.vstpreset`."""

    suffix = ".vstpreset"

    def read(self, path: Path, process: PluginProcess, settings: PluginSettings) -> tuple[str, list[float]]:
        """See :class:`LiveFormat`."""
        preset = read_vstpreset(path)
        if settings.vst3_class and preset.class_id.upper() != settings.vst3_class.upper():
            raise InvalidInputError(f"{path}: a preset of the VST3 class {preset.class_id}, not {settings.vst3_class}")
        return path.stem, _loaded(process, pack_vstpreset(preset), self.suffix, path)

    def pack(self, state: bytes, name: str, process: PluginProcess, settings: PluginSettings) -> bytes:  # noqa: ARG002
        """See :class:`LiveFormat`."""
        if not settings.vst3_class:
            raise UnavailableError(
                "the class id of this VST3 plug-in is not known; add vst3_class to the [plugin] table of its definition"
            )
        return pack_vstpreset(juce_state_to_vstpreset(state, settings.vst3_class))


def _loaded(process: PluginProcess, content: bytes, suffix: str, path: Path) -> list[float]:
    try:
        return process.load(content, suffix)
    except PluginFailedError as error:
        raise InvalidInputError(f"{path}: not taken by the plug-in ({error})") from error


def write_live(
    form: LiveFormat,
    path: Path,
    process: PluginProcess,
    indices: list[int],
    presets: Sequence[tuple[str, NDArray[np.float64]]],
    settings: PluginSettings,
) -> None:
    """Write presets, names and values of the parameters at ``indices``: one a file, the further ones numbered."""
    for number, (name, values) in enumerate(presets, 1):
        file = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            state = process.state(indices, values)
        except PluginFailedError as error:
            raise UnavailableError(f"{file}: the plug-in gives no state ({error})") from error
        replace_file(file, form.pack(state, name, process, settings))
