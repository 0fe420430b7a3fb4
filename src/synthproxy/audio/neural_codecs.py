"""DAC (Kumar et al. 2023) and EnCodec (Défossez et al. 2022): what a neural codec hears before it rounds to codes.

Both are used as the paper's experiments use them. DAC's frames are what its nine quantisers see, each a projection to
eight values of what the ones before it left over, joined: 72 values every 512 samples. EnCodec's are the 128 values of
its encoder every 320 samples; the stereo network hears the same sound on both sides, at its own level divided out, and
all of a clip at once rather than second by second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor
from torch.nn.functional import pad
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel

from synthproxy.audio.published import Hearing

LEAST_LEVEL: Final = 1e-8


def dac(configuration: Mapping[str, Any]) -> Hearing:
    """Encoder and quantisers of this configuration (``transformers.DacConfig``)."""
    network = DacModel(DacConfig(**configuration))
    del network.decoder
    hop = network.config.hop_length

    def hear(audio: Tensor) -> Tensor:
        whole = pad(audio, (0, -audio.shape[1] % hop))
        latents: Tensor = network.encode(whole[:, None]).projected_latents
        return latents.transpose(1, 2)

    return Hearing(network, hear, shortest=hop)


def encodec(configuration: Mapping[str, Any]) -> Hearing:
    """Encoder of this configuration (``transformers.EncodecConfig``)."""
    network = EncodecModel(EncodecConfig(**configuration))
    del network.decoder, network.quantizer
    config = network.config

    def hear(audio: Tensor) -> Tensor:
        if config.normalize:
            audio = audio / (audio.square().mean(dim=1, keepdim=True).sqrt() + LEAST_LEVEL)
        latents: Tensor = network.encoder(audio[:, None].expand(-1, config.audio_channels, -1))
        return latents.transpose(1, 2)

    return Hearing(network, hear, shortest=config.hop_length)
