"""Writing a definition as the TOML that :mod:`synthproxy.synths.definition` reads, for a person to edit."""

from __future__ import annotations

import json
from collections.abc import Sequence

from synthproxy.synths.definition import PluginSettings
from synthproxy.synths.probing import Inspected
from synthproxy.synths.space import Kind, Parameter

_HEAD = """\
# A first draft of the definition of {plugin}, found by looking at what its parameters show.
# To be looked through by someone who knows the synth:
#   held = true    for what one note cannot tell apart (voices, glide, master volume): it stays at its default
#   kind           "categorical" where the order of the steps means nothing (waveforms, filter types)
#   low, high      an interval, where the whole range is no use (releases of a minute)
#   weights        how often each step is drawn, where some are rarely wanted
#   group          parameters that belong together; like groups are called operators.1, operators.2
name = {name}

[plugin]
files = [{file}]
"""


def draft(name: str, settings: PluginSettings, inspected: Sequence[Inspected]) -> str:
    """The text of a definition file."""
    file = settings.files[0]
    head = _HEAD.format(plugin=file.rsplit("/", 1)[-1], name=json.dumps(name), file=json.dumps(file))
    if settings.display:
        head += "display = true\n"
    if settings.presets:
        head += f"presets = {json.dumps(list(settings.presets))}\n"
    if settings.vst3_class:
        head += f"vst3_class = {json.dumps(settings.vst3_class)}\n"
    return head + "".join(_row(one) for one in inspected)


def _row(one: Inspected) -> str:
    parameter = one.parameter
    lines = ["", "[[parameters]]", f"name = {json.dumps(parameter.name)}", f"index = {one.index}"]
    if parameter.group:
        lines.append(f"group = {json.dumps(parameter.group)}")
    if parameter.kind is not Kind.NUMERICAL:
        lines.append(f'kind = "{parameter.kind}"')
    if parameter.default:
        lines.append(f"default = {parameter.default!r}")
    lines += _grid(parameter)
    if parameter.labels:
        lines.append(f"labels = {json.dumps(list(parameter.labels), ensure_ascii=False)}")
    if parameter.held:
        lines.append("held = true  # Shows the same over its whole range.")
    else:
        lines.append(f"# Shows {one.shows[0]!r} to {one.shows[1]!r}.")
    return "\n".join(lines) + "\n"


def _grid(parameter: Parameter) -> list[str]:
    count = len(parameter.values)
    if not count:
        return []
    if parameter.kind is Kind.NUMERICAL and parameter.values == tuple(i / (count - 1) for i in range(count)):
        return [f"steps = {count}"]
    return [f"values = {json.dumps(list(parameter.values))}"]
