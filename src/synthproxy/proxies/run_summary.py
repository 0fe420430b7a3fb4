"""What a training run was and how it went, read from its folder alone: no corpus, and no weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.checkpoint import count_saved_parameters
from synthproxy.proxies.run_folder import RunFolder

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
    """Read the folder of a training run, finished or not.

    Raises:
        InvalidInputError: there is no such folder, it is not one of a run, or a file in it is damaged.
    """
    folder, file = RunFolder(path), path / RECIPE
    if not file.is_file():
        raise InvalidInputError(
            f"{path}: not the folder of a training run, there is no {RECIPE}; give folders that `synthproxy train` made"
        )
    try:
        found = json.loads(file.read_text(encoding="utf8"))
        recipe, learned = found["recipe"], found["corpora"]["train"]
        for other, what in (("estimator", "an estimator"), ("proposer", "a proposer")):
            if other in recipe:
                raise InvalidInputError(f"{path}: the run of {what}; only those of proxies can be set side by side")
        return RunSummary(
            path=path,
            proxy=recipe["proxy"]["name"],
            sizes=recipe["proxy"]["sizes"],
            synth=learned["setting"]["synth"],
            audio_model=learned["setting"]["audio_model"],
            training_size=learned["size"],
            validation=found["corpora"]["validation"],
            parameters=_parameters(folder),
            metrics=tuple(_numbers(row) for row in folder.read_metrics()),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"{file}: not the recipe of a training run, or damaged ({error!r})") from error


def _parameters(folder: RunFolder) -> int | None:
    found = [folder.checkpoint(name) for name in CHECKPOINTS if folder.checkpoint(name).is_file()]
    return count_saved_parameters(found[0]) if found else None


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if isinstance(value, int | float) and math.isfinite(value)}
