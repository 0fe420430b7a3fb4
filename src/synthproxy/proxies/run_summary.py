"""What a training run was and how it went, read from its folder alone: no corpus, and no weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.checkpoint import count_saved_parameters
from synthproxy.training.folder import RunFolder

RECIPE = "recipe.json"
CHECKPOINTS = ("best_mrr", "best_l1", "last")


@dataclass(frozen=True)
class RunSummary:
    """One run.

    Args:
        path: its folder.
        proxy: registered name of the architecture, and ``sizes`` those that its recipe sets.
        synth, audio_model: what it stands in for.
        training_size: presets of the corpus it learns from.
        validation: what tells its validation corpus from others; scores of runs compare where it is equal.
        parameters: trainable ones; None if there is no checkpoint, or its architecture is not the one here.
        metrics: a row for each validation, in order; numbers only.
    """

    path: Path
    proxy: str
    sizes: Mapping[str, int]
    synth: str
    audio_model: str
    training_size: int
    validation: Mapping[str, Any]
    parameters: int | None
    metrics: tuple[Mapping[str, float], ...]

    def last(self, key: str) -> float | None:
        """What the last validation noted."""
        return self.metrics[-1].get(key) if self.metrics else None

    def best(self, key: str) -> float | None:
        """The best that any validation noted: the highest ``mrr``, the lowest of anything else."""
        values = [row[key] for row in self.metrics if key in row]
        if not values:
            return None
        return max(values) if key == "mrr" else min(values)

    @property
    def presets_per_second(self) -> float | None:
        """Presets seen over time spent, validations included; None before the first validation."""
        seen, seconds = self.last("presets"), self.last("seconds")
        return seen / seconds if seen and seconds else None


def read_run(path: Path) -> RunSummary:
    """Read the folder of a proxy's training run, finished or not.

    Raises:
        InvalidInputError: there is no such folder, it is not one of a proxy's run, or a file in it is damaged.
    """
    if (kind := kind_of_run(path)) != "proxy":
        raise InvalidInputError(f"{path}: a run that trains no proxy ({kind}); give one that does")
    folder = RunFolder(path)
    with reading_recipe(path) as found:
        recipe, learned = found["recipe"], found["corpora"]["train"]
        return RunSummary(
            path=path,
            proxy=recipe["proxy"]["name"],
            sizes=recipe["proxy"]["sizes"],
            synth=learned["setting"]["synth"],
            audio_model=learned["setting"]["audio_model"],
            training_size=learned["size"],
            validation=found["corpora"]["validation"],
            parameters=_parameters(folder),
            metrics=read_numbers(folder),
        )


def kind_of_run(path: Path) -> Literal["proxy", "estimator", "proposer"]:
    """What is trained in the folder of a run.

    Raises:
        InvalidInputError: as :func:`reading_recipe`.
    """
    with reading_recipe(path) as found:
        if "estimator" in found["recipe"]:
            return "estimator"
        return "proposer" if "proposer" in found["recipe"] else "proxy"


@contextmanager
def reading_recipe(path: Path) -> Iterator[Mapping[str, Any]]:
    """Give what ``recipe.json`` in the folder of a run holds, and say so if it is not what the block expects.

    Raises:
        InvalidInputError: there is no such folder, it is not one of a run, or the file is damaged.
    """
    file = path / RECIPE
    if not file.is_file():
        raise InvalidInputError(
            f"{path}: not the folder of a training run, there is no {RECIPE}; give folders that `synthproxy train` made"
        )
    try:
        yield json.loads(file.read_text(encoding="utf8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"{file}: not the recipe of a training run, or damaged ({error!r})") from error


def _parameters(folder: RunFolder) -> int | None:
    found = [folder.checkpoint(name) for name in CHECKPOINTS if folder.checkpoint(name).is_file()]
    return count_saved_parameters(found[0]) if found else None


def read_numbers(folder: RunFolder) -> tuple[Mapping[str, float], ...]:
    """A row for each validation of a run, in order; what is no number is left out."""
    return tuple(
        {key: value for key, value in row.items() if isinstance(value, int | float) and math.isfinite(value)}
        for row in folder.read_metrics()
    )
