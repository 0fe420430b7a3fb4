"""What every audio model promises, and what all of ours share: a checked input, and chunks that fit the cache."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from synthproxy.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class AudioModel(Protocol):
    """A frozen map from sound to an embedding of fixed size. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """Registered name, such as ``mn04_mel``."""
        ...

    @property
    def sample_rate(self) -> int:
        """Rate of the audio it expects, in Hz."""
        ...

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        ...

    @property
    def parameters(self) -> int:
        """Number of learned weights; 0 for a fixed feature."""
        ...

    @property
    def identity(self) -> str:
        """Changes when weights or settings change: two models of equal identity give equal embeddings."""
        ...

    def embed(self, audio: "Tensor") -> "Tensor":
        """Embed a batch of sounds of equal length.

        Args:
            audio: float32, (batch, samples), mono, at ``sample_rate`` Hz, on the CPU; any length from one sample.

        Returns:
            float32, (batch, dimension), without gradients. A row depends on its own sound only; the same batch shape
            on one thread gives the same bits.
        """
        ...


@dataclass(frozen=True)
class AudioModelInfo:
    """What can be said of an audio model without building it."""

    name: str
    dimension: int
    sample_rate: int
    parameters: int
    available: bool
    how_to_get: str
    licence: str


def embed_in_chunks(audio: "Tensor", embed: "Callable[[Tensor], Tensor]", *, clips: int, shortest: int) -> "Tensor":
    """Check a batch, give very short sounds the samples a model needs, and embed a few clips at a time.

    Small chunks keep intermediate results in the processor's cache and memory use flat; they lie at fixed places of
    the batch, so they change nothing from run to run.

    Args:
        audio: (batch, samples), any length from one sample.
        embed: (clips, samples) to (clips, dimension).
        clips: clips per chunk.
        shortest: samples below which zeros are appended.

    Returns:
        (batch, dimension), an ordinary tensor without gradients.

    Raises:
        InvalidInputError: not a floating-point tensor of shape (batch, samples) with at least one sound and sample.
    """
    import torch
    from torch.nn.functional import pad

    if audio.ndim != 2 or not audio.is_floating_point() or audio.numel() == 0:
        raise InvalidInputError(
            "audio to embed must be float32 of shape (batch, samples) with at least one sound and one sample, "
            f"got {str(audio.dtype).removeprefix('torch.')} of shape {tuple(audio.shape)}"
        )
    with torch.no_grad():
        audio = audio.float()
        if audio.shape[1] < shortest:
            audio = pad(audio, (0, shortest - audio.shape[1]))
        return torch.cat([embed(chunk) for chunk in torch.split(audio, clips)])
