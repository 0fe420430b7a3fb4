"""Recipes: everything a training run depends on, in a TOML file, checked as a whole before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field, ValidationError

from synthproxy.errors import InvalidInputError
from synthproxy.training.options import STRICT, Learning, Machine
from synthproxy.training.recipe_tables import Tables, mistakes_of, put_override, read_tables
from synthproxy.training.schedule import Schedule


class Recipe(BaseModel):
    """The training of a network: what recipes of all kinds have.

    ``unused`` are keys (table, key) with a value that says nothing, which identities leave out, so that runs are what
    they were before there was the key.
    """

    model_config = STRICT
    unused: ClassVar[Sequence[tuple[str, str, Any]]] = ()

    training: Learning
    schedule: Schedule
    machine: Machine = Field(default_factory=Machine)

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str] = ()) -> Self:
        """Read a recipe and check all of it.

        Args:
            path: a TOML file.
            overrides: ``section.key=value``, the value as in TOML; what is no TOML is taken as text.

        Raises:
            InvalidInputError: naming every mistake, joined by ``"; "``.
        """
        return cls.of_tables(read_tables(path), path, overrides)

    @classmethod
    def of_tables(cls, tables: Tables, path: Path, overrides: Sequence[str] = ()) -> Self:
        """The recipe that the tables of a file hold, which take the overrides; :meth:`read` tells the rest."""
        mistakes = [mistake for text in overrides if (mistake := put_override(tables, text))]
        recipe = None
        try:
            recipe = cls.model_validate(tables)
        except ValidationError as error:
            mistakes += mistakes_of(error, cls)
        mistakes += cls.mistakes_across(tables)
        if mistakes or recipe is None:
            raise InvalidInputError(f"{path}: {'; '.join(mistakes)}")
        return recipe

    @classmethod
    def mistakes_across(cls, tables: Tables) -> list[str]:  # noqa: ARG003
        """Mistakes that concern the file system or several tables, even where other things are wrong."""
        return []

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as plain data for JSON."""
        data = self.model_dump(mode="json", exclude={"machine"})
        for table, key, value in self.unused:
            if data[table][key] == value:
                del data[table][key]
        return data
