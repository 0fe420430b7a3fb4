"""Audio models without weights: the published baselines ``mel128``, ``mfcc40``, ``mstft`` and our default ``mel``
and its variant ``mel-matched``.

Where the paper is silent about a baseline, its public code (pcmbs/synth-proxy) decides: mel bands on HTK's scale with
peaks of 1, a Hann window of unit energy, powers floored at −80 dB re 1 whatever the loudest frame is. Its constant
shift and scale of the dB values is left out: no ranking depends on them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from synthproxy.audio.base import embed_in_chunks
from synthproxy.audio.features import (
    MelSettings,
    MelSpectrogram,
    decibels,
    log_multi_resolution_spectrogram,
    mfcc,
)

BASELINE_RATE: Final = 44_100
BASELINE_POWER_FLOOR: Final = 1e-8
BASELINE_MEL: Final = MelSettings(
    sample_rate=BASELINE_RATE,
    n_fft=2048,
    hop=1024,
    window_length=2048,
    n_mels=128,
    f_min=20.0,
    f_max=16_000.0,
    scale="htk",
    unit_energy_window=True,
)
BASELINE_COEFFICIENTS: Final = 40
MULTI_RESOLUTION_SIZES: Final = (64, 128, 256, 512, 1024, 2048, 4096)

DEFAULT_MEL: Final = MelSettings(
    sample_rate=32_000,
    n_fft=1024,
    hop=512,
    window_length=1024,
    n_mels=128,
    f_min=20.0,
    f_max=16_000.0,
    scale="slaney",
)
DEFAULT_MEL_FLOOR: Final = 1e-6
DEFAULT_MEL_SHIFT: Final = 6.0
DEFAULT_MEL_SCALE: Final = 5.0
MATCHED_RMS: Final = 0.04
"""About the median of DX7 voices that people made; a recording's level says nothing about the preset."""
QUIETEST_RMS: Final = 1e-6

CLIPS_PER_CHUNK: Final = 2


@dataclass(frozen=True, eq=False)
class HandmadeModel:
    """A fixed feature as an audio model (see :class:`~synthproxy.audio.base.AudioModel`).

    ``measure`` maps (clips, samples) to (clips, dimension), and ``over_time`` to (clips, frames, dimension);
    ``settings`` is text that holds every number it depends on; ``shortest`` is the fewest samples it accepts, ``chunk``
    the clips it is quickest with.
    """

    name: str
    sample_rate: int
    dimension: int
    settings: str
    shortest: int
    measure: Callable[[Tensor], Tensor]
    over_time: Callable[[Tensor], Tensor]
    parameters: int = 0
    reduction: str = "mean"
    chunk: int = CLIPS_PER_CHUNK

    @property
    def channels(self) -> int:
        """Values per frame."""
        return self.dimension

    @property
    def identity(self) -> str:
        """Name and a digest of every setting."""
        return f"{self.name}:{hashlib.sha256(self.settings.encode()).hexdigest()[:16]}"

    def embed(self, audio: Tensor) -> Tensor:
        """Embed (batch, samples) at ``sample_rate`` Hz as (batch, dimension)."""
        return embed_in_chunks(audio, self.measure, clips=self.chunk, shortest=self.shortest)

    def frames(self, audio: Tensor) -> Tensor:
        """The same frame by frame, (batch, frames, dimension)."""
        return embed_in_chunks(audio, self.over_time, clips=self.chunk, shortest=self.shortest)


def mel() -> HandmadeModel:
    """Our default: 128 log-mel bands at 32 kHz, their mean over time, then their mean change from frame to frame.

    Levels are ln(power + 1e-6), shifted and scaled to about −1.6 (silence) … 2 (loud), so that a proxy can learn them
    as they are. The second half tells a steady tone from a plucked or modulated one of the same average.
    """
    spectrogram = MelSpectrogram(DEFAULT_MEL)

    def measure(audio: Tensor) -> Tensor:
        level = (spectrogram(audio) + DEFAULT_MEL_FLOOR).log()
        mean = (level.mean(dim=-1) + DEFAULT_MEL_SHIFT) / DEFAULT_MEL_SCALE
        change = level.diff(dim=-1).abs().mean(dim=-1) / DEFAULT_MEL_SCALE
        return torch.cat([mean, change], dim=-1)

    def over_time(audio: Tensor) -> Tensor:
        level = (spectrogram(audio) + DEFAULT_MEL_FLOOR).log()
        change = F.pad(level.diff(dim=-1).abs(), (1, 0)) / DEFAULT_MEL_SCALE
        return torch.cat([(level + DEFAULT_MEL_SHIFT) / DEFAULT_MEL_SCALE, change], dim=1).transpose(1, 2)

    settings = repr((DEFAULT_MEL, DEFAULT_MEL_FLOOR, DEFAULT_MEL_SHIFT, DEFAULT_MEL_SCALE))
    rate, bands, shortest = DEFAULT_MEL.sample_rate, DEFAULT_MEL.n_mels, DEFAULT_MEL.n_fft
    return HandmadeModel("mel", rate, 2 * bands, settings, shortest, measure, over_time)


def mel_matched() -> HandmadeModel:
    """``mel`` of a clip that is first brought to a level of its own, as of a recording, whose level says nothing.

    Who learns from it what a sound was made by cannot learn to rely on how loud it is.
    """
    model = mel()

    def matched(audio: Tensor) -> Tensor:
        level = audio.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=QUIETEST_RMS)
        return audio * (MATCHED_RMS / level)

    return replace(
        model,
        name="mel-matched",
        settings=repr((model.settings, MATCHED_RMS, QUIETEST_RMS)),
        measure=lambda audio: model.measure(matched(audio)),
        over_time=lambda audio: model.over_time(matched(audio)),
    )


def mel128() -> HandmadeModel:
    """Published baseline: levels in dB of 128 mel bands, mean over time."""
    spectrogram = MelSpectrogram(BASELINE_MEL)

    def measure(audio: Tensor) -> Tensor:
        return decibels(spectrogram(audio), floor=BASELINE_POWER_FLOOR).mean(dim=-1)

    def over_time(audio: Tensor) -> Tensor:
        return decibels(spectrogram(audio), floor=BASELINE_POWER_FLOOR).transpose(1, 2)

    settings = repr((BASELINE_MEL, BASELINE_POWER_FLOOR))
    bands, shortest = BASELINE_MEL.n_mels, BASELINE_MEL.n_fft
    return HandmadeModel("mel128", BASELINE_RATE, bands, settings, shortest, measure, over_time)


def mfcc40() -> HandmadeModel:
    """Published baseline: 40 MFCCs of the same mel levels, mean over time."""
    spectrogram = MelSpectrogram(BASELINE_MEL)

    def measure(audio: Tensor) -> Tensor:
        level = decibels(spectrogram(audio), floor=BASELINE_POWER_FLOOR).mean(dim=-1, keepdim=True)
        # The DCT is linear: taken of the mean, it is the mean of the coefficients.
        return mfcc(level, BASELINE_COEFFICIENTS)[..., 0]

    def over_time(audio: Tensor) -> Tensor:
        level = decibels(spectrogram(audio), floor=BASELINE_POWER_FLOOR)
        return mfcc(level, BASELINE_COEFFICIENTS).transpose(1, 2)

    settings = repr((BASELINE_MEL, BASELINE_POWER_FLOOR, BASELINE_COEFFICIENTS))
    shortest = BASELINE_MEL.n_fft
    return HandmadeModel("mfcc40", BASELINE_RATE, BASELINE_COEFFICIENTS, settings, shortest, measure, over_time)


def mstft() -> HandmadeModel:
    """Published baseline: levels in dB of spectra of seven FFT sizes, mean over time, joined."""

    def spectra(audio: Tensor) -> list[Tensor]:
        return log_multi_resolution_spectrogram(
            audio, n_fft_sizes=MULTI_RESOLUTION_SIZES, power_floor=BASELINE_POWER_FLOOR
        )

    def measure(audio: Tensor) -> Tensor:
        return torch.cat([level.mean(dim=-1) for level in spectra(audio)], dim=-1)

    def over_time(audio: Tensor) -> Tensor:
        levels = spectra(audio)
        # At the pace of the largest FFT, which has the fewest frames.
        paced = [F.adaptive_avg_pool1d(level, levels[-1].shape[-1]) for level in levels]
        return torch.cat(paced, dim=1).transpose(1, 2)

    settings = repr((BASELINE_RATE, MULTI_RESOLUTION_SIZES, BASELINE_POWER_FLOOR))
    dimension = sum(n_fft // 2 + 1 for n_fft in MULTI_RESOLUTION_SIZES)
    shortest = max(MULTI_RESOLUTION_SIZES)
    return HandmadeModel("mstft", BASELINE_RATE, dimension, settings, shortest, measure, over_time)
