"""Recipes: everything a training run depends on, in a TOML file, checked as a whole before any work starts."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from synthproxy.errors import InvalidInputError, SynthProxyError
from synthproxy.proxies.schedule import CosineSchedule, PlateauSchedule, RestartSchedule, Schedule
from synthproxy.proxies.zoo import check_name, complete_sizes

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProxyChoice(BaseModel):
    """The architecture, sizes that differ from the published ones, and a checkpoint to start from (fine-tuning)."""

    model_config = _STRICT
    name: str
    sizes: dict[str, int] = Field(default_factory=dict)
    start_from: Path | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            check_name(name)
        except SynthProxyError as error:
            raise ValueError(str(error)) from error
        return name

    @model_validator(mode="after")
    def _sizes_exist(self) -> Self:
        try:
            complete_sizes(self.name, self.sizes)
        except SynthProxyError as error:
            raise ValueError(str(error)) from error
        return self


class CorpusChoice(BaseModel):
    """Folders of the corpora, relative to the current directory.

    ``block``: read the training corpus in blocks of about so many presets while learning from it, of which two or three
    are in memory at a time; without it all of the corpus is.
    """

    model_config = _STRICT
    train: Path
    validation: Path
    block: int | None = Field(default=None, ge=1)


class Optimisation(BaseModel):
    """What is minimised and how: AdamW on batches of presets.

    ``batch_size`` counts presets over all devices. Both halves of ``betas`` lie in [0, 1). ``precision`` is Fabric's.
    """

    model_config = _STRICT
    loss: Literal["l1", "mse"] = "l1"
    batch_size: int = Field(default=512, ge=2)
    epochs: int = Field(default=30, ge=1)
    learning_rate: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    validations_per_epoch: int = Field(default=2, ge=1)
    seed: int = Field(default=42, ge=0, lt=2**32)

    @field_validator("betas")
    @classmethod
    def _below_one(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("both must lie in [0, 1)")
        return betas


class Machine(BaseModel):
    """Where it runs and for how long. A run may be continued with other values here; nothing else may change.

    ``max_minutes`` counts training time over all continuations; the run ends with a validation.
    """

    model_config = _STRICT
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    save_minutes: float = Field(default=5.0, ge=0)


class TrainingRecipe(BaseModel):
    """A whole training run."""

    model_config = _STRICT
    proxy: ProxyChoice
    corpus: CorpusChoice
    training: Optimisation
    schedule: Schedule = Field(default_factory=RestartSchedule)
    machine: Machine = Field(default_factory=Machine)

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as plain data for JSON."""
        data = self.model_dump(mode="json", exclude={"machine"})
        if self.corpus.block is None:  # Left out, so that runs and studies are the same as before there were blocks.
            del data["corpus"]["block"]
        return data


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """Read a recipe and check all of it.

    Args:
        path: a TOML file.
        overrides: ``section.key=value``, the value as in TOML; what is no TOML is taken as text.

    Raises:
        InvalidInputError: naming every mistake, joined by ``"; "``.
    """
    return check_recipe(read_tables(path), path, overrides)


def read_tables(path: Path) -> dict[str, Any]:
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


def check_recipe(data: dict[str, Any], path: Path, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """The recipe that the tables of a file hold; :func:`read_recipe` tells the rest. ``data`` takes the overrides."""
    mistakes = [mistake for text in overrides if (mistake := _override(data, text))]
    recipe = None
    try:
        recipe = TrainingRecipe.model_validate(data)
    except ValidationError as error:
        mistakes += mistakes_of(error)
    mistakes += _mistakes_across(data)
    if mistakes or recipe is None:
        raise InvalidInputError(f"{path}: {'; '.join(mistakes)}")
    return recipe


def mistakes_of(error: ValidationError) -> list[str]:
    """Everything that a validation found, a sentence each."""
    return [_in_words(dict(detail)) for detail in error.errors(include_url=False)]


def _override(data: dict[str, Any], text: str) -> str | None:
    """Set one value; what is wrong with it, if anything."""
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


def put_value(data: dict[str, Any], key: str, value: Any) -> None:
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


def _mistakes_across(data: dict[str, Any]) -> list[str]:
    """Mistakes that concern the file system or several sections, found even where other things are wrong."""

    def value(section: str, key: str) -> Any:
        table = data.get(section)
        return table.get(key) if isinstance(table, dict) else None

    found = []
    for key, role in (("train", "corpus"), ("validation", "corpus"), ("start_from", "proxy")):
        path = value(role, key)
        if isinstance(path, str) and not Path(path).exists():
            made_by = "make it with `synthproxy generate`" if role == "corpus" else "give a checkpoint"
            found.append(f"{role}.{key}: there is no {path}; {made_by}")
    epochs = value("training", "epochs")
    kind, first = value("schedule", "kind"), value("schedule", "first_cycle_epochs")
    if "schedule" not in data or kind == "cosine-restart":
        first = RestartSchedule.model_fields["first_cycle_epochs"].default if first is None else first
        if isinstance(epochs, int) and isinstance(first, int | float) and first > epochs:
            found.append(f"schedule.first_cycle_epochs: must be at most training.epochs ({epochs}), got {first}")
    return found


def _in_words(detail: dict[str, Any]) -> str:
    """One mistake that pydantic found, as a sentence that starts with the key."""
    place = [str(part) for part in detail["loc"] if part not in ("cosine", "cosine-restart", "plateau")]
    key, message = ".".join(place), str(detail["msg"])
    if detail["type"] == "missing":
        return f"{key}: missing"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place[-1], _known_keys(place[:-1]), n=1)
        return f"{key}: no such key{f'; did you mean {close[0]}?' if close else ''}"
    if detail["type"] == "value_error":
        return f"{key}: {message.removeprefix('Value error, ')}"
    if detail["type"].startswith("union_tag"):
        return f"{key}.kind: must be 'cosine', 'cosine-restart' or 'plateau'"
    wanted = message.removeprefix("Input should be ").removeprefix("a valid ")
    return f"{key}: must be {wanted}, got {detail['input']!r}"


def _known_keys(sections: Sequence[str]) -> list[str]:
    if not sections:
        return list(TrainingRecipe.model_fields)
    models: dict[str, list[type[BaseModel]]] = {
        "proxy": [ProxyChoice],
        "corpus": [CorpusChoice],
        "training": [Optimisation],
        "schedule": [RestartSchedule, CosineSchedule, PlateauSchedule],
        "machine": [Machine],
    }
    return sorted({name for model in models.get(sections[0], []) for name in model.model_fields})
