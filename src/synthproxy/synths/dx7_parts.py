"""What the parameters of a DX7 voice do, in words that a musician uses."""

from __future__ import annotations

from collections.abc import Mapping

_STAGES = {
    **dict.fromkeys(("eg_rate_1", "eg_level_1"), "attack"),
    **dict.fromkeys(("eg_rate_2", "eg_level_2", "eg_rate_3", "eg_level_3"), "decay"),
    **dict.fromkeys(("eg_rate_4", "eg_level_4"), "release"),
}
_OPERATOR = {
    **_STAGES,
    **dict.fromkeys(("mode", "f_coarse", "f_fine", "detune"), ""),
    **dict.fromkeys(("break_point", "left_depth", "right_depth", "left_curve", "right_curve"), "level scaling"),
    "rate_scaling": "rate scaling",
    "amp_mod_sensitivity": "tremolo",
    "velocity_sensitivity": "response to velocity",
}
_OTHERS = {"pitch": "", "lfo": "the LFO", "osc": "the key sync"}
_NAMED = {"transpose": "", "pitch_mod_sensitivity": "the vibrato"}

SLOW, QUICK = 0.5, 0.8
"""Rates, 0 to 1, below and above which an attack is called slow or quick."""


def part_in_words(name: str, values: Mapping[str, float], carriers: Mapping[int, bool]) -> str:
    """What a parameter belongs to: ``the modulation of operator 2``, ``the slow attack of operator 1``, ``the LFO``.

    Nothing for one that sets a pitch.

    Args:
        name: of the parameter.
        values: of numerical parameters by name, 0 to 1, where an adjective depends on one.
        carriers: whether each operator, from 1, is heard itself; the level of one that is not is how much it modulates.
    """
    prefix, _, field = name.partition("_")
    if not (prefix.startswith("op") and prefix[2:].isdigit()):
        return _NAMED.get(name, _OTHERS.get(prefix, f"the {name.replace('_', ' ')}"))
    number = int(prefix[2:])
    if field == "output_level":
        return f"the {'level' if carriers[number] else 'modulation'} of operator {number}"
    part = _OPERATOR[field]
    speed = _speed(values.get(f"{prefix}_eg_rate_1")) if part == "attack" else ""
    return f"the {speed}{part} of operator {number}" if part else ""


def _speed(rate: float | None) -> str:
    if rate is None:
        return ""
    return "slow " if rate < SLOW else "quick " if rate > QUICK else ""
