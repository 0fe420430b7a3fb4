"""VST2's containers: byte for byte as the SDK lays them out, refused when damaged, and taken by real plug-ins."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.synths.fxp import (
    Bank,
    Program,
    pack_program,
    program_from_state,
    read_fxp,
    unpack_bank,
    unpack_program,
    write_fxp,
)
from synthproxy.synths.plugin_files import find_plugin
from synthproxy.synths.plugin_process import PluginProcess, start_plugin

FUZZED_FILES = 3000
SINGLE_PRECISION = 1e-6
IDS = {"amsynth_vst.so": b"amsy", "Nekobi-vst.so": b"DNek", "Kars-vst.so": b"DKrs"}
"""Plug-ins that Debian has (amsynth, dpf-plugins-vst), and the ids in their source."""

few = settings(deadline=None, max_examples=80)
ids = st.binary(min_size=4, max_size=4)
numbers = st.integers(0, 2**32 - 1)
names = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), max_size=27)
values = st.lists(st.floats(0, 1, width=32), max_size=60).map(tuple)

VALUES = Program(b"abcd", 7, "Name", (0.0, 1.0, 0.25), 3)
STATE = Program(b"abcd", 7, "Name", b"\x01\x02\x03\x04\x05", 3)
VALUES_BYTES = b"".join([
    b"CcnK", struct.pack(">I", 60), b"FxCk", struct.pack(">I", 1), b"abcd", struct.pack(">II", 7, 3),
    b"Name" + bytes(24), struct.pack(">fff", 0.0, 1.0, 0.25),
])  # fmt: skip
STATE_BYTES = b"".join([
    b"CcnK", struct.pack(">I", 57), b"FPCh", struct.pack(">I", 1), b"abcd", struct.pack(">II", 7, 3),
    b"Name" + bytes(24), struct.pack(">I", 5), b"\x01\x02\x03\x04\x05",
])  # fmt: skip


def bank_bytes(kind: bytes, count: int, content: bytes, version: int = 2, current: int = 1) -> bytes:
    """A bank with zero for its length, as JUCE writes it."""
    header = b"CcnK" + bytes(4) + kind + struct.pack(">I", version) + b"abcd" + struct.pack(">II", 7, count)
    return header + struct.pack(">I", current) + bytes(124) + content


OTHER_BYTES = VALUES_BYTES.replace(b"Name", b"Else").replace(struct.pack(">f", 0.25), struct.pack(">f", 0.5))
BANK_BYTES = bank_bytes(b"FxBk", 2, OTHER_BYTES + VALUES_BYTES)
STATE_BANK_BYTES = bank_bytes(b"FBCh", 128, struct.pack(">I", 5) + b"\x01\x02\x03\x04\x05")


def refused(read: Callable[[bytes], object], data: bytes) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The formats


def test_packed_presets_have_the_bytes_of_the_sdk() -> None:
    assert pack_program(VALUES) == VALUES_BYTES
    assert pack_program(STATE) == STATE_BYTES
    assert unpack_program(VALUES_BYTES) == VALUES
    assert unpack_program(STATE_BYTES) == STATE


def test_banks_of_both_kinds_are_read() -> None:
    bank = unpack_bank(BANK_BYTES)
    assert (bank.plugin_id, bank.plugin_version, bank.current) == (b"abcd", 7, 1)
    assert [p.name for p in bank.content if isinstance(p, Program)] == ["Else", "Name"]
    assert bank.content[1] == VALUES
    assert unpack_bank(STATE_BANK_BYTES) == Bank(b"abcd", 7, STATE.content, 1)


def test_number_of_the_current_preset_counts_from_the_second_version_on() -> None:
    assert unpack_bank(bank_bytes(b"FxBk", 1, VALUES_BYTES, version=1, current=9)).current == 0
    said = refused(unpack_bank, bank_bytes(b"FxBk", 1, VALUES_BYTES, version=2, current=1))
    assert said == "a VST2 bank of 1 presets has number 1 in use"
    assert "0 presets" in refused(unpack_bank, bank_bytes(b"FxBk", 0, b"", current=0))


@few
@given(ids, numbers, names, values)
def test_presets_of_values_come_back(plugin_id: bytes, version: int, name: str, content: tuple[float, ...]) -> None:
    program = Program(plugin_id, version, name, content, len(content))
    packed = pack_program(program)
    assert unpack_program(packed) == program
    assert len(packed) == 8 + int.from_bytes(packed[4:8], "big") == 56 + 4 * len(content)


@few
@given(ids, numbers, names, st.binary(max_size=300), numbers)
def test_presets_of_states_come_back(plugin_id: bytes, version: int, name: str, content: bytes, count: int) -> None:
    program = Program(plugin_id, version, name, content, count)
    packed = pack_program(program)
    assert unpack_program(packed) == program
    assert len(packed) == 8 + int.from_bytes(packed[4:8], "big") == 60 + len(content)


def test_names_are_cut_at_27_bytes_and_never_inside_a_character() -> None:
    for name, kept in {
        "a" * 40: "a" * 27,
        "a" * 26 + "ö": "a" * 26,
        "Flöte 1": "Flöte 1",
        "a\0b": "ab",
        "\ud800": "?",
        "tab\there": "tab?here",
    }.items():
        packed = pack_program(Program(b"abcd", 0, name, (), 0))
        assert len(packed) == 56
        assert packed[55] == 0
        assert unpack_program(packed).name == kept
    noise = VALUES_BYTES.replace(b"Name" + bytes(24), b"Name\0garbage after the end..")
    assert unpack_program(noise) == VALUES


def test_wrong_length_in_the_header_and_bytes_after_the_end_are_let_pass() -> None:
    for data in (VALUES_BYTES, STATE_BYTES):
        for length in (bytes(4), b"\xff" * 4):
            assert unpack_program(data[:4] + length + data[8:] + b"\0\0") == unpack_program(data)


def test_state_of_a_host_becomes_a_preset_of_the_given_name() -> None:
    assert program_from_state(STATE_BANK_BYTES, "Mine", 41) == Program(b"abcd", 7, "Mine", STATE.content, 41)
    assert program_from_state(STATE_BYTES, "Mine", 3) == Program(b"abcd", 7, "Mine", STATE.content, 3)
    for state in (BANK_BYTES, VALUES_BYTES):
        assert program_from_state(state, "Mine", 3) == Program(b"abcd", 7, "Mine", VALUES.content, 3)
    for nothing in (b"", b"VC2!", bytes(200)):
        assert "no VST2 preset" in refused(lambda data: program_from_state(data, "Mine", 3), nothing)


def test_files_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "a.fxp"
    write_fxp(path, STATE)
    assert path.read_bytes() == STATE_BYTES
    assert read_fxp(path) == STATE
    path.write_bytes(STATE_BYTES[:-1])
    for wrong, said in ((path, "cut short"), (tmp_path / "none.fxp", "cannot be read"), (tmp_path, "cannot be read")):
        with pytest.raises(InvalidInputError, match=f"^{wrong}: {said}"):
            read_fxp(wrong)


# Damage


@pytest.mark.parametrize(
    ("read", "whole"),
    [
        (unpack_program, VALUES_BYTES),
        (unpack_program, STATE_BYTES),
        (unpack_bank, BANK_BYTES),
        (unpack_bank, STATE_BANK_BYTES),
    ],
)
def test_what_is_cut_short_anywhere_is_refused(read: Callable[[bytes], object], whole: bytes) -> None:
    for length in range(len(whole)):
        assert refused(read, whole[:length])


def test_other_files_and_the_wrong_kind_are_refused_in_words() -> None:
    assert "no VST2 preset" in refused(unpack_program, b"")
    assert "no VST2 preset" in refused(unpack_program, np.random.default_rng(0).bytes(500))
    assert "the unknown kind b'XxXx'" in refused(unpack_program, VALUES_BYTES.replace(b"FxCk", b"XxXx"))
    assert "a bank of a VST2 plug-in; expected a preset" in refused(unpack_program, BANK_BYTES)
    assert "a preset of a VST2 plug-in; expected a bank" in refused(unpack_bank, STATE_BYTES)
    assert "expected a preset" in refused(unpack_bank, bank_bytes(b"FxBk", 1, STATE_BANK_BYTES))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.001, 1.001, 1e30])
def test_values_that_no_parameter_can_have_are_refused(value: float) -> None:
    assert "parameter 2 of a VST2 preset must lie in" in refused(
        unpack_program, VALUES_BYTES[:-4] + struct.pack(">f", value)
    )
    with pytest.raises(InvalidInputError, match="must lie in"):
        Program(b"abcd", 0, "", (value,), 1)


def test_counts_and_sizes_that_do_not_fit_are_refused_at_once() -> None:
    huge = struct.pack(">I", 0xFFFFFFFF)
    assert "cut short" in refused(unpack_program, VALUES_BYTES[:24] + huge + VALUES_BYTES[28:])
    assert "cut short" in refused(unpack_program, STATE_BYTES[:56] + huge + STATE_BYTES[60:])
    assert "no VST2 preset" in refused(unpack_bank, BANK_BYTES[:24] + huge + BANK_BYTES[28:])
    assert "four bytes" in refused(lambda _: Program(b"abc", 0, "", (), 0), b"")
    assert "2 values" in refused(lambda _: Program(b"abcd", 0, "", (0.0, 0.0), 3), b"")


def test_mutated_files_are_read_or_refused_and_nothing_else() -> None:
    source, read = Random(0), 0
    wholes = (VALUES_BYTES, STATE_BYTES, BANK_BYTES, STATE_BANK_BYTES)
    for number in range(FUZZED_FILES):
        data = bytearray(wholes[number % 4])
        for _ in range(source.randint(1, 3)):
            data[source.randrange(len(data))] = source.choice([0, 1, 0x3F, 0x7F, 0xFF, source.randrange(256)])
        try:
            program = program_from_state(bytes(data[: source.choice([len(data), source.randrange(len(data))])]), "", 3)
        except InvalidInputError:
            continue
        read += 1
        assert unpack_program(pack_program(program)) == program
    assert FUZZED_FILES / 10 < read < FUZZED_FILES * 9 / 10


# Real plug-ins


@pytest.fixture
def start() -> Iterator[Callable[[str], PluginProcess]]:
    """Load an installed plug-in; skips where there is none."""
    pytest.importorskip("dawdreamer", reason="plug-ins are played by DawDreamer: pip install dawdreamer")
    started = []

    def start_one(file: str) -> PluginProcess:
        try:
            started.append(start_plugin(find_plugin(file, [file]), 32_000, 30.0))
        except UnavailableError as error:
            pytest.skip(f"{error} (Debian: apt install amsynth dpf-plugins-vst)")
        return started[-1]

    yield start_one
    for process in started:
        process.close()


@pytest.mark.parametrize(("file", "plugin_id"), IDS.items())
def test_plugin_takes_presets_of_values_and_of_its_state_and_banks(
    start: Callable[[str], PluginProcess], file: str, plugin_id: bytes
) -> None:
    plugin = start(file)
    indices = list(range(len(plugin.names)))
    wanted = np.random.default_rng(5).choice([0.0, 1.0], len(indices))  # Switches have these values only.
    state = plugin.state(indices, wanted)
    program = program_from_state(state, "Mine", len(indices))
    assert program.plugin_id == plugin_id
    of_values = Program(program.plugin_id, program.plugin_version, "Mine", tuple(wanted), len(indices))
    if isinstance(program.content, tuple):
        assert program == of_values
    # amsynth reads its state on to the next zero byte.
    for data in (pack_program(program) + b"\0", pack_program(of_values), state + b"\0"):
        plugin.state(indices, 1 - wanted)
        np.testing.assert_allclose(plugin.load(data, ".fxp"), wanted, atol=SINGLE_PRECISION)
