"""Trained estimators in files that explain themselves: one safetensors file with all that loading and playing needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from synthproxy import __version__
from synthproxy.corpus import CorpusInfo, Rendering
from synthproxy.corpus.parts import LearnedFrom
from synthproxy.errors import IncompatibleError
from synthproxy.matching.estimators.network import Estimator, EstimatorSizes, LevelBounds
from synthproxy.synths import Note, PresetSpace, Synth, get_synth
from synthproxy.synths.base import Mode
from synthproxy.training.tensors import FORMAT_VERSION, described, read_tensors, write_tensors

FORMAT = "synthproxy-estimator"


@dataclass(frozen=True)
class EstimatorInfo:
    """What a checkpoint says of itself.

    Args:
        synth: registered name of the synth, and ``space`` its preset space.
        rendering: note, length and fade-out of the sounds that it has learned from.
        mode: in which its synth played them; None for one that always repeats.
        sizes: of the network.
        learned_from: the corpus.
        metrics: scores and counts noted when it was saved.
        version: version of this package that saved it.
    """

    synth: str
    space: PresetSpace
    rendering: Rendering
    mode: Mode | None
    sizes: EstimatorSizes
    learned_from: LearnedFrom
    metrics: Mapping[str, float] = field(default_factory=dict)
    version: str = __version__

    def to_dict(self, bounds: LevelBounds) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "synth": self.synth,
            "space": self.space.to_dict(),
            "rendering": asdict(self.rendering),
            "mode": self.mode,
            "sizes": self.sizes.model_dump(mode="json"),
            "bounds": [bounds.low, bounds.high],
            "learned_from": self.learned_from.to_dict(),
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EstimatorInfo:
        """The inverse of :meth:`to_dict`."""
        rendering = {**data["rendering"], "note": Note(**data["rendering"]["note"])}
        return cls(
            synth=data["synth"],
            space=PresetSpace.from_dict(data["space"]),
            rendering=Rendering(**rendering),
            mode=data["mode"],
            sizes=EstimatorSizes.model_validate(data["sizes"]),
            learned_from=LearnedFrom.from_dict(data["learned_from"]),
            metrics=data["metrics"],
            version=data["version"],
        )

    def require_same(self, info: CorpusInfo, what: str) -> None:
        """Raise :class:`IncompatibleError`, starting with ``what``, unless a corpus has the same presets and sounds."""
        theirs = (info.synth, info.space.digest, info.note, info.seconds)
        ours = (self.synth, self.space.digest, self.rendering.note, self.rendering.seconds)
        for name, one, other in zip(("synth", "preset space", "note", "seconds"), ours, theirs, strict=True):
            if one != other:
                raise IncompatibleError(f"{what}: {name} differs ({one} and {other})")

    def synth_to_play(self) -> Synth:
        """The synth that plays its presets.

        Raises:
            IncompatibleError: the synth has another preset space by now.
            UnavailableError: the synth is not here.
        """
        return playing_synth(self.synth, self.space, self.mode)


def playing_synth(name: str, space: PresetSpace, mode: Mode | None) -> Synth:
    """The synth of this name, to play presets of this space.

    Raises:
        IncompatibleError: the synth of this name has another space.
    """
    synth = get_synth(name, mode or "exact")
    if synth.space.digest != space.digest:
        raise IncompatibleError(f"{name}: the preset space of this synth is not the one that the presets are of")
    return synth


def save_estimator(path: Path, estimator: Estimator, info: EstimatorInfo) -> None:
    """Save an estimator, whole or not at all.

    Args:
        path: the file to write, ``*.safetensors``; its folder must exist.
        estimator: the estimator, on any device.
        info: what is to be known of it.
    """
    bounds = LevelBounds(*estimator.bounds.tolist())
    write_tensors(path, estimator.state_dict(), info.to_dict(bounds))


def load_estimator(path: Path) -> tuple[Estimator, EstimatorInfo]:
    """A saved estimator, on the CPU and in evaluation mode, and what its file says of it.

    Raises:
        InvalidInputError: the file is missing, cut short, no estimator's, or does not fit its own description.
    """
    tensors, about = read_tensors(path, FORMAT)
    with described(path):
        info = EstimatorInfo.from_dict(about)
        with torch.random.fork_rng(devices=[]):
            estimator = Estimator(info.space, LevelBounds(*about["bounds"]), info.sizes)
        estimator.load_state_dict(tensors)
    return estimator.eval(), info
