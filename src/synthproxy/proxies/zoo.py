"""Architectures by their published short names, and those that other packages add.

Another package adds an architecture by an entry point in the group ``synthproxy.proxies``: its name is the
architecture's, and it resolves to a function ``(space, dimension, *, size=default, …) -> nn.Module`` whose network
takes soft presets (batch, one_hot_width) and gives (batch, dimension). Sizes are whole numbers with defaults.
Nothing here imports torch until a network is built.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from synthproxy.errors import InvalidInputError, SynthProxyError, UnavailableError
from synthproxy.synths.space import PresetSpace

if TYPE_CHECKING:
    from torch import nn

    from synthproxy.proxies.proxy import Proxy

    Architecture = Callable[..., nn.Module]

GROUP = "synthproxy.proxies"

_BUILT_IN = {
    "mlp-raw": "synthproxy.proxies.mlp:mlp_on_raw_values",
    "mlp-oh": "synthproxy.proxies.mlp:mlp_on_one_hot",
    "rn-oh": "synthproxy.proxies.mlp:residual_on_one_hot",
    "gru-oh": "synthproxy.proxies.gru:recurrent_on_one_hot",
    "hn-oh": "synthproxy.proxies.highway:highway_on_one_hot",
    "hn-pt": "synthproxy.proxies.highway:highway_on_tokens",
    "hn-ptgru": "synthproxy.proxies.gru:highway_on_recurrent",
    "tfm": "synthproxy.proxies.transformer:transformer_on_tokens",
    "gtf": "synthproxy.proxies.groups:transformer_on_groups",
}


def _points() -> dict[str, EntryPoint]:
    ours = {name: EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()}
    return {point.name: point for point in entry_points(group=GROUP)} | ours


def proxy_names() -> list[str]:
    """Names of all architectures."""
    return sorted(_points())


def check_name(name: str) -> None:
    """Raise :class:`InvalidInputError` with the closest names unless there is an architecture of this name."""
    names = proxy_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=2)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise InvalidInputError(f"unknown proxy {name!r}; {hint}There are: {', '.join(names)}")


def _architecture(name: str) -> Architecture:
    check_name(name)
    try:
        architecture: Architecture = _points()[name].load()
    except Exception as error:
        raise UnavailableError(f"proxy {name!r} of {_points()[name].value} does not load: {error}") from error
    return architecture


def complete_sizes(name: str, sizes: dict[str, int]) -> dict[str, int]:
    """All sizes of an architecture: those given, the others at their defaults.

    Raises:
        InvalidInputError: there is no architecture of this name, it has no such size, or a size is no whole number
            above 0.
    """
    declared = inspect.signature(_architecture(name)).parameters.values()
    complete = {p.name: p.default for p in declared if p.kind is inspect.Parameter.KEYWORD_ONLY}
    for size, value in sizes.items():
        if size not in complete:
            raise InvalidInputError(f"proxy {name!r} has no size {size!r}; it has {', '.join(complete) or 'none'}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InvalidInputError(f"proxy {name!r}: {size} must be a whole number above 0, got {value!r}")
    return complete | sizes


def make_proxy(name: str, space: PresetSpace, dimension: int, **sizes: int) -> Proxy:
    """A new proxy with random weights, drawn from torch's global generator.

    Args:
        name: registered name.
        space: the preset space it takes.
        dimension: values per embedding.
        sizes: sizes that differ from the published ones.

    Raises:
        InvalidInputError: see :func:`complete_sizes`; or the sizes do not fit each other.
        UnavailableError: the architecture comes from another package, and fails.
    """
    from synthproxy.proxies.proxy import Proxy

    if dimension < 1 or space.size < 1:
        raise InvalidInputError(f"a proxy needs parameters and outputs, got {space.size} and {dimension}")
    complete = complete_sizes(name, sizes)
    try:
        network = _architecture(name)(space, dimension, **complete)
    except SynthProxyError:
        raise
    except Exception as error:
        raise UnavailableError(f"proxy {name!r} of {_points()[name].value} cannot be built: {error}") from error
    return Proxy(name, complete, space, dimension, network)


def count_parameters(name: str, space: PresetSpace, dimension: int, **sizes: Any) -> int:
    """Number of trainable parameters, without allocating any. Raises what :func:`make_proxy` raises."""
    import torch

    with torch.device("meta"):
        proxy = make_proxy(name, space, dimension, **sizes)
    return sum(weight.numel() for weight in proxy.parameters() if weight.requires_grad)
