"""Reading and writing sound files: what is right stays as it is, what is wrong is said in one line."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synthproxy.audio.io import read_audio, require_audible, resample, write_audio
from synthproxy.errors import InvalidInputError

RATE = 32_000
SIXTEEN_BITS = 2.0**-15
RESAMPLING_ERROR = 1e-3


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def error_of(path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read_audio(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=2, max_side=9),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_float_wav_returns_every_sample_even_beyond_full_scale(samples: np.ndarray) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        write_audio(path, samples, RATE)
        sound = read_audio(path, mono=samples.ndim == 1)
    np.testing.assert_array_equal(sound.samples, samples)
    assert sound.sample_rate == RATE


def test_two_writes_of_the_same_samples_are_equal_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_audio(tmp_path / name, tone(RATE), RATE)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert soundfile.info(tmp_path / "a.wav").subtype == "FLOAT"


@pytest.mark.parametrize("suffix", ["flac", "aiff", "wav"])
def test_mono_is_the_mean_of_the_channels(tmp_path: Path, suffix: str) -> None:
    left, right = tone(RATE), 0.5 * tone(RATE, hertz=1000.0)
    path = tmp_path / f"stereo.{suffix}"
    soundfile.write(path, np.stack([left, right], axis=1), RATE)
    np.testing.assert_allclose(read_audio(path).samples, (left + right) / 2, atol=SIXTEEN_BITS)
    assert read_audio(path, mono=False).samples.shape == (2, left.size)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_resampled_tone_is_the_tone_made_at_the_new_rate(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "tone.wav"
    write_audio(path, tone(rate), rate)
    sound = read_audio(path, RATE)
    assert sound.sample_rate == RATE
    assert sound.seconds == pytest.approx(0.5, abs=1 / RATE)
    middle = slice(RATE // 10, -RATE // 10)
    expected = tone(RATE)
    np.testing.assert_allclose(
        sound.samples[: expected.size][middle], expected[: sound.samples.size][middle], atol=RESAMPLING_ERROR
    )


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    assert (
        np.abs(resample(tone(48_000, hertz=20_000.0), 48_000, RATE)[RATE // 10 : -RATE // 10]).max() < RESAMPLING_ERROR
    )


def test_one_sample_survives_resampling_to_a_lower_rate() -> None:
    assert resample(np.ones(1, np.float32), 44_100, 8_000).shape[-1] >= 1


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert "no sound file" in error_of(tmp_path / "nothing.wav")


def test_folder_is_not_a_sound_file(tmp_path: Path) -> None:
    assert "is a folder" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"), [("text.wav", b"not a sound\n" * 99), ("zero.wav", b""), ("x.raw", b"12")]
)
def test_file_that_is_not_audio_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "cannot be read as sound" in error_of(path)


def test_sound_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros((0, 1), np.float32), RATE)
    assert "no samples" in error_of(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused_in_both_directions(tmp_path: Path, bad: float) -> None:
    samples = tone(RATE)
    samples[7] = bad
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert "NaN or infinite" in error_of(path)
    with pytest.raises(InvalidInputError, match="NaN or infinite"):
        write_audio(tmp_path / "out.wav", samples, RATE)


def test_rate_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="sample rate"):
        read_audio(tmp_path / "x.wav", 0)
    with pytest.raises(InvalidInputError, match="sample rate"):
        write_audio(tmp_path / "x.wav", tone(RATE), 0)


def test_silence_is_read_but_refused_as_a_target(tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    write_audio(path, np.zeros(100, np.float32), RATE)
    sound = read_audio(path)
    with pytest.raises(InvalidInputError, match="silent"):
        require_audible(sound.samples, path)
    require_audible(tone(RATE), path)


def test_missing_parent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        write_audio(tmp_path / "no" / "x.wav", tone(RATE), RATE)


def test_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        write_audio(tmp_path, tone(RATE), RATE)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 3, 4)])
def test_samples_of_another_layout_are_not_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="samples must be"):
        write_audio(tmp_path / "x.wav", np.zeros(shape, np.float32), RATE)


@pytest.mark.parametrize("failing", ["open", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, code: int
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(code, "disk trouble")

    with monkeypatch.context() as patch:
        patch.setattr(Path, failing, fail)
        with pytest.raises(InvalidInputError, match="disk trouble"):
            write_audio(path, tone(RATE), RATE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.wav"]
    assert path.read_bytes() == b"old"


def test_files_and_registry_answer_without_torch() -> None:
    code = (
        "import sys; from synthproxy.audio import io, registry; registry.describe_audio_models('mn*'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
