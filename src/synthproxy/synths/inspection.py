"""A plug-in at hand: a first draft of its definition, or everything in which a definition differs from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from synthproxy.errors import InvalidInputError
from synthproxy.synths.definition import (
    Definition,
    PluginSettings,
    comparable_name,
    definition_path,
    plugin_definitions,
    read_definition,
)
from synthproxy.synths.drafts import draft
from synthproxy.synths.plugin_files import find_plugin, given_plugin, is_lv2
from synthproxy.synths.plugin_process import start_plugin
from synthproxy.synths.probing import Inspected, inspect_parameters
from synthproxy.synths.space import Parameter

_RATE = 44_100


@dataclass(frozen=True)
class Mismatch:
    """One difference between a definition and the plug-in at hand."""

    parameter: str
    definition: str
    plugin: str


def compare(definition: Definition, inspected: Sequence[Inspected]) -> list[Mismatch]:
    """Everything in which a definition and a plug-in differ: names, places, and how many values parameters have."""
    there: dict[str, list[Inspected]] = {}
    for one in inspected:
        there.setdefault(comparable_name(one.name), []).append(one)
    known: set[str] = set()
    found: list[Mismatch] = []
    for parameter, index in zip(definition.space.parameters, definition.indices, strict=True):
        plain = comparable_name(parameter.name)
        known.add(plain)
        same_name = there.get(plain, [])
        if not same_name:
            found.append(Mismatch(parameter.name, f"at {index}", "not there"))
            continue
        one = next((i for i in same_name if i.index == index), same_name[0])
        if one.index != index:
            found.append(Mismatch(parameter.name, f"at {index}", f"at {one.index}"))
        found += _differences(parameter, one)
    found += [
        Mismatch(one.parameter.name, "not there", f"at {one.index}")
        for plain, same_name in there.items()
        if plain not in known
        for one in same_name
    ]
    return found


def _differences(parameter: Parameter, one: Inspected) -> Iterator[Mismatch]:
    ours, theirs = parameter.cardinality, one.steps
    if not one.changes:
        return
    # A definition may leave values out, and may put a grid on what is continuous only if nobody hears the difference.
    if bool(ours) != bool(theirs) or ours > theirs:
        yield Mismatch(parameter.name, _described(ours), _described(theirs))


def _described(steps: int) -> str:
    return {0: "continuous", 2: "two values"}.get(steps, f"{steps} steps")


def draft_definition(plugin: str, name: str | None = None) -> tuple[list[Inspected], str]:
    """What was found of a plug-in's parameters, and the text of a definition.

    Args:
        plugin: path, LV2 URI, or the name or definition file of a synth that is a plug-in.
        name: of the synth; made of the file's by default.

    Raises:
        InvalidInputError: there is no such plug-in.
        UnavailableError: it does not load.
    """
    place, settings = _located(plugin)
    with closing(start_plugin(place, _RATE, settings.seconds, needs_display=settings.display)) as process:
        found = inspect_parameters(process)
    stem = Path(place.rstrip("/").rsplit("/", 1)[-1]).stem
    called = name or re.sub(r"[^a-z0-9]+", "-", stem.lower().removesuffix("-vst").removesuffix("_vst")).strip("-")
    return found, draft(called, replace(settings, files=(place,)), found)


def check_plugin(plugin: str, against: str | None = None) -> list[Mismatch]:
    """Everything in which a definition and a plug-in differ.

    Args:
        plugin: see :func:`draft_definition`.
        against: name or file of the definition; by default the one of the synth, or that names the plug-in's file.
    """
    place, settings = _located(plugin)
    definition = _definition_of(against or plugin) or _naming(place)
    with closing(start_plugin(place, _RATE, settings.seconds, needs_display=settings.display)) as process:
        return compare(definition, inspect_parameters(process))


def _located(plugin: str) -> tuple[str, PluginSettings]:
    definition = _definition_of(plugin)
    if definition is None or definition.plugin is None:
        place = given_plugin(plugin)
        return place, PluginSettings((place,), presets=_usual_presets(place), vst3_class=_vst3_class(place))
    return find_plugin(definition.name, definition.plugin.files), definition.plugin


def _usual_presets(place: str) -> tuple[str, ...]:
    if is_lv2(place):
        return ()
    return ("vstpreset",) if place.lower().endswith(".vst3") else ("fxp",)


def _vst3_class(place: str) -> str:
    """Class id of a VST3 plug-in that describes itself, as many bundles do since version 3.7.5 of the SDK."""
    description = Path(place) / "Contents" / "Resources" / "moduleinfo.json"
    try:
        text = description.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError):
        return ""
    # The SDK writes commas that JSON does not allow; of each class its id comes before its category.
    found = re.search(r'"CID":\s*"([0-9A-Fa-f]{32})"[^{}]*"Category":\s*"Audio Module Class"', text)
    return found[1] if found else ""


def _definition_of(name: str) -> Definition | None:
    if name.endswith(".toml"):
        return read_definition(Path(name))
    return read_definition(definition_path(name)) if name in plugin_definitions() else None


def _naming(plugin: str) -> Definition:
    for definition in map(read_definition, map(definition_path, plugin_definitions())):
        if definition.plugin and (plugin in definition.plugin.files or Path(plugin).name in definition.plugin.files):
            return definition
    raise InvalidInputError(f"{plugin}: no definition names this plug-in; give the one to compare with --definition")
