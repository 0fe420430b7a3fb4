"""OpenL3 (Cramer et al. 2019) as audio models: a network that learned which sounds go with which pictures.

It is the network for music that hears 256 mel bands, as the package torchopenl3 1.0.1 ports it; that package itself
cannot be imported beside a current setuptools. ``openl3-512`` and ``openl3-6144`` hear windows of one second every
half second, centred, as the paper's public code does to learn from them; ``-1s`` hears every second once and keeps
the order of the seconds, as the paper does to rank audio models.

Names and shapes of weights, spectrogram, network and windows were checked against that package, run with random
weights; the published files were not at hand, so their SHA-256 is not known. The mel filters are those of the weight
file: librosa's have changed since the network learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthproxy.audio.dymn import Shape, fold_norm, norm_shapes
from synthproxy.audio.published import PublishedFrames, PublishedModel, check_fit, read_weight_file

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MODELS", "OpenL3", "build", "weight_shapes"]

SAMPLE_RATE: Final = 48_000
WINDOW: Final = SAMPLE_RATE
BANDS: Final = 256
N_FFT: Final = 2048
HOP: Final = 242
PADDING: Final = 982
"""Zeros before and after a window, by which Keras made it 199 frames."""

AMPLITUDE_FLOOR: Final = 1e-10
DYNAMIC_RANGE: Final = 80.0

CONVOLUTIONS: Final = (*(f"conv2d_{number}" for number in range(1, 8)), "audio_embedding_layer")
RELATIVE_WIDTHS: Final = (1, 1, 2, 2, 4, 4, 8, 8)
POOLED_AFTER: Final = ("conv2d_2", "conv2d_4", "conv2d_6")
MEL_FILTERS: Final = "speclayer.mel_basis"

WINDOWS_PER_CHUNK: Final = 2
REVISION: Final = 1
WEIGHTS: Final = "https://github.com/torchopenl3/torchopenl3-models/raw/master"


@dataclass(frozen=True, kw_only=True)
class OpenL3(PublishedModel):
    """A published OpenL3.

    ``pooled`` are the bands and frames of the last map of which one value is kept, ``hop_seconds`` leads from one
    window to the next, and the first window is ``centred`` on the beginning of the sound or begins with it.
    """

    pooled: tuple[int, int]
    hop_seconds: float = 0.5
    centred: bool = True
    sample_rate: int = SAMPLE_RATE
    frames: int = 10
    parameters: int = 4_687_042
    reduction: str = "max"
    licence: str = "Apache-2.0 (torchopenl3), weights CC BY 4.0 (OpenL3, Cramer et al.)"
    width: int = 64


def _models() -> tuple[OpenL3, ...]:
    models = []
    for size, pooled in ((512, (32, 24)), (6144, (8, 8))):
        file_name = f"torchopenl3_mel256_music_{size}.pth.tar"
        model = partial(OpenL3, channels=size, pooled=pooled, file_name=file_name, url=f"{WEIGHTS}/{file_name}")
        models.append(model(name=f"openl3-{size}"))
        models.append(model(name=f"openl3-{size}-1s", hop_seconds=1.0, centred=False, frames=5, reduction="flatten"))
    return tuple(models)


MODELS: Final = _models()


def build(model: OpenL3, path: Path) -> PublishedFrames:
    """Build an OpenL3 from its weight file.

    Raises:
        InvalidInputError: the file is missing, damaged or of another network.
    """
    import torch

    file = read_weight_file(model, path)
    weights = {
        name: tensor
        for name, tensor in file.without("speclayer.dft_").items()
        if not name.endswith("num_batches_tracked")
    }
    expected = {name: torch.empty(shape, device="meta") for name, shape in weight_shapes(model.width).items()}
    check_fit(model, file.path, expected, weights)
    hear = partial(_hear, model, _Network(weights, model.pooled))
    return PublishedFrames(model, file.digest, hear, shortest=1, revision=REVISION)


def weight_shapes(width: int) -> dict[str, Shape]:
    """Shapes of the weights by their published names, without Fourier kernels and counters of training steps."""
    shapes: dict[str, Shape] = {MEL_FILTERS: (BANDS, N_FFT // 2 + 1), **norm_shapes("batch_normalization_1", 1)}
    inputs = 1
    for number, (name, relative_width) in enumerate(zip(CONVOLUTIONS, RELATIVE_WIDTHS, strict=True), start=1):
        outputs = relative_width * width
        shapes |= {f"{name}.weight": (outputs, inputs, 3, 3), f"{name}.bias": (outputs,)}
        if name != CONVOLUTIONS[-1]:
            shapes |= norm_shapes(f"batch_normalization_{number + 1}", outputs)
        inputs = outputs
    return shapes


def _hear(model: OpenL3, network: _Network, audio: Tensor) -> Tensor:
    """(1, samples) to (1, windows, channels)."""
    import torch
    from torch.nn.functional import pad

    hop = round(model.hop_seconds * SAMPLE_RATE)
    padded = pad(audio[0], (WINDOW // 2 if model.centred else 0, 0))
    beyond_first = max(0, len(padded) - WINDOW)
    padded = pad(padded, (0, WINDOW + -(-beyond_first // hop) * hop - len(padded)))
    chunks = torch.split(padded.unfold(0, WINDOW, hop), WINDOWS_PER_CHUNK)
    return torch.cat([network(chunk) for chunk in chunks])[None]


class _Network:
    """Spectrogram and network; every normalisation but the first is folded into the convolution before it."""

    def __init__(self, weights: Mapping[str, Tensor], pooled: tuple[int, int]) -> None:
        import torch

        from synthproxy.audio.features import hann_window

        self.pooled = pooled
        self.window = hann_window(N_FFT, periodic=True)
        self.mel_filters = weights[MEL_FILTERS]
        # The zeros around the first convolution's input lie behind its normalisation, so that stays apart.
        self.first = fold_norm(weights, torch.ones(1, 1, 1, 1), "batch_normalization_1")
        self.convolutions = []
        for number, name in enumerate(CONVOLUTIONS[:-1], start=1):
            norm, kernels, bias = (
                f"batch_normalization_{number + 1}",
                weights[f"{name}.weight"],
                weights[f"{name}.bias"],
            )
            self.convolutions.append((name in POOLED_AFTER, *fold_norm(weights, kernels, norm, bias=bias)))
        self.last = (weights[f"{CONVOLUTIONS[-1]}.weight"], weights[f"{CONVOLUTIONS[-1]}.bias"])

    def __call__(self, windows: Tensor) -> Tensor:
        """(windows, 48000) to (windows, channels): the largest values of the last map, place by place."""
        from torch.nn import functional as F

        x = F.conv2d(self._level(windows)[:, None], *self.first)
        for pooled, kernels, bias in self.convolutions:
            x = F.relu_(F.conv2d(x, kernels, bias, padding=1))
            if pooled:
                x = F.max_pool2d(x, 2)
        x = F.max_pool2d(F.conv2d(x, *self.last, padding=1), self.pooled)
        return x.permute(0, 2, 3, 1).flatten(1)

    def _level(self, windows: Tensor) -> Tensor:
        """(windows, 48000) to (windows, 256, 199): mel amplitudes in 10·log10, 0 where a window is loudest."""
        from torch.nn.functional import pad

        from synthproxy.audio.features import decibels, frames_of, power_of_frames

        frames = frames_of(pad(windows, (PADDING, PADDING)), N_FFT, HOP, N_FFT, centred=False)
        power = power_of_frames(frames, self.window, N_FFT)
        level = decibels((power @ self.mel_filters.T).sqrt(), floor=AMPLITUDE_FLOOR)
        return (level - level.amax(dim=(1, 2), keepdim=True)).clamp(min=-DYNAMIC_RANGE).transpose(1, 2)
