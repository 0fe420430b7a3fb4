"""PaSST (Koutini et al. 2022) as audio models.

PaSST is used as the paper does, by the form ``base2levelmel`` of hear21passt 0.0.26: windows of 160 ms and of 640 ms
every 50 ms, each reduced to the mean of the outputs at the class and the distillation token, and six frames of
log-mel bands. Names and shapes of weights, front end, windows and outputs were checked against that package, run with
random weights; the published files themselves were not at hand, so their SHA-256 is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthproxy.audio.published import (
    PublishedFrames,
    PublishedModel,
    fill,
    read_weight_file,
)

if TYPE_CHECKING:
    from torch import Tensor

    from synthproxy.audio.efficientat import LogMelFrontEnd


SAMPLE_RATE: Final = 32_000
HOP: Final = 1600
WINDOWS: Final = (5120, 20_480)
"""Samples of the windows that the network hears."""

MEL_WINDOW: Final = 1920
MEL_CHANNELS: Final = 768
"""128 bands in each of the 6 frames of a mel window."""

GRID: Final = (12, 99)
STRIDE: Final = 10
WINDOWS_PER_CHUNK: Final = 128
REVISION: Final = 1
RELEASES: Final = "https://github.com/kkoutini/PaSST/releases/download"


@dataclass(frozen=True, kw_only=True)
class PaSST(PublishedModel):
    """A published PaSST."""

    depth: int
    sample_rate: int = SAMPLE_RATE
    channels: int = 2 * 768 + MEL_CHANNELS
    frames: int = 101
    reduction: str = "mean"
    licence: str = "Apache-2.0 (PaSST, Koutini et al.)"
    width: int = 768
    heads: int = 12


MODELS: Final = (
    PaSST(
        name="passt-s",
        depth=12,
        parameters=85_341_696,
        file_name="passt-s-kd-ap.486.pt",
        url=f"{RELEASES}/v.0.0.9/passt-s-kd-ap.486.pt",
    ),
    PaSST(
        name="passt-s-swa",
        depth=12,
        parameters=85_341_696,
        file_name="passt-s-f128-p16-s10-ap.476-swa.pt",
        url=f"{RELEASES}/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
    ),
    PaSST(
        name="passt-l",
        depth=7,
        parameters=49_902_336,
        file_name="passt-l-kd-ap.47.pt",
        url=f"{RELEASES}/v.0.0.10/passt-l-kd-ap.47.pt",
    ),
)


def build(model: PaSST, path: Path) -> PublishedFrames:
    """Build a PaSST from its weight file.

    Raises:
        InvalidInputError: the file is missing, damaged or of another network.
    """
    import torch

    from synthproxy.audio.efficientat import LogMelFrontEnd
    from synthproxy.audio.vision_transformer import PatchoutTransformer

    file = read_weight_file(model, path, part="model")
    with torch.device("meta"):
        network = PatchoutTransformer(width=model.width, depth=model.depth, heads=model.heads, grid=GRID, stride=STRIDE)
    fill(network, model, file.path, file.without("head.", "head_dist."))
    hear = partial(_hear, network, LogMelFrontEnd())
    return PublishedFrames(model, file.digest, hear, shortest=max(WINDOWS) // 2 + 1, revision=REVISION)


def _hear(network: Callable[[Tensor], Tensor], front_end: LogMelFrontEnd, audio: Tensor) -> Tensor:
    """(1, samples) to (1, frames, channels): short windows, long windows, mel bands."""
    import torch

    levels = [_log_mels(front_end, audio, window) for window in WINDOWS]
    heard = [torch.cat([network(chunk) for chunk in torch.split(level, WINDOWS_PER_CHUNK)]) for level in levels]
    return torch.cat([*heard, _log_mels(front_end, audio, MEL_WINDOW).flatten(1)], dim=1)[None]


def _log_mels(front_end: LogMelFrontEnd, audio: Tensor, window: int) -> Tensor:
    """Log-mel bands of each window of the mirrored clip: (1, samples) to (windows, 128, frames of a window)."""
    from synthproxy.audio.features import reflect_pad

    return front_end.of_clips(reflect_pad(audio, window // 2)[0].unfold(0, window, HOP))
