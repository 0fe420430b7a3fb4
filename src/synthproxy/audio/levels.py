"""What an estimator sees of a sound: levels of mel bands. A corpus may keep them beside its embeddings."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthproxy.audio.features import ESTIMATOR_MEL, ESTIMATOR_POWER_FLOOR, MelSpectrogram, decibels
from synthproxy.audio.io import resample
from synthproxy.errors import InvalidInputError

SAMPLE_RATE = ESTIMATOR_MEL.sample_rate


class MelLevels(nn.Module):
    """Levels of 128 mel bands in dB, with pre-emphasis, not below −80 dB."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(ESTIMATOR_MEL)

    def forward(self, audio: Tensor) -> Tensor:
        """Levels of whole sounds, on their device.

        Args:
            audio: float32, (batch, samples), mono, at 32 kHz, more than 513 samples.

        Returns:
            dB, (batch, 128, frames); 313 frames for 5 s.

        Raises:
            InvalidInputError: the sounds are no batch, or too short.
        """
        if audio.ndim != 2:
            raise InvalidInputError(f"sounds for an estimator are (batch, samples), got {tuple(audio.shape)}")
        return decibels(self.spectrogram(audio), floor=ESTIMATOR_POWER_FLOOR)


def levels_shape(seconds: float) -> tuple[int, int]:
    """Bands and frames of the levels of a clip."""
    # Pre-emphasis takes the first sample away.
    return ESTIMATOR_MEL.n_mels, 1 + (round(seconds * SAMPLE_RATE) - 1) // ESTIMATOR_MEL.hop


@cache
def _listener() -> MelLevels:
    return MelLevels()


def clip_levels(audio: NDArray[np.float32], sample_rate: int, seconds: float) -> NDArray[np.float16]:
    """Levels of clips as they are stored: to a sixteenth of a dB or better.

    Args:
        audio: float32, (batch, samples).
        sample_rate: of the clips, in Hz; another than 32 kHz is brought there.
        seconds: length of the clips.

    Returns:
        float16, (batch, 128, frames) as :func:`levels_shape` tells.
    """
    length = round(seconds * SAMPLE_RATE)
    heard = resample(audio, sample_rate, SAMPLE_RATE)[:, :length]
    heard = np.pad(heard, ((0, 0), (0, length - heard.shape[1])))
    with torch.inference_mode():
        return np.asarray(_listener()(torch.from_numpy(heard)).numpy(), dtype=np.float16)
