"""The folder of a ranking: what was chosen, and what each audio model heard, so that it can go on where it stopped.

``ranking.json`` holds the settings and the chosen presets; an archive for each audio model holds the distances between
its embeddings, which take the same little space whatever their dimension. Every file is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.files import make_folder, replace_file
from synthproxy.ranking.clips import Choice, Sweep, conditions
from synthproxy.ranking.correlation import DISTANCES
from synthproxy.ranking.plan import Plan

FILE_NAME = "ranking.json"

# What zipfile, zlib and NumPy raise for an archive that is damaged or something else.
_DAMAGE = (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True, eq=False)
class Heard:
    """What one audio model heard, sweep by sweep; NaN where it has not listened yet.

    Args:
        distances: between the clips of each sweep by each of :data:`DISTANCES`, (sweeps, 3, steps, steps).
        seconds: that embedding took, (sweeps,).
        dimensions: of the embeddings, (sweeps,), the same everywhere; 0 where there are none yet.
    """

    distances: NDArray[np.float64]
    seconds: NDArray[np.float64]
    dimensions: NDArray[np.int64]

    @classmethod
    def nothing(cls, sweeps: int, steps: int) -> Heard:
        """Before it has listened."""
        distances = np.full((sweeps, len(DISTANCES), steps, steps), np.nan)
        return cls(distances, np.full(sweeps, np.nan), np.zeros(sweeps, dtype=np.int64))

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which sweeps it has listened to, (sweeps,)."""
        return np.isfinite(self.seconds)

    def note(self, sweep: int, distances: Sequence[NDArray[np.float64]], seconds: float, dimension: int) -> None:
        """Take down what a sweep sounded like: its distances, (steps, steps) by each of :data:`DISTANCES`."""
        size = len(distances[0])
        self.distances[sweep, :, :size, :size] = distances
        self.dimensions[sweep] = dimension
        self.seconds[sweep] = seconds


class RankingFolder:
    """A folder that belongs to one ranking.

    Args:
        path: the folder; made if it is not there.
        plan: what is ranked by.

    Raises:
        IncompatibleError: it belongs to another plan.
        InvalidInputError: it cannot be used.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path, self._plan = make_folder(path), plan
        # As they come back from the file.
        self._settings = json.loads(json.dumps({**plan.settings(), "conditions": conditions()}))
        stored = self._read()
        if stored is None:
            self.write_choices({})
            return
        there, _ = stored
        different = [key for key in sorted({*there, *self._settings}) if there.get(key) != self._settings.get(key)]
        if different:
            raise IncompatibleError(
                f"{path} belongs to a ranking with other {', '.join(different).replace('_', ' ')}: give another folder"
            )

    # Chosen presets

    def choices(self) -> dict[str, Choice]:
        """The choices that have been made, by attribute."""
        stored = self._read()
        return stored[1] if stored else {}

    def write_choices(self, choices: Mapping[str, Choice]) -> None:
        """Keep the choices that have been made so far."""
        made = [asdict(choices[one.name]) for one in self._plan.attributes if one.name in choices]
        content = {"settings": self._settings, "choices": made}
        replace_file(self.path / FILE_NAME, json.dumps(content, indent=1) + "\n")

    def _read(self) -> tuple[dict[str, Any], dict[str, Choice]] | None:
        """Settings and choices of the folder; None where there are none yet."""
        path = self.path / FILE_NAME
        try:
            data = json.loads(path.read_text(encoding="utf8"))
            settings = dict(data["settings"])
            rows = data["choices"] if settings == self._settings else []
            return settings, {str(row["attribute"]): self._choice_from(row) for row in rows}
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInputError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InvalidInputError(
                f"{path} is damaged or no ranking ({type(error).__name__}): delete it or give another folder"
            ) from error

    def _choice_from(self, row: Mapping[str, Any]) -> Choice:
        """A choice that this plan can have led to; an error of Python's where it is something else."""
        attribute = {attribute.name: attribute for attribute in self._plan.attributes}[row["attribute"]]
        sweeps = tuple(Sweep(int(one["candidate"]), tuple(map(int, one["changing"]))) for one in row["sweeps"])
        for sweep in sweeps:
            steps = range(len(self._plan.move(attribute, sweep.candidate)))
            if sweep.candidate < 0 or not set(sweep.changing) <= set(steps) or len(sweep.changing) < 2:
                raise ValueError("steps that are not there")
        if not sweeps:
            raise ValueError("no presets")
        refused = {str(reason): int(count) for reason, count in row["refused"].items()}
        return Choice(attribute.name, sweeps, int(row["tried"]), refused)

    # Audio models

    def heard(self, model: str, identity: str, sweeps: int, steps: int) -> Heard:
        """What a model has heard; nothing if it was another model of that name.

        Raises:
            InvalidInputError: its file is damaged.
        """
        path = self._file(model)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                if str(archive["identity"]) != self._identity(identity):
                    return Heard.nothing(sweeps, steps)
                found = Heard(archive["distances"], archive["seconds"], archive["dimensions"])
            blank = Heard.nothing(sweeps, steps)
            for name, array in asdict(found).items():
                expected = getattr(blank, name)
                if array.dtype != expected.dtype or array.shape != expected.shape:
                    raise ValueError(f"{name} has another shape")
            if (found.seconds <= 0).any():
                raise ValueError("no time has passed")
        except FileNotFoundError:
            return Heard.nothing(sweeps, steps)
        except OSError as error:
            raise InvalidInputError(f"{path}: cannot be read ({error.strerror or error})") from error
        except _DAMAGE as error:
            raise InvalidInputError(f"{path} is damaged ({type(error).__name__}): delete it and rank again") from error
        return found

    def write_heard(self, model: str, identity: str, heard: Heard) -> None:
        """Keep what a model has heard so far."""
        content = io.BytesIO()
        np.savez(content, identity=np.array(self._identity(identity)), **asdict(heard))
        replace_file(self._file(model), content.getvalue())

    def _file(self, model: str) -> Path:
        return self.path / f"{quote(model, safe='@')}.npz"

    def _identity(self, model: str) -> str:
        """Changes with the model and with everything that it listens to."""
        return f"{model} {hashlib.sha256((self.path / FILE_NAME).read_bytes()).hexdigest()[:16]}"
