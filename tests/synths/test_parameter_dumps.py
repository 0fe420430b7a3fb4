"""Dumps of a host: read by index and name, refused when they are another synth's or damaged, and written again."""

import gzip
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError
from synthproxy.synths import parameter_dumps
from synthproxy.synths.definition import definition_path, read_definition
from synthproxy.synths.parameter_dumps import ParameterDump
from synthproxy.synths.preset_files import StoredPreset
from synthproxy.synths.space import ON_GRID_TOLERANCE, Kind

TALNM, DIVA, DEXED = (read_definition(definition_path(name)) for name in ("talnm", "diva", "dexed-plugin"))
NAMES = [p.name for p in TALNM.space.parameters]
FUZZED_FILES = 400

Dump = dict[str, Any]

few = settings(deadline=None, max_examples=20)


def entries(shift: int = 0, definition: Any = TALNM) -> list[dict[str, Any]]:
    """A preset as a host would name it, each value telling its place."""
    rows = zip(definition.indices, definition.space.parameters, strict=True)
    return [{"index": i + shift, "name": p.name.replace("_", " ").title(), "value": i / 1000} for i, p in rows]


def put(path: Path, dump: Any) -> Path:
    path.write_text(dump if isinstance(dump, str) else json.dumps(dump), encoding="utf8")
    return path


def refused(path: Path, definition: Any = TALNM) -> str:
    with pytest.raises(InvalidInputError) as caught:
        ParameterDump().read(path, definition)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dump.json"


# Reading


def test_values_are_found_by_index_and_name(path: Path) -> None:
    buttons = [{"index": 69, "name": "Panic", "value": 1}, {"index": 200, "name": "CC 1", "value": 0.5}]
    first, second = ParameterDump().read(put(path, {"a": entries() + buttons, "ü": entries()}), TALNM)
    assert (first.name, second.name) == ("a", "ü")
    assert (first.origin, second.origin) == ("dump.json:1", "dump.json:2")
    assert first.values == second.values == {n: i / 1000 for n, i in zip(NAMES, TALNM.indices, strict=True)}


def test_compressed_dumps_are_read_whatever_they_are_called(path: Path) -> None:
    plain = ParameterDump().read(put(path, {"a": entries()}), TALNM)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert ParameterDump().read(path, TALNM) == plain


def test_indices_of_another_build_are_told_by_name(path: Path) -> None:
    (preset,) = ParameterDump().read(put(path, {"a": entries(shift=1)}), TALNM)
    assert preset.values == {n: i / 1000 for n, i in zip(NAMES, TALNM.indices, strict=True)}


def test_names_that_occur_twice_are_told_by_index(path: Path) -> None:
    twice = [*entries(), {"index": 300, "name": "Filter Cutoff", "value": 1.0}]
    (preset,) = ParameterDump().read(put(path, {"a": twice}), TALNM)
    assert preset.values["filter_cutoff"] == 0.003
    moved = [{**e, "index": e["index"] + 1} for e in twice]
    assert "filter_cutoff" not in ParameterDump().read(put(path, {"a": moved}), TALNM)[0].values


def test_names_without_their_module_are_told_by_index(path: Path) -> None:
    dump = [{**entry, "name": entry["name"].split(":")[-1]} for entry in entries(definition=DIVA)]
    (preset,) = ParameterDump().read(put(path, {"a": dump}), DIVA)
    names = [p.name for p in DIVA.space.parameters]
    assert preset.values == {n: i / 1000 for n, i in zip(names, DIVA.indices, strict=True)}
    shifted = [{**entry, "index": entry["index"] + 1} for entry in dump]
    assert "is no preset of 'diva'" in refused(put(path, {"a": shifted}), DIVA)


def test_missing_parameters_are_left_out(path: Path) -> None:
    (preset,) = ParameterDump().read(put(path, {"a": entries()[:60]}), TALNM)
    assert list(preset.values) == NAMES[:60]


def test_names_are_compared_without_case_and_punctuation(path: Path) -> None:
    for spelt in ("FILTER CUTOFF", "filter_cutoff", "Filter-Cutoff", "filterCutoff:"):
        dump = [{**e, "name": spelt} if e["index"] == 3 else e for e in entries()]
        assert ParameterDump().read(put(path, {"a": dump}), TALNM)[0].values["filter_cutoff"] == 0.003
    dump = [{**e, "name": "Filter Cut"} if e["index"] == 3 else e for e in entries()]
    assert "filter_cutoff" not in ParameterDump().read(put(path, {"a": dump}), TALNM)[0].values


@pytest.mark.parametrize("definition", [DIVA, DEXED])
def test_dump_of_another_synth_is_refused(path: Path, definition: Any) -> None:
    said = refused(put(path, {"Sub Bass": entries()}), definition)
    assert re.search(rf"'Sub Bass' is no preset of '{definition.name}': it has \d of its \d+ parameters", said)


# Writing


@few
@given(seed=st.integers(0, 2**32 - 1), compressed=st.booleans())
def test_drawn_presets_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int, compressed: bool) -> None:
    path = tmp_path_factory.mktemp("dump") / ("drawn.json.gz" if compressed else "drawn.json")
    vectors = TALNM.space.sample(np.random.default_rng(seed), 3)
    values = TALNM.to_plugin(vectors)
    presets = [StoredPreset(f"p{i}", dict(zip(NAMES, row.tolist(), strict=True))) for i, row in enumerate(values)]
    ParameterDump().write(path, TALNM, presets)
    assert path.read_bytes().startswith(b"\x1f\x8b") == compressed
    again = ParameterDump().read(path, TALNM)
    assert [(p.name, p.values) for p in again] == [(p.name, p.values) for p in presets]
    np.testing.assert_array_equal(TALNM.from_plugin([[p.values[n] for n in NAMES] for p in again]), vectors)


def test_the_same_presets_are_the_same_file(tmp_path: Path) -> None:
    preset = StoredPreset("a", dict.fromkeys(NAMES, 0.5))
    contents = []
    for name in ("1.json.gz", "2.json.gz"):
        ParameterDump().write(tmp_path / name, TALNM, [preset])
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0][4:8] == bytes(4)  # No time of writing.


def test_presets_of_one_name_are_all_written(path: Path) -> None:
    presets = [StoredPreset("a", dict.fromkeys(NAMES, value)) for value in (0.1, 0.2, 0.3)]
    ParameterDump().write(path, TALNM, presets)
    again = ParameterDump().read(path, TALNM)
    assert [p.name for p in again] == ["a", "a (2)", "a (3)"]
    assert [p.values for p in again] == [p.values for p in presets]


@pytest.mark.parametrize("values", [{"cutoff": 0.5}, {"filter_cutoff": 1.5}, {"filter_cutoff": float("nan")}])
def test_what_cannot_be_written_is_refused_and_leaves_no_file(path: Path, values: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        ParameterDump().write(path, TALNM, [StoredPreset("bad", values)])
    assert not path.exists()


# Damage


def test_missing_file_folder_and_empty_file_are_refused(path: Path) -> None:
    assert "cannot be read" in refused(path)
    assert "cannot be read" in refused(path.parent)
    assert "no JSON dump" in refused(put(path, ""))


@pytest.mark.parametrize(
    "text",
    [
        "text",
        "[]",
        "3",
        "null",
        "[" * 100_000,
        '{"a": 3}',
        '{"a": "text"}',
        '{"a": [3]}',
        '{"a": [{}]}',
        '{"a": {"b": 1}}',
        '{"synth": "talnm", "presets": []}',
        '{"a": [{"index": 3, "value": 0.5}]}',
    ],
)
def test_other_json_is_refused(path: Path, text: str) -> None:
    assert "no JSON dump of presets" in refused(put(path, text))


def test_dump_without_presets_is_refused(path: Path) -> None:
    assert "holds no presets" in refused(put(path, {}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("value", value)
            for value in ("NaN", "Infinity", "-0.1", "1.1", "1e999", "9" * 400, '"0.5"', "true", "null")
        ),
        *(("index", value) for value in ("3.0", '"3"', "true", "null", "[]")),
        *(("name", value) for value in ("3", "null", "[]")),
    ],
)
def test_entries_of_other_types_and_ranges_are_refused(path: Path, key: str, value: str) -> None:
    entry = {"index": "3", "name": '"Filter Cutoff"', "value": "0.5", key: value}
    body = ", ".join(f'"{k}": {v}' for k, v in entry.items())
    assert "no JSON dump of presets" in refused(put(path, f'{{"a": [{{{body}}}]}}'))


def test_damaged_archives_are_refused(path: Path) -> None:
    packed = gzip.compress(json.dumps({"a": entries()}).encode())
    for length in (2, 9, 10, 100, len(packed) - 9, len(packed) - 1):
        path.write_bytes(packed[:length])
        assert "does not unpack" in refused(path)
    path.write_bytes(packed[:-8] + bytes(8))
    assert "does not unpack" in refused(path)
    path.write_bytes(gzip.compress(np.random.default_rng(0).bytes(2000)))
    assert "nor a gzip file" in refused(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_bomb_is_refused_before_it_is_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    bomb = b" " * (2**20 + 1)
    path.write_bytes(gzip.compress(bomb) if compressed else bomb)
    monkeypatch.setattr(parameter_dumps, "LARGEST", 2**20)
    assert "more than 1 MiB of JSON" in refused(path)


def test_mutated_dumps_are_read_or_refused_and_nothing_else(path: Path) -> None:
    source = Random(0)
    plain = json.dumps({"a": entries(), "b": entries()}).encode()
    read = 0
    for number in range(FUZZED_FILES):
        data = bytearray(gzip.compress(plain) if number % 2 else plain)
        for _ in range(source.randint(1, 2)):
            at = source.randrange(len(data))
            data[at : at + 1] = bytes(source.choices(b'0123456789.eE-{}[]",: n\xff\x00', k=source.randint(0, 2)))
        path.write_bytes(data)
        try:
            presets = ParameterDump().read(path, TALNM)
        except InvalidInputError:
            continue
        read += 1
        assert all(0 <= value <= 1 for preset in presets for value in preset.values.values())
    assert FUZZED_FILES / 20 < read < FUZZED_FILES


# A collection that people made


def test_real_collection_becomes_valid_presets(shared_folder: Path) -> None:
    presets = ParameterDump().read(shared_folder / "data" / "talnm_presets.json.gz", TALNM)
    assert len(presets) == 255
    assert all(list(preset.values) == NAMES for preset in presets)
    values = np.asarray([[preset.values[name] for name in NAMES] for preset in presets])
    vectors = TALNM.from_plugin(values)
    TALNM.space.validate(vectors)
    assert len(np.unique(vectors, axis=0)) == 252
    moved = np.abs(TALNM.to_plugin(vectors) - values)[:, TALNM.space.free_indices] > ON_GRID_TOLERANCE
    by_name = {p.name: int(count) for p, count in zip(TALNM.space.free, moved.sum(axis=0), strict=True) if count}
    assert by_name == {"transpose": 135, "lfo_1_waveform": 68, "lfo_2_waveform": 64, "reverb_decay": 56}
    # What can be anything between its limits is what it was.
    continuous = [p.kind is Kind.NUMERICAL and not p.values and p.high == 1 for p in TALNM.space.free]
    assert not moved[:, continuous].any()


def test_real_collection_is_written_and_read_without_loss(shared_folder: Path, tmp_path: Path) -> None:
    presets = ParameterDump().read(shared_folder / "data" / "talnm_presets.json.gz", TALNM)
    ParameterDump().write(tmp_path / "again.json.gz", TALNM, presets)
    again = ParameterDump().read(tmp_path / "again.json.gz", TALNM)
    assert [(p.name, p.values) for p in again] == [(p.name, p.values) for p in presets]
