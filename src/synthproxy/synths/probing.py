"""What the parameters of a plug-in are, found by looking at what each shows over its range."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from synthproxy.synths.definition import comparable_name
from synthproxy.synths.plugin_channel import Shown
from synthproxy.synths.plugin_process import PluginProcess
from synthproxy.synths.space import Kind, Parameter

PROBED_VALUES = 1001
"""Values at which each parameter is looked at, from 0 to 1."""

MOST_STEPS = 64
"""A parameter that shows more different texts than this is taken for continuous, whatever digits it is shown with."""

_HOST_PARAMETERS = re.compile(r"^(MIDI\b.*\bCC \d|(Bypass|Buffer Size|Sample Rate)$)", re.IGNORECASE)
_NUMBER = re.compile(r"^[-+−]?\s*(\d+([.,]\d*)?|[.,]\d+)")


@dataclass(frozen=True)
class Inspected:
    """What was found of one parameter.

    Args:
        index, name: on the plug-in.
        parameter: as a definition would have it.
        steps: how many different values it has; 0 if it is continuous.
        shows: what it shows at its lowest and at its highest value.
        changes: whether it shows anything different at all over its range.
    """

    index: int
    name: str
    parameter: Parameter
    steps: int
    shows: tuple[str, str]
    changes: bool


def inspect_parameters(process: PluginProcess) -> list[Inspected]:
    """Look at every parameter of a plug-in; nameless ones and those that its host adds are passed over."""
    found: list[Inspected] = []
    taken: dict[str, int] = {}
    for index, (name, default) in enumerate(zip(process.names, process.values, strict=True)):
        plain = comparable_name(name)
        if not plain or _HOST_PARAMETERS.match(name):
            continue
        taken[plain] = taken.get(plain, 0) + 1
        unique = _words(name) + (f"#{taken[plain]}" if taken[plain] > 1 else "")
        found.append(_inspected(index, name, unique, default, process.probe(index, PROBED_VALUES)))
    return found


def _inspected(index: int, name: str, unique: str, default: float, shown: Shown) -> Inspected:
    runs = _runs(shown.texts)
    labels = tuple(text for text, _, _ in runs)
    ends = (labels[0], labels[-1])
    group = _guessed_group(name)
    stepped = 2 <= len(runs) <= MOST_STEPS
    if not stepped:
        parameter = Parameter(unique, default=_rounded(default), group=group, held=len(runs) == 1)
        return Inspected(index, name, parameter, 0, ends, len(runs) > 1)
    middles = tuple(round((first + last) / 2, 6) for _, first, last in runs)
    number = int(np.argmin([max(first - default, default - last, 0.0) for _, first, last in runs]))
    if len(runs) == 2:
        parameter = Parameter(unique, Kind.BINARY, default=number, group=group, labels=labels)
    else:
        equal = tuple(i / (len(runs) - 1) for i in range(len(runs)))
        fits = all(first <= value <= last for value, (_, first, last) in zip(equal, runs, strict=True))
        values = equal if fits else middles
        if _are_numbers(labels):
            parameter = Parameter(unique, default=values[number], group=group, values=values)
        else:
            shown_values = () if fits else values
            parameter = Parameter(
                unique, Kind.CATEGORICAL, default=number, group=group, values=shown_values, labels=labels
            )
    return Inspected(index, name, parameter, len(runs), ends, True)


def _runs(texts: Sequence[str]) -> list[tuple[str, float, float]]:
    """Each text in order with the first and the last of the values that show it."""
    last = len(texts) - 1
    runs = []
    for text, places in groupby(range(len(texts)), key=lambda i: texts[i]):
        inside = list(places)
        runs.append((text, inside[0] / last, inside[-1] / last))
    return runs


def _are_numbers(labels: Sequence[str]) -> bool:
    found = [_NUMBER.match(label) for label in labels]
    if not all(found):
        return False
    numbers = [
        float(re.sub(r"[−\s]", lambda m: "-" if m[0] == "−" else "", m[0]).replace(",", ".")) for m in found if m
    ]
    steps = np.diff(numbers)
    return bool((steps > 0).all() or (steps < 0).all())


def _rounded(value: float) -> float:
    return min(1.0, max(0.0, round(value, 6)))


def _words(name: str) -> str:
    """A name in small letters, its words joined by underscores."""
    return re.sub(r"[^\w:.]+", "_", name.strip()).strip("_").lower() or "_"


def _guessed_group(name: str) -> str:
    """The first word, with the number of the oscillator or envelope, if it has one, after a dot."""
    match = re.match(r"([^\W\d_]+)[\s_]*(\d+)?", name)
    if match is None:
        return ""
    return match[1].lower() + (f".{match[2]}" if match[2] else "")
