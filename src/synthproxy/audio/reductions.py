"""From frames to an embedding: one step for every audio model that hears a sound frame by frame.

``NAME@REDUCTION`` is an audio model too: ``mn04_mel@8`` is the mean of each of eight parts of the clip, which keeps the
order of an envelope that one mean over the whole clip loses. Parts of ``mn04_mel@log8`` grow, since most of what tells
notes of instruments apart is in their beginning.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from synthproxy.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor

MOST_SEGMENTS = 64
GROWTH = 4 / 3
"""A growing segment is so many times as long as the one before it."""
GROWING = "log"
NAMED = ("mean", "max", "flatten", "channel-mean", "channel-max")

SECONDS = 5.0
"""Length of clip for which the dimension of a reduction that keeps time is told, unless another is given."""


@runtime_checkable
class FrameModel(Protocol):
    """A frozen map from sound to a sequence of frames. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """Registered name."""
        ...

    @property
    def sample_rate(self) -> int:
        """Rate of the audio it expects, in Hz."""
        ...

    @property
    def channels(self) -> int:
        """Values per frame."""
        ...

    @property
    def parameters(self) -> int:
        """Number of learned weights."""
        ...

    @property
    def identity(self) -> str:
        """Changes when weights or settings change."""
        ...

    @property
    def reduction(self) -> str:
        """How its frames become an embedding unless something else is asked for."""
        ...

    def frames(self, audio: "Tensor") -> "Tensor":
        """Frames of a batch of sounds of equal length.

        Args:
            audio: float32, (batch, samples), mono, at ``sample_rate`` Hz; any length from one sample.

        Returns:
            float32, (batch, frames, channels), without gradients; at least one frame. A row depends on its own sound
            only.
        """
        ...


@dataclass(frozen=True)
class ReducedModel:
    """An audio model: the frames of another, reduced (see :class:`~synthproxy.audio.base.AudioModel`).

    Args:
        model: what hears.
        reduction: ``mean``, ``max``, ``flatten``, ``channel-mean``, ``channel-max``, a number of segments, or ``log``
            and a number of growing ones.
        seconds: length of the clips, which the dimension depends on where the reduction keeps time.
    """

    model: FrameModel
    reduction: str
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        check_reduction(self.reduction)

    @property
    def name(self) -> str:
        """``NAME@REDUCTION``, or the plain name where the reduction is the model's own."""
        own = self.reduction == self.model.reduction
        return self.model.name if own else f"{self.model.name}@{self.reduction}"

    @property
    def sample_rate(self) -> int:
        """Rate of the audio it expects, in Hz."""
        return self.model.sample_rate

    @property
    def parameters(self) -> int:
        """Number of learned weights."""
        return self.model.parameters

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        if self.reduction in ("mean", "max"):
            return self.model.channels
        if self.reduction not in NAMED:
            return segments_kept(self.reduction) * self.model.channels
        import torch

        silence = torch.zeros(1, round(self.seconds * self.sample_rate))
        return int(self.embed(silence).shape[1])

    @property
    def identity(self) -> str:
        """Changes when the model or the reduction change."""
        own = self.reduction == self.model.reduction
        return self.model.identity if own else f"{self.model.identity}@{self.reduction}"

    def embed(self, audio: "Tensor") -> "Tensor":
        """Embed (batch, samples) as (batch, dimension)."""
        return reduce_frames(self.model.frames(audio), self.reduction)


def check_reduction(reduction: str) -> None:
    """Raise :class:`InvalidInputError` unless there is such a reduction."""
    number = reduction.removeprefix(GROWING)
    if reduction in NAMED or (number.isdecimal() and 1 <= int(number) <= MOST_SEGMENTS):
        return
    raise InvalidInputError(
        f"no reduction is called {reduction!r}: give {', '.join(NAMED)}, or a number of segments up to "
        f"{MOST_SEGMENTS}, with {GROWING} before it for growing ones"
    )


def segments_kept(reduction: str) -> int:
    """Parts of the clip that a reduction keeps apart: 8 for ``8`` and for ``log8``, otherwise one."""
    number = reduction.removeprefix(GROWING)
    return int(number) if number.isdecimal() else 1


def reduce_frames(frames: "Tensor", reduction: str) -> "Tensor":
    """Reduce (batch, frames, channels) to (batch, dimension).

    A segment is a part of equal length, or a third longer than the one before it; where there are fewer frames than
    segments, neighbours share frames.
    """
    if reduction == "mean":
        return frames.mean(dim=1)
    if reduction == "max":
        return frames.amax(dim=1)
    if reduction == "flatten":
        return frames.flatten(1)
    if reduction == "channel-mean":
        return frames.mean(dim=2)
    if reduction == "channel-max":
        return frames.amax(dim=2)
    if reduction.startswith(GROWING):
        import torch

        edges = _growing_edges(frames.shape[1], segments_kept(reduction))
        return torch.cat([frames[:, start:end].mean(dim=1) for start, end in edges], dim=1)
    from torch.nn.functional import adaptive_avg_pool1d

    return adaptive_avg_pool1d(frames.transpose(1, 2), int(reduction)).transpose(1, 2).flatten(1)


def _growing_edges(frames: int, segments: int) -> list[tuple[int, int]]:
    """First frame of each growing segment, and the one after its last."""
    unit = frames / (GROWTH**segments - 1)
    edges = [round(unit * (GROWTH**place - 1)) for place in range(segments + 1)]
    starts = [min(edge, frames - 1) for edge in edges[:-1]]
    return [(start, max(start + 1, end)) for start, end in zip(starts, edges[1:], strict=True)]
