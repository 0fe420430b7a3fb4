"""Training by any recipe: its tables tell whether it is that of a proxy, of an estimator or of a proposer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthproxy.matching.estimators.recipe import TABLE as ESTIMATOR
from synthproxy.matching.estimators.recipe import EstimatorRecipe
from synthproxy.matching.estimators.training import train_estimator
from synthproxy.matching.proposers.recipe import TABLE as PROPOSER
from synthproxy.matching.proposers.recipe import ProposerRecipe
from synthproxy.matching.proposers.training import train_proposer
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.training import train
from synthproxy.training.recipe_tables import read_tables
from synthproxy.training.run import RunResult


def train_by_recipe(path: Path, run_folder: Path, overrides: Sequence[str] = ()) -> RunResult:
    """Train a proxy or, if the recipe has a table ``estimator`` or ``proposer``, one of these.

    Args:
        path: a TOML file.
        run_folder: made if need be; the same call on the same folder continues.
        overrides: ``section.key=value``, the value as in TOML; what is no TOML is taken as text.

    Raises:
        InvalidInputError: naming every mistake of the recipe; see also :func:`~synthproxy.proxies.training.train`,
            :func:`~synthproxy.matching.estimators.training.train_estimator` and
            :func:`~synthproxy.matching.proposers.training.train_proposer`.
    """
    tables = read_tables(path)
    if ESTIMATOR in tables:
        return train_estimator(EstimatorRecipe.of_tables(tables, path, overrides), run_folder)
    if PROPOSER in tables:
        return train_proposer(ProposerRecipe.of_tables(tables, path, overrides), run_folder)
    return train(TrainingRecipe.of_tables(tables, path, overrides), run_folder)
