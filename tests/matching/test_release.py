"""When a key was let go is told from the sound."""

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.matching.release import estimate_releases
from synthproxy.matching.shipped import shipped_presets
from synthproxy.matching.target import read_target
from synthproxy.synths import Note

RATE = 32_000


def falling(seconds: float, rate: float) -> np.ndarray:
    """A tone that falls by so many decibels a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 262 * k * t) / k for k in range(1, 7))
    return (0.3 * tone * 10 ** (-rate * t / 20)).astype(np.float32)


def let_go(audio: np.ndarray, at: float, rate: float) -> np.ndarray:
    """The same, which from there on falls by so much more."""
    t = np.maximum(np.arange(len(audio)) / RATE - at, 0)
    return (audio * 10 ** (-rate * t / 20)).astype(np.float32)


@pytest.mark.parametrize("at", [0.4, 1.0, 2.37])
@pytest.mark.parametrize("decay", [0, 6, 20])
def test_the_release_of_a_note_that_decays_is_where_it_falls_faster(at, decay):
    assert estimate_releases(let_go(falling(4.0, decay), at, 80), RATE)[0] == pytest.approx(at, abs=0.03)


@pytest.mark.parametrize("decay", [0, 20, 60])
def test_a_steady_decay_is_no_release(decay):
    assert estimate_releases(falling(3.0, decay), RATE) == ()


def test_a_fall_that_the_sound_recovers_from_is_less_likely_than_one_that_lasts():
    audio = let_go(falling(4.0, 3), 2.5, 60)
    t = np.arange(len(audio)) / RATE
    trembling = audio * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)).astype(np.float32)
    assert estimate_releases(trembling, RATE)[0] == pytest.approx(2.5, abs=0.15)


@pytest.mark.parametrize("samples", [0, 1, 100, 2000, 5000])
def test_short_sounds_have_no_release_or_one_within_them(samples):
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    assert all(0 < found < samples / RATE for found in estimate_releases(noise, RATE))


def test_most_releases_of_a_real_synth_are_found(synth):
    """Of the presets that come with the package, percussion and all, where letting go makes a difference."""
    generator, errors = np.random.default_rng(1), []
    for preset in generator.permutation(shipped_presets(synth))[:60]:
        at = float(generator.uniform(0.5, 2.0))
        held, longer = (synth.render(preset, Note(60, 100, length), 3.0, RATE) for length in (at, 3.0))
        after = slice(round(at * RATE), round((at + 0.3) * RATE))
        if np.square(held[after]).mean() < 0.1 * np.square(longer[after]).mean():
            errors.append(abs((*estimate_releases(held, RATE), 9.0)[0] - at))
    assert len(errors) > 20
    assert np.mean(np.asarray(errors) < 0.06) > 0.7


def test_a_struck_sound_may_have_been_let_go_early_or_held(tmp_path):
    write_audio(tmp_path / "struck.wav", let_go(falling(4.0, 60), 0.3, 80), RATE)
    target = read_target(tmp_path / "struck.wav")
    assert target.note.duration == pytest.approx(0.3, abs=0.03)
    assert {note.duration for note in target.likely_notes} == {target.note.duration, 4.0}
    assert {note.pitch for note in target.likely_notes} == set(target.pitches)
    known = read_target(tmp_path / "struck.wav", duration=0.5)
    assert {note.duration for note in known.likely_notes} == {0.5}


def test_a_sound_in_which_no_release_is_heard_is_held_to_its_end(tmp_path):
    write_audio(tmp_path / "held.wav", falling(2.5, 6), RATE)
    target = read_target(tmp_path / "held.wav")
    assert target.note.duration == 2.5
    assert target.likely_notes == target.notes
