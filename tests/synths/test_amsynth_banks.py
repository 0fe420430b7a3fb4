"""amsynth's table of parameters says what the plug-in shows, and its banks are read and written as amsynth does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.synths import Note
from synthproxy.synths.amsynth_banks import (
    CAPACITY,
    SINGLE_HEADER,
    UNITS,
    AmsynthBank,
    BankFile,
    BankPreset,
    parse_bank,
    read_bank,
    write_bank,
)
from synthproxy.synths.definition import definition_path, read_definition
from synthproxy.synths.fxp import Program, pack_program
from synthproxy.synths.plugin_files import find_plugin
from synthproxy.synths.plugin_process import PluginProcess, start_plugin
from synthproxy.synths.preset_files import StoredPreset
from synthproxy.synths.space import Kind

DEFINITION = read_definition(definition_path("amsynth"))
SPACE = DEFINITION.space
NAMES = [p.name for p in SPACE.parameters]
DEXED = read_definition(definition_path("dexed"))

FACTORY_FOLDER = Path("/usr/share/amsynth/banks")
FACTORY_BANKS, FACTORY_PRESETS, UNIQUE_IN_SPACE = 28, 3482, 3293
"""What Debian's amsynth 1.13 comes with."""

SINGLE_PRECISION = 1e-6
SIX_DIGITS = 2e-5
SAME_SOUND = 1e-3
NOT_SHOWN_AS_SWITCH = {"portamento_mode"}
SWEEP = 1001
FUZZED_FILES = 1000
DRAWN_SOUNDS = 40
TIMES = {f"{envelope}_{stage}" for envelope in ("amp", "filter") for stage in ("attack", "decay", "release")}
LAWS = {
    **dict.fromkeys(TIMES, lambda x: x**3 + 0.0005),
    "filter_cutoff": lambda x: 16.0**x,
    "osc2_detune": lambda x: 1.25**x,
    "osc2_range": lambda x: 2.0**x,
    "master_vol": lambda x: x**2,
    "lfo_freq": lambda x: x**2,
    "freq_mod_amount": lambda x: x**3 - 1,
}
"""What amsynth shows of a value in its own unit, where that is not the value itself."""

# A VST2 host in a few lines, which has amsynth itself read its banks: for each program its name and parameters.
NATIVE_READER = """
import ctypes as c, json, sys
dispatch = c.CFUNCTYPE(c.c_ssize_t, c.c_void_p, c.c_int32, c.c_int32, c.c_ssize_t, c.c_void_p, c.c_float)
get = c.CFUNCTYPE(c.c_float, c.c_void_p, c.c_int32)
class Effect(c.Structure):
    _fields_ = [("magic", c.c_int32), ("dispatch", dispatch), ("process", c.c_void_p), ("set", c.c_void_p),
                ("get", get), ("programs", c.c_int32), ("parameters", c.c_int32)]
host = dispatch(lambda *_: 2400)
entry = c.CDLL(sys.argv[1]).VSTPluginMain
entry.restype, entry.argtypes = c.c_void_p, [dispatch]
effect = entry(host)
functions = c.cast(effect, c.POINTER(Effect)).contents
found = []
for program in range(int(sys.argv[2])):
    functions.dispatch(effect, 2, 0, program, None, 0.0)
    name = c.create_string_buffer(256)
    functions.dispatch(effect, 5, 0, 0, c.cast(name, c.c_void_p), 0.0)
    found.append([name.value.decode(), [functions.get(effect, i) for i in range(functions.parameters)]])
sys.__stdout__.write("FOUND" + json.dumps(found))
"""

few = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
fractions = st.floats(0, 1)
one_line = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)


def amsynth_file() -> str:
    try:
        file = find_plugin("amsynth", ["amsynth_vst.so"])
    except UnavailableError as error:
        pytest.skip(f"{error} (Debian: apt install amsynth)")
    return file


@pytest.fixture(scope="module")
def plugin() -> Iterator[PluginProcess]:
    pytest.importorskip("dawdreamer", reason="plug-ins are played by DawDreamer: pip install dawdreamer")
    process = start_plugin(amsynth_file(), 32_000, 30.0)
    yield process
    process.close()


@pytest.fixture(scope="session")
def factory() -> list[Path]:
    banks = sorted(FACTORY_FOLDER.glob("*.bank"))
    if not banks:
        pytest.skip(f"no banks in {FACTORY_FOLDER}: apt install amsynth")
    return banks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.bank"


def drawn(seed: int, count: int) -> np.ndarray:
    """What the plug-in is set to for presets drawn from the space, (count, parameters)."""
    return DEFINITION.to_plugin(SPACE.sample(np.random.default_rng(seed), count))


def stored(values: np.ndarray) -> list[StoredPreset]:
    return [StoredPreset(f"Preset {i}", dict(zip(NAMES, map(float, row), strict=True))) for i, row in enumerate(values)]


def matrix(presets: Sequence[StoredPreset]) -> np.ndarray:
    return np.asarray([[preset.values[name] for name in NAMES] for preset in presets])


def text_of(*presets: str) -> str:
    return "\n".join(["amSynth", *presets, "EOF\n"])


def refused(path: Path, content: bytes | str) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidInputError) as caught:
        AmsynthBank().read(path, DEFINITION)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The table of parameters


def test_table_has_all_parameters_of_the_plugin_in_its_order(plugin: PluginProcess) -> None:
    assert plugin.names == NAMES == list(UNITS)
    assert DEFINITION.indices == tuple(range(41))


def test_steps_and_where_they_change_are_those_of_the_plugin(plugin: PluginProcess) -> None:
    for index, parameter in zip(DEFINITION.indices, SPACE.parameters, strict=True):
        shown = plugin.probe(index, SWEEP).texts
        if parameter.cardinality and parameter.name not in NOT_SHOWN_AS_SWITCH:
            possible = np.asarray(parameter.values or np.linspace(0, 1, parameter.cardinality))
            assert len(set(shown)) == len(possible)
            sweep = np.linspace(0, 1, SWEEP)
            nearest = np.abs(sweep[:, None] - possible).argmin(axis=1)
            undecided = (np.abs(sweep[:, None] - possible) < 0.5 / (len(possible) - 1) + SINGLE_PRECISION).sum(
                axis=1
            ) > 1
            for step in range(len(possible)):
                assert len({shown[i] for i in np.nonzero((nearest == step) & ~undecided)[0]}) == 1, parameter.name
        else:
            assert len(set(shown)) > SWEEP / 2, parameter.name


def test_units_are_what_the_plugin_shows_over_their_whole_range(plugin: PluginProcess) -> None:
    values = np.linspace(0, 1, 101)
    for index, (name, unit) in enumerate(UNITS.items()):
        steps = SPACE.parameters[index].cardinality
        asked = values if not steps else np.linspace(0, 1, steps)
        shown = np.asarray(plugin.probe(index, len(asked)).texts, dtype=float)
        law = LAWS.get(name, lambda native: native)
        expected = [law(unit.from_plugin(float(value))) for value in asked]
        np.testing.assert_allclose(shown, expected, rtol=SIX_DIGITS, atol=SIX_DIGITS, err_msg=name)


def test_defaults_are_those_of_amsynth_own_initial_sound() -> None:
    defaults = DEFINITION.to_plugin(SPACE.encode(SPACE.defaults))
    np.testing.assert_allclose(defaults, [unit.to_plugin(unit.default) for unit in UNITS.values()], atol=1e-7)


def test_like_groups_can_be_exchanged() -> None:
    for one, other in (("oscillators.1", "oscillators.2"), ("envelopes.amp", "envelopes.filter")):
        groups = [[SPACE.parameters[i] for i in SPACE.matching([group])] for group in (one, other)]
        assert len(groups[0]) >= 2
        blank = [[replace(p, name="same", group="same") for p in group] for group in groups]
        assert blank[0] == blank[1]
        suffixes = [[p.name.split("_", 1)[1] for p in group] for group in groups]
        assert suffixes[0] == suffixes[1]


def test_kinds_of_the_free_parameters() -> None:
    assert SPACE.size == 33
    assert [len(SPACE.columns(kind)) for kind in (Kind.NUMERICAL, Kind.BINARY, Kind.CATEGORICAL)] == [26, 2, 5]


def test_drawn_sounds_are_loud_enough_and_so_is_the_initial_sound(plugin: PluginProcess) -> None:
    initial = DEFINITION.to_plugin(SPACE.encode(SPACE.defaults))
    sounds = [sound_of(plugin, row, 5.0) for row in [initial, *drawn(0, DRAWN_SOUNDS)]]
    loudness = np.asarray([np.sqrt((sound**2).mean()) for sound in sounds])
    assert 0.05 < loudness[0] < 0.5
    assert ((loudness[1:] > 0.01) & (loudness[1:] < 1.0)).mean() >= 0.9


def sound_of(plugin: PluginProcess, values: np.ndarray, seconds: float = 2.5, **changes: float) -> np.ndarray:
    changed = values.copy()
    for name, value in changes.items():
        changed[NAMES.index(name)] = value
    return plugin.play(list(DEFINITION.indices), changed, Note(60, 100, 2.0), seconds, "fork").astype(float)


def distance(sound: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(((sound - other) ** 2).mean() / (sound**2).mean()))


def test_what_is_held_cannot_be_heard_of_one_note(plugin: PluginProcess) -> None:
    unheard = {
        "reverb_width": 0.0,
        "filter_kbd_track": 0.0,  # The note is the one that tracking is relative to.
        "keyboard_mode": 0.5,
        "portamento_time": 0.7,
        "portamento_mode": 1.0,
    }
    assert {p.name for p in SPACE.parameters if p.held} == {*unheard, "master_vol", "amp_vel_sens", "filter_vel_sens"}
    for row in drawn(1, 4):
        sound = sound_of(plugin, row)
        for name, value in unheard.items():
            assert distance(sound, sound_of(plugin, row, **{name: value})) < SAME_SOUND, name


def test_sensitivity_of_the_filter_to_velocity_is_a_move_of_the_cutoff(plugin: PluginProcess) -> None:
    move = np.log(100 / 127) / np.log(16) / 2
    column = NAMES.index("filter_cutoff")
    for row in drawn(2, 4):
        row[column] = max(row[column], -move)
        moved = sound_of(plugin, row, filter_vel_sens=0.0, filter_cutoff=row[column] + move)
        assert distance(sound_of(plugin, row), moved) < SAME_SOUND


# The banks that come with amsynth


def test_factory_banks_come_out_as_they_were(factory: list[Path], path: Path) -> None:
    assert len(factory) == FACTORY_BANKS
    for bank in factory:
        write_bank(path, read_bank(bank))
        assert path.read_bytes() == bank.read_bytes()


def test_factory_presets_survive_writing_and_there_are_as_many_as_known(factory: list[Path], path: Path) -> None:
    found = []
    for bank in factory:
        presets = AmsynthBank().read(bank, DEFINITION)
        AmsynthBank().write(path, DEFINITION, presets)
        again = AmsynthBank().read(path, DEFINITION)
        assert [p.name for p in again] == [p.name for p in presets]
        np.testing.assert_allclose(matrix(again), matrix(presets), atol=SINGLE_PRECISION)
        found.append(matrix(presets))
    vectors = DEFINITION.from_plugin(np.concatenate(found))
    SPACE.validate(vectors)
    assert (len(vectors), len(np.unique(vectors, axis=0))) == (FACTORY_PRESETS, UNIQUE_IN_SPACE)


def read_by_amsynth(folder: Path, banks: Sequence[Path]) -> list[tuple[str, list[float]]]:
    """What amsynth itself makes of banks that it finds in the user's folder: every place of each."""
    file = amsynth_file()
    banks_folder = folder / "amsynth" / "banks"
    banks_folder.mkdir(parents=True)
    for number, bank in enumerate(banks):  # It goes by the alphabet, and has a bank called "default".
        (banks_folder / f"{number:03}.bank").write_bytes(bank.read_bytes())
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [sys.executable, "-c", NATIVE_READER, file, str(CAPACITY * len(banks))]
    ended = subprocess.run(command, env={**os.environ, **home}, capture_output=True, text=True, timeout=60, check=True)
    return [(name, values) for name, values in json.loads(ended.stdout.split("FOUND")[1])]


def test_amsynth_reads_its_own_banks_as_they_are_read_here(factory: list[Path], tmp_path: Path) -> None:
    theirs = read_by_amsynth(tmp_path, factory)
    for number, bank in enumerate(factory):
        ours = AmsynthBank().read(bank, DEFINITION)
        found = theirs[number * CAPACITY : number * CAPACITY + len(ours)]
        np.testing.assert_allclose([values for _, values in found], matrix(ours), atol=SINGLE_PRECISION)
        assert [name[:20].strip() for name, _ in found] == [p.name[:20].strip() for p in ours]


def test_amsynth_reads_what_is_written_here(tmp_path: Path) -> None:
    anywhere = np.random.default_rng(3).random((CAPACITY, 41))
    rows = [drawn(4, CAPACITY), np.where([p.cardinality for p in SPACE.parameters], drawn(5, CAPACITY), anywhere)]
    banks = [tmp_path / f"{number}.bank" for number in range(len(rows))]
    for bank, values in zip(banks, rows, strict=True):
        AmsynthBank().write(bank, DEFINITION, stored(values))
    found = read_by_amsynth(tmp_path / "home", banks)
    np.testing.assert_allclose([values for _, values in found], np.concatenate(rows), atol=SINGLE_PRECISION)
    assert [name for name, _ in found[:CAPACITY]] == [p.name for p in stored(rows[0])]


def test_factory_presets_are_what_the_plugin_has_after_loading_them(factory: list[Path], plugin: PluginProcess) -> None:
    presets = [preset for bank in factory for preset in read_bank(bank).presets][::25]
    assert len(presets) > 100
    for preset in presets:
        named = dict(preset.settings)
        # As a state, amsynth would leave what is missing as it is.
        settings = [*preset.settings, *((name, repr(u.default)) for name, u in UNITS.items() if name not in named)]
        state = BankFile((BankPreset(preset.name, tuple(settings)),), SINGLE_HEADER, "").text.encode("latin-1")
        # amsynth reads a state on to the next zero byte.
        values = plugin.load(pack_program(Program(b"amsy", 0, "", state, 41)) + b"\0", ".fxp")
        np.testing.assert_allclose(values, list(preset.values.values()), atol=SINGLE_PRECISION)


# Reading


def test_missing_parameters_are_at_amsynth_own_defaults_and_others_within_their_range(path: Path) -> None:
    path.write_text(text_of("<preset> <name> Old", "<parameter> amp_attack 99", "<parameter> filter_cutoff -3e0"))
    (preset,) = AmsynthBank().read(path, DEFINITION)
    defaults = {name: unit.to_plugin(unit.default) for name, unit in UNITS.items()}
    assert preset.values == {**defaults, "amp_attack": 1.0, "filter_cutoff": 0.0}
    assert (preset.name, preset.origin) == ("Old", "mine.bank:1")


def test_places_that_nothing_was_stored_in_are_passed_over(path: Path) -> None:
    blank = "\n".join(f"<parameter> {name} {unit.default}" for name, unit in UNITS.items())
    presets = ["<preset> <name> New Preset", blank, "<preset> <name> unused", "<preset> <name> Init", blank]
    path.write_text(text_of(*presets, "<preset> <name> New Preset", "<parameter> osc_mix 1"))
    assert [(p.name, p.origin) for p in AmsynthBank().read(path, DEFINITION)] == [
        ("Init", "mine.bank:3"),
        ("New Preset", "mine.bank:4"),
    ]
    assert "nothing is stored" in refused(path, text_of(*presets[:3]))
    assert "nothing is stored" in refused(path, text_of())


def test_single_preset_and_windows_line_ends_are_read_and_kept(path: Path) -> None:
    lines = [SINGLE_HEADER, "<preset> <name> Flöte  2", "<parameter> osc_mix -0.5", ""]
    for newline, tail in (("\n", ""), ("\r\n", ""), ("\n", "<property> tuning_scl_file a b.scl\n"), ("\n", "\0")):
        content = (newline.join(lines) + tail).encode()
        path.write_bytes(content)
        (preset,) = AmsynthBank().read(path, DEFINITION)
        assert (preset.name, preset.values["osc_mix"]) == ("Flöte  2", 0.25)
        write_bank(path, read_bank(path))
        assert path.read_bytes() == content
    assert "cut short" in refused(path, "\n".join(lines[:-1]))
    assert "damaged" in refused(path, "\n".join(lines) + "<property> " * 100_000 + "x")


# Writing


@few
@given(st.lists(st.tuples(one_line, st.lists(fractions, min_size=41, max_size=41)), min_size=1, max_size=5))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, presets: list[tuple[str, list[float]]]
) -> None:
    path = tmp_path_factory.mktemp("bank") / "a.bank"
    given_presets = [StoredPreset(name, dict(zip(NAMES, values, strict=True))) for name, values in presets]
    AmsynthBank().write(path, DEFINITION, given_presets)
    found = AmsynthBank().read(path, DEFINITION)
    np.testing.assert_allclose(matrix(found), matrix(given_presets), atol=SINGLE_PRECISION)
    assert [p.name for p in found] == [p.name for p in given_presets]
    assert [p.origin for p in found] == [f"a.bank:{number}" for number in range(1, len(presets) + 1)]


@few
@given(seeds)
def test_presets_of_the_space_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.mktemp("bank") / "a.bank"
    vectors = SPACE.sample(np.random.default_rng(seed), 3)
    AmsynthBank().write(path, DEFINITION, stored(DEFINITION.to_plugin(vectors)))
    again = DEFINITION.from_plugin(matrix(AmsynthBank().read(path, DEFINITION)))
    np.testing.assert_allclose(again, vectors, atol=SINGLE_PRECISION)
    gridded = [i for i, p in enumerate(SPACE.free) if p.cardinality]
    np.testing.assert_array_equal(again[:, gridded], vectors[:, gridded])


def test_steps_are_written_as_whole_numbers(path: Path) -> None:
    AmsynthBank().write(path, DEFINITION, stored(drawn(6, 50)))
    stepped = {p.name for p in SPACE.parameters if p.cardinality}
    for preset in read_bank(path).presets:
        assert all(text.lstrip("-").isdigit() and text != "-0" for name, text in preset.settings if name in stepped)


def test_what_a_preset_does_not_name_is_at_the_default_of_the_definition(path: Path) -> None:
    AmsynthBank().write(path, DEFINITION, [StoredPreset("Little", {"osc_mix": 1.0})])
    (found,) = AmsynthBank().read(path, DEFINITION)
    assert found.values == pytest.approx({**BankPreset("", ()).values, "osc_mix": 1.0}, abs=SINGLE_PRECISION)


def test_names_are_one_line_and_never_empty(path: Path) -> None:
    for name, kept in {"two\nlines\r\n": "two lines", "": "unnamed", " \t": "unnamed", "Ö\ud800": "Ö"}.items():
        AmsynthBank().write(path, DEFINITION, [StoredPreset(name, {})])
        assert [p.name for p in AmsynthBank().read(path, DEFINITION)] == [kept]


def test_what_a_bank_cannot_hold_is_refused_and_writes_nothing(path: Path) -> None:
    one = stored(drawn(7, 1))
    wrong = [
        ([], "holds 1 to 128 presets, got 0"),
        (one * 129, "got 129"),
        ([StoredPreset("A", {"osc_mix": float("nan")})], "osc_mix must lie in"),
        ([StoredPreset("A", {"osc_mix": 1.5})], "osc_mix must lie in"),
        ([StoredPreset("A", {"osc_mix": float("inf")})], "osc_mix must lie in"),
        ([StoredPreset("A", {"algorithm": 0.5})], "no parameter called 'algorithm'"),
    ]
    for presets, said in wrong:
        with pytest.raises(InvalidInputError, match=said):
            AmsynthBank().write(path, DEFINITION, presets)
    for call in (
        lambda: AmsynthBank().write(path, DEXED, one),
        lambda: AmsynthBank().read(path, DEXED),
    ):
        with pytest.raises(InvalidInputError, match="cannot hold presets of 'dexed'"):
            call()
    assert not path.exists()


# Damage


def test_missing_file_folder_empty_file_and_other_files_are_refused(path: Path) -> None:
    for wrong in (path, path.parent):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            AmsynthBank().read(wrong, DEFINITION)
    for other in ("", "\n", "amSynthesizer\n", "{}", "amSynth EOF", " amSynth\nEOF\n"):
        assert "no presets of amsynth" in refused(path, other)
    assert "no presets of amsynth" in refused(path, np.random.default_rng(0).bytes(2000))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["<parameter> osc_mix 1"], "line 2"),
        (["<preset> <name> A", "<parameter> osc_mix"], "line 3"),
        (["<preset> <name> A", "<parameter> osc_mix 1 2"], "line 3"),
        (["<preset> <name> A", "hello", "<preset> <name> B"], "line 3"),
        (["<preset> <name> A", "EOF", "<preset> <name> B"], "line 3"),
        (["<preset> <name> A", "<parameter> cutoff 1"], "no parameter called 'cutoff'"),
        *((["<preset> <name> A", f"<parameter> osc_mix {text}"], f"osc_mix must be a number, got '{text}'")
          for text in ("nan", "inf", "-inf", "1e999", "0x1", "1_0", "0,5", "one", "1.5.2", "--1", "٣")),
    ],
)  # fmt: skip
def test_damaged_line_is_refused_in_words(path: Path, lines: list[str], said: str) -> None:
    assert said in refused(path, text_of(*lines))


def test_bank_cut_short_anywhere_is_refused(path: Path) -> None:
    AmsynthBank().write(path, DEFINITION, stored(drawn(8, 1)))
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # The last byte is the end of the last line.
        assert refused(path, whole[:length])


def mutated(data: bytes, source: Random) -> bytes:
    """The bytes with some of them changed, cut out or doubled."""
    out = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at, other = source.randrange(len(out)), source.randrange(len(out))
        match source.randrange(4):
            case 0:
                out[at] = source.choice(b"\0\n\r <>.-+e0n\xff")
            case 1:
                out[at] = source.choice(b"0123456789")
            case 2:
                del out[at : at + source.randint(1, 60)]
            case _:
                out[at:at] = out[other : other + 60]
    return bytes(out)


def test_mutated_banks_are_read_or_refused_and_nothing_else(path: Path) -> None:
    AmsynthBank().write(path, DEFINITION, stored(drawn(9, 2)))
    whole, source, read = path.read_bytes(), Random(0), 0
    for _ in range(FUZZED_FILES):
        content = mutated(whole, source)
        path.write_bytes(content)
        try:
            presets = AmsynthBank().read(path, DEFINITION)
        except InvalidInputError:
            continue
        read += 1
        SPACE.validate(DEFINITION.from_plugin(matrix(presets)))
        assert parse_bank(content.decode("latin-1")).text.encode("latin-1") == content
    assert FUZZED_FILES / 50 < read < FUZZED_FILES / 2
