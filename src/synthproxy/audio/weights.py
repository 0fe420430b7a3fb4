"""Where the weights of published networks come from, and how they are read: never unpickled, always identified.

A weight file is looked for at the path the caller gives, then in the user's cache, then in the shared folder; what is
nowhere is fetched from the authors' release into the cache.
"""

import hashlib
import http.client
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthproxy.audio.sizes import EfficientATSize
from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.files import cache_folder

if TYPE_CHECKING:
    from torch import Tensor

    from synthproxy.audio.mobilenet import MobileNet

RELEASE_URL: Final = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"
SHARED_VARIABLE: Final = "SYNTHPROXY_SHARED"
TIMEOUT_SECONDS: Final = 30.0
BLOCK_BYTES: Final = 1 << 20
CLASSIFIER_PREFIX: Final = "classifier."


@dataclass(frozen=True)
class WeightLocations:
    """Folders that hold weight files, and the address that has them all."""

    cache: Path
    shared: Path | None = None
    url: str = RELEASE_URL

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders on this machine in the order they are searched."""
        return (self.cache,) if self.shared is None else (self.cache, self.shared)


def weight_locations(environment: Mapping[str, str] | None = None) -> WeightLocations:
    """Read the environment, once, here: ``XDG_CACHE_HOME`` (else ``~/.cache``) and ``SYNTHPROXY_SHARED``."""
    environment = os.environ if environment is None else environment
    shared = environment.get(SHARED_VARIABLE)
    return WeightLocations(cache_folder(environment) / "weights", Path(shared) / "weights" if shared else None)


def find_weights(size: EfficientATSize, locations: WeightLocations, explicit: Path | None = None) -> Path | None:
    """The weight file on this machine, or None.

    Args:
        size: which network.
        locations: where to look.
        explicit: the file, or a folder that holds it under its published name; nothing else is searched then.

    Raises:
        InvalidInputError: ``explicit`` is given and is not there.
    """
    if explicit is not None:
        path = explicit / size.file_name if explicit.is_dir() else explicit
        if not path.is_file():
            raise InvalidInputError(f"no weights at {path}: give the path of {size.file_name} or of its folder")
        return path
    return next((folder / size.file_name for folder in locations.folders if (folder / size.file_name).is_file()), None)


def how_to_get(size: EfficientATSize, locations: WeightLocations) -> str:
    """One clause that tells where the weight file of ``size`` is and where to put it."""
    return (
        f"download {locations.url}/{size.file_name} and put it into {locations.cache}, "
        f"or into the folder weights/ of the folder that {SHARED_VARIABLE} names"
    )


def obtain_weights(size: EfficientATSize, locations: WeightLocations, explicit: Path | None = None) -> Path:
    """The weight file of a network, fetched into the cache if it is nowhere on this machine.

    Raises:
        InvalidInputError: ``explicit`` is given and is not there.
        UnavailableError: it is not here and cannot be fetched.
    """
    found = find_weights(size, locations, explicit)
    if found is not None:
        return found
    target = locations.cache / size.file_name
    beside = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            digest = _download(f"{locations.url}/{size.file_name}", beside)
            if size.sha256 and digest != size.sha256:
                raise OSError(f"the download is damaged, its SHA-256 is {digest[:16]}…")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        reason = " ".join(str(getattr(cause, "strerror", None) or cause).split()) or type(error).__name__
        raise UnavailableError(
            f"the weights {size.file_name} of {size.name} are not on this machine and could not be fetched ({reason}): "
            + how_to_get(size, locations)
        ) from error
    return target


def _download(url: str, target: Path) -> str:
    """Copy what ``url`` serves into ``target`` and return its SHA-256."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, target.open("xb") as file:
        expected, received = response.headers.get("Content-Length"), 0
        while block := response.read(BLOCK_BYTES):
            file.write(block)
            digest.update(block)
            received += len(block)
    # urllib takes a connection that breaks off for the end of the file.
    if expected is not None and received != int(expected):
        raise OSError(f"the connection broke off after {received} of {expected} bytes")
    return digest.hexdigest()


def load_network(size: EfficientATSize, path: Path) -> "tuple[MobileNet, str]":
    """Read a weight file into its network.

    Args:
        size: the network the file must fit.
        path: a published weight file (a dictionary of tensors); its classifier is left out.

    Returns:
        The network in evaluation mode, and the file's SHA-256.

    Raises:
        InvalidInputError: unreadable, damaged, not the published file where its digest is known, or of other shapes.
    """
    import torch

    from synthproxy.audio.mobilenet import MobileNet

    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"weights {path} cannot be read: {error.strerror or error}") from error
    if size.sha256 and digest != size.sha256:
        raise InvalidInputError(
            f"{path} is not the published {size.file_name}: its SHA-256 is {digest[:16]}…, not {size.sha256[:16]}…; "
            "delete it and fetch it again"
        )
    state = _read_tensors(path)
    with torch.device("meta"):
        network = MobileNet(size.width)
    difference = misfit(network.state_dict(), state)
    if difference:
        raise InvalidInputError(f"{path} does not hold the weights of {size.name}: {difference}; give {size.file_name}")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False), digest


def _read_tensors(path: Path) -> "dict[str, Tensor]":
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive ends in any of a dozen types
        raise InvalidInputError(
            f"{path} is damaged or not a PyTorch weight file ({type(error).__name__}): delete it and fetch it again"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InvalidInputError(f"{path} does not hold a dictionary of tensors: give a published EfficientAT file")
    return {name: value for name, value in content.items() if not str(name).startswith(CLASSIFIER_PREFIX)}


def misfit(expected: "Mapping[str, Tensor]", given: "Mapping[str, Tensor]") -> str:
    """The first thing that keeps ``given`` from filling a network, or nothing."""
    missing = sorted(expected.keys() - given.keys())
    if missing:
        return f"{len(missing)} tensors are missing, {missing[0]} first"
    unknown = sorted(map(str, given.keys() - expected.keys()))
    if unknown:
        return f"{len(unknown)} tensors are unknown, {unknown[0]} first"
    for name, tensor in expected.items():
        if given[name].shape != tensor.shape:
            return f"{name} has shape {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        if given[name].dtype != tensor.dtype:
            return f"{name} holds {given[name].dtype} instead of {tensor.dtype}"
    return ""
