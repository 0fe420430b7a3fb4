"""One voice of all that sound alike: what is not heard is set to its default, and operators stand in one order.

A DX7 voice says much that no one can hear: how an operator would sound that is turned down, how quick an LFO is that
moves nothing, and which of two operators that do the same does what. A network that is to tell voices from sounds
would have to guess it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths.dx7_algorithms import OPERATORS, symmetries, wiring

Values = NDArray[np.float64]
Heard = NDArray[np.bool_]

_LFO = ("lfo_speed", "lfo_delay", "lfo_wave", "lfo_key_sync")
_PITCH_RATES = tuple(f"pitch_eg_rate_{stage}" for stage in range(1, 5))
_PITCH_LEVELS = tuple(f"pitch_eg_level_{stage}" for stage in range(1, 5))
_LEVELS = tuple(f"eg_level_{stage}" for stage in range(1, 5))
_LEAST_SENSITIVE = 1 / 3
_ORDER = ("mode", "f_coarse", "f_fine", "detune")
"""Fields that operators are sorted by, then by their level, the loudest first."""


class CanonicalVoices:
    """Brings voices into their canonical form.

    Args:
        names: of the parameters, of which ``op1_…`` to ``op6_…`` are those of the operators.
        defaults: their values, (parameters,).
    """

    def __init__(self, names: Sequence[str], defaults: Values) -> None:
        self._column = {name: column for column, name in enumerate(names)}
        self._fields = [name.removeprefix("op1_") for name in names if name.startswith("op1_")]
        self._operators = np.asarray(
            [[self._column[f"op{number}_{field}"] for field in self._fields] for number in range(1, OPERATORS + 1)]
        )
        self._defaults = defaults

    def of(self, values: Values) -> Values:
        """Voices that sound as these do, (n, parameters)."""
        made = values.copy()
        operators = made[:, self._operators]
        algorithm = np.rint(made[:, self._column["algorithm"]]).astype(np.int64)
        heard = self._heard(operators, algorithm)
        self._quieten(made, operators, heard, algorithm)
        self._still(made, operators)
        keys = self._keys(operators, heard)
        for number in np.unique(algorithm):
            rows = np.flatnonzero(algorithm == number)
            orders = symmetries(int(number))
            places = len(orders[0]) ** np.arange(OPERATORS - 1, -1, -1)
            best = (keys[rows][:, orders] * places).sum(2).argmin(1)
            operators[rows] = np.take_along_axis(operators[rows], orders[best][:, :, None], 1)
        made[:, self._operators] = operators
        return made

    def _field(self, name: str) -> int:
        return self._fields.index(name)

    def _heard(self, operators: Values, algorithm: NDArray[np.int64]) -> Heard:
        """Whether an operator sounds, or moves one that does, (n, operators)."""
        levels = operators[:, :, [self._field(name) for name in _LEVELS]]
        sounds = (operators[:, :, self._field("output_level")] > 0) & (levels > 0).any(2)
        graph = wiring()
        feeds = (graph.feeds | graph.feedback)[algorithm]  # (n, fed, feeding)
        heard: Heard = graph.heard[algorithm] & sounds
        for _ in range(OPERATORS):
            heard = sounds & (heard | (feeds & heard[:, :, None]).any(1))
        return heard

    def _quieten(self, made: Values, operators: Values, heard: Heard, algorithm: NDArray[np.int64]) -> None:
        """Operators that are not heard are as by default, and turned down; so is feedback that reaches none."""
        for number in range(OPERATORS):
            default = self._defaults[self._operators[number]].copy()
            default[self._field("output_level")] = 0.0
            operators[~heard[:, number], number] = default
        fed = (wiring().feedback[algorithm] & heard[:, :, None] & heard[:, None, :]).any((1, 2))
        feedback = self._column["feedback"]
        made[~fed, feedback] = self._defaults[feedback]

    def _still(self, made: Values, operators: Values) -> None:
        """An LFO and a pitch envelope that move nothing are as by default."""
        column = self._column
        sensitive = operators[:, :, self._field("amp_mod_sensitivity")]
        vibrato = (made[:, column["lfo_pitch_mod_depth"]] > 0) & (made[:, column["pitch_mod_sensitivity"]] > 0)
        tremolo = (made[:, column["lfo_amp_mod_depth"]] > 0) & (sensitive > 0).any(1)
        self._default(made, ~vibrato, ("lfo_pitch_mod_depth", "pitch_mod_sensitivity"))
        self._default(made, ~tremolo, ("lfo_amp_mod_depth",))
        # The engine turns an operator that is sensitive at all down a little, even where nothing moves it.
        sensitive[~tremolo] = np.where(sensitive[~tremolo] > 0, _LEAST_SENSITIVE, 0.0)
        operators[:, :, self._field("amp_mod_sensitivity")] = sensitive
        self._default(made, ~vibrato & ~tremolo, _LFO)
        levels = made[:, [column[name] for name in _PITCH_LEVELS]]
        self._default(made, (levels == levels[:, :1]).all(1), _PITCH_RATES)

    def _default(self, made: Values, rows: Heard, names: Sequence[str]) -> None:
        for name in names:
            made[rows, self._column[name]] = self._defaults[self._column[name]]

    def _keys(self, operators: Values, heard: Heard) -> NDArray[np.int64]:
        """The place of each operator in the order of a voice, those that are not heard last, (n, operators)."""
        first = [operators[:, :, self._field(name)] for name in _ORDER]
        loudest = -operators[:, :, self._field("output_level")]
        others = list(np.moveaxis(operators, 2, 0))
        # The last key decides first.
        order = np.lexsort([*others, loudest, *first[::-1], ~heard], axis=1)
        return order.argsort(1, kind="stable")
