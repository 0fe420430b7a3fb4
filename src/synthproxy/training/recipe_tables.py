"""The tables of a recipe as plain data: TOML files, overrides, and every mistake in words."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from synthproxy.errors import InvalidInputError

Tables = dict[str, Any]

_SCHEDULES = ("cosine", "cosine-restart", "plateau")


def read_tables(path: Path) -> Tables:
    """What a TOML file holds.

    Raises:
        InvalidInputError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: the recipe cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InvalidInputError(f"{path}: the recipe is not TOML ({error})") from error


def mistakes_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Everything that a validation found, a sentence each."""
    return [_in_words(dict(detail), model) for detail in error.errors(include_url=False)]


def value_in(data: Tables, section: str, key: str) -> Any:
    """A value of a section, whatever the tables hold; None where there is none."""
    table = data.get(section)
    return table.get(key) if isinstance(table, dict) else None


def missing_files(data: Tables, places: Sequence[tuple[str, str, str]]) -> list[str]:
    """A sentence for each file or folder that is named but not there.

    Args:
        data: the tables.
        places: section, key, and what to do about it; a key may hold a list of files.
    """
    found = []
    for section, key, remedy in places:
        value = value_in(data, section, key)
        named = [(f".{place}", path) for place, path in enumerate(value)] if isinstance(value, list) else [("", value)]
        for place, path in named:
            if isinstance(path, str) and not Path(path).exists():
                found.append(f"{section}.{key}{place}: there is no {path}; {remedy}")
    return found


def put_override(data: Tables, text: str) -> str | None:
    """Set the value that ``section.key=value`` names; what is wrong with that, if anything."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip().split(".")[-1]:
        return f"{text!r}: an override is section.key=value"
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    try:
        put_value(data, key.strip(), parsed)
    except ValueError as error:
        return f"{text!r}: {error}"
    return None


def put_value(data: Tables, key: str, value: Any) -> None:
    """Set the value of a dotted key; in a list, the key is the place: ``training.betas.0``.

    Raises:
        ValueError: the key leads through a value.
    """
    *sections, last = key.split(".")
    table: Any = data
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict | list) or (isinstance(table, list) and section != sections[-1]):
            raise ValueError(f"{section} is a value, not a section")
    if isinstance(table, dict):
        table[last] = value
    elif last.isdecimal() and int(last) < len(table):
        table[int(last)] = value
    else:
        raise ValueError(f"{sections[-1]} has {len(table)} values, counted from 0")


def _in_words(detail: dict[str, Any], model: type[BaseModel]) -> str:
    """One mistake that pydantic found, as a sentence that starts with the key."""
    place = [str(part) for part in detail["loc"] if part not in _SCHEDULES]
    key, message = ".".join(place), str(detail["msg"])
    if detail["type"] == "missing":
        return f"{key}: missing"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], _known_keys(model, place[:-1]), n=1)
        return f"{key}: no such key{f'; did you mean {close[0]}?' if close else ''}"
    if detail["type"] == "value_error":
        return f"{key}: {message.removeprefix('Value error, ')}"
    if detail["type"].startswith("union_tag"):
        return f"{key}.kind: must be 'cosine', 'cosine-restart' or 'plateau'"
    wanted = message.removeprefix("Input should be ").removeprefix("a valid ")
    return f"{key}: must be {wanted}, got {detail['input']!r}"


def _known_keys(model: type[BaseModel], sections: Sequence[str]) -> list[str]:
    """Keys that a section may have; of those that a ``kind`` tells apart, all."""
    models = [model]
    for section in sections:
        fields = [one.model_fields[section] for one in models if section in one.model_fields]
        models = [found for field in fields for found in _models_in(field.annotation)]
    return sorted({name for one in models for name in one.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]
