"""Vital: repeats to the bit, plays what the files it writes say, and keeps the sound of presets it folds."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.synths import NamedPreset, Note, Synth
from synthproxy.synths.base import NeedsSomething
from synthproxy.synths.space import Kind
from synthproxy.synths.vital import SOURCES, Vital, play
from synthproxy.synths.vital_file import Connection, VitalFile, read_collection, read_vital, write_vital

vita = pytest.importorskip("vita", reason="vita is not installed: pip install 'synthproxy[vital]'")

RATE = 32_000
SECONDS = 0.5
NOTE = Note(60, 100, 0.3)
FOLDED_ERROR = 0.02
VITAL = Vital()
SPACE = VITAL.space
ENGINE = vita.Synth()
few = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32)


def draw(count: int, seed: int = 0) -> NDArray[np.float32]:
    return SPACE.sample(np.random.default_rng(seed), count)


def preset_with(**values: float | str) -> NDArray[np.float32]:
    """The default preset with some parameters set; a sine, unless a frame is given."""
    return SPACE.from_names({"osc_1_wave_frame": 1.0, **values})


def heard(file: VitalFile, note: Note = NOTE, seconds: float = SECONDS, rate: int = RATE) -> NDArray[np.float32]:
    """The sound of a file on an engine with nothing of ours around it but the settling."""
    engine = vita.Synth()
    engine.set_sample_rate(rate)
    assert engine.load_json(file.to_json())
    return play(engine, note, seconds, rate)


def rms(audio: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Energy of the difference relative to the second."""
    assert rms(second) > 1e-3
    return rms(first - second) / rms(second)


def hertz(audio: NDArray[np.float32], rate: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
    return float(spectrum.argmax()) * rate / (8 * len(audio))


def key(pitch: float) -> float:
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


# The space


def test_it_is_a_synth_that_says_what_it_needs() -> None:
    assert isinstance(VITAL, Synth)
    assert isinstance(VITAL, NeedsSomething)
    assert VITAL.missing == ""


def test_without_vita_there_is_a_space_and_one_line_of_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "vita", None)
    alone = Vital()
    assert alone.space == SPACE
    assert "pip install 'synthproxy[vital]'" in alone.missing
    write_vital(tmp_path / "any.vital", VitalFile({"settings": {"osc_1_level": 1.0}}))
    for use in (
        lambda: alone.render(draw(1)[0], NOTE, 0.1, RATE),
        lambda: alone.read_presets(tmp_path / "any.vital", NOTE),
        lambda: alone.write_presets(tmp_path / "other.vital", [NamedPreset(draw(1)[0], "", "")]),
    ):
        with pytest.raises(UnavailableError, match="pip install"):
            use()
    assert not (tmp_path / "other.vital").exists()


def test_every_parameter_is_a_setting_of_the_engine_at_its_default() -> None:
    controls = ENGINE.get_controls()
    changed = {name for name in controls if re.fullmatch(r"(osc|sample)_.*level", name)}  # Rounded to their grid.
    changed |= {p.name for p in SPACE.parameters if p.held}
    found = VITAL.settings(SPACE.encode(SPACE.defaults))
    assert set(found) == set(controls)
    for name, value in found.items():
        if name not in changed:
            assert value == pytest.approx(controls[name].value(), abs=1e-4), name
    others = [p.name for p in SPACE.parameters if p.name not in controls]
    assert others == [f"modulation_{slot}_destination" for slot in range(1, len(SOURCES) + 1)]


def test_categories_and_steps_are_those_of_the_engine() -> None:
    for p in SPACE.parameters:
        if p.name.startswith("modulation"):
            continue
        details = ENGINE.get_control_details(p.name)
        if p.kind is Kind.CATEGORICAL:
            assert max(p.values or range(p.cardinality)) <= details.max, p.name
            assert details.min == 0
        if p.kind is Kind.BINARY:
            assert (details.min, details.max) == (0, 1), p.name
        if p.kind is Kind.NUMERICAL and details.is_discrete:
            assert p.cardinality == details.max - details.min + 1, p.name
    names = {"osc_1_spectral_morph_type", "distortion_type", "filter_1_model", "delay_sync", "compressor_enabled_bands"}
    for p in SPACE.parameters:
        if p.name in names:
            assert list(p.labels) == [option.lower() for option in ENGINE.get_control_details(p.name).options], p.name


@few
@given(seeds)
def test_settings_lie_in_their_ranges_and_stepped_ones_are_whole(seed: int) -> None:
    for name, value in VITAL.settings(draw(1, seed)[0]).items():
        details = ENGINE.get_control_details(name)
        assert details.min <= value <= details.max, name
        assert not details.is_discrete or value == int(value), name


def test_destinations_and_sources_are_those_of_the_engine() -> None:
    labels = {label for p in SPACE.parameters if p.name.endswith("_destination") for label in p.labels[1:]}
    moved = {label for label in labels if "_" in label}
    assert len(moved) == 21
    assert moved <= set(vita.get_modulation_destinations())
    assert set(SOURCES) <= set(vita.get_modulation_sources())


def test_like_groups_have_the_same_parameters_in_the_same_order() -> None:
    groups: dict[str, list[Any]] = {}
    for p in SPACE.free:
        place = p.group.rpartition(".")[2]
        alike = (re.sub(rf"_{place}(?=_|$)", "_n", p.name), p.kind, p.cardinality, p.low, p.high)
        groups.setdefault(p.group, []).append(alike)
    for stem, count in {"oscillators": 3, "filters": 2, "envelopes": 3, "lfos": 2, "modulations": 8}.items():
        rows = [groups[f"{stem}.{number}"] for number in range(1, count + 1)]
        assert all(row == rows[0] for row in rows), stem
        assert f"{stem}.{count + 1}" not in groups


@few
@given(seeds)
def test_names_say_it_all(seed: int) -> None:
    preset = draw(1, seed)[0]
    named = json.loads(json.dumps(SPACE.to_names(preset)))
    np.testing.assert_array_equal(SPACE.from_names(named), preset)


# Presets in files


@few
@given(seeds)
def test_a_preset_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = tmp_path_factory.mktemp("vital") / "some.vital"
    preset = draw(1, seed)[0]
    VITAL.write_presets(path, [NamedPreset(preset, "söme\n", "")])
    (found,) = VITAL.read_presets(path, Note(1 + seed % 127, 1 + seed % 126))
    np.testing.assert_array_equal(found.vector, preset)
    assert (found.name, found.origin) == ("söme\n", "some.vital")


def test_several_presets_go_to_several_files(tmp_path: Path) -> None:
    presets = draw(3)
    VITAL.write_presets(tmp_path / "best.vital", [NamedPreset(p, "", "") for p in presets])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best-2.vital", "best-3.vital", "best.vital"]
    for name, preset in zip(("best", "best-2", "best-3"), presets, strict=True):
        (found,) = VITAL.read_presets(tmp_path / f"{name}.vital", NOTE)
        np.testing.assert_array_equal(found.vector, preset)
        assert found.name == name
    for path, some in ((tmp_path / "none.vital", []), (tmp_path / "best.syx", [NamedPreset(presets[0], "", "")])):
        with pytest.raises(InvalidInputError):
            VITAL.write_presets(path, some)
        assert not path.exists()


def test_the_file_of_a_preset_sounds_like_the_preset_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "some.vital"
    for preset in draw(6, 1):
        VITAL.write_presets(path, [NamedPreset(preset, "some", "")])
        np.testing.assert_array_equal(heard(read_vital(path)), VITAL.render(preset, NOTE, SECONDS, RATE))


def test_changing_one_setting_of_a_file_changes_one_parameter() -> None:
    file = VITAL.file(draw(1)[0])
    other = file.changed({"filter_2_cutoff": 72.0})
    before, after = VITAL.preset(file, NOTE), VITAL.preset(other, NOTE)
    (changed,) = np.nonzero(before != after)
    assert [SPACE.free[i].name for i in changed] == ["filter_2_cutoff"]
    assert after[changed[0]] == (72 - 8) / 128


@pytest.mark.parametrize("value", [1e300, -1e300, 10**300, 0, 0.5])
def test_any_finite_numbers_make_a_preset(value: float) -> None:
    connections = [Connection("note", "lfo_1_frequency"), Connection("macro_control_1", "modulation_1_amount")]
    file = VITAL.file(draw(1)[0]).changed(dict.fromkeys(VITAL.settings(draw(1)[0]), value), connections)
    SPACE.validate(VITAL.preset(file, NOTE))


# Sound


def test_pitch_is_right_at_every_rate() -> None:
    for rate in (32_000, 44_100):
        for pitch in (40, 69, 88):
            audio = VITAL.render(preset_with(), Note(pitch, 100, 1.0), 1.0, rate)
            assert 12 * np.log2(hertz(audio, rate) / key(pitch)) == pytest.approx(0, abs=0.02)


def test_level_is_that_of_a_preset_in_use() -> None:
    saw = VITAL.render(preset_with(osc_1_wave_frame=0.0), NOTE, SECONDS, RATE)
    assert 0.02 < rms(saw) < 0.2
    assert np.abs(saw).max() < 1


def test_both_channels_are_heard() -> None:
    left, right = (heard(VITAL.file(preset_with()).changed({"osc_1_pan": side})) for side in (-1.0, 1.0))
    assert rms(left) > 1e-2
    np.testing.assert_allclose(left, right, atol=1e-4)


def test_length_is_exact_and_a_shorter_clip_is_the_beginning_of_a_longer_one() -> None:
    preset = preset_with()
    longest = VITAL.render(preset, NOTE, 0.9, 44_100)
    for seconds in (0.1, 0.3, 0.7, 0.77777):
        audio = VITAL.render(preset, NOTE, seconds, 44_100)
        assert audio.dtype == np.float32
        assert len(audio) == round(seconds * 44_100)
        np.testing.assert_array_equal(audio, longest[: len(audio)])


def test_a_note_ends_however_short_it_is() -> None:
    for duration in (1e-6, 0.1):
        audio = VITAL.render(preset_with(env_1_release=0.1), Note(60, 100, duration), 0.6, RATE)
        assert rms(audio[: RATE // 10]) > 10 * rms(audio[-RATE // 10 :])


def test_it_repeats_to_the_bit_whatever_was_played_before_and_from_threads() -> None:
    presets = draw(8, 2)
    names = [p.name for p in SPACE.free]
    for effect in ("reverb_on", "delay_on", "chorus_on", "sample_on"):
        presets[:2, names.index(effect)] = 1
    one_by_one = [VITAL.render(p, NOTE, SECONDS, RATE) for p in presets]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda p: VITAL.render(p, NOTE, SECONDS, RATE), presets[::-1]))[::-1]
    for first, second in zip(one_by_one, threaded, strict=True):
        np.testing.assert_array_equal(first, second)


def test_settings_hold_from_the_first_sample() -> None:
    """Without settling, the cutoff would glide from its default for a tenth of a second."""
    values = {"filter_1_on": 1, "filter_1_cutoff": 0.9, "env_1_attack": 0.0, "osc_1_wave_frame": 0.0}
    audio = VITAL.render(preset_with(**values), Note(60, 100, 1.0), 0.6, RATE)
    early, late = audio[320:1920], audio[-1600:]
    assert rms(np.diff(early)) / rms(early) == pytest.approx(rms(np.diff(late)) / rms(late), rel=0.05)


def test_playing_leaves_subnormal_numbers_to_the_thread() -> None:
    """The engine would flush them to zero in whatever is computed next."""
    VITAL.render(preset_with(), NOTE, 0.1, RATE)
    tiny = np.full(4, 1e-310)
    assert (tiny / 4 > 0).all()


def test_most_draws_are_heard() -> None:
    levels = [rms(VITAL.render(p, Note(60, 100, 1.0), 2.0, 16_000)) for p in draw(16, 3)]
    assert sum(0.01 < level < 1.0 for level in levels) >= 8


def test_oscillators_that_are_off_need_no_wavetable() -> None:
    for preset in draw(4, 4):
        file = VITAL.file(preset)
        np.testing.assert_array_equal(heard(file.lighter()), heard(file))


def test_modulations_move_what_they_name() -> None:
    octave = {"modulation_3_destination": "osc_1_transpose", "modulation_3_amount": 0.5 + 12 / 96 / 2}
    audio = VITAL.render(preset_with(**octave, env_3_attack=0.0), Note(60, 100, 1.0), 1.0, RATE)
    assert hertz(audio[RATE // 2 :], RATE) == pytest.approx(key(72), rel=0.01)
    vibrato = {"modulation_5_destination": "osc_1_tune", "modulation_5_amount": 1.0, "lfo_1_frequency": 7.0 / 16}
    audio = VITAL.render(preset_with(**vibrato), Note(60, 100, 1.0), 1.0, RATE)
    quarters = [hertz(part, RATE) for part in np.split(audio, 4)]
    assert 12 * np.log2(np.asarray(quarters) / key(60)) == pytest.approx([-0.5, 0.5, 0.5, -0.5], abs=0.25)


# Folding


@pytest.mark.parametrize(
    ("changes", "connections"),
    [
        ({"macro_control_2": 0.6, "modulation_1_amount": 0.3}, [Connection("macro_control_2", "filter_1_cutoff")]),
        ({"modulation_1_amount": 0.5}, [Connection("velocity", "filter_1_cutoff")]),
        ({"modulation_1_amount": 0.2, "modulation_1_bipolar": 1.0}, [Connection("note", "filter_1_cutoff")]),
        ({"filter_1_keytrack": 0.7}, []),
        ({"osc_1_midi_track": 0.0, "osc_1_transpose": 5.0}, []),
        ({"modulation_1_amount": 0.4}, [Connection("lfo_1", "filter_1_cutoff")]),
        ({"modulation_1_amount": 0.4, "lfo_1_sync": 2.0}, [Connection("lfo_1", "filter_1_cutoff")]),
        (
            {"modulation_1_amount": 0.4, "lfo_1_sync": 4.0, "lfo_1_keytrack_transpose": -36.0},
            [Connection("lfo_1", "filter_1_cutoff")],
        ),
        ({"modulation_2_amount": 0.4}, [Connection(), Connection("env_3", "filter_1_cutoff")]),
        (
            {"macro_control_1": 0.5, "modulation_1_amount": 0.3, "modulation_2_amount": 0.1},
            [Connection("env_2", "filter_1_cutoff"), Connection("macro_control_1", "modulation_1_amount")],
        ),
        ({"delay_on": 1.0, "delay_sync": 1.0, "beats_per_minute": 3.0}, []),
        ({"chorus_on": 1.0, "chorus_sync": 3.0}, []),
    ],
)
def test_what_is_constant_during_a_note_is_folded(changes: dict[str, float], connections: list[Connection]) -> None:
    note = Note(52, 80, 0.5)
    plain = VITAL.file(preset_with(filter_1_on=1, filter_1_cutoff=0.3, osc_1_wave_frame=0.0, env_2_decay=0.3))
    file = plain.changed({**changes, "modulation_5_bipolar": 0.0}, connections)
    original = heard(file, note)
    folded = VITAL.render(VITAL.preset(file, note), note, SECONDS, RATE)
    assert difference(folded, original) < FOLDED_ERROR
    assert difference(heard(plain, note), original) > 4 * FOLDED_ERROR


def test_modulations_without_a_place_are_dropped_and_bypassed_ones_too() -> None:
    plain = VITAL.file(preset_with())
    connections = [Connection("env_2", "osc_1_level")] * 3 + [
        Connection("env_6", "osc_1_level"),
        Connection("env_3", "volume"),
    ]
    file = plain.changed({f"modulation_{i}_amount": i / 10 for i in range(1, 6)}, connections)
    named = SPACE.to_names(VITAL.preset(file, NOTE))
    destinations = [named[f"modulation_{slot}_destination"] for slot in range(1, 9)]
    assert destinations == ["osc_1_level", "osc_1_level", *["none"] * 6]
    assert [named[f"modulation_{slot}_amount"] for slot in range(1, 6)] == pytest.approx([0.55, 0.6, 0.5, 0.5, 0.5])
    named = SPACE.to_names(VITAL.preset(file.changed({"modulation_1_bypass": 1.0}), NOTE))
    assert [named[f"modulation_{slot}_amount"] for slot in (1, 2)] == pytest.approx([0.65, 0.6])


# Presets that people made


@pytest.fixture(scope="module")
def collection(shared_folder: Path) -> Path:
    return shared_folder / "data" / "vital_presets.json.gz"


def test_real_presets_come_back_from_their_files(collection: Path, tmp_path: Path) -> None:
    found = VITAL.read_presets(collection, NOTE)
    assert len(found) == 274
    SPACE.validate(np.stack([p.vector for p in found]))
    assert len({p.vector.tobytes() for p in found}) > 270
    for preset in found:
        VITAL.write_presets(tmp_path / "real.vital", [preset])
        (again,) = VITAL.read_presets(tmp_path / "real.vital", NOTE)
        np.testing.assert_array_equal(again.vector, preset.vector)
        assert again.name == preset.name


def test_real_presets_sound_the_same_from_their_files(collection: Path, tmp_path: Path) -> None:
    for preset in VITAL.read_presets(collection, NOTE)[::70]:
        VITAL.write_presets(tmp_path / "real.vital", [preset])
        expected = VITAL.render(preset.vector, NOTE, SECONDS, RATE)
        np.testing.assert_array_equal(heard(read_vital(tmp_path / "real.vital")), expected)


def log_spectrum(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Power in dB of 24 bands in every window of 32 ms, at one level."""
    windows = np.lib.stride_tricks.sliding_window_view(audio / rms(audio), 1024)[::512] * np.hanning(1024)
    edges = np.unique(np.geomspace(2, 512, 25).astype(int))
    power = np.add.reduceat(np.abs(np.fft.rfft(windows, axis=1)) ** 2, edges, axis=1)
    return 10 * np.log10(power + 1e-2)


def test_real_presets_keep_their_sound_but_for_wavetables(collection: Path) -> None:
    """Played with the same wavetable, an imported preset is far nearer to its original than another one is."""
    held = VITAL.file(SPACE.encode(SPACE.defaults))
    originals, imported = [], []
    for file in read_collection(collection)[1::45]:
        still = {**file.settings(VITAL.settings(SPACE.encode(SPACE.defaults))), **dict.fromkeys(RANDOM_PHASES, 0.0)}
        originals.append(log_spectrum(heard(held.changed(still, file.connections), NOTE, 0.8)))
        imported.append(log_spectrum(VITAL.render(VITAL.preset(file, NOTE), NOTE, 0.8, RATE)))
    distances = np.asarray([[np.abs(a - b).mean() for b in imported] for a in originals])
    own = distances.diagonal()
    others = (distances.sum(axis=1) - own) / (len(own) - 1)
    assert np.median(own) < np.median(others) / 3


RANDOM_PHASES = [f"osc_{number}_random_phase" for number in (1, 2, 3)]
