"""Read and write sound files; everything that can be wrong with a user's file is said here, in one line."""

import io
import os
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError

WAVE_FORMAT_IEEE_FLOAT: Final = 3
BYTES_PER_SAMPLE: Final = 4
LARGEST_RIFF_BYTES: Final = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples with the rate they are meant for.

    ``samples``: float32, (samples,) when mono, otherwise (channels, samples); ``sample_rate``: Hz.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return int(self.samples.shape[-1]) / self.sample_rate


def read_audio(path: str | Path, sample_rate: int | None = None, *, mono: bool = True) -> Sound:
    """Read a sound file of any format that libsndfile knows (WAV, FLAC, OGG, MP3, AIFF, …).

    Args:
        path: the file.
        sample_rate: rate in Hz to resample to (soxr, very high quality); None keeps the file's own.
        mono: take the mean of the channels.

    Returns:
        The sound; a silent one is returned like any other (see :func:`require_audible`).

    Raises:
        InvalidInputError: no such file, a folder, not audio, no samples, samples that are not finite.
    """
    import soundfile

    path = Path(path)
    if sample_rate is not None and sample_rate <= 0:
        raise InvalidInputError(f"sample rate must be a positive number of Hz, got {sample_rate}")
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder, not a sound file: give the path of one file inside it")
    if not path.exists():
        raise InvalidInputError(f"no sound file at {path}: check the path")
    try:
        samples, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InvalidInputError(
            f"{path} cannot be read as sound ({reason}): give a WAV, FLAC, OGG, MP3 or AIFF file"
        ) from error
    if samples.shape[0] == 0:
        raise InvalidInputError(f"{path} holds no samples: give a sound of at least one sample")
    if not np.isfinite(samples).all():
        raise InvalidInputError(f"{path} holds samples that are NaN or infinite: export the sound again")
    if mono:
        samples = samples.mean(axis=1, keepdims=True)
    if sample_rate is not None and sample_rate != file_rate:
        samples = resample(samples.T, file_rate, sample_rate).T
        file_rate = sample_rate
    layout = samples[:, 0] if mono else samples.T
    return Sound(np.ascontiguousarray(layout, dtype=np.float32), int(file_rate))


def resample(samples: NDArray[np.float32], from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """Change the sample rate with soxr at its very-high-quality setting.

    Args:
        samples: float32, (samples,) or (channels, samples), at ``from_rate`` Hz.
        from_rate: rate of ``samples`` in Hz.
        to_rate: rate wanted in Hz.

    Returns:
        float32 in the same layout; always at least one sample long.
    """
    import soxr

    if from_rate == to_rate:
        return samples
    # soxr swallows a sound shorter than its output step; a zero-padded tail keeps one sample of it alive.
    shortest = -(-from_rate // to_rate)
    if samples.shape[-1] < shortest:
        missing = shortest - samples.shape[-1]
        samples = np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, missing)])
    resampled = soxr.resample(np.ascontiguousarray(samples.T), from_rate, to_rate, quality="VHQ")
    return np.ascontiguousarray(resampled.T, dtype=np.float32)


def require_audible(samples: NDArray[np.float32], path: str | Path) -> None:
    """Refuse a sound that is silent from end to end: there is nothing to match.

    Raises:
        InvalidInputError: every sample is zero.
    """
    if not np.any(samples):
        raise InvalidInputError(f"{path} is silent: give a target with sound in it")


def write_audio(path: str | Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write a WAV file of 32-bit floats: nothing is clipped, and the same samples give the same bytes.

    The file appears whole or not at all: it is written beside its place and then renamed.

    Args:
        path: the file to write; its folder must exist.
        samples: (samples,) or (channels, samples).
        sample_rate: rate in Hz.

    Raises:
        InvalidInputError: no samples, samples that are not finite, a missing or unwritable folder, a full disk.
    """
    path = Path(path)
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise InvalidInputError(
            f"cannot write {path}: samples must be (samples,) or (channels, samples) and not empty, got {samples.shape}"
        )
    if not np.isfinite(samples).all():
        raise InvalidInputError(f"cannot write {path}: some samples are NaN or infinite")
    if sample_rate <= 0:
        raise InvalidInputError(f"cannot write {path}: sample rate must be a positive number of Hz, got {sample_rate}")
    if path.is_dir():
        raise InvalidInputError(f"cannot write {path}: it is a folder; give a file name")
    if not path.parent.is_dir():
        raise InvalidInputError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    content = _float_wave(np.atleast_2d(samples), sample_rate, path)
    # Not tempfile: its files are private (mode 600) and would stay so after the rename.
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        try:
            with beside.open("xb") as file:
                file.write(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(
            f"cannot write {path}: {reason}; give a folder that can be written to, with room on its disk"
        ) from error


def _float_wave(channels: NDArray[np.float32], sample_rate: int, path: Path) -> bytes:
    """Content of a float WAV (Microsoft RIFF, format 3): ``fmt``, ``fact`` and ``data`` chunks.

    libsndfile would add a PEAK chunk with the time of day, and no two files would be equal.
    """
    count, length = channels.shape
    data = np.ascontiguousarray(channels.T, dtype="<f4").tobytes()
    frame_bytes = count * BYTES_PER_SAMPLE
    layout = struct.pack(
        "<HHIIHHH",
        WAVE_FORMAT_IEEE_FLOAT,
        count,
        sample_rate,
        sample_rate * frame_bytes,
        frame_bytes,
        8 * BYTES_PER_SAMPLE,
        0,
    )
    body = io.BytesIO()
    body.write(b"WAVE")
    for name, chunk in ((b"fmt ", layout), (b"fact", struct.pack("<I", length)), (b"data", data)):
        body.write(name + struct.pack("<I", len(chunk)) + chunk)
    if body.tell() > LARGEST_RIFF_BYTES:
        raise InvalidInputError(f"cannot write {path}: {len(data)} bytes of samples do not fit a WAV file of 4 GiB")
    return b"RIFF" + struct.pack("<I", body.tell()) + body.getvalue()
