"""Diva's preset files: kept to the byte, read as what the plug-in would be set to, and written to be opened by Diva."""

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.definition import Definition, definition_path, read_definition
from synthproxy.synths.h2p import H2p, H2pFile
from synthproxy.synths.preset_files import StoredPreset
from synthproxy.synths.space import Floats, Kind, PresetSpace

DIVA = read_definition(definition_path("diva"))
NAMES = [p.name for p in DIVA.space.parameters]
WITHOUT_KEY = {"vcc:tuningmode", "vcc:multicore", "opt:accuracy", "opt:offlineacc"}
UNSURE = 9
PRECISION = 1e-7  # About that of the floats that preset vectors are made of.
FUZZED_FILES = 250
HELD_LAST_SECTION = "#cm=Rtary2"
SMALL = (
    b"/*@Meta\r\n\r\nAuthor:\r\n'M\xfcller = he'\r\n*/\r\n#AM=Hive\r\n#nm=2\r\n#ms=none\r\n#ms=Wheel\r\n"
    b"#cm=main\r\nCcOp=1.00\r\n#FX1=1\r\n// key=no\r\n#cm=OSC \r\nTune =-3.00 \r\nTune2=\r\n\r\n"
    b"#cm=FX1\r\nModule='Chorus1'\r\n// Section for ugly compressed binary Data\r\n$$$$9\r\n?a=b:c=d\r\n\x00\xff"
)

few = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int) -> Floats:
    return DIVA.space.sample(np.random.default_rng(seed), 1)[0]


def stored(vector: Floats) -> StoredPreset:
    return StoredPreset("drawn", dict(zip(NAMES, DIVA.to_plugin(vector).tolist(), strict=True)))


def everything(preset: StoredPreset, definition: Definition = DIVA) -> NDArray[np.float64]:
    """What every parameter of the plug-in is set to."""
    defaults = definition.to_plugin(definition.space.encode(definition.space.defaults))
    return np.asarray([preset.values.get(n, d) for n, d in zip(NAMES, defaults, strict=True)])


def vector(preset: StoredPreset) -> Floats:
    return DIVA.from_plugin(everything(preset))


def read(path: Path, definition: Definition = DIVA) -> StoredPreset:
    (preset,) = H2p().read(path, definition)
    return preset


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Some Name.h2p"


@pytest.fixture
def neutral(path: Path) -> H2pFile:
    """The file of a preset that says nothing."""
    H2p().write(path, DIVA, [StoredPreset("neutral", {})])
    return H2pFile.read(path)


def changed(path: Path, file: H2pFile, texts: dict[str, str]) -> StoredPreset:
    """What is read after changing the text of each ``SECTION/KEY``."""
    keys = {(s, k): text for name, text in texts.items() for s, k in [name.split("/")]}
    path.write_bytes(file.with_values(keys).content)
    return read(path)


def refused(path: Path, content: bytes | str, definition: Definition = DIVA) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
    with pytest.raises(InvalidInputError) as caught:
        H2p().read(path, definition)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The text


def test_text_of_any_synth_is_kept_and_found_by_section_and_key(path: Path) -> None:
    path.write_bytes(SMALL)
    file = H2pFile.read(path)
    assert file.content == SMALL
    assert file.program == "Hive"
    assert file.values == {
        ("main", "CcOp"): "1.00",
        ("main", "#FX1"): "1",
        ("OSC", "Tune "): "-3.00 ",
        ("OSC", "Tune2"): "",
        ("FX1", "Module"): "'Chorus1'",
    }


def test_changed_values_change_their_lines_alone() -> None:
    file = H2pFile(SMALL.decode("latin-1"))
    other = file.with_values({("OSC", "Tune2"): "12.5", ("main", "#FX1"): "0", ("FX1", "Module"): "'Rotary1'"})
    expected = SMALL.replace(b"Tune2=", b"Tune2=12.5").replace(b"#FX1=1", b"#FX1=0").replace(b"Chorus1", b"Rotary1")
    assert other.content == expected
    assert file.content == SMALL
    assert other.with_values({}).content == expected


@pytest.mark.parametrize("text", ["1\n2", "1\r", "ω"])
def test_value_that_is_not_one_line_of_the_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="one line"):
        H2pFile(SMALL.decode("latin-1")).with_values({("OSC", "Tune2"): text})


@pytest.mark.parametrize("key", [("OSC", "Tune3"), ("VCF1", "Tune2"), ("", "#AM"), ("FX1", "?a")])
def test_line_that_is_not_there_cannot_be_changed(key: tuple[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="no key"):
        H2pFile(SMALL.decode("latin-1")).with_values({key: "1"})


@few
@given(content=st.binary(max_size=300), seed=seeds)
def test_any_text_between_the_lines_is_kept(content: bytes, seed: int) -> None:
    source = Random(seed)
    at = source.randrange(len(SMALL))
    file = H2pFile((SMALL[:at] + content + SMALL[at:]).decode("latin-1"))
    assert file.with_values(file.values).content == file.content


# Reading


def test_native_numbers_become_what_the_plugin_is_set_to(path: Path, neutral: H2pFile) -> None:
    """Worked out by hand: percent, bipolar, from 30 to 150, whole numbers from a low on, uneven steps, and words."""
    texts = {
        "ENV1/Atk": "25.00",
        "LFO1/Rate": "-2.50",
        "OSC/Tune2": "-15.00",
        "OSC/Shape1": "3.00",
        "VCF1/Freq": "60.00",
        "VCF1/FMDpt": "-60.00",
        "VCF1/Model": "3",
        "HPF/PFreq": "2",
        "VCC/PB": "36",
        "LFO2/Sync": "-3",
        "main/#FX1": "1",
        "FX1/Module": "'Rotary1'",
        "VCA1/ModSrc": "16",
    }
    values = changed(path, neutral, texts).values
    expected = {
        "env1:attack": 0.25,
        "lfo1:rate": 0.25,
        "osc:tune2": 0.25,
        "osc:shape1": 0.25,
        "vcf1:frequency": 0.25,
        "vcf1:freqmoddepth": 0.25,
        "vcf1:model": 0.75,
        "hpf:post-hpf_freq": 0.75,
        "vcc:pitchbend_up": 25 / 26,
        "lfo2:sync": 0.0,
        "main:active_fx1": 1.0,
        "fx1:module": 1.0,
        "vca1:modulation": 16 / 23,
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)


def test_preset_is_called_like_its_file(path: Path, neutral: H2pFile) -> None:
    preset = changed(path, neutral, {})
    assert (preset.name, preset.origin) == ("Some Name", "Some Name.h2p")


def test_key_that_is_missing_leaves_its_parameter_at_the_default(path: Path, neutral: H2pFile) -> None:
    path.write_bytes(neutral.content.replace(b"\nDgtlTp2=0\n", b"\n"))
    assert "osc:digitaltype2" not in read(path).values
    assert len(read(path).values) == len(NAMES) - len(WITHOUT_KEY) - 1


@pytest.mark.parametrize("source", range(24))
def test_source_that_the_space_lacks_becomes_none_and_its_depth_nothing(
    path: Path, neutral: H2pFile, source: int
) -> None:
    values = changed(path, neutral, {"VCF1/FMSrc": str(source), "VCF1/FMDpt": "60.00"}).values
    kept = source in (0, 14, 15, 16, 17, 20, 21, 23)
    assert values["vcf1:freqmodsrc"] == pytest.approx(source / 23 if kept else 0.0)
    assert values["vcf1:freqmoddepth"] == pytest.approx(0.75 if kept else 0.5)


def test_wave_that_waits_for_a_wheel_goes_on_waiting(path: Path, neutral: H2pFile) -> None:
    """With the depth at nothing instead, a vibrato that the player has to ask for would always be heard."""
    values = changed(path, neutral, {"LFO1/DMS1": "1", "LFO1/DMD1": "90.00"}).values
    assert values["lfo1:depthmod_src1"] == 0.0
    assert values["lfo1:depthmod_dpt1"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("inputs", "number"),
    [({"MOD/QSrc": "0"}, 20), ({"MOD/LSrc": "6"}, 21), ({"MOD/M2Src": "0"}, 23), ({"MOD/M1Src": "18"}, 23)],
)
def test_processor_fed_by_what_the_space_lacks_is_no_source(
    path: Path, neutral: H2pFile, inputs: dict[str, str], number: int
) -> None:
    values = changed(path, neutral, {**inputs, "VCF1/FMSrc": str(number), "VCF1/FMDpt": "60.00"}).values
    assert values["vcf1:freqmodsrc"] == 0.0
    assert values["vcf1:freqmoddepth"] == 0.5
    missing = {n for n in NAMES if n not in values} - WITHOUT_KEY
    assert len(missing) == 1
    assert missing <= {"mod:quantisesource", "mod:lagsource", "mod:mulsource1", "mod:mulsource2"}


def test_processor_fed_by_an_envelope_is_a_source(path: Path, neutral: H2pFile) -> None:
    values = changed(path, neutral, {"MOD/LSrc": "15", "VCF1/FMSrc": "21", "VCF1/FMDpt": "60.00"}).values
    assert values["mod:lagsource"] == pytest.approx(15 / 23)
    assert values["vcf1:freqmodsrc"] == pytest.approx(21 / 23)
    assert values["vcf1:freqmoddepth"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("slot", "effect", "kept"),
    [
        *(
            (1, effect, effect in ("Chorus1", "Phaser1", "Rotary1"))
            for effect in ("Chorus1", "Plate1", "Delay1", "Rotary1")
        ),
        *(
            (2, effect, effect in ("Plate2", "Delay2"))
            for effect in ("Chorus2", "Phaser2", "Plate2", "Delay2", "Rotary2")
        ),
    ],
)
def test_effect_that_its_slot_lacks_is_switched_off(
    path: Path, neutral: H2pFile, slot: int, effect: str, kept: bool
) -> None:
    values = changed(path, neutral, {f"main/#FX{slot}": "1", f"FX{slot}/Module": f"'{effect}'"}).values
    assert values[f"main:active_fx{slot}"] == kept
    assert (f"fx{slot}:module" in values) == kept


def test_held_source_may_be_any(path: Path, neutral: H2pFile) -> None:
    held = Definition(DIVA.space.hold(["filter.main"]), DIVA.indices, DIVA.plugin)
    path.write_bytes(neutral.with_values({("VCF1", "FMSrc"): "6", ("VCF1", "FMDpt"): "60.00"}).content)
    values = read(path, held).values
    assert values["vcf1:freqmodsrc"] == pytest.approx(6 / 23)
    assert values["vcf1:freqmoddepth"] == pytest.approx(0.75)


# Writing


def test_a_preset_that_says_nothing_is_written_with_the_defaults(path: Path, neutral: H2pFile) -> None:
    values = {k: v for k, v in neutral.values.items() if k[0] in ("main", "VCC", "LFO1", "OSC", "VCA1", "FX2")}
    assert values["main", "CcOp"] == "66.00"
    assert values["VCC", "Trsp"] == "-12"
    assert values["VCC", "Mode"] == "1"
    assert values["LFO1", "Sync"] == "4"
    assert values["OSC", "TM1Src"] == "15"
    assert values["VCA1", "Offset"] == "-0.12"
    assert values["VCA1", "PanDpt"] == "2.00"
    assert values["FX2", "Module"] == "'Plate2'"
    assert neutral.program == "Diva"
    assert "$$$$" not in neutral.text
    np.testing.assert_array_equal(vector(read(path)), DIVA.space.encode(DIVA.space.defaults))


RANGES = {
    "main/CcOp": (0, 200),
    "CLK/Mult": (50, 200),
    "VCC/PB": (0, 48),
    "VCC/Trsp": (-24, 24),
    "VCC/FTun": (-100, 100),
    "ENV1/Atk": (0, 100),
    "LFO1/Sync": (-3, 23),
    "LFO1/Rate": (-5, 5),
    "LFO2/FMD1": (-5, 5),
    "MOD/Quant": (2, 100),
    "OSC/Tune2": (-30, 30),
    "OSC/Shape3": (1, 9),
    "OSC/TM1Dpt": (-24, 24),
    "OSC/PWMDpt": (-50, 50),
    "OSC/Sh1Dpt": (-50, 50),
    "OSC/FmDpt": (-100, 100),
    "OSC/Wave1": (1, 4),
    "OSC/Drift": (0, 200),
    "OSC/SubShp": (0, 5),
    "HPF/Freq": (30, 150),
    "HPF/FMDpt": (-120, 120),
    "HPF/PFreq": (-1, 3),
    "HPF/Rev": (1, 2),
    "VCF1/Freq": (30, 150),
    "VCF1/FM2Dpt": (-120, 120),
    "VCF1/FFM": (-24, 24),
    "VCF1/FfmDpt": (-24, 24),
    "VCF1/ResDpt": (-100, 100),
    "VCA1/Pan": (-100, 100),
    "VCA1/Vol": (0, 100),
    "VCA1/Offset": (-1, 1),
    "Phase1/Stereo": (-50, 50),
    "Plate2/Pre": (0, 250),
    "Delay2/LDel": (1, 16),
    "Delay1/FeedB": (0, 100),
    "Rtary2/Out": (-20, 20),
}
"""As Diva's panel shows them: what stands for 0 and for 1 on the plug-in."""


@pytest.mark.parametrize("end", [0, 1])
def test_ends_of_the_ranges_are_those_of_divas_panel(path: Path, end: int) -> None:
    H2p().write(path, DIVA, [StoredPreset("end", dict.fromkeys(NAMES, float(end)))])
    values = H2pFile.read(path).values
    written = {name: float(values[section, key]) for name in RANGES for section, key in [name.split("/")]}
    assert written == {name: ends[end] for name, ends in RANGES.items()}


def test_number_is_never_minus_nothing(path: Path) -> None:
    H2p().write(path, DIVA, [StoredPreset("middle", {"lfo1:rate": 0.5 - 1e-9, "vca1:pan": 0.5 - 1e-9})])
    values = H2pFile.read(path).values
    assert (values["LFO1", "Rate"], values["VCA1", "Pan"]) == ("0.00", "0.00")


@few
@given(seed=seeds)
def test_drawn_presets_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.mktemp("drawn") / "drawn.h2p"
    preset = stored(drawn(seed))
    H2p().write(path, DIVA, [preset])
    again = read(path)
    assert set(NAMES) - set(again.values) == WITHOUT_KEY
    np.testing.assert_allclose(vector(again), drawn(seed), rtol=0, atol=PRECISION)
    columns = [i for i, p in enumerate(DIVA.space.free) if p.kind is not Kind.NUMERICAL or p.values]
    np.testing.assert_array_equal(vector(again)[columns], drawn(seed)[columns])
    np.testing.assert_allclose(everything(again), everything(preset), rtol=0, atol=PRECISION)


@few
@given(seed=seeds)
def test_written_numbers_look_like_divas(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.mktemp("drawn") / "drawn.h2p"
    H2p().write(path, DIVA, [stored(drawn(seed))])
    for key, text in H2pFile.read(path).values.items():
        assert re.fullmatch(r"-?\d+(\.\d{2,8})?|'[A-Z][a-z]+\d'", text) or key == ("VCA1", "Mode"), key
        assert not re.fullmatch(r"-0(\.0+)?", text), key


def test_what_cannot_be_written_is_refused_and_leaves_no_file(path: Path) -> None:
    one = StoredPreset("one", {})
    for presets, said in [
        ([], "one preset, got 0"),
        ([one, one], "one preset, got 2"),
        ([StoredPreset("bad", {"env3:attack": 0.5})], "no parameter called 'env3:attack'"),
        ([StoredPreset("bad", {"env1:attack": 1.01})], "must lie in"),
        ([StoredPreset("bad", {"env1:model": float("nan")})], "must lie in"),
    ]:
        with pytest.raises(InvalidInputError, match=said):
            H2p().write(path, DIVA, presets)
    assert not path.exists()


def test_space_of_another_synth_has_no_such_files(path: Path, neutral: H2pFile) -> None:
    other = read_definition(definition_path("talnm"))
    assert "'talnm' has no parameter called 'main:output'" in refused(path, neutral.content, other)
    with pytest.raises(InvalidInputError, match="presets of Diva"):
        H2p().write(path, other, [StoredPreset("one", {})])


def test_preset_of_another_space_of_diva_is_read(path: Path, neutral: H2pFile) -> None:
    space = PresetSpace("my-diva", DIVA.space.hold(["oscillator"]).parameters)
    assert changed(path, neutral, {}).values == read(path, Definition(space, DIVA.indices)).values


# Damage


def test_other_files_are_refused(path: Path, neutral: H2pFile) -> None:
    for wrong in (path.with_name("none.h2p"), path.parent):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            H2p().read(wrong, DIVA)
    assert "no preset of a u-he synth" in refused(path, b"")
    assert "no preset of a u-he synth" in refused(path, np.random.default_rng(0).bytes(5000))
    assert "no preset of a u-he synth" in refused(path, "#AM=Diva\nnothing else")
    assert "no preset of a u-he synth" in refused(path, neutral.text.replace("#AM=Diva", "#AN=Diva"))
    assert "'Hive', not of 'Diva'" in refused(path, SMALL)


def test_file_cut_short_is_refused(path: Path, neutral: H2pFile) -> None:
    """What is lost of the last section is held, so that it may be missing."""
    end = neutral.text.index(HELD_LAST_SECTION)
    for length in [*range(0, end, 97), end]:
        assert refused(path, neutral.text[:length])
    path.write_bytes(neutral.content[: end + 40])
    np.testing.assert_array_equal(vector(read(path)), DIVA.space.encode(DIVA.space.defaults))


@pytest.mark.parametrize("text", ["", "x", "nan", "-inf", "1e999", "9" * 5000, "100.1", "-0.1", "0x10", "'Chorus1'"])
def test_number_that_the_parameter_cannot_have_is_refused(path: Path, neutral: H2pFile, text: str) -> None:
    assert "ENV1/Dec cannot be" in refused(path, neutral.with_values({("ENV1", "Dec"): text}).content)
    assert "OSC/Model cannot be" in refused(path, neutral.with_values({("OSC", "Model"): text}).content)


@pytest.mark.parametrize(
    ("section", "key", "text"),
    [
        ("OSC", "Model", "5"),
        ("OSC", "Model", "0.5"),
        ("VCC", "PB", "30"),
        ("FX1", "Module", "'Chorus2'"),
        ("FX1", "Module", "0"),
    ],
)
def test_step_that_is_not_there_is_refused(path: Path, neutral: H2pFile, section: str, key: str, text: str) -> None:
    assert f"{section}/{key} cannot be {text!r}" in refused(path, neutral.with_values({(section, key): text}).content)


def test_mutated_files_are_read_or_refused_and_nothing_else(path: Path, neutral: H2pFile) -> None:
    source, healthy = Random(0), neutral.content
    read_well = 0
    for _ in range(FUZZED_FILES):
        data = bytearray(healthy)
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(data))
            data[at : at + source.choice([0, 1, 1, 9])] = bytes(
                source.choices(b"0123456789.-=#\n\r'x\xff\x00", k=source.randint(0, 2))
            )
        path.write_bytes(data)
        try:
            preset = read(path)
        except InvalidInputError:
            continue
        read_well += 1
        DIVA.space.validate(vector(preset))
    assert FUZZED_FILES / 10 < read_well < FUZZED_FILES


# Real files


@pytest.fixture(scope="module")
def real_files(shared_folder: Path) -> list[Path]:
    files = sorted((shared_folder / "data" / "diva_h2p").rglob("*.h2p"))
    assert len(files) == 4
    return files


def test_real_files_are_kept_to_the_byte(real_files: list[Path]) -> None:
    for file in real_files:
        found = H2pFile.read(file)
        assert found.content == file.read_bytes()
        assert found.with_values(found.values).content == file.read_bytes()


def test_ours_has_the_lines_of_real_files_in_their_order(real_files: list[Path], neutral: H2pFile) -> None:
    for file in real_files:
        found = H2pFile.read(file)
        assert list(found.values) == list(neutral.values)
        headings = re.compile(r"^#(?!FX).*$", re.MULTILINE)
        tail = found.text.index("$$$$")
        assert headings.findall(found.text[:tail]) == headings.findall(neutral.text)


def test_real_values_are_written_as_they_were(real_files: list[Path], path: Path) -> None:
    """All 276 of them, except where the space lacks what they say, and they come back."""
    lacking = ("MOD", "FX1", "FX2", "main")
    for file in real_files:
        preset, before = read(file), H2pFile.read(file).values
        H2p().write(path, DIVA, [preset])
        after = H2pFile.read(path).values
        different = {k for k in before if before[k] != after[k] and k[0] not in ("OPT", *lacking)}
        assert different <= {("LFO1", "DMS1"), ("LFO2", "DMS1"), ("LFO1", "FMS1"), ("LFO1", "FMD1")}
        np.testing.assert_allclose(everything(read(path)), everything(preset), rtol=0, atol=PRECISION)
        np.testing.assert_array_equal(vector(read(path)), vector(preset))


def test_real_presets_become_valid_ones_close_to_themselves(real_files: list[Path]) -> None:
    for file in real_files:
        preset = read(file)
        DIVA.space.validate(vector(preset))
        moved = np.abs(DIVA.to_plugin(vector(preset)) - everything(preset))[DIVA.space.free_indices] > PRECISION
        # Tunings between octaves, and what is longer than the published intervals.
        assert {p.name for p, m in zip(DIVA.space.free, moved, strict=True) if m} <= {
            "osc:tune1",
            "osc:tune3",
            "plate2:decay",
            "lfo2:delay",
        }


# The table


def test_every_parameter_but_four_has_one_key() -> None:
    mapped = [s for s in H2p()._settings if s.parameter]
    assert sorted(s.parameter for s in mapped) == sorted(set(NAMES) - WITHOUT_KEY)
    assert len({(s.section, s.key) for s in mapped}) == len(mapped)
    assert sum(not s.sure for s in mapped) == UNSURE


def test_steps_of_the_table_are_those_of_the_plugin() -> None:
    """A key has as many steps as its parameter, or more where the space left categories out."""
    parameters = {p.name: p for p in DIVA.space.parameters}
    for setting in H2p()._settings:
        if not setting.parameter or not setting.values:
            continue
        p = parameters[setting.parameter]
        places = np.multiply(p.values or np.linspace(0, 1, p.cardinality), len(setting.values) - 1)
        np.testing.assert_allclose(places, np.round(places), atol=1e-9, err_msg=p.name)
        thinned = "env1" in p.labels and len(setting.values) == 24
        thinned |= p.name in (
            "fx1:module",
            "fx2:module",
            "arp:direction",
            "arp:order",
            "lfo1:waveform",
            "lfo2:waveform",
        )
        assert len(setting.values) == p.cardinality or thinned, p.name


def test_depths_that_become_nothing_are_bipolar_and_free() -> None:
    table = {s.parameter: s for s in H2p()._settings if s.parameter}
    depths = [table[s.depth] for s in table.values() if s.depth]
    assert len(depths) == 17
    assert all(s.low == -s.high for s in depths)
    assert {s.depth for s in depths} == {""}


def test_definitions_name_the_sources_as_the_files_do() -> None:
    sources = H2p()._table["sources"]
    short = {"quantise": "Quant"}
    for p in DIVA.space.parameters:
        if "lfo1" in p.labels:
            numbers = np.round(np.multiply(p.values, 23)).astype(int)
            assert [sources[n].lower() for n in numbers] == [short.get(label, label).lower() for label in p.labels]
