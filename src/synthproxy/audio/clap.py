"""CLAP (Wu et al. 2023): how its audio tower hears, in the space that it shares with text.

As the paper and LAION's own package use it: a clip is brought to 16 bits, repeated as often as it fits whole into ten
seconds, and filled up with zeros; its log-mel bands go through the tower (HTSAT) and the projection, and the vector is
given the length one. A clip of up to ten seconds is one frame. Of a longer one, LAION's package hears ten seconds
from a random place; here it is heard in windows of ten seconds, one after the other, of which the last ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad
from transformers import ClapAudioConfig, ClapAudioModelWithProjection

from synthproxy.audio.features import MelSettings, MelSpectrogram, decibels
from synthproxy.audio.published import Hearing

LOG_MEL: Final = MelSettings(
    sample_rate=48_000,
    n_fft=1024,
    hop=480,
    window_length=1024,
    n_mels=64,
    f_min=50.0,
    f_max=14_000.0,
    scale="slaney",
)
POWER_FLOOR: Final = 1e-10
WINDOW_SAMPLES: Final = 480_000
LARGEST_SAMPLE: Final = 32_767


def clap(configuration: Mapping[str, Any]) -> Hearing:
    """An audio tower and its projection of this configuration (``transformers.ClapAudioConfig``)."""
    network = ClapAudioModelWithProjection(ClapAudioConfig(**configuration))
    mel = MelSpectrogram(LOG_MEL)

    def hear(audio: Tensor) -> Tensor:
        windows = ten_second_windows(to_sixteen_bits(audio))
        level = decibels(mel(windows.flatten(0, 1)), floor=POWER_FLOOR)
        vectors: Tensor = network(input_features=level.transpose(1, 2)[:, None]).audio_embeds
        return normalize(vectors, dim=-1).view(*windows.shape[:2], -1)

    return Hearing(network, hear)


def to_sixteen_bits(audio: Tensor) -> Tensor:
    """Samples as a 16-bit file keeps them: clipped at ±1 and cut, not rounded, to a multiple of 1/32767."""
    return (audio.clamp(-1.0, 1.0) * LARGEST_SAMPLE).trunc() / LARGEST_SAMPLE


def ten_second_windows(audio: Tensor) -> Tensor:
    """(clips, samples) to (clips, windows, 480,000): repeated and padded, or cut into windows."""
    samples = audio.shape[1]
    if samples <= WINDOW_SAMPLES:
        repeated = audio.repeat(1, WINDOW_SAMPLES // samples)
        return pad(repeated, (0, WINDOW_SAMPLES - repeated.shape[1]))[:, None]
    whole = audio.unfold(1, WINDOW_SAMPLES, WINDOW_SAMPLES)
    return whole if samples % WINDOW_SAMPLES == 0 else torch.cat([whole, audio[:, None, -WINDOW_SAMPLES:]], dim=1)
