"""Trained proposers in files that explain themselves: one safetensors file with all that loading and asking needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synthproxy import __version__
from synthproxy.corpus.parts import LearnedFrom
from synthproxy.matching.proposers.network import Proposer
from synthproxy.matching.proposers.recipe import ProposerSizes
from synthproxy.synths import Note, PresetSpace
from synthproxy.training.tensors import FORMAT_VERSION, described, read_tensors, write_tensors

FORMAT = "synthproxy-proposer"


@dataclass(frozen=True)
class ProposerInfo:
    """What a checkpoint says of itself.

    Args:
        synth: registered name of the synth, and ``space`` its preset space.
        audio_model: registered name of the audio model that hears; ``audio_model_identity`` changes with its weights.
        dimension, segments: values per embedding, and the parts of the clip that they are of.
        seconds: length of the clips that are heard.
        sizes: of the network.
        notes: that of each corpus it has learned from.
        learned_from: the corpora.
        metrics: scores and counts noted when it was saved.
        version: version of this package that saved it.
    """

    synth: str
    space: PresetSpace
    audio_model: str
    audio_model_identity: str
    dimension: int
    segments: int
    seconds: float
    sizes: ProposerSizes
    notes: tuple[Note, ...]
    learned_from: tuple[LearnedFrom, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    version: str = __version__

    def new_network(self) -> Proposer:
        """A proposer of these sizes, before it has learned anything."""
        return Proposer(self.space, self.dimension, self.segments, **self.sizes.model_dump())

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "synth": self.synth,
            "space": self.space.to_dict(),
            "audio_model": self.audio_model,
            "audio_model_identity": self.audio_model_identity,
            "dimension": self.dimension,
            "segments": self.segments,
            "seconds": self.seconds,
            "sizes": self.sizes.model_dump(mode="json"),
            "notes": [asdict(note) for note in self.notes],
            "learned_from": [corpus.to_dict() for corpus in self.learned_from],
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProposerInfo:
        """The inverse of :meth:`to_dict`."""
        return cls(
            synth=data["synth"],
            space=PresetSpace.from_dict(data["space"]),
            audio_model=data["audio_model"],
            audio_model_identity=data["audio_model_identity"],
            dimension=data["dimension"],
            segments=data["segments"],
            seconds=data["seconds"],
            sizes=ProposerSizes.model_validate(data["sizes"]),
            notes=tuple(Note(**note) for note in data["notes"]),
            learned_from=tuple(LearnedFrom.from_dict(corpus) for corpus in data["learned_from"]),
            metrics=data["metrics"],
            version=data["version"],
        )


def save_proposer(path: Path, proposer: Proposer, info: ProposerInfo, *, half: bool = False) -> None:
    """Save a proposer, whole or not at all.

    Args:
        path: the file to write, ``*.safetensors``; its folder must exist.
        proposer: the proposer, on any device.
        info: what is to be known of it.
        half: weights in half precision, for a file of half the size; where embeddings lie stays in single precision.
    """
    tensors: dict[str, Tensor] = proposer.state_dict()
    if half:
        learned = {name for name, _ in proposer.named_parameters()}
        tensors = {name: tensor.half() if name in learned else tensor for name, tensor in tensors.items()}
    write_tensors(path, tensors, info.to_dict())


def load_proposer(path: Path) -> tuple[Proposer, ProposerInfo]:
    """A saved proposer, on the CPU, in single precision and in evaluation mode, and what its file says of it.

    Raises:
        InvalidInputError: the file is missing, cut short, no proposer's, or does not fit its own description.
    """
    tensors, about = read_tensors(path, FORMAT)
    with described(path):
        info = ProposerInfo.from_dict(about)
        with torch.random.fork_rng(devices=[]):
            proposer = info.new_network()
        proposer.load_state_dict(tensors)
    return proposer.eval(), info
