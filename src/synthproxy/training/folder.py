"""The folder of a training run: its recipe, its metrics, its checkpoints and the state it continues from.

::

    recipe.json          what the run is of; another recipe is refused
    metrics.jsonl        one JSON object per validation
    events.out.tfevents* the same for TensorBoard
    last, best_*         (.safetensors) checkpoints for use: the latest, and the best by each score
    state.safetensors    weights, optimiser and counters of one moment, to continue from
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synthproxy import __version__
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.files import make_folder, replace_file
from synthproxy.training.tensors import FORMAT_VERSION, read_tensors, write_tensors

STATE_FORM = "synthproxy-training-state"


@dataclass
class Counters:
    """Where a run stands.

    Args:
        step: steps taken.
        seconds: time spent training, over all continuations.
        loss_sum, loss_steps: of the training loss since the last validation.
        best: best scores so far, by name.
        watched: of all validations so far, the score that the learning rate may depend on.
    """

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_steps: int = 0
    best: dict[str, float] = field(default_factory=dict)
    watched: list[float] = field(default_factory=list)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Counters:
        """What ``asdict`` made, or an earlier version, which trained proxies only."""
        if "l1" not in data:
            return cls(**data)
        kept = {name: data[name] for name in ("step", "seconds", "loss_sum", "loss_steps")}
        best = {name: data[f"best_{name}"] for name in ("l1", "mrr") if data[f"best_{name}"] is not None}
        return cls(**kept, best=best, watched=data["l1"])


@dataclass(frozen=True)
class RunFolder:
    """Files of one run."""

    path: Path

    @classmethod
    def open(cls, path: Path, recipe: dict[str, Any], corpora: dict[str, Any]) -> RunFolder:
        """Make the folder, or check that it belongs to this recipe and these corpora.

        Args:
            path: of the folder.
            recipe: all that the run depends on, as plain data for JSON.
            corpora: what tells the corpora, by their role, from others, as plain data for JSON.

        Raises:
            IncompatibleError: it belongs to another run; the message names what differs.
            InvalidInputError: it cannot be made, or holds files of something else.
        """
        wanted = {"recipe": recipe, "corpora": corpora}
        file = path / "recipe.json"
        if file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf8"))
            except ValueError as error:
                raise InvalidInputError(f"{file}: not JSON ({error}); choose another run folder") from error
            differences = _differences(found, wanted)
            if differences:
                raise IncompatibleError(
                    f"{path} holds a run of another recipe ({', '.join(differences)}); choose another run folder"
                )
        else:
            if path.exists() and (not path.is_dir() or _is_used(path)):
                raise InvalidInputError(f"{path}: is not an empty folder, nor one of a run; choose another run folder")
            make_folder(path)
            replace_file(file, json.dumps(wanted, indent=2) + "\n")
        return cls(path)

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint ``last`` or ``best_`` with the name of a score."""
        return self.path / f"{name}.safetensors"

    @property
    def state(self) -> Path:
        """Path of the state to continue from."""
        return self.path / "state.safetensors"

    @property
    def metrics(self) -> Path:
        """Path of the metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    def append_metrics(self, row: Mapping[str, float]) -> None:
        """Add the metrics of a validation."""
        with self.metrics.open("a", encoding="utf8") as file:
            file.write(json.dumps(dict(row)) + "\n")

    def read_metrics(self) -> list[dict[str, float]]:
        """The metrics of all validations; a last line that was cut short is left out."""
        if not self.metrics.is_file():
            return []
        rows = []
        for line in self.metrics.read_text(encoding="utf8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows

    def drop_metrics_after(self, step: int) -> None:
        """Forget validations of steps that will be taken again."""
        kept = [json.dumps(row) for row in self.read_metrics() if row["step"] <= step]
        replace_file(self.metrics, "".join(f"{line}\n" for line in kept))

    def save_state(self, network: nn.Module, optimiser: torch.optim.Optimizer, counters: Counters) -> None:
        """Save one moment of the run, whole or not at all."""
        tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for index, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
        tensors |= {f"generator.{name}": state for name, state in _generators().items()}
        about = {
            "format": STATE_FORM,
            "format_version": FORMAT_VERSION,
            "version": __version__,
            "counters": asdict(counters),
        }
        write_tensors(self.state, tensors, about)

    def read_counters(self) -> Counters:
        """Where the run stands; at its beginning when nothing was saved yet."""
        if not self.state.is_file():
            return Counters()
        return Counters.from_dict(read_tensors(self.state, STATE_FORM)[1]["counters"])

    def load_state(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> Counters:
        """Put back the moment that was saved, and say where the run stands."""
        if not self.state.is_file():
            return Counters()
        tensors, about = read_tensors(self.state, STATE_FORM)

        def under(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        network.load_state_dict(under("network."))
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in under("optimiser.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        for weight, values in optimiser.state.items():
            for key, value in values.items():
                if value.shape == weight.shape:  # Files hold plain tensors; fused steps want the weight's layout.
                    values[key] = torch.empty_like(weight).copy_(value)
        saved = under("generator.")
        torch.set_rng_state(saved["cpu"])
        if "cuda" in saved and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["cuda"])
        return Counters.from_dict(about["counters"])


def _is_used(folder: Path) -> bool:
    """Whether it holds anything but hidden files, which an interrupted write leaves."""
    return any(not file.name.startswith(".") for file in folder.iterdir())


def _generators() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _differences(found: Any, wanted: Any, place: str = "") -> list[str]:
    """Keys whose values differ, dotted."""
    wanted = json.loads(json.dumps(wanted)) if not place else wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = sorted(found.keys() | wanted.keys())
        return [d for k in keys for d in _differences(found.get(k), wanted.get(k), f"{place}.{k}" if place else k)]
    return [] if found == wanted else [place or "everything"]
