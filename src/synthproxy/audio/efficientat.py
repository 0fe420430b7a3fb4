"""EfficientAT (Schmid et al. 2023) as audio models: MobileNetV3 networks trained to tag AudioSet.

``mn04`` … ``mn40`` embed windows of 160 ms every 50 ms and average them, in the manner of the HEAR challenge and as the
paper does; ``-clip`` embeds the whole clip in one pass, several times faster. ``_mel`` appends the time-averaged
log-mel bands.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

from synthproxy.audio.base import embed_in_chunks
from synthproxy.audio.features import MelSettings, MelSpectrogram, pre_emphasise, reflect_pad
from synthproxy.audio.mobilenet import MobileNet, fold_batch_norm
from synthproxy.audio.sizes import N_MELS, SAMPLE_RATE, EfficientATSize

LOG_MEL: Final = MelSettings(
    sample_rate=SAMPLE_RATE,
    n_fft=1024,
    hop=320,
    window_length=800,
    n_mels=N_MELS,
    f_min=0.0,
    f_max=15_000.0,
    scale="kaldi",
    periodic_window=False,
    pre_emphasis=0.97,
)
LOG_FLOOR: Final = 1e-5
LEVEL_SHIFT: Final = 4.5
LEVEL_SCALE: Final = 5.0

WINDOW_SAMPLES: Final = 5120
WINDOW_HOP: Final = 1600
EDGE_FRAMES: Final = (0, 1, 15)
"""Frames of a window whose 800 samples reach beyond its ends."""
INNER_FRAMES: Final = range(2, 15)
WINDOWS_PER_CHUNK: Final = 256
CLIPS_PER_CHUNK: Final = 4
WINDOWED_CLIPS_PER_CHUNK: Final = 2

REVISION: Final = 1
"""Part of every identity; raise it when a change here moves embeddings by more than rounding."""


class LogMelFrontEnd:
    """Normalised log-mel bands as EfficientAT expects them, of whole clips or of overlapping windows."""

    def __init__(self) -> None:
        self._mel = MelSpectrogram(LOG_MEL)
        self._edge_samples = _samples_of_frames(EDGE_FRAMES, WINDOW_SAMPLES - 1)

    def of_clips(self, audio: Tensor) -> Tensor:
        """(batch, samples) to (batch, 128, frames), 10 ms per frame."""
        return _normalised(self._mel(audio))

    def of_windows(self, audio: Tensor) -> Tensor:
        """What :meth:`of_clips` gives for each window of the padded clip, at half the cost.

        Pre-emphasis and spectra belong to the window: its first two frames and its last one mirror the window's own
        ends. The thirteen between them touch no end, and since windows start at whole frames (1600 = 5 × 320
        samples), neighbouring windows share them.

        Args:
            audio: (batch, samples), longer than half a window.

        Returns:
            (batch, windows, 128, 16), one window per 1600 samples and one more.
        """
        samples = pre_emphasise(reflect_pad(audio, WINDOW_SAMPLES // 2), LOG_MEL.pre_emphasis)
        windows = samples.unfold(1, WINDOW_SAMPLES - 1, WINDOW_HOP)
        batch, count = windows.shape[:2]

        edges = windows.index_select(2, self._edge_samples).view(batch, count, len(EDGE_FRAMES), LOG_MEL.window_length)
        edge_level = _normalised(self._mel.of_frames(edges)).transpose(2, 3)

        first_inner = INNER_FRAMES.start * LOG_MEL.hop - LOG_MEL.window_length // 2
        inner = samples[:, first_inner:].unfold(1, LOG_MEL.window_length, LOG_MEL.hop)
        inner_level = _normalised(self._mel.of_frames(inner)).unfold(1, len(INNER_FRAMES), WINDOW_HOP // LOG_MEL.hop)

        heads = INNER_FRAMES.start
        return torch.cat([edge_level[..., :heads], inner_level[:, :count], edge_level[..., heads:]], dim=3)


def _samples_of_frames(frames: tuple[int, ...], length: int) -> Tensor:
    """Which of a window's ``length`` samples each centred frame sees, with mirrored ends; (frames · window_length,)."""
    offsets = torch.arange(LOG_MEL.window_length) - LOG_MEL.window_length // 2
    positions = (torch.tensor(frames)[:, None] * LOG_MEL.hop + offsets).abs()
    return torch.where(positions < length, positions, 2 * (length - 1) - positions).flatten()


def _normalised(power: Tensor) -> Tensor:
    return ((power + LOG_FLOOR).log() + LEVEL_SHIFT) / LEVEL_SCALE


class EfficientAT:
    """One network as an audio model (see :class:`~synthproxy.audio.base.AudioModel`).

    Args:
        size: which published network; gives the name and the dimension.
        network: its feature layers with weights loaded.
        digest: SHA-256 of the weight file.
        with_mel: append the 128 time-averaged log-mel bands.
        whole_clip: embed the clip in one pass instead of averaging over windows.
    """

    sample_rate: Final = SAMPLE_RATE
    reduction: Final = "mean"

    def __init__(
        self, size: EfficientATSize, network: MobileNet, digest: str, *, with_mel: bool, whole_clip: bool
    ) -> None:
        self.name = size.model_name(with_mel=with_mel, whole_clip=whole_clip)
        self.dimension = self.channels = size.embedding_dimension(with_mel=with_mel)
        self.parameters = size.parameters
        self.identity = f"{self.name}:{REVISION}:{digest[:16]}"
        self._with_mel = with_mel
        self._whole_clip = whole_clip
        self._network = fold_batch_norm(network)
        self._front_end = LogMelFrontEnd()

    def __repr__(self) -> str:
        return f"EfficientAT({self.identity!r}, dimension={self.dimension})"

    def embed(self, audio: Tensor) -> Tensor:
        """Embed (batch, samples) at 32 kHz as (batch, dimension): block averages, then mel averages if asked for."""
        if self._whole_clip:
            return embed_in_chunks(audio, self._of_clips, clips=CLIPS_PER_CHUNK, shortest=WINDOW_SAMPLES)
        return embed_in_chunks(audio, self._of_windows, clips=WINDOWED_CLIPS_PER_CHUNK, shortest=WINDOW_SAMPLES)

    def frames(self, audio: Tensor) -> Tensor:
        """What :meth:`embed` averages, (batch, frames, dimension): a frame per window, or per 32 frames of the clip."""
        if self._whole_clip:
            return embed_in_chunks(audio, self._clip_over_time, clips=CLIPS_PER_CHUNK, shortest=WINDOW_SAMPLES)
        return embed_in_chunks(audio, self._windows, clips=WINDOWED_CLIPS_PER_CHUNK, shortest=WINDOW_SAMPLES)

    def _of_clips(self, audio: Tensor) -> Tensor:
        return self._of_log_mel(self._front_end.of_clips(audio))

    def _clip_over_time(self, audio: Tensor) -> Tensor:
        log_mel = self._front_end.of_clips(audio)
        features = self._network.over_time(log_mel)
        if self._with_mel:
            features = torch.cat([features, adaptive_avg_pool1d(log_mel, features.shape[2])], dim=1)
        return features.transpose(1, 2)

    def _of_windows(self, audio: Tensor) -> Tensor:
        return self._windows(audio).mean(dim=1)

    def _windows(self, audio: Tensor) -> Tensor:
        log_mel = self._front_end.of_windows(audio)
        batch, count = log_mel.shape[:2]
        chunks = torch.split(log_mel.flatten(0, 1), WINDOWS_PER_CHUNK)
        return torch.cat([self._of_log_mel(chunk) for chunk in chunks]).view(batch, count, -1)

    def _of_log_mel(self, log_mel: Tensor) -> Tensor:
        features: Tensor = self._network(log_mel)
        return torch.cat([features, log_mel.mean(dim=2)], dim=1) if self._with_mel else features
