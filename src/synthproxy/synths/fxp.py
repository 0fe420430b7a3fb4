"""VST2's preset files: one program (``.fxp``) or a bank of them (``.fxb``), as values or as the plug-in's own state.

The layout is that of the VST 2.4 SDK: big-endian, a header with the plug-in's four-character id, and then a float for
each parameter (``FxCk``, ``FxBk``) or a block of bytes that only the plug-in understands (``FPCh``, ``FBCh``). Hosts
made with JUCE keep the state of a VST2 plug-in in the same form, with zero for the length in the header, which is why
nothing relies on it here. Checked with such a host, DawDreamer, and amsynth (own state), Nekobi and Kars (values).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file

_HEADER = struct.Struct(">4sI4sI4sII")
"""Magic, bytes that follow, kind, version of the format, id and version of the plug-in, count of what it holds."""

_MAGIC = b"CcnK"
_UNCOUNTED = 8
"""Bytes of the header, magic and length, that the length does not count."""

_PROGRAM_OF_VALUES, _PROGRAM_OF_STATE = b"FxCk", b"FPCh"
_BANK_OF_PROGRAMS, _BANK_OF_STATE = b"FxBk", b"FBCh"
_KINDS = {
    _PROGRAM_OF_VALUES: "a preset",
    _PROGRAM_OF_STATE: "a preset",
    _BANK_OF_PROGRAMS: "a bank",
    _BANK_OF_STATE: "a bank",
}
_NAME_SIZE = 28
_SIZE = struct.Struct(">I")
_CURRENT = struct.Struct(">I124x")
"""Number of the current program, always zero in version 1 of the format, and unused bytes."""


@dataclass(frozen=True)
class Program:
    """One preset.

    Args:
        plugin_id: the four characters that name the plug-in.
        plugin_version: version of the plug-in that wrote it.
        name: text that fits in 27 bytes; what is longer is cut when it is packed.
        content: the value of every parameter, in [0, 1], or the plug-in's own state.
        parameters: how many parameters the plug-in has.
    """

    plugin_id: bytes
    plugin_version: int
    name: str
    content: tuple[float, ...] | bytes
    parameters: int

    def __post_init__(self) -> None:
        if len(self.plugin_id) != 4:
            raise InvalidInputError(f"the id of a VST2 plug-in has four bytes, got {self.plugin_id!r}")
        if isinstance(self.content, bytes):
            return
        if len(self.content) != self.parameters:
            raise InvalidInputError(f"a VST2 preset of {self.parameters} parameters has {len(self.content)} values")
        for number, value in enumerate(self.content):
            if not 0.0 <= value <= 1.0:
                raise InvalidInputError(f"parameter {number} of a VST2 preset must lie in [0, 1], got {value:g}")


@dataclass(frozen=True)
class Bank:
    """Several presets.

    Args:
        plugin_id: the four characters that name the plug-in.
        plugin_version: version of the plug-in that wrote it.
        content: the presets, or the plug-in's own state that stands for all of them.
        current: number of the preset in use, from 0.
    """

    plugin_id: bytes
    plugin_version: int
    content: tuple[Program, ...] | bytes
    current: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.content, tuple) and not self.current < len(self.content):
            raise InvalidInputError(f"a VST2 bank of {len(self.content)} presets has number {self.current} in use")


def pack_program(program: Program) -> bytes:
    """The bytes of an ``.fxp`` file."""
    if isinstance(program.content, bytes):
        kind, content = _PROGRAM_OF_STATE, _SIZE.pack(len(program.content)) + program.content
    else:
        kind, content = _PROGRAM_OF_VALUES, struct.pack(f">{program.parameters}f", *program.content)
    size = _HEADER.size - _UNCOUNTED + _NAME_SIZE + len(content)
    header = _HEADER.pack(_MAGIC, size, kind, 1, program.plugin_id, program.plugin_version, program.parameters)
    return header + _pack_name(program.name) + content


def unpack_program(data: bytes) -> Program:
    """The preset in an ``.fxp`` file; what follows it is not looked at.

    Raises:
        InvalidInputError: it is something else, a bank, cut short or damaged.
    """
    return _Reader(data).program()


def unpack_bank(data: bytes) -> Bank:
    """The presets in an ``.fxb`` file.

    Raises:
        InvalidInputError: it is something else, a single preset, cut short or damaged.
    """
    return _Reader(data).bank()


def program_from_state(state: bytes, name: str, parameters: int) -> Program:
    """The state of a VST2 plug-in, as hosts made with JUCE keep it, as a preset of this name.

    Args:
        state: what the host saved.
        name: name of the preset.
        parameters: how many parameters the plug-in has, which a state of its own does not tell.

    Raises:
        InvalidInputError: it is no such state.
    """
    if _KINDS.get(state[_UNCOUNTED : _UNCOUNTED + 4]) == "a preset":
        return replace(unpack_program(state), name=name)
    bank = unpack_bank(state)
    if isinstance(bank.content, bytes):
        return Program(bank.plugin_id, bank.plugin_version, name, bank.content, parameters)
    return replace(bank.content[bank.current], name=name)


def read_fxp(path: Path) -> Program:
    """Read an ``.fxp`` file.

    Raises:
        InvalidInputError: it is missing, something else, a bank, cut short or damaged.
    """
    try:
        return unpack_program(path.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def write_fxp(path: Path, program: Program) -> None:
    """Write an ``.fxp`` file."""
    replace_file(path, pack_program(program))


def _pack_name(name: str) -> bytes:
    whole = name.replace("\0", "").encode("utf8", errors="replace")[: _NAME_SIZE - 1]
    return whole.decode("utf8", errors="ignore").encode("utf8").ljust(_NAME_SIZE, b"\0")


def _unpack_name(packed: bytes) -> str:
    text = packed.split(b"\0")[0].decode("utf8", errors="replace")
    return "".join(c if c.isprintable() else "?" for c in text).rstrip()


class _Reader:
    """Takes a file apart from its beginning to its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def program(self) -> Program:
        """The next preset."""
        kind, _, plugin_id, version, count = self._header("a preset")
        name = _unpack_name(self._take(_NAME_SIZE))
        content = self._state() if kind == _PROGRAM_OF_STATE else self._values(count)
        return Program(plugin_id, version, name, content, count)

    def bank(self) -> Bank:
        """The bank."""
        kind, format_version, plugin_id, version, count = self._header("a bank")
        (current,) = _CURRENT.unpack(self._take(_CURRENT.size))
        content = self._state() if kind == _BANK_OF_STATE else tuple(self.program() for _ in range(count))
        return Bank(plugin_id, version, content, current if format_version > 1 else 0)

    def _header(self, expected: str) -> tuple[bytes, int, bytes, int, int]:
        magic = self._data[self._position : self._position + len(_MAGIC)]
        if magic != _MAGIC:
            raise InvalidInputError(f"no VST2 preset; it begins with {magic!r}")
        _, _, kind, *rest = _HEADER.unpack(self._take(_HEADER.size))
        if kind not in _KINDS:
            raise InvalidInputError(f"a VST2 file of the unknown kind {kind!r}; expected {expected}")
        if _KINDS[kind] != expected:
            raise InvalidInputError(f"{_KINDS[kind]} of a VST2 plug-in; expected {expected}")
        return kind, *rest

    def _values(self, count: int) -> tuple[float, ...]:
        return struct.unpack(f">{count}f", self._take(4 * count))

    def _state(self) -> bytes:
        (size,) = _SIZE.unpack(self._take(_SIZE.size))
        return self._take(size)

    def _take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) < count:
            raise InvalidInputError(f"cut short; {count} bytes expected at byte {self._position}, {len(taken)} left")
        self._position += count
        return taken
