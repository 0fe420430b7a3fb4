"""Tuning a recipe: trials spread evenly over ranges first, then where earlier ones were good.

The study is a journal file, which several processes, also on several machines that see the folder, may work on at once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from synthproxy.errors import InvalidInputError, SynthProxyError, UnavailableError
from synthproxy.files import make_folder, replace_file
from synthproxy.proxies.examples import Examples, TrainingExamples
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.training import open_corpora, train_on_examples
from synthproxy.training.folder import RunFolder
from synthproxy.training.options import STRICT
from synthproxy.training.recipe_tables import mistakes_of, read_tables
from synthproxy.training.recipe_tables import put_value as put

if TYPE_CHECKING:
    import optuna


class Range(BaseModel):
    """Numbers from ``low`` to ``high``, whole ones where both are; ``log`` takes equal steps of the logarithm."""

    model_config = STRICT
    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _rises(self) -> Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 where log is set")
        return self

    def suggest(self, trial: optuna.Trial, key: str) -> int | float:
        """A number for this trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)


class Choice(BaseModel):
    """One of several values."""

    model_config = STRICT
    choices: list[int | float | str] = Field(min_length=2)

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        """A value for this trial."""
        return trial.suggest_categorical(key, self.choices)


class Study(BaseModel):
    """How a study goes.

    ``quasi_random`` of the ``trials`` come from a scrambled Sobol sequence, the others from a tree-structured Parzen
    estimator. With ``prune``, trials whose score after a validation is below the median of earlier ones end there.
    """

    model_config = STRICT
    trials: int = Field(default=203, ge=1)
    quasi_random: int = Field(default=128, ge=1)
    seed: int = Field(default=42, ge=0)
    prune: bool = True


class TuningRecipe(BaseModel):
    """A training recipe, and over what to tune it: dotted keys of the recipe and their ranges."""

    model_config = STRICT
    study: Study = Field(default_factory=Study)
    search: dict[str, Range | Choice] = Field(min_length=1)


@dataclass(frozen=True)
class TuningResult:
    """How a study stands.

    Args:
        finished, pruned, failed: trials.
        best: values of the best trial by key; they fit ``synthproxy train --set``.
        best_mrr: its score.
        interrupted: whether the same call would go on.
    """

    finished: int
    pruned: int
    failed: int
    best: dict[str, Any]
    best_mrr: float | None
    interrupted: bool


def read_tuning(path: Path) -> tuple[TuningRecipe, dict[str, Any]]:
    """Read a recipe with tables ``study`` and ``search``: these, and the rest with all defaults.

    Raises:
        InvalidInputError: naming every mistake.
    """
    tables = read_tables(path)
    own = {name: tables.pop(name) for name in ("study", "search") if name in tables}
    try:
        tuning = TuningRecipe.model_validate(own)
    except ValidationError as error:
        raise InvalidInputError(f"{path}: {'; '.join(mistakes_of(error, TuningRecipe))}") from error
    tables = TrainingRecipe.of_tables(tables, path).model_dump(mode="json")
    for key, values in tuning.search.items():
        tried = values.choices if isinstance(values, Choice) else [values.low, values.high]
        for value in tried:
            TrainingRecipe.of_tables(_with(tables, {key: value}), path)
    return tuning, tables


def _with(tables: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(tables)
    for key, value in values.items():
        try:
            put(changed, key, value)
        except ValueError as error:
            raise InvalidInputError(f"{key}: {error}") from error
    return changed


def tune(
    path: Path,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    most: int | None = None,
) -> TuningResult:
    """Tune a recipe, or go on with it.

    Ctrl-C, SIGTERM and SIGUSR1 end the study after the step that is being taken; the trial under way is lost.

    Args:
        path: a recipe with tables ``study`` and ``search``.
        folder: of the study; metrics and recipes of its trials stay there, their networks do not.
        progress: called with trials done and wanted.
        most: trials after which to stop for now.

    Raises:
        InvalidInputError: see :func:`read_tuning`; or every trial failed.
        UnavailableError: Optuna is not installed.
    """
    if find_spec("optuna") is None:
        raise UnavailableError("tuning needs the package optuna: pip install 'synthproxy[tuning]'")
    tuning, tables = read_tuning(path)
    recipe = TrainingRecipe.of_tables(deepcopy(tables), path)
    training, validation = open_corpora(recipe.corpus)
    make_folder(folder)
    _keep_settings(folder, {**tuning.model_dump(mode="json"), "recipe": recipe.identity()})
    with _quiet():
        study = _study(folder, tuning.study)
        done, interrupted = 0, False
        while _ended(study) < tuning.study.trials and (most is None or done < most) and not interrupted:
            interrupted = not _try_one(study, tuning, tables, path, folder, training, validation)
            done += 1
            if progress:
                progress(_ended(study), tuning.study.trials)
        return _result(study, folder, tuning, interrupted)


def _keep_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Note what the study is of; raise if the folder is that of another."""
    file, text = folder / "tuning.json", json.dumps(settings, indent=1) + "\n"
    if file.is_file():
        if json.loads(file.read_text(encoding="utf8")) != json.loads(text):
            raise InvalidInputError(f"{folder} holds a study of another recipe; choose another folder")
        return
    replace_file(file, text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from writing a line about every trial."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _study(folder: Path, settings: Study) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.log")))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=8) if settings.prune else optuna.pruners.NopPruner()
    return optuna.create_study(
        storage=storage, study_name="synthproxy", direction="maximize", pruner=pruner, load_if_exists=True
    )


def _ended(study: optuna.Study) -> int:
    """Trials that are over: an interrupted one does not count, nor one that another process is at."""
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.get_trials(deepcopy=False))


def _sampler(study: optuna.Study, settings: Study) -> optuna.samplers.BaseSampler:
    import warnings

    import optuna

    begun = len(study.get_trials(deepcopy=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if begun < settings.quasi_random:
            return optuna.samplers.QMCSampler(scramble=True, seed=settings.seed, warn_independent_sampling=False)
        # Processes that share a study must not all draw the same: each trial has a seed of its own.
        return optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=0, seed=settings.seed + begun)


def _try_one(
    study: optuna.Study,
    tuning: TuningRecipe,
    tables: dict[str, Any],
    path: Path,
    folder: Path,
    training: TrainingExamples,
    validation: Examples,
) -> bool:
    """One trial; whether the study goes on."""
    from optuna.trial import TrialState

    study.sampler = _sampler(study, tuning.study)
    trial = study.ask()
    place = folder / "trials" / f"{trial.number:04d}"
    try:
        values = {key: values.suggest(trial, key) for key, values in tuning.search.items()}
        recipe = TrainingRecipe.of_tables(_with(tables, values), path)
        score, pruned, interrupted = _train(trial, recipe, place, training, validation)
    except SynthProxyError as error:  # of these values: sizes that do not fit each other, a loss that is no number
        trial.set_user_attr("failure", str(error))
        study.tell(trial, state=TrialState.PRUNED)
        return True
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise
    finally:
        for network in place.glob("*.safetensors"):
            network.unlink()
    if interrupted:
        study.tell(trial, state=TrialState.FAIL)
        shutil.rmtree(place)
        return False
    study.tell(trial, None if pruned else score, TrialState.PRUNED if pruned else TrialState.COMPLETE)
    return True


def _train(
    trial: optuna.Trial, recipe: TrainingRecipe, place: Path, training: TrainingExamples, validation: Examples
) -> tuple[float, bool, bool]:
    """MRR of the last validation, and whether the trial was pruned or the study interrupted."""
    files, pruned = RunFolder(place), False
    reported = 0

    def hopeless(step: int) -> bool:
        nonlocal pruned, reported
        rows = files.read_metrics()
        if len(rows) > reported:
            reported = len(rows)
            trial.report(rows[-1]["mrr"], step)
            pruned = trial.should_prune()
        return pruned

    # A trial of this number that was killed may have left its folder.
    shutil.rmtree(place, ignore_errors=True)
    result = train_on_examples(recipe, training, validation, place, progress=False, stop=hopeless)
    rows = files.read_metrics()
    return (rows[-1]["mrr"] if rows else 0.0), pruned, result.status == "stopped" and not pruned


def _result(study: optuna.Study, folder: Path, tuning: TuningRecipe, interrupted: bool) -> TuningResult:
    trials = study.get_trials(deepcopy=False)
    failures = [trial.user_attrs["failure"] for trial in trials if "failure" in trial.user_attrs]
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if not complete and len(failures) >= tuning.study.trials:
        raise InvalidInputError(f"every trial failed; the last one: {failures[-1]}")
    best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
    pruned = sum(trial.state.name == "PRUNED" for trial in trials) - len(failures)
    rows = [{"trial": t.number, "state": t.state.name.lower(), "mrr": t.value, **t.params} for t in trials]
    replace_file(folder / "trials.json", json.dumps(rows, indent=1) + "\n")
    values = dict(best.params) if best else {}
    score = best.value if best else None
    replace_file(folder / "best.json", json.dumps({"mrr": score, "values": values}, indent=1) + "\n")
    return TuningResult(len(complete), pruned, len(failures), values, score, interrupted)
