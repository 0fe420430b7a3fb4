"""The channel between a plug-in's own process and ours: typed requests one way, answers the other.

A message is a header of two lengths, JSON, and a payload of raw bytes. Audio travels as the payload: copying it
through a pipe costs a fiftieth of rendering it at most, so it needs no shared memory. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct("<II")


class ChannelClosedError(Exception):
    """The other side is gone."""


@dataclass(frozen=True)
class Message:
    """What all messages can do: be sent, and be made from what was received."""

    def send(self, stream: IO[bytes], payload: bytes | memoryview = b"") -> None:
        """Write the message and its payload; raises :class:`ChannelClosedError`."""
        body = json.dumps({"kind": type(self).__name__, **asdict(self)}).encode()
        try:
            stream.write(_HEADER.pack(len(body), len(payload)) + body)
            stream.write(payload)
            stream.flush()
        except (OSError, ValueError) as error:
            raise ChannelClosedError from error

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """A message of the fields that were received."""
        return cls(**fields)


@dataclass(frozen=True)
class Open(Message):
    """Load a plug-in: a file, or the URI of an LV2 one. Answered by :class:`Opened`."""

    plugin: str
    sample_rate: int


@dataclass(frozen=True)
class Opened(Message):
    """It is there: names of its parameters, in order, and what each is set to."""

    names: list[str]
    values: list[float]


@dataclass(frozen=True)
class Play(Message):
    """Render a note; the payload is the values (float64), one for each of ``indices``. Answered by :class:`Done`."""

    indices: list[int]
    pitch: int
    velocity: int
    duration: float
    seconds: float
    isolation: str


@dataclass(frozen=True)
class Probe(Message):
    """Ask what a parameter shows over its range. Answered by :class:`Shown`."""

    index: int
    values: int


@dataclass(frozen=True)
class Shown(Message):
    """What a parameter showed and was set to, for ``values`` equal steps from 0 to 1; and what the host knows of it."""

    texts: list[str]
    read_back: list[float]
    label: str
    steps: int
    boolean: bool


@dataclass(frozen=True)
class GetState(Message):
    """Set the plug-in to the values of the payload and ask for its state. Answered by :class:`Done` with the state."""

    indices: list[int]


@dataclass(frozen=True)
class SetState(Message):
    """Load the payload, the content of a preset file with this ending; answered by :class:`Opened`."""

    suffix: str


@dataclass(frozen=True)
class Done(Message):
    """It is done; the payload is the audio (float32), or the state."""


@dataclass(frozen=True)
class Failed(Message):
    """It did not work, for this reason; the process goes on."""

    reason: str


_KINDS = {kind.__name__: kind for kind in Message.__subclasses__()}


def receive(stream: IO[bytes]) -> tuple[Message, bytes]:
    """The next message and its payload.

    Raises:
        ChannelClosedError: the other side is gone.
    """
    body_size, payload_size = _HEADER.unpack(_exactly(stream, _HEADER.size))
    fields = json.loads(_exactly(stream, body_size))
    return _KINDS[fields.pop("kind")].from_fields(fields), _exactly(stream, payload_size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    try:
        data = stream.read(size)
    except (OSError, ValueError) as error:
        raise ChannelClosedError from error
    if len(data) != size:
        raise ChannelClosedError
    return data


def to_payload(values: NDArray[np.float64]) -> bytes:
    """Values of parameters as the payload of :class:`Play` or :class:`GetState`."""
    return np.ascontiguousarray(values, dtype=np.float64).tobytes()
