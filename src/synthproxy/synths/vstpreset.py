"""VST3's preset files (``.vstpreset``), and the form in which hosts made with JUCE keep the state of a VST3 plug-in.

A preset file is a header with the plug-in's class id, blocks of bytes that only the plug-in understands, and a list of
where they are; the layout is that of the VST3 SDK (``vstpresetfile.cpp``), little-endian. JUCE keeps the same blocks as
XML in a base 64 of its own (``MemoryBlock::toBase64Encoding``, ``AudioProcessor::copyXmlToBinary``). Checked with VST3
builds of Nekobi and Kars: files that the SDK's own writer made (pedalboard) are read and written byte for byte, so are
states that JUCE made (DawDreamer and pedalboard), and both hosts load the files that are packed here.
"""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file

_HEADER = struct.Struct("<4si32sq")
"""Magic, version of the format, class id in ASCII, offset of the list."""

_LIST = struct.Struct("<4si")
_ENTRY = struct.Struct("<4sqq")
"""Id, offset and size of a block."""

_MAGIC, _LIST_ID = b"VST3", b"List"
_COMPONENT, _CONTROLLER = b"Comp", b"Cont"
_VERSION = 1

_JUCE_HEADER = struct.Struct("<4sI")
"""Magic, length of the XML."""

_JUCE_MAGIC = b"VC2!"
_XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?> '
_ALPHABET = np.frombuffer(b".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+", dtype=np.uint8)
_PLACE_VALUES = (1 << np.arange(6)).astype(np.uint8)


@dataclass(frozen=True)
class Vst3Preset:
    """A preset file.

    Args:
        class_id: 32 hexadecimal digits, the same on every system.
        blocks: id of four characters and content of every block, in the order of the file.
    """

    class_id: str
    blocks: tuple[tuple[bytes, bytes], ...]

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9A-Fa-f]{32}", self.class_id):
            raise InvalidInputError(f"the class id of a VST3 plug-in has 32 hexadecimal digits, got {self.class_id!r}")
        ids = [block_id for block_id, _ in self.blocks]
        if any(len(block_id) != 4 for block_id in ids) or len(set(ids)) != len(ids):
            raise InvalidInputError(f"the blocks of a VST3 preset have ids of four bytes, all different; got {ids}")

    @property
    def component(self) -> bytes | None:
        """State of what makes the sound."""
        return dict(self.blocks).get(_COMPONENT)

    @property
    def controller(self) -> bytes | None:
        """State of what is seen of it."""
        return dict(self.blocks).get(_CONTROLLER)


def pack_vstpreset(preset: Vst3Preset) -> bytes:
    """The bytes of a ``.vstpreset`` file."""
    position, entries = _HEADER.size, b""
    for block_id, content in preset.blocks:
        entries += _ENTRY.pack(block_id, position, len(content))
        position += len(content)
    header = _HEADER.pack(_MAGIC, _VERSION, preset.class_id.encode("ascii"), position)
    contents = b"".join(content for _, content in preset.blocks)
    return header + contents + _LIST.pack(_LIST_ID, len(preset.blocks)) + entries


def unpack_vstpreset(data: bytes) -> Vst3Preset:
    """The preset in a ``.vstpreset`` file.

    Raises:
        InvalidInputError: it is something else, cut short or damaged.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        raise InvalidInputError(f"no VST3 preset; it begins with {data[: len(_MAGIC)]!r}")
    _, version, class_id, list_offset = _HEADER.unpack(_cut(data, 0, _HEADER.size))
    if version != _VERSION:
        raise InvalidInputError(f"a VST3 preset of version {version}; only version {_VERSION} is known")
    list_id, count = _LIST.unpack(_cut(data, list_offset, _LIST.size))
    if list_id != _LIST_ID:
        raise InvalidInputError(f"damaged; there is no list of blocks at byte {list_offset}")
    entries = _ENTRY.iter_unpack(_cut(data, list_offset + _LIST.size, count * _ENTRY.size))
    blocks = tuple((block_id, _cut(data, offset, size)) for block_id, offset, size in entries)
    return Vst3Preset(class_id.decode("ascii", errors="replace"), blocks)


def read_vstpreset(path: Path) -> Vst3Preset:
    """Read a ``.vstpreset`` file.

    Raises:
        InvalidInputError: it is missing, something else, cut short or damaged.
    """
    try:
        return unpack_vstpreset(path.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def write_vstpreset(path: Path, preset: Vst3Preset) -> None:
    """Write a ``.vstpreset`` file."""
    replace_file(path, pack_vstpreset(preset))


def juce_state_to_vstpreset(state: bytes, class_id: str) -> Vst3Preset:
    """A preset of the state that a host made with JUCE (DawDreamer, pedalboard) saved of a VST3 plug-in.

    Raises:
        InvalidInputError: it is no such state, or the class id is none.
    """
    root = _juce_xml(state)
    found = ((block_id, root.findtext(tag)) for block_id, tag in _TAGS.items())
    blocks = tuple((block_id, juce_base64_decode(text)) for block_id, text in found if text is not None)
    if not blocks:
        raise InvalidInputError("the state of a VST3 plug-in that holds nothing")
    return Vst3Preset(class_id, blocks)


def vstpreset_to_juce_state(preset: Vst3Preset) -> bytes:
    """The preset in the form that hosts made with JUCE load as the state of a VST3 plug-in.

    Raises:
        InvalidInputError: it has no component state.
    """
    if preset.component is None:
        raise InvalidInputError("a VST3 preset without the state of its component")
    states = dict(preset.blocks)
    elements = (
        f"<{tag}>{juce_base64_encode(states[block_id])}</{tag}>"
        for block_id, tag in _TAGS.items()
        if block_id in states
    )
    text = f"{_XML_DECLARATION}<{_ROOT}>{''.join(elements)}</{_ROOT}>".encode("ascii")
    return _JUCE_HEADER.pack(_JUCE_MAGIC, len(text)) + text + b"\0"


_ROOT = "VST3PluginState"
_TAGS = {_COMPONENT: "IComponent", _CONTROLLER: "IEditController"}


def juce_base64_encode(data: bytes) -> str:
    """JUCE's base 64: the size, a dot, and a character for every six bits, the lowest first."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    sextets = np.pad(bits, (0, -len(bits) % 6)).reshape(-1, 6) @ _PLACE_VALUES
    return f"{len(data)}.{_ALPHABET[sextets].tobytes().decode('ascii')}"


def juce_base64_decode(text: str) -> bytes:
    """The inverse of :func:`juce_base64_encode`; white space is passed over.

    Raises:
        InvalidInputError: it is something else, or cut short.
    """
    size, dot, rest = "".join(text.split()).partition(".")
    if not dot or not re.fullmatch("[0-9]{1,10}", size) or not re.fullmatch("[.A-Za-z0-9+]*", rest):
        raise InvalidInputError("damaged; no base 64 as JUCE writes it")
    if len(rest) != -(-int(size) * 8 // 6):
        raise InvalidInputError(f"damaged; {size} bytes in {len(rest)} characters")
    places = np.zeros(256, dtype=np.uint8)
    places[_ALPHABET] = np.arange(len(_ALPHABET))
    sextets = places[np.frombuffer(rest.encode("ascii"), dtype=np.uint8)]
    bits = np.unpackbits(sextets[:, None], axis=1, count=6, bitorder="little").ravel()[: int(size) * 8]
    return np.packbits(bits, bitorder="little").tobytes()


def _juce_xml(state: bytes) -> ElementTree.Element:
    if state[: len(_JUCE_MAGIC)] != _JUCE_MAGIC:
        raise InvalidInputError(f"no state of a VST3 plug-in; it begins with {state[: len(_JUCE_MAGIC)]!r}")
    _, size = _JUCE_HEADER.unpack(_cut(state, 0, _JUCE_HEADER.size))
    try:
        text = _cut(state, _JUCE_HEADER.size, size).decode("utf8")
        # Entities, which can grow without bounds or name files, need a declaration, and JUCE writes none.
        if "<!" in text:
            raise InvalidInputError("the state of a VST3 plug-in must not declare anything in its XML")
        root = ElementTree.fromstring(text.rstrip("\0"))
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise InvalidInputError(f"damaged; the state of a VST3 plug-in holds no XML ({error})") from error
    if root.tag != _ROOT:
        raise InvalidInputError(f"no state of a VST3 plug-in, but <{root.tag[:40]}>")
    return root


def _cut(data: bytes, start: int, size: int) -> bytes:
    if start < 0 or size < 0 or start + size > len(data):
        raise InvalidInputError(f"cut short or damaged; {size} bytes expected at byte {start}, {len(data)} in all")
    return data[start : start + size]
