"""Synths by name: those that come with the package, and those that other packages or the user's definitions add.

Another package adds a synth by an entry point in the group ``synthproxy.synths``: its name is the synth's, and it
resolves to a callable without arguments that returns a :class:`~synthproxy.synths.base.Synth`, or raises
:class:`~synthproxy.errors.UnavailableError` with a sentence that says what is missing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from synthproxy.errors import InvalidInputError, SynthProxyError, UnavailableError
from synthproxy.synths.base import Mode, NeedsSomething, Synth
from synthproxy.synths.definition import definition_path, plugin_definitions, read_definition
from synthproxy.synths.dexed import Dexed
from synthproxy.synths.plugin import PluginSynth
from synthproxy.synths.space import Kind
from synthproxy.synths.vital import Vital

GROUP = "synthproxy.synths"

_NATIVE: dict[str, Callable[[], Synth]] = {
    "dexed": partial(Dexed, "dexed"),
    "dexed-paper": partial(Dexed, "dexed-paper", folds=False),
    "vital": Vital,
}
_BUILT_IN = (*_NATIVE, *plugin_definitions())


@dataclass(frozen=True)
class SynthInfo:
    """What a synth has to offer, or what is missing to use it. Counts are of free parameters."""

    name: str
    available: bool
    free: int | None = None
    numerical: int | None = None
    binary: int | None = None
    categorical: int | None = None
    one_hot_width: int | None = None
    missing: str = ""


def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def synth_names() -> list[str]:
    """Names of all synths, whether or not they can be used here."""
    return sorted({*_BUILT_IN, *_added()})


def get_synth(name: str, mode: Mode = "exact") -> Synth:
    """The synth of this name, or the plug-in of this definition file (``.toml``).

    Args:
        mode: of plug-ins, which may repeat exactly or play faster; see :class:`~synthproxy.synths.plugin.PluginSynth`.

    Raises:
        InvalidInputError: there is none of this name, or the definition cannot be read.
        UnavailableError: something it needs is not here. (A plug-in is only looked for when it is played.)
    """
    if name in _NATIVE:
        return _NATIVE[name]()
    if name in plugin_definitions():
        return PluginSynth(read_definition(definition_path(name)), mode=mode)
    if name.endswith(".toml"):
        return PluginSynth(read_definition(Path(name)), mode=mode)
    added = _added()
    if name not in added:
        close = difflib.get_close_matches(name, synth_names(), n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InvalidInputError(f"unknown synth {name!r}; {hint}there are: {', '.join(synth_names())}")
    try:
        synth = added[name].load()()
    except SynthProxyError:
        raise
    except Exception as error:
        raise UnavailableError(f"synth {name!r} ({added[name].value}) does not load: {error}") from error
    if not isinstance(synth, Synth):
        raise UnavailableError(f"synth {name!r}: {added[name].value} made no synth but a {type(synth).__name__}")
    return synth


def describe_synths() -> list[SynthInfo]:
    """All synths with their counts; those that cannot be used here with what is missing."""
    found = []
    for name in synth_names():
        try:
            synth = get_synth(name)
        except SynthProxyError as error:
            found.append(SynthInfo(name, available=False, missing=str(error)))
            continue
        space, missing = synth.space, synth.missing if isinstance(synth, NeedsSomething) else ""
        numerical, binary, categorical = (len(space.columns(kind)) for kind in Kind)
        found.append(
            SynthInfo(name, not missing, space.size, numerical, binary, categorical, space.one_hot_width, missing)
        )
    return found
