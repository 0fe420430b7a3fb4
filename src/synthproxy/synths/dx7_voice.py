"""DX7 voices and the files that hold them: single-voice and 32-voice system-exclusive dumps, and headerless banks.

The format is Yamaha's (DX7 operating manual, "MIDI data format"): a voice is 145 parameters and a name of ten
characters, unpacked in 155 bytes or packed in 128. Nothing here makes sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file

PARAMETERS = 145
NAME_LENGTH = 10
UNPACKED_SIZE = PARAMETERS + NAME_LENGTH
PACKED_SIZE = 128
BANK_VOICES = 32
BANK_SIZE = BANK_VOICES * PACKED_SIZE

_OPERATOR_MAXIMA = (*(99,) * 11, 3, 3, 7, 3, 7, 99, 1, 31, 99, 14)
MAXIMA = np.asarray((*_OPERATOR_MAXIMA * 6, *(99,) * 8, 31, 7, 1, *(99,) * 4, 1, 5, 7, 48), dtype=np.uint8)
"""Largest value of each unpacked parameter byte, (145,)."""

_YAMAHA = 0x43
_FIRST_CHANNEL = 0x00
_SINGLE_HEADER = bytes([0x00, 0x01, 0x1B])
_BANK_HEADER = bytes([0x09, 0x20, 0x00])
_BODY_SIZES = {_SINGLE_HEADER: UNPACKED_SIZE, _BANK_HEADER: BANK_SIZE}


@dataclass(frozen=True)
class Voice:
    """One voice, kept exactly as it was found.

    Args:
        raw: 155 unpacked or 128 packed bytes. Stray bits and values out of range stay in it, so that a file can be
            written again without loss; :attr:`parameters` has them put right.
        origin: where it was found.
    """

    raw: bytes
    origin: str = ""

    def __post_init__(self) -> None:
        if len(self.raw) not in (UNPACKED_SIZE, PACKED_SIZE):
            raise InvalidInputError(f"a DX7 voice has 155 or 128 bytes, got {len(self.raw)}")

    @classmethod
    def from_parameters(cls, parameters: NDArray[np.integer], name: str, origin: str = "") -> Voice:
        """A voice of these parameters, (145,), in unpacked order, with a name of at most ten characters."""
        text = name.encode("ascii", errors="replace")[:NAME_LENGTH].ljust(NAME_LENGTH)
        return cls(np.asarray(parameters, dtype=np.uint8).tobytes() + text, origin)

    @property
    def parameters(self) -> NDArray[np.uint8]:
        """The 145 parameter bytes, each within its range."""
        return np.minimum(np.frombuffer(self.unpacked, dtype=np.uint8)[:PARAMETERS], MAXIMA)

    @property
    def name(self) -> str:
        """Printable name, without trailing blanks."""
        return "".join(chr(c) if 32 <= c < 127 else "?" for c in self.unpacked[PARAMETERS:]).rstrip()

    @property
    def unpacked(self) -> bytes:
        """The voice in 155 bytes."""
        return self.raw if len(self.raw) == UNPACKED_SIZE else _unpack(self.raw)

    @property
    def packed(self) -> bytes:
        """The voice in 128 bytes."""
        return self.raw if len(self.raw) == PACKED_SIZE else _pack(self.parameters, self.raw[PARAMETERS:])


def unpack_parameters(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Parameters of many packed voices, (n, 128) to (n, 145), each within its range."""
    p = np.asarray(packed, dtype=np.uint8) & 0x7F
    out = np.empty((len(p), PARAMETERS), dtype=np.uint8)
    for op in range(6):
        source, target = p[:, op * 17 : op * 17 + 17], out[:, op * 21 : op * 21 + 21]
        target[:, :11] = source[:, :11]
        target[:, 11], target[:, 12] = source[:, 11] & 3, source[:, 11] >> 2 & 3
        target[:, 13], target[:, 20] = source[:, 12] & 7, source[:, 12] >> 3
        target[:, 14], target[:, 15] = source[:, 13] & 3, source[:, 13] >> 2 & 7
        target[:, 16] = source[:, 14]
        target[:, 17], target[:, 18] = source[:, 15] & 1, source[:, 15] >> 1 & 31
        target[:, 19] = source[:, 16]
    out[:, 126:134] = p[:, 102:110]
    out[:, 134] = p[:, 110] & 31
    out[:, 135], out[:, 136] = p[:, 111] & 7, p[:, 111] >> 3 & 1
    out[:, 137:141] = p[:, 112:116]
    out[:, 141], out[:, 142], out[:, 143] = p[:, 116] & 1, p[:, 116] >> 1 & 7, p[:, 116] >> 4
    out[:, 144] = p[:, 117]
    return np.minimum(out, MAXIMA)


def _unpack(packed: bytes) -> bytes:
    parameters = unpack_parameters(np.frombuffer(packed, dtype=np.uint8)[None])[0]
    return bytes(parameters) + bytes(b & 0x7F for b in packed[118:])


def _pack(parameters: NDArray[np.uint8], name: bytes) -> bytes:
    u = [int(value) for value in parameters]
    out = bytearray(PACKED_SIZE)
    for op in range(6):
        source = u[op * 21 : op * 21 + 21]
        out[op * 17 : op * 17 + 11] = bytes(source[:11])
        out[op * 17 + 11] = source[11] | source[12] << 2
        out[op * 17 + 12] = source[13] | source[20] << 3
        out[op * 17 + 13] = source[14] | source[15] << 2
        out[op * 17 + 14] = source[16]
        out[op * 17 + 15] = source[17] | source[18] << 1
        out[op * 17 + 16] = source[19]
    out[102:111] = bytes(u[126:135])
    out[111] = u[135] | u[136] << 3
    out[112:116] = bytes(u[137:141])
    out[116] = u[141] | u[142] << 1 | u[143] << 4
    out[117] = u[144]
    out[118:] = bytes(b & 0x7F for b in name)
    return bytes(out)


def _checksum(body: bytes) -> int:
    return -sum(body) & 0x7F


def read_voices(path: Path, *, ignore_checksum: bool = False) -> list[Voice]:
    """All voices of a file: any number of single and 32-voice dumps, or headerless banks of 4096 bytes.

    Raises:
        InvalidInputError: the file is missing, is something else, is cut short, or its checksum is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    if not data:
        raise InvalidInputError(f"{path}: the file is empty; expected a DX7 .syx file")
    if data[0] == 0xF0:
        raws = [raw for body in _messages(data, path, ignore_checksum) for raw in _split(body)]
    elif len(data) % BANK_SIZE == 0:
        raws = [raw for start in range(0, len(data), BANK_SIZE) for raw in _split(data[start : start + BANK_SIZE])]
    else:
        raise InvalidInputError(
            f"{path}: not a DX7 file; expected a system-exclusive dump or a bank of 4096 bytes, got {len(data)} bytes"
        )
    return [Voice(raw, f"{path.name}:{number}") for number, raw in enumerate(raws, 1)]


def _split(body: bytes) -> list[bytes]:
    if len(body) == UNPACKED_SIZE:
        return [body]
    return [body[i : i + PACKED_SIZE] for i in range(0, len(body), PACKED_SIZE)]


def _messages(data: bytes, path: Path, ignore_checksum: bool) -> Iterable[bytes]:
    """Bodies of the voice dumps among the file's messages; other messages are passed over."""
    found = False
    start = 0
    while start < len(data) and data[start] == 0xF0:
        end = data.find(0xF7, start)
        if end < 0:
            raise InvalidInputError(f"{path}: cut short; the message at byte {start} has no end")
        message, start = data[start + 1 : end], end + 1
        size = _BODY_SIZES.get(message[2:5]) if len(message) > 5 and message[0] == _YAMAHA else None
        if size is None or message[1] & 0xF0:
            continue
        body, rest = message[5 : 5 + size], message[5 + size :]
        if len(body) != size or len(rest) != 1:
            raise InvalidInputError(f"{path}: damaged; a dump of {size} bytes holds {len(message) - 6}")
        if max(message) > 0x7F:
            raise InvalidInputError(f"{path}: damaged; a byte inside the dump has its top bit set")
        if rest[0] != _checksum(body) and not ignore_checksum:
            raise InvalidInputError(
                f"{path}: wrong checksum {rest[0]:#04x}, expected {_checksum(body):#04x}; "
                "--ignore-checksum reads it all the same"
            )
        found = True
        yield body
    if not found:
        raise InvalidInputError(f"{path}: no DX7 voice dump among its system-exclusive messages")


def write_voices(path: Path, voices: Sequence[Voice], *, headerless: bool = False) -> None:
    """Write one voice as a single-voice dump, several as 32-voice banks (filled up with the initial voice).

    Args:
        headerless: banks of 4096 bytes without the system-exclusive frame.
    """
    if not voices:
        raise InvalidInputError(f"{path}: no voices to write")
    if len(voices) == 1 and not headerless:
        replace_file(path, _frame(_SINGLE_HEADER, voices[0].unpacked))
        return
    filled = [*voices, *[INITIAL_VOICE] * (-len(voices) % BANK_VOICES)]
    bodies = [b"".join(v.packed for v in filled[i : i + BANK_VOICES]) for i in range(0, len(filled), BANK_VOICES)]
    replace_file(path, b"".join(body if headerless else _frame(_BANK_HEADER, body) for body in bodies))


def _frame(header: bytes, body: bytes) -> bytes:
    body = bytes(b & 0x7F for b in body)  # A headerless bank may have top bits set, which would end the message.
    return bytes([0xF0, _YAMAHA, _FIRST_CHANNEL]) + header + body + bytes([_checksum(body), 0xF7])


def _initial_parameters() -> NDArray[np.uint8]:
    operator = [99, 99, 99, 99, 99, 99, 99, 0, 39, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7]
    carrier = [*operator[:16], 99, *operator[17:]]
    pitch = [99, 99, 99, 99, 50, 50, 50, 50]
    return np.asarray([*operator * 5, *carrier, *pitch, 0, 0, 1, 35, 0, 0, 0, 1, 0, 3, 24], dtype=np.uint8)


INITIAL_VOICE = Voice.from_parameters(_initial_parameters(), "INIT VOICE")
