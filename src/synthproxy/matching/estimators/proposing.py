"""Proposals of a trained estimator: the one preset that it tells, for each note that a target may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from synthproxy.matching.candidates import Candidate
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.estimators.checkpoint import EstimatorInfo, load_estimator
from synthproxy.matching.estimators.network import Estimator
from synthproxy.matching.retrieval import as_heard, in_space
from synthproxy.matching.target import Target
from synthproxy.synths import Synth


@dataclass(frozen=True, eq=False)
class TrainedEstimator:
    """An estimator with what it has learned from.

    Args:
        estimator: the network, on the CPU.
        info: what its checkpoint says.
    """

    estimator: Estimator
    info: EstimatorInfo

    @classmethod
    def load(cls, checkpoint: Path) -> Self:
        """The estimator of a checkpoint file."""
        return cls(*load_estimator(checkpoint))

    def propose(self, synth: Synth, target: Target) -> list[Candidate]:
        """A preset of ``synth`` for each sound of the target at each of its notes, those of the first sound first.

        The target is brought to the pitch that was learned from, to that length and to a usual level.

        Raises:
            IncompatibleError: the estimator is of another synth.
        """
        learned = self.info.rendering
        heard = [
            as_heard(sound, note.pitch - learned.note.pitch, learned.seconds, SAMPLE_RATE)
            for sound in target.sounds
            for note in sound.notes
        ]
        presets = in_space(self.estimator.estimate(np.stack(heard)), self.info.space, synth.space)
        notes = [note for _ in target.sounds for note in target.notes]
        return [Candidate(preset, note, "estimator") for preset, note in zip(presets, notes, strict=True)]
