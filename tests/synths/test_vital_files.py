"""Presets of Vital in files: kept whole through reading and writing, and refused when they are something else."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError
from synthproxy.synths.vital_file import SLOTS, Connection, VitalFile, read_collection, read_vital, write_vital

FUZZED_FILES = 1200
DEFAULTS = {"osc_1_level": 0.7, "osc_1_on": 1.0, "volume": 5473.0}
few = settings(deadline=None, max_examples=60)

numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.builds(
    lambda outside, inside: {**outside, "settings": {**inside, "osc_1_level": 0.5}},
    st.dictionaries(st.text(), json_values, max_size=4),
    st.dictionaries(st.text(), json_values, max_size=4),
)


def exactly(document: Any) -> str:
    """A form in which 1, 1.0 and True, and the order of names, are told apart."""
    return repr(document)


def refused(path: Path, data: bytes, read: Callable[[Path], Any] = read_vital) -> str:
    path.write_bytes(data)
    with pytest.raises(InvalidInputError) as caught:
        read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def new_file() -> VitalFile:
    return VitalFile.initial(DEFAULTS, [Connection("env_2", "filter_1_cutoff")], "new")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "preset.vital"


# Nothing is lost


@few
@given(documents)
def test_what_is_read_and_written_again_is_the_same_document(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("vital") / "any.vital"
    path.write_text(json.dumps(document), encoding="utf8")
    write_vital(path, read_vital(path))
    assert exactly(json.loads(path.read_text(encoding="utf8"))) == exactly(document)


@few
@given(documents, st.dictionaries(st.sampled_from(["osc_1_level", "volume", "new"]), numbers), st.text())
def test_a_change_leaves_all_else_as_it_was(document: dict[str, Any], changes: dict[str, float], name: str) -> None:
    before = exactly(document)
    after = json.loads(VitalFile(document).changed(changes, name=name).to_json())
    assert exactly(document) == before
    expected = {**document, "settings": {**document["settings"], **changes}, "preset_name": name}
    assert exactly(after) == exactly(expected)


def test_a_new_preset_has_what_vital_wants_to_find(path: Path) -> None:
    write_vital(path, new_file())
    document = json.loads(path.read_text(encoding="utf8"))
    inside = document["settings"]
    assert document["preset_name"] == "new"
    assert len(inside["modulations"]) == SLOTS
    assert inside["modulations"][0] == {"source": "env_2", "destination": "filter_1_cutoff"}
    assert inside["modulations"][1] == {"source": "", "destination": ""}
    assert (len(inside["wavetables"]), len(inside["lfos"]), inside["sample"]["length"]) == (3, 8, 44_100)
    assert {name: inside[name] for name in DEFAULTS} == DEFAULTS


def test_connections_are_those_of_the_file_in_their_order(path: Path) -> None:
    given_ones = [Connection("lfo_1", "osc_1_tune"), Connection(), Connection("env_2", "volume")]
    write_vital(path, new_file().changed({}, given_ones))
    found = read_vital(path).connections
    assert list(found[:3]) == given_ones
    assert [bool(c) for c in found] == [True, False, True] + [False] * 61


def test_settings_that_are_missing_take_their_defaults(path: Path) -> None:
    path.write_text('{"settings": {"osc_1_level": 1, "unknown": "kept"}}', encoding="utf8")
    assert read_vital(path).settings(DEFAULTS) == {**DEFAULTS, "osc_1_level": 1.0}
    assert read_vital(path).connections == ()
    assert read_vital(path).name == ""


# Collections


def test_a_collection_is_read_plain_and_compressed(tmp_path: Path) -> None:
    rows = [
        {"path": "A/B/Soft Pad.vital", "version": "1.0.7", "settings": {"volume": 1.0}, "style": "Pad"},
        {"settings": {"volume": 2.0}, "modulations": [{"source": "lfo_1", "destination": "volume"}]},
    ]
    text = json.dumps(rows).encode()
    (tmp_path / "some.json").write_bytes(text)
    (tmp_path / "some.json.gz").write_bytes(gzip.compress(text))
    for name in ("some.json", "some.json.gz"):
        first, second = read_collection(tmp_path / name)
        assert (first.name, first.origin) == ("Soft Pad", f"{name}:1 A/B/Soft Pad.vital")
        assert first.settings(DEFAULTS)["volume"] == 1.0
        assert second.connections == (Connection("lfo_1", "volume"),)


def test_damaged_collections_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps([{"settings": {"volume": 1.0}}] * 50).encode())
    path = tmp_path / "some.json.gz"
    for data in (b"", b"[]", whole[:10], whole[:-9], whole[:20] + b"\x00\x00" + whole[22:], gzip.compress(b"[[1]]")):
        refused(path, data, read_collection)
    plain = tmp_path / "some.json"
    for text in ('{"settings": {}}', "[]", "[1]", '[{"settings": 3}]', "[", "null"):
        refused(plain, text.encode(), read_collection)
    for wrong in (tmp_path, tmp_path / "absent.json.gz"):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_collection(wrong)


# What is no preset


def test_missing_file_folder_and_empty_file_are_refused(path: Path) -> None:
    for wrong in (path, path.parent):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_vital(wrong)
    assert "no preset of Vital" in refused(path, b"")


@pytest.mark.parametrize(
    "text",
    [
        "just text",
        "[]",
        "3",
        "null",
        '"settings"',
        "{}",
        '{"settings": []}',
        '{"settings": null}',
        '{"synth": "dexed", "presets": []}',
        '{"settings": {"osc_1_level": NaN}}',
        '{"settings": {"osc_1_level": Infinity}}',
        '{"settings": {"osc_1_level": 1e999}}',
        '{"settings": {"osc_1_level": ' + "9" * 5000 + "}}",
        "[" * 100_000,
    ],
)
def test_other_content_is_refused(path: Path, text: str) -> None:
    refused(path, text.encode())


@pytest.mark.parametrize("value", ['"loud"', "null", "true", "[]", "{}", "9" * 400])
def test_a_setting_that_is_no_number_is_refused_by_name(path: Path, value: str) -> None:
    said = refused(
        path, f'{{"settings": {{"osc_1_level": {value}}}}}'.encode(), lambda p: read_vital(p).settings(DEFAULTS)
    )
    assert "osc_1_level must be a number" in said


def test_a_file_without_any_setting_of_vital_is_refused(path: Path) -> None:
    data = b'{"settings": {"cutoff": 3}}'
    assert "none of its settings" in refused(path, data, lambda p: read_vital(p).settings(DEFAULTS))


@pytest.mark.parametrize("rows", ["3", '"text"', "[1]", "[{}]", '[{"source": 1, "destination": "volume"}]', "[null]"])
def test_modulations_of_wrong_type_are_refused(path: Path, rows: str) -> None:
    data = f'{{"settings": {{"modulations": {rows}}}}}'.encode()
    assert "modulations must" in refused(path, data, lambda p: read_vital(p).connections)


def mutated(data: bytes, source: Random) -> bytes:
    """The bytes with some of them changed, cut out or cut off."""
    out = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(out))
        kind = source.randrange(4)
        if kind < 2:
            out[at] = source.choice([*b'{}[],:"0e-', source.randrange(256)])
        elif kind == 2:
            del out[at : at + source.randint(1, 30)]
        else:
            out = out[: at + 1]
    return bytes(out)


def test_mutated_files_are_read_or_refused_and_nothing_else(path: Path) -> None:
    small = {"modulations": [{"source": "lfo_1", "destination": "volume"}], "lfos": [{"points": [0.0, 1e-7]}]}
    healthy = json.dumps({"preset_name": "x", "settings": {**DEFAULTS, **small}}).encode()
    source = Random(0)
    read = 0
    for _ in range(FUZZED_FILES):
        path.write_bytes(mutated(healthy, source))
        try:
            file = read_vital(path)
            found = file.settings(DEFAULTS), file.connections, file.name
        except InvalidInputError:
            continue
        read += 1
        assert found
        assert exactly(json.loads(file.to_json())) == exactly(json.loads(path.read_bytes()))
    assert FUZZED_FILES / 20 < read < FUZZED_FILES * 19 / 20


# Presets that people made


def test_real_presets_survive_being_written_and_read(shared_folder: Path, path: Path) -> None:
    found = read_collection(shared_folder / "data" / "vital_presets.json.gz")
    assert len(found) == 274
    for file in found:
        write_vital(path, file)
        assert exactly(read_vital(path).document) == exactly(file.document)
    assert sum(bool(c) for file in found for c in file.connections) > 1500
