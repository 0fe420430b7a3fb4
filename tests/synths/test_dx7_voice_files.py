"""DX7 voices in files: read as dexed-py reads them, written without loss, and refused when damaged."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from dexed import Patch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synthproxy.errors import InvalidInputError
from synthproxy.synths.dx7_voice import (
    INITIAL_VOICE,
    MAXIMA,
    Voice,
    read_voices,
    unpack_parameters,
    write_voices,
)
from synthproxy.synths.packed_voices import read_packed_voices

FUZZED_FILES = 3000
FUZZED_ARCHIVES = 600
SINGLE_HEADER = bytes.fromhex("F0 43 00 00 01 1B")
BANK_HEADER = bytes.fromhex("F0 43 00 09 20 00")
OTHER_MESSAGE = bytes.fromhex("F0 7E 7F 06 01 F7")
PARAMETER_CHANGE = bytes.fromhex("F0 43 10 01 05 40 F7")
USED_BITS = (*(*(0x7F,) * 11, 0x0F, 0x7F, 0x1F, 0x7F, 0x3F, 0x7F) * 6, *(0x7F,) * 8, 0x1F, 0x0F, *(0x7F,) * 16)
"""Bits of each packed byte that mean something."""

few = settings(deadline=None, max_examples=60)
packed_bytes = st.binary(min_size=128, max_size=128)
seven_bit_names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=10)
parameter_rows = hnp.arrays(np.uint64, 145, elements=st.integers(0, 10**6)).map(
    lambda numbers: (numbers % (MAXIMA.astype(np.uint64) + 1)).astype(np.uint8)
)


def voices_of(seed: int, count: int) -> list[Voice]:
    rows = (np.random.default_rng(seed).random((count, 145)) * (MAXIMA.astype(int) + 1)).astype(np.uint8)
    return [Voice.from_parameters(row, f"VOICE {i}") for i, row in enumerate(rows)]


def written(path: Path, voices: list[Voice], **options: bool) -> bytes:
    write_voices(path, voices, **options)
    return path.read_bytes()


def single(path: Path) -> bytes:
    return written(path, voices_of(0, 1))


def bank(path: Path) -> bytes:
    return written(path, voices_of(1, 32))


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(InvalidInputError) as caught:
        read_voices(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "voices.syx"


# The formats


def test_single_dump_has_the_bytes_of_the_manual(path: Path) -> None:
    data = single(path)
    assert len(data) == 163
    assert data[:6] == SINGLE_HEADER
    assert data[6:161] == voices_of(0, 1)[0].unpacked
    assert (sum(data[6:161]) + data[161]) % 128 == 0
    assert data[162] == 0xF7


def test_bank_has_the_bytes_of_the_manual(path: Path) -> None:
    data = bank(path)
    assert len(data) == 4104
    assert data[:6] == BANK_HEADER
    assert data[6:4102] == b"".join(v.packed for v in voices_of(1, 32))
    assert (sum(data[6:4102]) + data[4102]) % 128 == 0
    assert data[4103] == 0xF7


def test_headerless_bank_is_the_bank_without_its_frame(path: Path) -> None:
    assert written(path, voices_of(1, 32), headerless=True) == bank(path)[6:4102]


@pytest.mark.parametrize(("count", "headerless"), [(1, False), (32, False), (64, False), (32, True), (64, True)])
def test_what_is_read_and_written_again_is_the_same_file(path: Path, count: int, headerless: bool) -> None:
    first = written(path, voices_of(2, count), headerless=headerless)
    assert written(path, read_voices(path), headerless=headerless) == first


def test_short_bank_is_filled_with_the_initial_voice(path: Path) -> None:
    for count, total in ((2, 32), (33, 64)):
        write_voices(path, voices_of(3, count))
        found = read_voices(path)
        assert len(found) == total
        assert [v.packed for v in found[:count]] == [v.packed for v in voices_of(3, count)]
        assert {v.packed for v in found[count:]} == {INITIAL_VOICE.packed}


def test_nothing_to_write_is_refused_and_writes_nothing(path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no voices"):
        write_voices(path, [])
    assert not path.exists()


@few
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_headerless_banks_keep_every_stray_bit(tmp_path_factory: pytest.TempPathFactory, seed: int, banks: int) -> None:
    data = b"\x7f" + np.random.default_rng(seed).bytes(banks * 4096 - 1)  # 0xF0 would begin a message.
    path = tmp_path_factory.mktemp("bank") / "raw.syx"
    path.write_bytes(data)
    voices = read_voices(path)
    assert len(voices) == banks * 32
    assert b"".join(v.packed for v in voices) == data
    assert written(path, voices, headerless=True) == data


@few
@given(st.lists(packed_bytes, min_size=1, max_size=3))
def test_stray_bits_in_a_frame_never_make_it_unreadable(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("bank") / "framed.syx"
    voices = [Voice(body) for body in bodies]
    write_voices(path, voices)
    found = read_voices(path)[: len(voices)]
    for before, after in zip(voices, found, strict=True):
        np.testing.assert_array_equal(after.parameters, before.parameters)
        assert after.name == before.name
    if len(bodies) > 1:  # As one, a voice is unpacked, and its stray bits have no place.
        assert [v.packed for v in found] == [bytes(b & 0x7F for b in body) for body in bodies]


# Agreement with dexed-py


@few
@given(packed_bytes)
def test_packed_voice_is_what_dexed_py_reads(body: bytes) -> None:
    theirs = np.frombuffer(Patch.from_packed(bytes(b & 0x7F for b in body)).to_sysex(), dtype=np.uint8)[:145]
    pitch = slice(126, 134)  # dexed-py rescales these when they are out of range, where the manual says nothing.
    valid = (np.frombuffer(body, dtype=np.uint8)[102:110] & 0x7F) <= 99
    ours = Voice(body).parameters
    np.testing.assert_array_equal(np.delete(ours, np.r_[pitch]), np.delete(theirs, np.r_[pitch]))
    np.testing.assert_array_equal(ours[pitch][valid], theirs[pitch][valid])
    np.testing.assert_array_equal(unpack_parameters(np.frombuffer(body, dtype=np.uint8)[None])[0], ours)


@few
@given(parameter_rows, seven_bit_names)
def test_packing_is_what_dexed_py_packs_and_unpacking_undoes_it(row: np.ndarray, name: str) -> None:
    voice = Voice.from_parameters(row, name)
    assert voice.packed == Patch.from_sysex(voice.unpacked).to_packed()
    assert Voice(voice.packed).unpacked == voice.unpacked
    np.testing.assert_array_equal(voice.parameters, row)
    assert voice.name == name.rstrip()


def test_bank_is_what_dexed_py_loads(path: Path) -> None:
    bank(path)
    patches = Patch.load_bank(str(path))
    ours = read_voices(path)
    assert [v.packed for v in ours] == [p.to_packed() for p in patches]
    assert [v.name for v in ours] == [p.name.rstrip() for p in patches]


def test_bank_written_by_dexed_py_is_read_as_it_is(path: Path) -> None:
    patches = [Patch.from_sysex(v.unpacked) for v in voices_of(4, 32)]
    Patch.save_to_bank(str(path), patches)
    assert [v.unpacked for v in read_voices(path)] == [v.unpacked for v in voices_of(4, 32)]


def test_names_are_ten_printable_characters(path: Path) -> None:
    row = voices_of(0, 1)[0].parameters
    for given_name, kept in {
        "E.PIANO 1": "E.PIANO 1",
        "a name too long": "a name too",
        "Flöte": "Fl?te",
        "": "",
    }.items():
        write_voices(path, [Voice.from_parameters(row, given_name)])
        assert read_voices(path)[0].name == kept
    assert Voice(row.tobytes() + bytes(range(5)) + b"AB\x7f  ").name == "?????AB?"


# Files of several messages, and foreign ones


def test_all_dumps_of_a_file_are_read_in_order_and_other_messages_passed_over(path: Path) -> None:
    data = OTHER_MESSAGE + single(path) + PARAMETER_CHANGE + bank(path) + OTHER_MESSAGE + single(path)
    path.write_bytes(data)
    found = read_voices(path)
    expected = [*voices_of(0, 1), *voices_of(1, 32), *voices_of(0, 1)]
    assert [v.parameters.tolist() for v in found] == [v.parameters.tolist() for v in expected]
    assert [v.origin for v in found] == [f"voices.syx:{i}" for i in range(1, 35)]


@pytest.mark.parametrize("channel", range(16))
def test_dump_of_any_channel_is_read(path: Path, channel: int) -> None:
    data = bytearray(single(path))
    data[2] = channel
    path.write_bytes(data)
    assert read_voices(path)[0].unpacked == voices_of(0, 1)[0].unpacked


def test_file_of_foreign_messages_only_is_refused(path: Path) -> None:
    assert "no DX7 voice dump" in refused(path, OTHER_MESSAGE * 3)
    assert "no DX7 voice dump" in refused(path, PARAMETER_CHANGE)
    assert "no DX7 voice dump" in refused(path, bytes.fromhex("F0 F7"))
    other_kind = bytearray(single(path))
    other_kind[2] = 0x10  # Yamaha's, and as long as a dump, but a parameter change.
    assert "no DX7 voice dump" in refused(path, bytes(other_kind))


# Damage


@pytest.mark.parametrize("make", [single, bank])
def test_wrong_checksum_is_refused_but_can_be_ignored(path: Path, make: Callable[[Path], bytes]) -> None:
    data = bytearray(make(path))
    right = [v.raw for v in read_voices(path)]
    data[-2] ^= 1
    said = refused(path, bytes(data))
    assert "checksum" in said
    assert "--ignore-checksum" in said
    assert [v.raw for v in read_voices(path, ignore_checksum=True)] == right


def test_single_dump_cut_short_anywhere_is_refused(path: Path) -> None:
    data = single(path)
    for length in range(len(data)):
        assert refused(path, data[:length])


def test_bank_cut_short_anywhere_is_refused(path: Path) -> None:
    data = bank(path)
    for length in [*range(0, len(data), 61), 4095, 4096, 4102, 4103]:
        assert refused(path, data[:length])
    for length in [1, 127, 128, 4095]:
        assert "not a DX7 file" in refused(path, data[6 : 6 + length])


def test_a_whole_message_with_bytes_missing_or_added_is_refused(path: Path) -> None:
    data = single(path)
    for damaged in (data[:50] + data[51:], data[:50] + b"\x00" + data[50:]):
        assert "damaged" in refused(path, damaged)
    assert "top bit" in refused(path, data[:50] + b"\x80" + data[51:])


def test_missing_file_folder_and_empty_file_are_refused(path: Path) -> None:
    for wrong in (path, path.parent):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_voices(wrong)
    assert "empty" in refused(path, b"")


def mutated(data: bytes, source: Random) -> bytes:
    """The bytes with some of them changed, cut out, doubled or cut off."""
    out = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at, other = source.randrange(len(out)), source.randrange(len(out))
        kind = source.randrange(6)
        if kind < 3:
            out[at] = source.choice([0, 0x43, 0x7F, 0x80, 0xF0, 0xF7, source.randrange(256)])
        elif kind == 3:
            del out[at : at + source.randint(1, 200)]
        elif kind == 4:
            out[at:at] = out[other : other + 200]
        else:
            out = out[: at + 1]
        if not out:
            break
    return bytes(out)


def fuzz_voice_files(folder: Path, files: int, seed: int = 0) -> tuple[int, int]:
    """Read mutated files; how many were read and how many refused. Any other outcome is an exception."""
    path = folder / "fuzzed.syx"
    healthy = [single(path), bank(path), single(path) + OTHER_MESSAGE + single(path)]
    healthy.append(written(path, voices_of(1, 32), headerless=True))
    source = Random(seed)
    read = 0
    for number in range(files):
        path.write_bytes(mutated(healthy[number % len(healthy)], source))
        try:
            voices = read_voices(path, ignore_checksum=bool(number % 3))
        except InvalidInputError:
            continue
        read += 1
        for voice in voices[:: max(1, len(voices) - 1)]:
            assert (voice.parameters <= MAXIMA).all()
            assert len(voice.packed) == 128
            assert voice.name.isprintable()
    return read, files - read


def test_mutated_voice_files_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    read, refusals = fuzz_voice_files(tmp_path, FUZZED_FILES)
    assert read > FUZZED_FILES / 20
    assert refusals > FUZZED_FILES / 20


def fuzz_archives(folder: Path, files: int, seed: int = 0) -> tuple[int, int]:
    """The same for archives of packed voices, stored and compressed."""
    path = folder / "fuzzed.npz"
    packed = np.frombuffer(b"".join(v.packed for v in voices_of(5, 4)), dtype=np.uint8).reshape(4, 128)
    healthy = []
    for save in (np.savez, np.savez_compressed):
        save(path, packed=packed, source=np.asarray(["a", "b", "c", "d"]))
        healthy.append(path.read_bytes())
    generator = np.random.default_rng(seed)
    read = 0
    for number in range(files):
        data = bytearray(healthy[number % 2])
        for at in generator.integers(len(data), size=3):
            data[at] = generator.integers(256)
        path.write_bytes(data if number % 5 else data[: generator.integers(len(data))])
        try:
            found, sources = read_packed_voices(path)
        except InvalidInputError:
            continue
        read += 1
        assert found.shape == (len(sources), 128)
    return read, files - read


def test_mutated_archives_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    read, refusals = fuzz_archives(tmp_path, FUZZED_ARCHIVES)
    assert read
    assert refusals > FUZZED_ARCHIVES / 2


# Voices that people made


def test_real_voices_survive_unpacking_and_packing(shared_folder: Path) -> None:
    with np.load(shared_folder / "data" / "dx7_voices.npz") as archive:
        packed = archive["packed"][archive["strictly_valid"]][::8]
    assert len(packed) > 3000
    tidy = 0
    for body in map(bytes, packed):
        voice = Voice(body)
        assert voice.packed == body
        again = Voice(voice.unpacked).packed
        assert again == Patch.from_sysex(voice.unpacked).to_packed()
        assert again == bytes(b & used for b, used in zip(body, USED_BITS, strict=True))
        tidy += again == body
    assert tidy > 0.9 * len(packed)
