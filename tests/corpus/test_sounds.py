"""Sets of recorded sounds are found with their notes, read as clips, and refused in words."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.corpus.sounds import find_sounds, read_clip
from synthproxy.errors import InvalidInputError
from synthproxy.synths import Note

NSYNTH_RATE = 16_000
EXAMPLES = {
    "keyboard_acoustic_004-060-100": {
        "pitch": 60,
        "velocity": 100,
        "instrument_str": "keyboard_acoustic_004",
        "instrument_family_str": "keyboard",
        "sample_rate": NSYNTH_RATE,
    },
    "bass_synthetic_033-022-050": {"pitch": 22, "velocity": 50},
}


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def nsynth(tmp_path: Path) -> Path:
    folder = tmp_path / "nsynth-valid"
    (folder / "audio").mkdir(parents=True)
    for name, example in EXAMPLES.items():
        hertz = 440 * 2 ** ((example["pitch"] - 69) / 12)
        write_audio(folder / "audio" / f"{name}.wav", tone(hertz, 4.0, NSYNTH_RATE), NSYNTH_RATE)
    (folder / "examples.json").write_text(json.dumps(EXAMPLES))
    return folder


def test_nsynth_tells_the_note_and_the_instrument_of_each_sound(nsynth: Path) -> None:
    bass, keyboard = find_sounds(nsynth)
    assert (bass.name, bass.note, bass.family) == ("bass_synthetic_033-022-050", Note(22, 50, 3.0), "")
    assert (keyboard.note, keyboard.instrument) == (Note(60, 100, 3.0), "keyboard_acoustic_004")
    assert keyboard.family == "keyboard"
    assert keyboard.path.is_file()


def test_sounds_that_are_not_listed_are_not_in_the_set(nsynth: Path) -> None:
    write_audio(nsynth / "audio" / "other.wav", tone(100, 0.1, NSYNTH_RATE), NSYNTH_RATE)
    assert [sound.name for sound in find_sounds(nsynth)] == sorted(EXAMPLES)


def test_a_clip_has_the_rate_and_the_length_asked_for(nsynth: Path) -> None:
    path = find_sounds(nsynth)[1].path
    clip = read_clip(path, 32_000, 5.0)
    assert (clip.shape, clip.dtype) == ((160_000,), np.float32)
    expected = librosa.resample(tone(261.6256, 4.0, NSYNTH_RATE), orig_sr=NSYNTH_RATE, target_sr=32_000)
    np.testing.assert_allclose(clip[1_000:127_000], expected[1_000:127_000], atol=1e-3)
    assert not clip[128_000:].any()
    assert np.array_equal(read_clip(path, 32_000, 1.5), clip[:48_000])


def test_any_folder_is_a_set_of_the_sounds_in_it_without_notes(tmp_path: Path) -> None:
    (tmp_path / "pads").mkdir()
    for name in ("b.wav", "pads/a.WAV", "._b.wav"):
        write_audio(tmp_path / name, tone(200, 0.1, 8_000), 8_000)
    (tmp_path / "notes.txt").write_text("no sound")
    sounds = find_sounds(tmp_path)
    assert [(sound.name, sound.note) for sound in sounds] == [("b.wav", None), ("pads/a.WAV", None)]
    assert all(read_clip(sound.path, 8_000, 0.2).any() for sound in sounds)


def test_real_notes_of_nsynth_are_read_as_clips(shared_folder: Path) -> None:
    sounds = find_sounds(shared_folder / "data" / "nsynth_dev")
    assert len(sounds) >= 4
    clips = [read_clip(sound.path, 32_000, 5.0) for sound in sounds]
    assert {clip.shape for clip in clips} == {(160_000,)}
    assert all(np.abs(clip).max() > 0.01 for clip in clips)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "examples.json: not JSON"),
        ("[]", "must be a JSON object with an entry for each sound"),
        ("{}", "must be a JSON object with an entry for each sound"),
        ('{"a": 3}', "the entry of 'a' is no JSON object"),
        ('{"a": {"velocity": 3}}', "'a': its pitch must be a whole number, got None"),
        ('{"a": {"pitch": 60, "velocity": "loud"}}', "'a': its velocity must be a whole number, got 'loud'"),
        ('{"a": {"pitch": 200, "velocity": 3}}', r"'a': a MIDI pitch lies in 0..127, got 200"),
        ('{"../a": {"pitch": 20, "velocity": 3}}', "'../a' is no name of a sound"),
        ('{"a": {"pitch": 20, "velocity": 3}}', "1 of the 1 sounds that it lists are missing, such as .*a.wav"),
    ],
)
def test_a_broken_nsynth_folder_is_explained(nsynth: Path, text: str, words: str) -> None:
    (nsynth / "examples.json").write_text(text)
    with pytest.raises(InvalidInputError, match=words) as caught:
        find_sounds(nsynth)
    assert "\n" not in str(caught.value)


def test_folders_without_sounds_and_clips_without_samples_are_refused(tmp_path: Path, nsynth: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no such folder"):
        find_sounds(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="no sound file in this folder"):
        find_sounds(tmp_path / "empty")
    with pytest.raises(InvalidInputError, match="at least one sample"):
        read_clip(find_sounds(nsynth)[0].path, 32_000, 0.0)
