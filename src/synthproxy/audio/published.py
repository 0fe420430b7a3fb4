"""What every published network that hears in frames shares: its row of a table, the reading of its weights, its frames.

A row tells all about a network without torch and without its weights. Weight files are read as data, strictly: nothing
that they hold is run.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from synthproxy.audio.base import AudioModelInfo, embed_in_chunks
from synthproxy.audio.weights import SHARED_VARIABLE, WeightLocations, misfit
from synthproxy.errors import InvalidInputError, UnavailableError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """One published network as an audio model: what can be said of it without its weights.

    ``channels`` are values per frame, ``frames`` the frames of a clip of five seconds, and ``parameters`` counts the
    weights that the frames depend on. ``package`` is an optional package it needs, which the extra of the same name
    installs; ``sha256`` is empty where the published file's digest is not known.
    """

    name: str
    sample_rate: int
    channels: int
    frames: int
    parameters: int
    reduction: str
    licence: str
    file_name: str
    url: str
    sha256: str = ""
    package: str = ""

    @property
    def file_names(self) -> tuple[str, ...]:
        """Paths that its weight file may have within a folder of weights."""
        return (self.file_name,)

    def folder_among(self, folders: Sequence[Path]) -> Path | None:
        """The first of these folders that holds its weights."""
        return next((f for f in folders if any((f / name).is_file() for name in self.file_names)), None)

    @property
    def dimension(self) -> int:
        """Values per embedding of a clip of five seconds, by the model's own reduction."""
        return self.channels * self.frames if self.reduction == "flatten" else self.channels


def describe(model: PublishedModel, locations: WeightLocations) -> AudioModelInfo:
    """Whether a model can be used here, and how to get what it misses; imports neither torch nor the package."""
    missing = []
    if model.package and find_spec(model.package) is None:
        missing.append(_install(model.package))
    if model.folder_among(locations.folders) is None:
        missing.append(
            f"download {model.url} as {model.file_name} into {locations.cache}, "
            f"or into the folder weights/ of the folder that {SHARED_VARIABLE} names"
        )
    return AudioModelInfo(
        name=model.name,
        dimension=model.dimension,
        sample_rate=model.sample_rate,
        parameters=model.parameters,
        available=not missing,
        how_to_get=", and ".join(missing),
        licence=model.licence,
    )


def require_package(model: PublishedModel) -> None:
    """Raise :class:`UnavailableError` unless the package of a model is installed."""
    if find_spec(model.package) is None:
        raise UnavailableError(f"{model.name} needs the package {model.package}: {_install(model.package)}")


def _install(package: str) -> str:
    return f"pip install 'synthproxy[{package}]'"


@dataclass(frozen=True, eq=False)
class Hearing:
    """What a family makes of a configuration: a network still without the weights of its file, and how it hears.

    ``hear`` maps (clips, samples) to (clips, frames, channels); ``shortest`` is the fewest samples it accepts. The
    network's parts are named as in the weight file.
    """

    network: nn.Module
    hear: Callable[[Tensor], Tensor]
    shortest: int = 1


@dataclass(frozen=True, eq=False)
class PublishedFrames:
    """A published network as a frame model (see :class:`~synthproxy.audio.reductions.FrameModel`).

    ``hear`` maps (clips, samples) to (clips, frames, channels), ``shortest`` is the fewest samples it accepts, and
    ``revision`` rises when a change of our code moves frames by more than rounding.
    """

    model: PublishedModel
    digest: str
    hear: Callable[[Tensor], Tensor]
    shortest: int
    revision: int

    @property
    def name(self) -> str:
        """Registered name."""
        return self.model.name

    @property
    def sample_rate(self) -> int:
        """Rate of the audio it expects, in Hz."""
        return self.model.sample_rate

    @property
    def channels(self) -> int:
        """Values per frame."""
        return self.model.channels

    @property
    def parameters(self) -> int:
        """Number of learned weights."""
        return self.model.parameters

    @property
    def reduction(self) -> str:
        """How its frames become an embedding unless something else is asked for."""
        return self.model.reduction

    @property
    def identity(self) -> str:
        """Name, revision of the code and digest of the weight file."""
        return f"{self.name}:{self.revision}:{self.digest[:16]}"

    def frames(self, audio: Tensor) -> Tensor:
        """Frames of (batch, samples) at ``sample_rate`` Hz: (batch, frames, channels), one sound after the other."""
        return embed_in_chunks(audio, self.hear, clips=1, shortest=self.shortest)


@dataclass(frozen=True)
class WeightFile:
    """Tensors by name, and the SHA-256 of the file they come from."""

    path: Path
    digest: str
    tensors: dict[str, Tensor]

    def without(self, *prefixes: str) -> dict[str, Tensor]:
        """The tensors whose names do not start with one of ``prefixes``."""
        return {name: tensor for name, tensor in self.tensors.items() if not name.startswith(prefixes)}


class _Bookkeeping:
    """Stands for whatever a training run left in a weight file beside tensors; it holds and does nothing."""

    def __new__(cls, *_arguments: object) -> _Bookkeeping:
        return super().__new__(cls)

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


def read_weight_file(model: PublishedModel, path: Path, *, part: str = "") -> WeightFile:
    """Read the tensors of a published weight file as float32, without running anything it holds.

    Args:
        model: the network it should belong to.
        path: the file, or a folder that holds it under its published name.
        part: key of the weights in a file that holds more of a training run than them.

    Raises:
        InvalidInputError: not there, unreadable, damaged, not the published file where its digest is known, without
            tensors, or with values that are not numbers.
    """
    path = path / model.file_name if path.is_dir() else path
    if not path.is_file():
        raise InvalidInputError(f"no weights at {path}: give the path of {model.file_name} or of its folder")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"weights {path} cannot be read: {error.strerror or error}") from error
    if model.sha256 and digest != model.sha256:
        raise InvalidInputError(
            f"{path} is not the published {model.file_name}: its SHA-256 is {digest[:16]}…, not "
            f"{model.sha256[:16]}…; delete it and fetch it again"
        )
    content = _content(path)
    if isinstance(content, Mapping):
        content = content.get(part, content)
    return WeightFile(path, digest, _checked_tensors(model, path, content))


def _content(path: Path) -> object:
    import torch
    from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

    try:
        strangers = get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
        with safe_globals([(_Bookkeeping, name) for name in strangers]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive ends in any of a dozen types
        raise InvalidInputError(
            f"{path} is damaged or not a PyTorch weight file ({type(error).__name__}): delete it and fetch it again"
        ) from error


def _checked_tensors(model: PublishedModel, path: Path, content: object) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content or not all(map(_is_weight, content.keys(), content.values())):
        raise InvalidInputError(f"{path} does not hold a dictionary of tensors: give the published {model.file_name}")
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in content.items()}
    spoilt = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), "")
    if spoilt:
        raise InvalidInputError(f"{path} is damaged, {spoilt} holds values that are not numbers: fetch it again")
    return tensors


def _is_weight(name: object, value: object) -> bool:
    import torch

    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return False
    return value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized


def check_fit(model: PublishedModel, path: Path, expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Raise :class:`InvalidInputError` unless ``tensors`` have the names and shapes of ``expected``."""
    difference = misfit(expected, tensors)
    if difference:
        raise InvalidInputError(
            f"{path} does not hold the weights of {model.name}: {difference}; give {model.file_name}"
        )


def fill(network: nn.Module, model: PublishedModel, path: Path, tensors: dict[str, Tensor]) -> None:
    """Make ``tensors`` the frozen weights of a network that was built without memory of its own.

    Raises:
        InvalidInputError: the weights are those of another network.
    """
    check_fit(model, path, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    network.eval().requires_grad_(False)
