"""Sound attributes of synths: what is moved over which range, and what is set so that the move can be heard.

They are TOML tables, of the ``synths`` that they name: ``[[attributes]]`` rows with a ``name``, the parameters to
``move`` together (patterns, as in ``op?_feedback``), and the values to move them over: ``to = [first, last]`` for all
alike, or ``by = [first, last]`` added to what the preset has. ``set`` names values that hold during the move, numbers
or labels; a ``set`` of the whole table holds during all of its moves. In names, ``{carrier}`` stands for the operators
that a ``[roles.carrier]`` table lists under the category that ``parameter`` has in the preset.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.space import Floats, Kind, Parameter, PresetSpace

Setting = float | str


@dataclass(frozen=True)
class Role:
    """What a placeholder in a parameter's name stands for.

    Args:
        parameter: the categorical parameter that decides it.
        members: for each of its categories, what the placeholder is replaced by; possibly nothing.
    """

    parameter: str
    members: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Attribute:
    """One thing about a sound that people hear, as a move of parameters.

    Args:
        name: what it is called.
        move: patterns of the parameters that move together.
        first, last: values at the ends of the move; the first may be the greater one.
        relative: whether they are added to the preset's own values, for parameters that must keep their differences.
        settings: values of other parameters, by pattern, applied in their order before the move.
        roles: what placeholders in patterns stand for.
    """

    name: str
    move: tuple[str, ...]
    first: float
    last: float
    relative: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.move:
            raise InvalidInputError(f"attribute {self.name!r} moves nothing")
        lowest = -1.0 if self.relative else 0.0
        if not (lowest <= min(self.first, self.last) < max(self.first, self.last) <= 1.0):
            raise InvalidInputError(
                f"attribute {self.name!r} must move between two values in [{lowest:g}, 1], "
                f"got {self.first:g} and {self.last:g}"
            )

    def touched(self, space: PresetSpace) -> list[int]:
        """Indices of all parameters that it moves or sets with any preset.

        Raises:
            InvalidInputError: the space has not got them, they cannot be moved, or cannot be set to that.
        """
        moved = [i for pattern in self.move for i in space.matching(self._all_names(pattern))]
        for i in moved:
            if space.parameters[i].kind is not Kind.NUMERICAL:
                raise InvalidInputError(f"{self.name}: {space.parameters[i].name} is not numerical and cannot be moved")
        for role in self.roles.values():
            decider = space.parameters[space.matching([role.parameter])[0]]
            if decider.cardinality != len(role.members):
                raise InvalidInputError(
                    f"{self.name}: {decider.name} has {decider.cardinality} categories, "
                    f"got members of roles for {len(role.members)}"
                )
        for pattern, setting in self.settings.items():
            set_here = space.matching(self._all_names(pattern))
            for i in set_here:
                value_of(space.parameters[i], setting)
            moved += set_here
        return sorted(set(moved))

    def presets(self, space: PresetSpace, preset: Floats, steps: int) -> Floats:
        """The move of one preset.

        Args:
            space: every parameter that is touched is free in it, over its whole range; see :func:`playing_space`.
            preset: vector of that space, (free,).
            steps: number of equal steps wanted.

        Returns:
            (steps, free), or fewer rows where parameters have a grid that is coarser; one where nothing can be moved.
        """
        everything = space.decode(preset)
        for pattern, setting in self.settings.items():
            for i in self._indices(space, everything, pattern):
                everything[i] = value_of(space.parameters[i], setting)
        moved = sorted({i for pattern in self.move for i in self._indices(space, everything, pattern)})
        rows = np.repeat(everything[None], steps, axis=0)
        way = np.linspace(self.first, self.last, steps)[:, None]
        rows[:, moved] = np.clip(rows[:, moved] + way if self.relative else way, 0.0, 1.0)
        vectors = space.snap(space.encode(rows))
        different = np.any(vectors[1:] != vectors[:-1], axis=1)
        return np.asarray(vectors[np.concatenate([[True], different])])

    def _all_names(self, pattern: str) -> list[str]:
        """The pattern with everything that its placeholders can stand for."""
        patterns = [pattern]
        for name, role in self.roles.items():
            members = sorted({member for group in role.members for member in group})
            patterns = list(_filled(patterns, name, members))
        return patterns

    def _indices(self, space: PresetSpace, everything: NDArray[np.float64], pattern: str) -> list[int]:
        """Parameters that a pattern stands for in one preset, given the value of every parameter."""
        patterns = [pattern]
        for name, role in self.roles.items():
            category = round(everything[space.matching([role.parameter])[0]])
            patterns = list(_filled(patterns, name, role.members[category]))
        return space.matching(patterns)


def value_of(parameter: Parameter, setting: Setting) -> float:
    """The value in a preset for a number or a label.

    Raises:
        InvalidInputError: the parameter has no such value.
    """
    if isinstance(setting, str):
        if setting not in parameter.labels:
            raise InvalidInputError(
                f"{parameter.name}: {setting!r} is none of {', '.join(parameter.labels) or 'no labels'}"
            )
        return float(parameter.labels.index(setting))
    highest = parameter.cardinality - 1 if parameter.kind is Kind.CATEGORICAL else 1
    if not 0 <= setting <= highest:
        raise InvalidInputError(f"{parameter.name} lies between 0 and {highest}, got {setting:g}")
    return float(setting)


def playing_space(space: PresetSpace, attributes: Sequence[Attribute]) -> PresetSpace:
    """The space in which everything that attributes touch is free, over its whole range."""
    touched = {i for attribute in attributes for i in attribute.touched(space)}
    parameters = tuple(
        replace(p, held=False, low=0.0, high=1.0) if i in touched else p for i, p in enumerate(space.parameters)
    )
    return PresetSpace(space.name, parameters)


# Tables


def synths_with_attributes() -> tuple[str, ...]:
    """Names of the synths whose attributes come with the package."""
    return tuple(sorted(_tables()))


def attributes_of(synth: str) -> tuple[Attribute, ...]:
    """The attributes of a synth, by its name.

    Raises:
        InvalidInputError: there is no table for it.
    """
    tables = _tables()
    if synth not in tables:
        raise InvalidInputError(
            f"no sound attributes are known of {synth!r}, only of {', '.join(sorted(tables))}: give a table of them"
        )
    return read_attributes(tables[synth])


def read_attributes(path: Path) -> tuple[Attribute, ...]:
    """Read a table of attributes.

    Raises:
        InvalidInputError: it is missing, no TOML, or no such table.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"{path}: no TOML file ({error})") from error
    try:
        return tuple(_attributes_from(data))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidInputError(f"{path}: no table of sound attributes ({reason})") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _tables() -> dict[str, Path]:
    """The tables that come with the package, by the names of the synths they are for."""
    folder = Path(str(resources.files("synthproxy.ranking"))) / "attributes"
    return {name: path for path in folder.glob("*.toml") for name in tomllib.loads(path.read_text("utf8"))["synths"]}


def _attributes_from(data: Mapping[str, Any]) -> Iterator[Attribute]:
    roles = {
        name: Role(str(table["parameter"]), tuple(tuple(str(one) for one in group) for group in table["members"]))
        for name, table in data.get("roles", {}).items()
    }
    names = [str(row["name"]) for row in data["attributes"]]
    if not names or len(set(names)) != len(names):
        raise InvalidInputError("every attribute needs a name of its own, and there must be one at least")
    for name, row in zip(names, data["attributes"], strict=True):
        unknown = sorted(set(row) - {"name", "move", "to", "by", "set"})
        if unknown or ("to" in row) == ("by" in row):
            raise InvalidInputError(f"{name!r} has name, move, set, and either to or by, got {', '.join(row)}")
        first, last = (float(value) for value in row.get("to") or row["by"])
        if not isinstance(row["move"], list):
            raise InvalidInputError(f"{name!r}: move is a list of parameters, got {row['move']!r}")
        settings = {
            pattern: value if isinstance(value, str) else float(value)
            for pattern, value in {**data.get("set", {}), **row.get("set", {})}.items()
        }
        yield Attribute(name, tuple(map(str, row["move"])), first, last, "by" in row, settings, roles)


def _filled(patterns: Sequence[str], name: str, members: Sequence[str]) -> Iterator[str]:
    """Patterns with the placeholder replaced by each member; those without it as they are."""
    placeholder = f"{{{name}}}"
    for pattern in patterns:
        yield from (pattern.replace(placeholder, one) for one in members) if placeholder in pattern else [pattern]
