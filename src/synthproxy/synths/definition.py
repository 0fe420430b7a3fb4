"""Definitions of synths: TOML tables of their parameters and, for plug-ins, where each is found and how to play them.

A definition is a list of ``[[parameters]]`` rows with the fields of :class:`~synthproxy.synths.space.Parameter`. In
rows for a plug-in, ``index`` is the parameter's place on it; rows are sorted by it. Shorthands: ``steps = n`` is the
grid of n equal steps; ``repeat = [1, 2]`` makes one parameter per entry, with ``{}`` in its name and group replaced by
it and, with ``index_step``, the index moved on. ``base = "other"`` starts from the definition beside it, and
``[[change]]`` rows (``match = [patterns]`` and any fields) change it. A ``[plugin]`` table has the fields of
:class:`PluginSettings`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Floats, Kind, Parameter, PresetSpace

PRESET_FORMATS = ("amsynth-bank", "fxp", "h2p", "parameter-dump", "vstpreset")
"""Names of the kinds of preset file."""


@dataclass(frozen=True)
class PluginSettings:
    """How to find a plug-in and how it wants to be treated.

    Args:
        files: names of its files, to be looked for where plug-ins are usually installed; absolute paths; or LV2 URIs.
        display: whether it needs a display even when nobody looks at it.
        seconds: longest time that loading it, or rendering a clip, may take before it counts as hung.
        restart_after: renders after which an instance is replaced by a new one, against leaks.
        presets: names of the formats that its preset files have, the one to write first.
        vst3_class: class id of its VST3 component, 32 hexadecimal digits, for writing ``.vstpreset`` files.
    """

    files: tuple[str, ...]
    display: bool = False
    seconds: float = 30.0
    restart_after: int = 1000
    presets: tuple[str, ...] = ()
    vst3_class: str = ""


@dataclass(frozen=True)
class Definition:
    """A preset space and, for a plug-in, how its parameters are reached.

    Args:
        indices: place of every parameter on the plug-in, free and held, in the order of the space; empty without one.
    """

    space: PresetSpace
    indices: tuple[int, ...] = ()
    plugin: PluginSettings | None = None

    @property
    def name(self) -> str:
        """Name of the synth."""
        return self.space.name

    @cached_property
    def _category_values(self) -> dict[int, NDArray[np.float64]]:
        return {
            i: np.asarray(p.values or np.linspace(0.0, 1.0, p.cardinality), dtype=np.float64)
            for i, p in enumerate(self.space.parameters)
            if p.kind is Kind.CATEGORICAL
        }

    def to_plugin(self, presets: ArrayLike) -> NDArray[np.float64]:
        """What to set every parameter of the plug-in to, held ones at their default: (..., parameters) in [0, 1]."""
        everything = self.space.decode(presets)
        for i, values in self._category_values.items():
            everything[..., i] = values[np.rint(everything[..., i]).astype(np.int64)]
        return everything

    def from_plugin(self, values: ArrayLike) -> Floats:
        """Preset vectors of the plug-in's values, (..., parameters) to (..., free), moved to the nearest possible."""
        everything = np.array(values, dtype=np.float64)
        for i, possible in self._category_values.items():
            everything[..., i] = np.abs(everything[..., i, None] - possible).argmin(axis=-1)
        return self.space.snap(self.space.encode(everything))


def comparable_name(name: str) -> str:
    """A parameter's name without case and punctuation, to compare by; ``#2`` tells apart those of the same name."""
    return "".join(c for c in re.sub(r"#\d+$", "", name).casefold() if c.isalnum())


def definition_path(name: str) -> Path:
    """The file of a definition that comes with the package."""
    return Path(str(resources.files("synthproxy.synths"))) / "definitions" / f"{name}.toml"


def plugin_definitions() -> tuple[str, ...]:
    """Names of the definitions of plug-ins that come with the package."""
    return ("amsynth", "dexed-plugin", "diva", "talnm")


def read_definition(path: Path) -> Definition:
    """Read a definition file.

    Raises:
        InvalidInputError: it is missing, no TOML, or not a definition.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: no TOML file ({error})") from error
    try:
        return _definition_from(data, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidInputError(f"{path}: not a definition of a synth ({reason})") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _definition_from(data: Mapping[str, Any], path: Path) -> Definition:
    if "base" in data:
        base = read_definition(path.with_name(f"{data['base']}.toml"))
        parameters, indices, settings = list(base.space.parameters), base.indices, base.plugin
    else:
        rows = [row for raw in data["parameters"] for row in _repeated(raw)]
        settings = _settings_from(data["plugin"]) if "plugin" in data else None
        if settings:
            rows.sort(key=lambda row: int(row["index"]))
        indices = tuple(int(row.pop("index")) for row in rows) if settings else ()
        if len(set(indices)) != len(indices):
            raise InvalidInputError("two parameters have the same index")
        parameters = [Parameter.from_row(row) for row in rows]
    space = PresetSpace(data["name"], tuple(parameters))
    for change in data.get("change", ()):
        for i in space.matching(change["match"]):
            changed = {k: v for k, v in change.items() if k != "match"}
            parameters[i] = Parameter.from_row({**asdict(parameters[i]), **changed})
    return Definition(PresetSpace(data["name"], tuple(parameters)), indices, settings)


def _settings_from(table: Mapping[str, Any]) -> PluginSettings:
    unknown = sorted(set(table) - {f.name for f in fields(PluginSettings)})
    if unknown:
        raise InvalidInputError(f"[plugin] has no setting {unknown[0]!r}")
    presets = tuple(table.get("presets", ()))
    if missing := sorted(set(presets) - set(PRESET_FORMATS)):
        raise InvalidInputError(f"[plugin] presets: no format {missing[0]!r}; there are {', '.join(PRESET_FORMATS)}")
    return PluginSettings(**{**table, "files": tuple(table["files"]), "presets": presets})


def _repeated(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each entry of ``repeat``."""
    plain = {k: v for k, v in row.items() if k not in ("repeat", "index_step")}
    if "repeat" not in row:
        return [plain]
    rows = []
    for number, entry in enumerate(row["repeat"]):
        one = {**plain, "name": plain["name"].format(entry), "group": plain.get("group", "").format(entry)}
        if "index" in plain:
            one["index"] = plain["index"] + number * row.get("index_step", 1)
        rows.append(one)
    return rows
