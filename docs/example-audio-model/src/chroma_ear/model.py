"""How much of a sound lies at each of the twelve pitch classes, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synthproxy.audio.base import embed_in_chunks
from synthproxy.audio.features import hann_window, spectrogram
from synthproxy.audio.reductions import ReducedModel

RATE = 16_000
N_FFT = 4096
HOP = 1024
LOWEST, HIGHEST = 60.0, 4000.0
"""Range in Hz: below, bins are wider than semitones; above, pitch classes are hardly heard."""


@dataclass(frozen=True)
class Chroma:
    """The twelve pitch classes, C first. There are no weights; threads may share it."""

    name: str = "chroma"
    sample_rate: int = RATE
    channels: int = 12
    parameters: int = 0
    identity: str = "chroma:1"
    reduction: str = "mean"

    def frames(self, audio: Tensor) -> Tensor:
        """Magnitude of each class in each frame, of (batch, samples): (batch, frames, 12), at most 1."""
        return embed_in_chunks(audio, _fold, clips=8, shortest=N_FFT)


def _fold(audio: Tensor) -> Tensor:
    magnitudes = spectrogram(audio, n_fft=N_FFT, hop=HOP, window=hann_window(N_FFT, periodic=True), magnitude=True)
    classes = magnitudes.transpose(1, 2) @ _classes()
    return classes / classes.sum(dim=-1, keepdim=True).clamp_min(1.0)


def _classes() -> Tensor:
    """Which class each bin belongs to, (bins, 12)."""
    frequencies = torch.arange(N_FFT // 2 + 1) * (RATE / N_FFT)
    heard = (frequencies >= LOWEST) & (frequencies <= HIGHEST)
    keys = 69 + 12 * torch.log2(frequencies.clamp_min(1.0) / 440)
    return torch.nn.functional.one_hot(keys.round().long() % 12, 12) * heard[:, None].float()


def chroma() -> ReducedModel:
    """What the entry point names: the mean of the frames, unless another reduction is asked for."""
    hears = Chroma()
    return ReducedModel(hears, hears.reduction)
