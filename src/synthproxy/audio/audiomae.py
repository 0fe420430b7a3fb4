"""AudioMAE (Huang et al. 2022) as audio models: a vision transformer that learned to restore masked spectrograms.

It is used as the paper's public code does: 1024 frames of Kaldi's log-mel bands, and, for each of 512 patches, the
mean of the normalised outputs of the last four of twelve blocks; the class token is left out. That code feeds it sound
at 44.1 kHz, so that its bands reach to 22 kHz; ``audiomae-16k`` hears at the rate of its training, up to 8 kHz.

The bands were checked against torchaudio, names and shapes of weights and the encoder against the vision transformer
of timm 1.0, run with random weights, and the number of parameters against the one that upstream prints. The published
files were not at hand, so their SHA-256 is not known; that a fine-tuned file calls its norm ``fc_norm`` and keeps the
weights under ``model`` is taken from the code of facebookresearch/AudioMAE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthproxy.audio.published import PublishedFrames, PublishedModel, fill, read_weight_file

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MODELS", "AudioMAE", "build", "kaldi_log_mel"]

BANDS: Final = 128
FRAMES: Final = 1024
PATCHES: Final = FRAMES * BANDS // 16**2
AVERAGED_FROM: Final = 8
LEVEL_MEAN: Final = -4.2677393
LEVEL_DEVIATION: Final = 4.5689974

WINDOW_SECONDS: Final = 0.025
HOP_SECONDS: Final = 0.010
LOWEST_HERTZ: Final = 20.0
PRE_EMPHASIS: Final = 0.97
POWER_FLOOR: Final = 1.1920928955078125e-07
"""Smallest step of float32 at 1, as in Kaldi."""

REVISION: Final = 1
DRIVE: Final = "https://drive.google.com/file/d"


@dataclass(frozen=True, kw_only=True)
class AudioMAE(PublishedModel):
    """A published AudioMAE."""

    sample_rate: int = 44_100
    channels: int = 768
    frames: int = PATCHES
    parameters: int = 85_254_144
    reduction: str = "max"
    licence: str = "CC BY-NC 4.0 (AudioMAE, Huang et al.)"
    file_name: str = "finetuned.pth"
    url: str = f"{DRIVE}/1dacJa-XcaoLPZf--mLvzSdlzo5iMX2ST"
    width: int = 768
    depth: int = 12
    heads: int = 12


MODELS: Final = (
    AudioMAE(name="audiomae"),
    AudioMAE(name="audiomae-16k", sample_rate=16_000),
    AudioMAE(name="audiomae-pretrained", file_name="pretrained.pth", url=f"{DRIVE}/1rRsmU8x7D-x4BvcPyroUJwU18eixNfKg"),
)


def build(model: AudioMAE, path: Path) -> PublishedFrames:
    """Build an AudioMAE from its weight file; a decoder and a classifier in it are left out.

    Raises:
        InvalidInputError: the file is missing, damaged or of another network.
    """
    import torch

    from synthproxy.audio.vision_transformer import MaskedAutoencoderEncoder

    file = read_weight_file(model, path, part="model")
    with torch.device("meta"):
        network = MaskedAutoencoderEncoder(
            width=model.width, depth=model.depth, heads=model.heads, patches=PATCHES, averaged_from=AVERAGED_FROM
        )
    tensors = file.without("decoder_", "mask_token", "head.")
    # Fine-tuning renamed the norm.
    fill(network, model, file.path, {name.removeprefix("fc_"): tensor for name, tensor in tensors.items()})
    hear = partial(_hear, network, model.sample_rate)
    shortest = round(WINDOW_SECONDS * model.sample_rate)
    return PublishedFrames(model, file.digest, hear, shortest=shortest, revision=REVISION)


def _hear(network: Callable[[Tensor], Tensor], sample_rate: int, audio: Tensor) -> Tensor:
    """(batch, samples) to (batch, patches, channels); sound beyond 1024 frames is not heard."""
    from torch.nn.functional import pad

    level = kaldi_log_mel(audio - audio.mean(dim=1, keepdim=True), sample_rate)[:, :FRAMES]
    # Padded before the normalisation, as upstream: silence at the end is louder than digital silence.
    level = pad(level, (0, 0, 0, FRAMES - level.shape[1]))
    return network((level - LEVEL_MEAN) / (2 * LEVEL_DEVIATION))


def kaldi_log_mel(audio: Tensor, sample_rate: int) -> Tensor:
    """Kaldi's log-mel bands with a Hann window and without dither, as torchaudio's ``compliance.kaldi.fbank``.

    Windows of 25 ms every 10 ms lie within the sound; each loses its own mean before it is emphasised.

    Args:
        audio: float32, (batch, samples), at least one window.
        sample_rate: in Hz.

    Returns:
        ln(power), (batch, frames, 128).
    """
    import torch

    from synthproxy.audio.features import frames_of, hann_window, kaldi_mel_bank, power_of_frames

    window = int(WINDOW_SECONDS * sample_rate)
    n_fft = 1 << (window - 1).bit_length()
    frames = frames_of(audio, window, int(HOP_SECONDS * sample_rate), window, centred=False)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    frames = frames - PRE_EMPHASIS * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    power = power_of_frames(frames, hann_window(window, periodic=False), n_fft)
    bank = kaldi_mel_bank(BANDS, n_fft, sample_rate, LOWEST_HERTZ, sample_rate / 2)
    return (power @ bank.T).clamp(min=POWER_FLOOR).log()
