"""Trained proxies in files that explain themselves: one safetensors file with all that loading needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from synthproxy import __version__
from synthproxy.errors import SynthProxyError
from synthproxy.proxies.examples import Setting
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.zoo import make_proxy
from synthproxy.training.tensors import FORMAT_VERSION, described, opened, read_tensors, write_tensors

FORMAT = "synthproxy-proxy"


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Args:
        proxy: registered name of the architecture.
        sizes: all its sizes.
        dimension: values per embedding.
        setting: the synth, audio model and note it stands in for.
        metrics: scores and counts noted when it was saved.
        version: version of this package that saved it.
    """

    proxy: str
    sizes: Mapping[str, int]
    dimension: int
    setting: Setting
    metrics: Mapping[str, float]
    version: str = __version__

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "proxy": self.proxy,
            "sizes": dict(self.sizes),
            "dimension": self.dimension,
            "setting": self.setting.to_dict(),
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CheckpointInfo:
        """The inverse of :meth:`to_dict`."""
        return cls(
            proxy=data["proxy"],
            sizes=MappingProxyType(data["sizes"]),
            dimension=data["dimension"],
            setting=Setting.from_dict(data["setting"]),
            metrics=MappingProxyType(data["metrics"]),
            version=data["version"],
        )


def count_saved_parameters(path: Path) -> int | None:
    """Number of trainable parameters of a saved proxy, without reading any.

    Returns:
        None where that cannot be told: its architecture is not here, or has become another since.

    Raises:
        InvalidInputError: the file is missing, cut short, or no checkpoint.
    """
    with opened(path, FORMAT) as (file, about):
        info = _info(path, about)
        saved = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    try:
        with torch.device("meta"):
            proxy = make_proxy(info.proxy, info.setting.space, info.dimension, **info.sizes)
    except SynthProxyError:
        return None
    if {name: tuple(tensor.shape) for name, tensor in proxy.state_dict().items()} != saved:
        return None
    return sum(weight.numel() for weight in proxy.parameters() if weight.requires_grad)


def _info(path: Path, about: dict[str, Any]) -> CheckpointInfo:
    with described(path):
        return CheckpointInfo.from_dict(about)


def save_checkpoint(path: Path, proxy: Proxy, setting: Setting, metrics: Mapping[str, float] | None = None) -> None:
    """Save a proxy, whole or not at all.

    Args:
        path: the file to write, ``*.safetensors``; its folder must exist.
        proxy: the proxy, on any device.
        setting: what its embeddings stand in for.
        metrics: scores to note.
    """
    info = CheckpointInfo(proxy.name, proxy.sizes, proxy.dimension, setting, metrics or {})
    write_tensors(path, proxy.state_dict(), info.to_dict())


def load_checkpoint(path: Path) -> tuple[Proxy, CheckpointInfo]:
    """A saved proxy, on the CPU and in evaluation mode, and what its file says of it.

    Raises:
        InvalidInputError: the file is missing, cut short, no checkpoint, or does not fit its own description.
        UnavailableError: its architecture comes from a package that is not installed, or fails.
    """
    tensors, about = read_tensors(path, FORMAT)
    info = _info(path, about)
    with described(path):
        with torch.random.fork_rng(devices=[]):
            proxy = make_proxy(info.proxy, info.setting.space, info.dimension, **info.sizes)
        proxy.load_state_dict(tensors)
    return proxy.eval(), info
