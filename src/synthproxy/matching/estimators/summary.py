"""What the training run of an estimator was and how it went, read from its folder alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthproxy.matching.estimators.schedules import LossSchedule, name_of_schedule
from synthproxy.proxies.run_summary import read_numbers, reading_recipe
from synthproxy.training.folder import RunFolder


@dataclass(frozen=True)
class EstimatorSummary:
    """One run.

    Args:
        path: its folder.
        synth: of its presets.
        schedule: name of the loss schedule; ``own`` if it is no published one.
        gradient: through choices, as in :class:`~synthproxy.matching.estimators.decoding.Decoding`.
        proxy: registered name of that through which predicted presets are heard; empty if there is none.
        training_size: presets that it learns from.
        validation: what tells its validation presets from others; scores of runs compare where it is equal.
        metrics: a row for each validation, in order; numbers only.
    """

    path: Path
    synth: str
    schedule: str
    gradient: str
    proxy: str
    training_size: int
    validation: Mapping[str, Any]
    metrics: tuple[Mapping[str, float], ...]

    def last(self, key: str) -> float | None:
        """What the last validation noted."""
        return self.metrics[-1].get(key) if self.metrics else None

    def lowest(self, key: str) -> float | None:
        """The lowest that any validation noted."""
        return min((row[key] for row in self.metrics if key in row), default=None)


def read_estimator_run(path: Path) -> EstimatorSummary:
    """Read the folder of an estimator's training run, finished or not.

    Raises:
        InvalidInputError: there is no such folder, it is not one of an estimator's run, or a file in it is damaged.
    """
    with reading_recipe(path) as found:
        loss, corpora = found["recipe"]["loss"], found["corpora"]
        return EstimatorSummary(
            path=path,
            synth=corpora["train"]["setting"]["synth"],
            schedule=name_of_schedule(LossSchedule.model_validate(loss["schedule"])),
            gradient=loss["gradient"],
            proxy=corpora["proxy"].get("proxy", ""),
            training_size=corpora["train"]["size"],
            validation=corpora["validation"],
            metrics=read_numbers(RunFolder(path)),
        )
