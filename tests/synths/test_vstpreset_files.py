"""VST3's preset files and JUCE's states: as the SDK and JUCE lay them out, byte for byte, and refused when damaged."""

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError
from synthproxy.synths.vstpreset import (
    Vst3Preset,
    juce_base64_decode,
    juce_base64_encode,
    juce_state_to_vstpreset,
    pack_vstpreset,
    read_vstpreset,
    unpack_vstpreset,
    vstpreset_to_juce_state,
    write_vstpreset,
)

FUZZED_FILES = 3000
ALPHABET = ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"

CLASS_ID = "0123456789ABCDEFfedcba9876543210"
PRESET = Vst3Preset(CLASS_ID, ((b"Comp", b"sound"), (b"Cont", b"view!!"), (b"Info", b"<x/>")))
PRESET_BYTES = b"".join([
    b"VST3", struct.pack("<i", 1), CLASS_ID.encode(), struct.pack("<q", 63),
    b"sound", b"view!!", b"<x/>",
    b"List", struct.pack("<i", 3),
    b"Comp", struct.pack("<qq", 48, 5),
    b"Cont", struct.pack("<qq", 53, 6),
    b"Info", struct.pack("<qq", 59, 4),
])  # fmt: skip

# The initial state of a VST3 build of Nekobi (DPF): the component as the plug-in gave it, the preset as the SDK's own
# writer stored it (through pedalboard), and the state as JUCE did (through DawDreamer).
NEKOBI_ID = "2046504473616C636B654E4400000000"
NEKOBI_COMPONENT = (
    b"__dpf_parameters_begin__\0waveform\x000\0tuning\x000\0cutoff\x0025\0resonance\x0025\0env_mod\x0050\0"
    b"decay\x0075\0accent\x0025\0volume\x0075\0__dpf_parameters_end__\0\xfe\0"
)
NEKOBI_FILE = b"".join([
    b"VST3\x01\x00\x00\x002046504473616C636B654E4400000000\xb5\x00\x00\x00\x00\x00\x00\x00",
    NEKOBI_COMPONENT,
    b"List\x02\x00\x00\x00",
    b"Comp0\x00\x00\x00\x00\x00\x00\x00\x85\x00\x00\x00\x00\x00\x00\x00",
    b"Cont\xb5\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
])  # fmt: skip
NEKOBI_STATE = (
    b'VC2!\x19\x01\x00\x00<?xml version="1.0" encoding="UTF-8"?> <VST3PluginState><IComponent>'
    b"133.e8EYvY1WvElbg0VYzUlby8kXkcVZt80W.bWX1UlYuIWa..C.zUmao41Y..C.iUGcuYlY.HSM.HWYy8lag41XkAfL0.PYtY2Ws8FY.TCL.PVYiEV"
    b"d.bSM.D1XiUlazAfL0.fcuwVcsUF.2TC.e8EYvY1WvElbg0VYzUlby8UYtQ1WeAf+.."
    b"</IComponent></VST3PluginState>\x00"
)

few = settings(deadline=None, max_examples=80)
contents = st.binary(max_size=400)


def juce_state(xml: str | bytes) -> bytes:
    text = xml.encode() if isinstance(xml, str) else xml
    return b"VC2!" + struct.pack("<I", len(text)) + text + b"\0"


def refused(read: Callable[[bytes], object], data: bytes) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def from_juce(state: bytes) -> Vst3Preset:
    return juce_state_to_vstpreset(state, CLASS_ID)


# Preset files


def test_packed_preset_has_the_bytes_of_the_sdk() -> None:
    assert pack_vstpreset(PRESET) == PRESET_BYTES
    assert unpack_vstpreset(PRESET_BYTES) == PRESET
    assert (PRESET.component, PRESET.controller) == (b"sound", b"view!!")


def test_file_of_the_sdk_own_writer_is_read_and_written_as_it_is() -> None:
    preset = unpack_vstpreset(NEKOBI_FILE)
    assert preset == Vst3Preset(NEKOBI_ID, ((b"Comp", NEKOBI_COMPONENT), (b"Cont", b"")))
    assert pack_vstpreset(preset) == NEKOBI_FILE


def test_list_and_blocks_may_lie_anywhere_in_the_file() -> None:
    entries = b"Cont" + struct.pack("<qq", 80, 2) + b"Comp" + struct.pack("<qq", 82, 3)
    head = b"VST3" + struct.pack("<i", 1) + CLASS_ID.encode() + struct.pack("<q", 90)
    data = (head + bytes(32) + b"ABCDE").ljust(90, b"?") + b"List" + struct.pack("<i", 2) + entries + b"rest"
    assert unpack_vstpreset(data) == Vst3Preset(CLASS_ID, ((b"Cont", b"AB"), (b"Comp", b"CDE")))


@few
@given(st.dictionaries(st.binary(min_size=4, max_size=4), contents, max_size=5))
def test_presets_come_back(blocks: dict[bytes, bytes]) -> None:
    preset = Vst3Preset(CLASS_ID, tuple(blocks.items()))
    assert unpack_vstpreset(pack_vstpreset(preset)) == preset


def test_files_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "a.vstpreset"
    write_vstpreset(path, PRESET)
    assert path.read_bytes() == PRESET_BYTES
    assert read_vstpreset(path) == PRESET
    path.write_bytes(PRESET_BYTES[:-1])
    missing = tmp_path / "none.vstpreset"
    for wrong, said in ((path, "cut short"), (missing, "cannot be read"), (tmp_path, "cannot be read")):
        with pytest.raises(InvalidInputError, match=f"^{wrong}: {said}"):
            read_vstpreset(wrong)


# JUCE's states


def independent_base64(data: bytes) -> str:
    number = int.from_bytes(data, "little")
    return f"{len(data)}." + "".join(ALPHABET[number >> 6 * i & 63] for i in range((len(data) * 8 + 5) // 6))


@few
@given(contents)
def test_base_64_packs_from_the_low_end_and_comes_back(data: bytes) -> None:
    text = juce_base64_encode(data)
    assert text == independent_base64(data)
    assert juce_base64_decode(text) == data
    assert juce_base64_decode(f" {text[:9]}\n{text[9:]}\t") == data


def test_state_that_juce_made_is_read_and_written_as_it_is() -> None:
    preset = juce_state_to_vstpreset(NEKOBI_STATE, NEKOBI_ID)
    assert preset == Vst3Preset(NEKOBI_ID, ((b"Comp", NEKOBI_COMPONENT),))
    assert vstpreset_to_juce_state(preset) == NEKOBI_STATE
    assert from_juce(NEKOBI_STATE[:-1]) == from_juce(NEKOBI_STATE)


@few
@given(contents, contents | st.none())
def test_states_come_back(component: bytes, controller: bytes | None) -> None:
    view = () if controller is None else ((b"Cont", controller),)
    preset = Vst3Preset(CLASS_ID, ((b"Comp", component), *view))
    state = vstpreset_to_juce_state(preset)
    assert from_juce(state) == preset
    assert int.from_bytes(state[4:8], "little") == len(state) - 9


def test_only_what_a_state_can_hold_is_put_into_it() -> None:
    state = vstpreset_to_juce_state(PRESET)
    assert from_juce(state).blocks == PRESET.blocks[:2]
    with pytest.raises(InvalidInputError, match="without the state of its component"):
        vstpreset_to_juce_state(Vst3Preset(CLASS_ID, ((b"Info", b""),)))


def test_megabytes_take_no_time_worth_mentioning() -> None:
    data = np.random.default_rng(0).bytes(3_000_000)
    preset = Vst3Preset(CLASS_ID, ((b"Comp", data),))
    assert from_juce(vstpreset_to_juce_state(preset)) == preset


# Damage


@pytest.mark.parametrize("whole", [PRESET_BYTES, NEKOBI_FILE])
def test_preset_cut_short_anywhere_is_refused(whole: bytes) -> None:
    for length in range(len(whole)):
        assert refused(unpack_vstpreset, whole[:length])


def test_state_cut_short_anywhere_is_refused() -> None:
    for length in range(len(NEKOBI_STATE) - 1):
        assert refused(from_juce, NEKOBI_STATE[:length])


@pytest.mark.parametrize(
    ("at", "replacement", "said"),
    [
        (0, b"VST2", "no VST3 preset"),
        (4, struct.pack("<i", 2), "version 2"),
        (8, b"G", "32 hexadecimal digits"),
        (8, b"\xff", "32 hexadecimal digits"),
        (40, struct.pack("<q", -1), "cut short or damaged"),
        (40, struct.pack("<q", 2**62), "cut short or damaged"),
        (40, struct.pack("<q", 62), "no list of blocks at byte 62"),
        (67, struct.pack("<i", -1), "cut short or damaged"),
        (67, struct.pack("<i", 2**31 - 1), "cut short or damaged"),
        (75, struct.pack("<q", -5), "cut short or damaged"),
        (83, struct.pack("<q", -5), "cut short or damaged"),
        (83, struct.pack("<q", 2**63 - 1), "cut short or damaged"),
        (91, b"Comp", "all different; got [b'Comp', b'Comp', b'Info']"),
    ],
)
def test_damaged_preset_is_refused_in_words(at: int, replacement: bytes, said: str) -> None:
    assert said in refused(unpack_vstpreset, PRESET_BYTES[:at] + replacement + PRESET_BYTES[at + len(replacement) :])


def test_wrong_ids_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="ids of four bytes"):
        Vst3Preset(CLASS_ID, ((b"Component", b""),))
    for wrong in ("", "0" * 31, "0" * 33, "0" * 31 + "g", "0" * 31 + "٣", "{" + "0" * 30 + "}"):
        with pytest.raises(InvalidInputError, match="32 hexadecimal digits"):
            juce_state_to_vstpreset(NEKOBI_STATE, wrong)


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("", "no XML"),
        ("hello", "no XML"),
        ("<VST3PluginState>", "no XML"),
        (b"<VST3PluginState>\xff</VST3PluginState>", "no XML"),
        ('<?xml version="1.0" encoding="UTF-16"?><VST3PluginState/>'.encode("utf-16"), "no XML"),
        ("<PluginState/>", "but <PluginState>"),
        ("<VST3PluginState/>", "holds nothing"),
        ("<VST3PluginState><IComponent/></VST3PluginState>", "base 64"),
        ("<VST3PluginState><IComponent>3.AA</IComponent></VST3PluginState>", "3 bytes in 2 characters"),
        ("<VST3PluginState><IComponent>AAAA</IComponent></VST3PluginState>", "base 64"),
        ("<VST3PluginState><IComponent>3.AA=A</IComponent></VST3PluginState>", "base 64"),
        ("<VST3PluginState><IComponent>-3.AAAA</IComponent></VST3PluginState>", "base 64"),
        ("<VST3PluginState><IComponent>٣.AAAA</IComponent></VST3PluginState>", "base 64"),
        ("<VST3PluginState><IComponent>" + "9" * 5000 + ".A</IComponent></VST3PluginState>", "base 64"),
        ("<VST3PluginState><IComponent>9999999999.A</IComponent></VST3PluginState>", "9999999999 bytes"),
        ('<!DOCTYPE a [<!ENTITY b "1.AA">]><VST3PluginState><IComponent>&b;</IComponent></VST3PluginState>', "declare"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><VST3PluginState/>', "declare"),
        ("<VST3PluginState><IComponent>&b;</IComponent></VST3PluginState>", "no XML"),
        ("<a>" * 20_000 + "</a>" * 20_000, "but <a>"),
    ],
)
def test_damaged_state_is_refused_in_words(xml: str | bytes, said: str) -> None:
    assert said in refused(from_juce, juce_state(xml))


def test_other_states_are_refused() -> None:
    assert "no state of a VST3 plug-in" in refused(from_juce, b"")
    assert "no state of a VST3 plug-in" in refused(from_juce, b"CcnK" + bytes(200))
    assert "cut short or damaged" in refused(from_juce, b"VC2!" + b"\xff" * 4 + b"<a/>")


def test_mutated_files_are_read_or_refused_and_nothing_else() -> None:
    source, read = Random(0), 0
    for number in range(FUZZED_FILES):
        whole, unpack = ((PRESET_BYTES, unpack_vstpreset), (NEKOBI_STATE, from_juce))[number % 2]
        data = bytearray(whole)
        for _ in range(source.randint(1, 3)):
            data[source.randrange(len(data))] = source.choice([0, 0x2E, 0x3C, 0x41, 0x7F, 0xFF, source.randrange(256)])
        try:
            preset = unpack(bytes(data))
        except InvalidInputError:
            continue
        read += 1
        assert unpack_vstpreset(pack_vstpreset(preset)) == preset
    assert FUZZED_FILES / 20 < read < FUZZED_FILES * 19 / 20
