"""Dexed: repeats to the bit, plays what the files it writes say, and keeps the sound of voices it folds."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dexed import DexedSynth, Patch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError
from synthproxy.synths import NamedPreset, Note, Synth, get_synth
from synthproxy.synths.dexed import PLUGIN_LEVEL, VOICE_ORDER, Dexed
from synthproxy.synths.dx7_voice import INITIAL_VOICE, MAXIMA, Voice, read_voices, unpack_parameters, write_voices

RATE = 32_000
SECONDS = 0.4
NOTE = Note(60, 100, 0.25)
ONE_ROUNDING = 1e-7
FOLDED_DECIBELS = 1.2  # Levels are rounded to 0.75 dB, below level 20 to 3 dB, and modulators turn level into timbre.
RARE_FOLDED_DECIBELS = 2.5
PLAYED_SECONDS = 0.5
FOLDING, PLAIN, PAPER = Dexed(), Dexed(folds=False), Dexed("dexed-paper", folds=False)
few = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module", params=["dexed", "dexed-paper"])
def synth(request: pytest.FixtureRequest) -> Dexed:
    found = get_synth(request.param)
    assert isinstance(found, Dexed)
    return found


def draw(synth: Synth, count: int, seed: int = 0) -> np.ndarray:
    return synth.space.sample(np.random.default_rng(seed), count)


def restless(synth: Dexed, count: int) -> np.ndarray:
    """Presets whose LFO runs freely and at random: what an engine with a memory would not repeat."""
    columns = {p.name: i for i, p in enumerate(synth.space.free)}
    presets = draw(synth, count)
    last_wave = synth.space.free[columns["lfo_wave"]].cardinality - 1
    changes = {"lfo_wave": last_wave, "lfo_pitch_mod_depth": 1, "pitch_mod_sensitivity": 1, "lfo_speed": 0.8}
    for name, value in {**changes, "lfo_key_sync": 0, "op1_output_level": 1}.items():
        if name in columns:
            presets[:, columns[name]] = value
    return synth.space.snap(presets)


def rms_decibels(audio: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(audio, dtype=np.float64))) + 1e-9))


def test_it_keeps_the_contract_of_a_synth(synth: Dexed) -> None:
    assert isinstance(synth, Synth)
    audio = synth.render(draw(synth, 1)[0], NOTE, SECONDS, RATE)
    assert audio.dtype == np.float32
    assert audio.flags.writeable
    assert np.isfinite(audio).all()


@few
@given(st.floats(0.05, 1.0), st.sampled_from([8000, 22_050, 32_000, 44_100, 48_000]))
@example(0.25, 22_050)  # Half a sample.
def test_clip_has_the_length_that_was_asked_for(seconds: float, rate: int) -> None:
    preset = FOLDING.space.encode(FOLDING.space.defaults)
    assert FOLDING.render(preset, Note(60, 100, 0.02), seconds, rate).shape == (round(seconds * rate),)


def test_renders_repeat_to_the_bit_after_fifty_others_in_a_new_synth_and_in_other_threads(synth: Dexed) -> None:
    presets = restless(synth, 12)
    first = [synth.render(preset, NOTE, SECONDS, RATE) for preset in presets]
    assert sum(np.abs(audio).max() > 0.01 for audio in first) >= 4
    for preset in draw(synth, 50, seed=1):
        synth.render(preset, Note(71, 30, 0.1), 0.15, RATE)
    new = Dexed(synth.name)
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda preset: synth.render(preset, NOTE, SECONDS, RATE), [*presets] * 2))
    for i, audio in enumerate(first):
        np.testing.assert_array_equal(synth.render(presets[i], NOTE, SECONDS, RATE), audio)
        np.testing.assert_array_equal(new.render(presets[i], NOTE, SECONDS, RATE), audio)
        np.testing.assert_array_equal(threaded[i], audio)
        np.testing.assert_array_equal(threaded[i + len(presets)], audio)


def test_another_sample_rate_in_between_changes_nothing(synth: Dexed) -> None:
    preset = restless(synth, 1)[0]
    first = synth.render(preset, NOTE, SECONDS, RATE)
    synth.render(preset, NOTE, SECONDS, 44_100)
    np.testing.assert_array_equal(synth.render(preset, NOTE, SECONDS, RATE), first)


def test_level_is_the_plugins_output_level_of_the_engine(synth: Dexed, engine: Any) -> None:
    assert PLUGIN_LEVEL == 0.132
    louder = Dexed(synth.name, gain=2.0)
    for preset in draw(synth, 20):
        plain = engine.play(synth.voices(preset), NOTE, SECONDS)
        np.testing.assert_allclose(synth.render(preset, NOTE, SECONDS, RATE), 0.132 * plain, atol=ONE_ROUNDING)
        np.testing.assert_allclose(louder.render(preset, NOTE, SECONDS, RATE), 0.264 * plain, atol=ONE_ROUNDING)


@few
@given(seed=st.integers(0, 2**32))
def test_presets_undoes_voices_to_the_bit(seed: int) -> None:
    for synth in (FOLDING, PAPER):
        presets = draw(synth, 4, seed)
        voices = synth.voices(presets)
        assert voices.dtype == np.uint8
        assert (voices <= MAXIMA).all()
        np.testing.assert_array_equal(synth.presets(voices), presets)
        np.testing.assert_array_equal(synth.voices(presets[0]), voices[0])


def test_every_byte_of_a_voice_that_is_free_is_kept_and_every_other_takes_its_default(
    synth: Dexed, engine: Any
) -> None:
    voices = engine.any_voices(0, 50)
    held = np.asarray([{p.name: p.held for p in synth.space.parameters}[name] for name in VOICE_ORDER])
    bounded = np.asarray([n.endswith("_eg_rate_4") or n.startswith("lfo_") for n in VOICE_ORDER])  # Intervals.
    again = synth.voices(synth.presets(voices))
    np.testing.assert_array_equal(again[:, ~held & ~bounded], voices[:, ~held & ~bounded])
    assert (again[:, held] == again[0, held]).all()


def test_an_interval_clips_what_lies_outside() -> None:
    paper = Dexed("dexed-paper")
    row = INITIAL_VOICE.parameters.copy()
    row[[VOICE_ORDER.index("op1_eg_rate_4"), VOICE_ORDER.index("lfo_delay")]] = 10, 90
    again = dict(zip(VOICE_ORDER, paper.voices(paper.presets(row)), strict=True))
    assert (again["op1_eg_rate_4"], again["lfo_delay"]) == (45, 49)


def test_file_plays_in_dexed_py_as_the_preset_plays_here(synth: Dexed, tmp_path: Path) -> None:
    presets = [NamedPreset(x, f"no {i}", "") for i, x in enumerate(draw(synth, 5))]
    theirs = DexedSynth(RATE)
    single, bank = tmp_path / "single.syx", tmp_path / "bank.syx"
    synth.write_presets(bank, presets)
    patches = Patch.load_bank(str(bank))
    for preset, patch in zip(presets, patches, strict=False):
        synth.write_presets(single, [preset])
        ours = synth.render(preset.vector, NOTE, SECONDS, RATE)
        for loaded in (patch, Patch.from_sysex(single.read_bytes()[6:161])):
            theirs.load_patch(loaded)
            audio = theirs.render(NOTE.pitch, NOTE.velocity, NOTE.duration, SECONDS)
            np.testing.assert_array_equal(ours, audio * np.float32(PLUGIN_LEVEL))
            assert loaded.name.rstrip() == preset.name


def test_presets_survive_their_file(synth: Dexed, tmp_path: Path) -> None:
    presets = [NamedPreset(x, f"preset {i}", "") for i, x in enumerate(draw(synth, 32))]
    path = tmp_path / "bank.syx"
    synth.write_presets(path, presets)
    found = synth.read_presets(path, NOTE)
    assert [p.name for p in found] == [p.name for p in presets]
    assert [p.origin for p in found] == [f"bank.syx:{i}" for i in range(1, 33)]
    np.testing.assert_array_equal([p.vector for p in found], [p.vector for p in presets])


# Folding


def difference(synth: Dexed, engine: Any, voice: np.ndarray, note: Note) -> float | None:
    """How many decibels louder the preset is than the voice itself, or None where that is hardly heard."""
    played = rms_decibels(PLUGIN_LEVEL * engine.play(voice, note, PLAYED_SECONDS))
    preset = synth.presets(voice, note)
    return rms_decibels(synth.render(preset, note, PLAYED_SECONDS, RATE)) - played if played > -60 else None


def scaled_voices(engine: Any, count: int) -> np.ndarray:
    """One carrier with any keyboard scaling, velocity sensitivity, rate scaling and transposition."""
    voices = np.tile(INITIAL_VOICE.parameters, (count, 1))
    any_voices = engine.any_voices(3, count)
    carrier = VOICE_ORDER.index("op1_eg_rate_1")
    for field in (*range(4), *range(8, 14), 15):
        voices[:, carrier + field] = any_voices[:, carrier + field]
    voices[:, carrier + 4 : carrier + 8] = 99, 80, 60, 0
    voices[:, VOICE_ORDER.index("transpose")] = any_voices[:, VOICE_ORDER.index("transpose")]
    return voices


@pytest.mark.parametrize("note", [Note(36, 100, 0.3), Note(60, 64, 0.3), Note(84, 30, 0.3)], ids=str)
def test_scaling_by_key_and_velocity_folded_for_a_note_keeps_its_loudness(engine: Any, note: Note) -> None:
    voices = scaled_voices(engine, 60)
    folded = [difference(FOLDING, engine, voice, note) for voice in voices]
    plain = [difference(PLAIN, engine, voice, note) for voice in voices]
    heard = [abs(x) for x in folded if x is not None]
    assert len(heard) > 20
    assert max(heard) < FOLDED_DECIBELS
    assert np.mean([abs(x) > FOLDED_DECIBELS for x in plain if x is not None]) > 0.5


def test_folded_envelope_follows_the_voice_frame_by_frame(engine: Any) -> None:
    frame = RATE // 20
    for voice in scaled_voices(engine, 30):
        theirs = PLUGIN_LEVEL * engine.play(voice, NOTE, PLAYED_SECONDS)
        ours = FOLDING.render(FOLDING.presets(voice, NOTE), NOTE, PLAYED_SECONDS, RATE)
        for a, b in zip(theirs.reshape(-1, frame), ours.reshape(-1, frame), strict=True):
            if rms_decibels(a) > -50:
                assert abs(rms_decibels(a) - rms_decibels(b)) < RARE_FOLDED_DECIBELS


def test_folding_leaves_alone_what_does_not_scale() -> None:
    voices = FOLDING.voices(draw(FOLDING, 50))
    np.testing.assert_array_equal(FOLDING.presets(voices, Note(90, 20)), PLAIN.presets(voices))


def test_real_voices_sound_nearly_the_same_as_presets(shared_folder: Path, engine: Any) -> None:
    with np.load(shared_folder / "data" / "dx7_voices.npz") as archive:
        packed = archive["packed"][archive["strictly_valid"]]
    voices = unpack_parameters(packed[np.random.default_rng(0).permutation(len(packed))[:100]])
    for note in (Note(48, 40, 0.3), Note(84, 100, 0.3)):
        folded = [difference(FOLDING, engine, v, note) for v in voices]
        plain = [difference(PLAIN, engine, v, note) for v in voices]
        heard = np.abs([x for x in folded if x is not None])
        assert len(heard) > 60
        assert np.mean(heard < FOLDED_DECIBELS) > 0.95
        assert heard.max() < RARE_FOLDED_DECIBELS
        assert np.mean([abs(x) > FOLDED_DECIBELS for x in plain if x is not None]) > 0.4


# Reading


def test_reading_tells_names_and_places_and_takes_the_free_values_over(tmp_path: Path, engine: Any) -> None:
    path = tmp_path / "größe.syx"
    rows = engine.any_voices(1, 32)
    write_voices(path, [Voice.from_parameters(row, f"N{i}") for i, row in enumerate(rows)])
    found = FOLDING.read_presets(path, NOTE)
    assert [(p.name, p.origin) for p in found] == [(f"N{i}", f"größe.syx:{i + 1}") for i in range(32)]
    np.testing.assert_array_equal([p.vector for p in found], FOLDING.presets(rows, NOTE))
    FOLDING.space.validate([p.vector for p in found])


def test_wrong_checksum_is_read_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.syx"
    write_voices(path, [INITIAL_VOICE])
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match="checksum"):
        FOLDING.read_presets(path, NOTE)
    assert FOLDING.read_presets(path, NOTE, ignore_checksum=True)[0].name == "INIT VOICE"


def test_archive_of_packed_voices_is_read_like_the_bank(tmp_path: Path, engine: Any) -> None:
    bank, archive = tmp_path / "bank.syx", tmp_path / "voices.npz"
    write_voices(bank, [Voice.from_parameters(row, f"N{i}") for i, row in enumerate(engine.any_voices(2, 32))])
    packed = np.frombuffer(b"".join(v.packed for v in read_voices(bank)), dtype=np.uint8).reshape(32, 128)
    np.savez(archive, packed=packed, source=np.asarray([f"über {i}" for i in range(32)]))
    from_bank, from_archive = FOLDING.read_presets(bank, NOTE), FOLDING.read_presets(archive, NOTE)
    np.testing.assert_array_equal([p.vector for p in from_bank], [p.vector for p in from_archive])
    assert [p.name for p in from_bank] == [p.name for p in from_archive]
    assert [p.origin for p in from_archive] == [f"über {i}:{i}" for i in range(32)]
    np.savez(archive, packed=packed)
    assert FOLDING.read_presets(archive, NOTE)[3].origin == "voices:3"


VOICES = np.zeros((3, 128), dtype=np.uint8)


@pytest.mark.parametrize(
    "arrays",
    [
        {"other": VOICES},
        {"packed": VOICES[:, :127]},
        {"packed": VOICES.astype(np.int64)},
        {"packed": VOICES[0]},
        {"packed": np.uint8(3)},
        {"packed": VOICES, "source": np.asarray(["only one"])},
        {"packed": VOICES, "source": np.asarray("abc")},
        {"packed": np.asarray([{}, {}], dtype=object)},
        {"packed": VOICES, "source": np.asarray([None, 1, "a"], dtype=object)},
    ],
    ids=["other name", "width", "type", "dimensions", "number", "sources", "one source", "pickled", "pickled sources"],
)
def test_wrong_archive_is_refused_with_its_path(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "voices.npz"
    np.savez(path, **arrays)
    with pytest.raises(InvalidInputError, match=r"voices\.npz"):
        FOLDING.read_presets(path, NOTE)


def test_pickled_code_in_an_archive_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    path = tmp_path / "voices.npz"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (trap,)  # type: ignore[return-value]

    np.savez(path, packed=np.asarray([Trap()], dtype=object))
    with pytest.raises(InvalidInputError):
        FOLDING.read_presets(path, NOTE)
    assert not trap.exists()
    np.load(path, allow_pickle=True)["packed"]
    assert trap.exists()


def test_archive_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "voices.npz"
    with pytest.raises(InvalidInputError, match="cannot be read"):
        FOLDING.read_presets(path, NOTE)
    path.write_bytes(b"hello")
    with pytest.raises(InvalidInputError, match="no archive"):
        FOLDING.read_presets(path, NOTE)
    with path.open("wb") as file:
        np.save(file, VOICES)
    with pytest.raises(InvalidInputError, match="no archive"):
        FOLDING.read_presets(path, NOTE)


@pytest.mark.parametrize(
    "wrong",
    [{"pitch": -1}, {"pitch": 128}, {"velocity": 0}, {"velocity": 128}, {"duration": 0.0}, {"duration": float("nan")}],
    ids=str,
)
def test_impossible_note_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=str(next(iter(wrong.values())))):
        Note(**wrong)  # type: ignore[arg-type]
