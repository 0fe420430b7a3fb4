"""What is found out about a target's note."""

import librosa
import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.errors import InvalidInputError
from synthproxy.matching.pitch import estimate_pitch, yin
from synthproxy.matching.target import read_target

RATE = 32_000


def tone(frequency: float, seconds: float = 1.0, partials: int = 6) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * frequency * k * t) / k for k in range(1, partials + 1)).astype(np.float32) / 3


@pytest.mark.parametrize("pitch", [28, 40, 60, 69, 84, 96])
def test_pitch_of_a_harmonic_tone_is_found(pitch):
    estimated, clarity = estimate_pitch(tone(440 * 2 ** ((pitch - 69) / 12)), RATE)
    assert estimated == pitch
    assert clarity > 0.95


def test_frequency_agrees_with_the_difference_function_of_librosa():
    audio = tone(233.1)
    ours = np.median(yin(audio, RATE, f_min=60, f_max=2000)[0])
    # librosa's yin compiles for seconds; its autocorrelation does not, and its peak is the same period.
    peaks = librosa.autocorrelate(audio[:8192].astype(np.float64), max_size=700)
    period = 60 + int(np.argmax(peaks[60:200]))
    assert ours == pytest.approx(233.1, rel=2e-3)
    assert ours == pytest.approx(RATE / period, rel=1e-2)


def test_noise_has_no_clear_pitch():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert estimate_pitch(noise, RATE)[1] < 0.6


@pytest.mark.parametrize("sound", [np.zeros(400), np.ones(50), np.r_[1.0, np.zeros(3)]])
def test_degenerate_sounds_still_give_a_midi_pitch(sound):
    pitch, clarity = estimate_pitch(sound.astype(np.float32), RATE)
    assert 0 <= pitch <= 127
    assert 0 <= clarity <= 1


def test_leading_silence_is_left_out_and_told(tmp_path):
    write_audio(tmp_path / "late.wav", np.r_[np.zeros(RATE // 2, np.float32), tone(262)], RATE)
    target = read_target(tmp_path / "late.wav")
    assert target.start == pytest.approx(0.5, abs=0.01)
    assert target.seconds == pytest.approx(1.0, abs=0.01)
    assert target.note.pitch == 60


def test_length_of_a_held_note_is_estimated(tmp_path):
    audio = tone(262, 3.0)
    audio[round(1.7 * RATE) :] *= np.exp(-np.arange(len(audio) - round(1.7 * RATE)) / (0.02 * RATE)).astype(np.float32)
    write_audio(tmp_path / "held.wav", audio, RATE)
    assert read_target(tmp_path / "held.wav").note.duration == pytest.approx(1.7, abs=0.15)


def test_given_pitch_and_duration_are_taken(tmp_path):
    write_audio(tmp_path / "tone.wav", tone(262), RATE)
    target = read_target(tmp_path / "tone.wav", pitch=50, duration=0.4)
    assert target.pitches == (50,)
    assert target.durations == (0.4,)


def test_a_sound_longer_than_a_note_is_refused(tmp_path):
    write_audio(tmp_path / "long.wav", tone(262, 31.0, 1), RATE)
    with pytest.raises(InvalidInputError, match="30 s"):
        read_target(tmp_path / "long.wav")
