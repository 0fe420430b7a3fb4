"""Training by any recipe: its tables tell whether it is that of a proxy, of an estimator or of a proposer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthproxy.matching.estimators.recipe import check_estimator_recipe, is_estimator_recipe
from synthproxy.matching.estimators.training import train_estimator
from synthproxy.matching.proposers.recipe import check_proposer_recipe, is_proposer_recipe
from synthproxy.matching.proposers.training import train_proposer
from synthproxy.proxies.recipe import check_recipe
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
    if is_estimator_recipe(tables):
        return train_estimator(check_estimator_recipe(tables, path, overrides), run_folder)
    if is_proposer_recipe(tables):
        return train_proposer(check_proposer_recipe(tables, path, overrides), run_folder)
    return train(check_recipe(tables, path, overrides), run_folder)
