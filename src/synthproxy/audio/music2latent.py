"""Music2Latent (Pasini et al. 2024) as audio models: the encoder of an autoencoder for music.

``music2latent`` gives what the encoder knows before its bottleneck, as the paper ranks it; ``music2latent-latent`` the
64 values that the decoder needs, scaled as upstream does. Network and spectrogram are those of the package
``music2latent`` (0.1.8; CC BY-NC 4.0, which forbids commercial use); its loader is not used, because it fetches the
weights and unpickles them.

Frames were checked against the package's own ``encode``, with random weights; the published file was not at hand, so
its SHA-256 is not known. Sounds beyond a minute, which upstream cuts into minutes, are heard in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthproxy.audio.published import (
    PublishedFrames,
    PublishedModel,
    fill,
    read_weight_file,
    require_package,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MODELS", "Music2Latent", "build"]

HOP: Final = 512
HOPS_PER_FRAME: Final = 8
HOPS_OF_OVERLAP: Final = 3
LATENT_SCALE: Final = 0.06
REVISION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Music2Latent(PublishedModel):
    """A way to use the published Music2Latent: before its bottleneck, or behind it."""

    bottleneck: bool
    sample_rate: int = 44_100
    frames: int = 53
    reduction: str = "mean"
    licence: str = "CC BY-NC 4.0 (Music2Latent, Pasini et al.)"
    file_name: str = "music2latent.pt"
    url: str = "https://huggingface.co/SonyCSLParis/music2latent/resolve/main/music2latent.pt"
    package: str = "music2latent"


MODELS: Final = (
    Music2Latent(name="music2latent", bottleneck=False, channels=8192, parameters=5_729_152),
    Music2Latent(name="music2latent-latent", bottleneck=True, channels=64, parameters=16_261_568),
)


def build(model: Music2Latent, path: Path) -> PublishedFrames:
    """Build the encoder from the weight file; decoder and generator in it are left out.

    Raises:
        UnavailableError: the package is not installed.
        InvalidInputError: the file is missing, damaged or of another network.
    """
    require_package(model)
    import torch
    from music2latent.audio import to_representation_encoder
    from music2latent.models import Encoder

    file = read_weight_file(model, path, part="gen_state_dict")
    own = {name: tensor for name, tensor in file.tensors.items() if name.startswith("encoder.")}
    with torch.device("meta"):
        network = Encoder()
    fill(network, model, file.path, {name.removeprefix("encoder."): tensor for name, tensor in own.items()})

    def hear(audio: Tensor) -> Tensor:
        spectrum = to_representation_encoder(audio[:, : _heard_samples(audio.shape[1])])
        heard: Tensor = network(spectrum, extract_features=not model.bottleneck).transpose(1, 2)
        return heard / LATENT_SCALE if model.bottleneck else heard

    return PublishedFrames(model, file.digest, hear, shortest=_heard_samples(0), revision=REVISION)


def _heard_samples(samples: int) -> int:
    """Samples of the whole frames in a sound; at least one frame. The rest of it is not heard, as upstream."""
    frames = max(1, (samples // HOP - HOPS_OF_OVERLAP) // HOPS_PER_FRAME)
    return (frames * HOPS_PER_FRAME + HOPS_OF_OVERLAP) * HOP
