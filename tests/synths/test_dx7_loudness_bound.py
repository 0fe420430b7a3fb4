"""How loud a voice can be: never more than the bound says, and the envelope behind it is the DX7's block by block."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dexed.algorithms import get_carriers

from synthproxy.synths import Note, get_synth
from synthproxy.synths.base import BoundsLoudness
from synthproxy.synths.dexed import VOICE_ORDER
from synthproxy.synths.dx7_loudness import _STATIC_SAMPLES, rms_bound
from synthproxy.synths.dx7_scaling import level_of, output_level, rate_offset, scaled_level, sounding_pitch
from synthproxy.synths.dx7_voice import INITIAL_VOICE, unpack_parameters

OUTPUT_STEP = 2.0**-12
EXACT = 1e-9
ENGINE_DECIBELS = 0.2
CARRIER = VOICE_ORDER.index("op1_eg_rate_1")


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def random_clip(generator: np.random.Generator) -> tuple[Note, float, int]:
    note = Note(
        int(generator.integers(128)), int(generator.integers(1, 128)), float(generator.choice([0.05, 0.313, 0.2, 0.7]))
    )
    return note, float(generator.choice([0.1, 0.313, 0.45, 0.6])), int(generator.choice([32_000, 44_100, 48_000]))


# An independent reference: one operator's envelope, one block of 64 samples at a time, in whole numbers.


def follow(op: np.ndarray, pitch: int, velocity: int, duration: float, seconds: float, rate: int) -> np.ndarray:
    """Level at the end of every block; 2²⁴ to the octave, full scale at 15·2²⁴."""
    output = int(output_level(op, np.asarray(pitch), velocity))
    offset = int(rate_offset(np.asarray(pitch), op[13]))
    multiplier = int(44100.0 / rate * (1 << 24))
    level = stage = goal = step = waiting = 0
    rising, down = False, True

    def enter(new: int) -> None:
        nonlocal stage, goal, step, waiting, rising
        stage = new
        if stage > 3:
            return
        goal = max(((int(scaled_level(op[4 + stage])) >> 1) << 6) + output - 4256, 16) << 16
        rising = goal > level
        speed = min((int(op[stage]) * 41 >> 6) + offset, 63)
        step = ((4 + (speed & 3)) << (8 + (speed >> 2))) * multiplier >> 24
        waiting = int(_STATIC_SAMPLES[min(int(op[stage]) + offset, 99)]) * multiplier >> 24 if goal == level else 0

    enter(0)
    levels = []
    released = int(np.ceil(duration * rate / 64))
    for block in range(int(np.ceil(seconds * rate / 64))):
        if block == released:
            down = False
            enter(3)
        if waiting:
            waiting -= 64
            if waiting <= 0:
                waiting = 0
                enter(stage + 1)
        if stage < 3 or (stage == 3 and not down):
            if rising:
                level = max(level, 1716 << 16)
                level += (((17 << 24) - level) >> 24) * step
                if level >= goal:
                    level = goal
                    enter(stage + 1)
            elif not waiting:
                level -= step
                if level <= goal:
                    level = goal
                    enter(stage + 1)
        levels.append(level)
    return np.asarray(levels, dtype=np.float64)


def reference_bound(voice: np.ndarray, note: Note, seconds: float, rate: int) -> float:
    operators = voice[:126].astype(np.int64).reshape(6, 21)
    pitch = min(127, max(0, note.pitch + int(voice[144]) - 24))
    total = OUTPUT_STEP
    for carrier in get_carriers(int(voice[134])):
        levels = follow(operators[5 - carrier], pitch, note.velocity, note.duration, seconds, rate)
        amplitudes = np.exp2(levels / 2**24 - 15)
        total += float(np.sqrt(np.sum(amplitudes**2) * 64 / round(seconds * rate)))
    return total


def test_bound_is_the_envelope_followed_block_by_block(engine: Any) -> None:
    generator = np.random.default_rng(0)
    voices = engine.any_voices(4, 250)
    voices[::5, :126].reshape(-1, 6, 21)[..., 4:8] //= 40  # Many equal and low levels: segments at rest.
    for voice in voices:
        note, seconds, rate = random_clip(generator)
        bound = rms_bound(voice[None], note.pitch, note.velocity, note.duration, seconds, rate)[0]
        assert bound == pytest.approx(reference_bound(voice, note, seconds, rate), rel=EXACT)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
def test_bound_of_a_published_clip_is_the_envelope_followed_block_by_block(rate: int) -> None:
    synth = get_synth("dexed-paper")
    presets = synth.space.sample(np.random.default_rng(rate), 12)
    voices = synth.voices(presets)
    bounds = synth.loudness_bound(presets, Note(), 5.0, rate) / 0.132
    expected = [reference_bound(voice, Note(), 5.0, rate) for voice in voices]
    np.testing.assert_allclose(bounds, expected, rtol=EXACT)


@pytest.mark.parametrize("name", ["dexed", "dexed-paper"])
def test_no_drawn_preset_is_louder_than_its_bound(name: str) -> None:
    synth = get_synth(name)
    assert isinstance(synth, BoundsLoudness)
    generator = np.random.default_rng(1)
    for preset in synth.space.sample(generator, 250):
        note, seconds, rate = random_clip(generator)
        bound = synth.loudness_bound(preset[None], note, seconds, rate)
        assert bound.shape == (1,)
        assert rms(synth.render(preset, note, seconds, rate)) <= bound[0]


def test_no_voice_whatsoever_is_louder_than_its_bound(engine: Any) -> None:
    """Keyboard scaling, velocity, rate scaling and transposition included."""
    generator = np.random.default_rng(2)
    heard = 0
    for voice in engine.any_voices(5, 400):
        note, seconds, rate = random_clip(generator)
        true = rms(engine.play(voice, note, seconds, rate))
        assert true <= rms_bound(voice[None], note.pitch, note.velocity, note.duration, seconds, rate)[0]
        heard += true > 0.01
    assert heard > 100


def test_no_real_voice_is_louder_than_its_bound(shared_folder: Path, engine: Any) -> None:
    with np.load(shared_folder / "data" / "dx7_voices.npz") as archive:
        packed = archive["packed"]
    generator = np.random.default_rng(3)
    for voice in unpack_parameters(packed[generator.permutation(len(packed))[:200]]):
        note, seconds, rate = random_clip(generator)
        bound = rms_bound(voice[None], note.pitch, note.velocity, note.duration, seconds, rate)[0]
        assert rms(engine.play(voice, note, seconds, rate)) <= bound


def test_bound_of_a_steady_sine_is_its_amplitude(engine: Any) -> None:
    note = Note(60, 100, 0.5)
    bound = rms_bound(INITIAL_VOICE.parameters[None], 60, 100, 0.5, 0.5, 32_000)[0]
    true = rms(engine.play(INITIAL_VOICE.parameters, note, 0.5))
    assert bound == pytest.approx(np.sqrt(2) * true, rel=0.01)


def test_bound_of_many_is_that_of_each(engine: Any) -> None:
    voices = engine.any_voices(6, 40)
    together = rms_bound(voices, 60, 100, 0.3, 0.5, 32_000)
    alone = [rms_bound(voice[None], 60, 100, 0.3, 0.5, 32_000)[0] for voice in voices]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_most_draws_of_the_published_space_are_rejected_unheard() -> None:
    synth = get_synth("dexed-paper")
    presets = synth.space.sample(np.random.default_rng(4), 2000)
    assert np.mean(synth.loudness_bound(presets, Note(), 5.0, 32_000) <= 0.01) > 0.7


# The integer arithmetic under it


def test_level_of_undoes_scaled_level() -> None:
    levels = np.arange(100)
    np.testing.assert_array_equal(level_of(scaled_level(levels)), levels)
    assert (np.diff(scaled_level(levels)) > 0).all()


def test_output_level_is_the_engines_for_any_key_velocity_scaling_and_transposition(engine: Any) -> None:
    """A carrier at full level and 1 kHz, measured; quiet ones drown in the engine's rounding."""
    generator = np.random.default_rng(6)
    measured = 0
    for random in engine.any_voices(7, 250):
        voice = INITIAL_VOICE.parameters.copy()
        for field in (8, 9, 10, 11, 12, 15, 16):
            voice[CARRIER + field] = random[CARRIER + field]
        voice[CARRIER + 17 : CARRIER + 19] = 1, 3
        voice[144] = random[144]
        pitch, velocity = int(generator.integers(128)), int(generator.integers(1, 128))
        peak = np.abs(engine.play(voice, Note(pitch, velocity, 0.1), 0.1)[800:]).max()
        key = sounding_pitch(pitch, voice[144].astype(np.int64))
        level = (63 << 6) + output_level(voice[CARRIER : CARRIER + 21].astype(np.int64), key, velocity) - 4256
        predicted = 2.0 ** (max(level, 16) / 256 - 15)
        if predicted > 0.02:
            measured += 1
            assert abs(20 * np.log10(peak / predicted)) < ENGINE_DECIBELS
        else:
            assert peak < 0.022
    assert measured > 80
