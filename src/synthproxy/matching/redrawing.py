"""Children of a search that a trained proposer makes: part of a preset is forgotten, and drawn anew for the sound.

What is drawn goes with what is kept, so that a child differs from its parent as presets that people make differ, where
a mutation moves a value anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from synthproxy.matching.bounds import Bounds
from synthproxy.matching.candidates import Candidate, presets_of
from synthproxy.matching.proposers.network import Drawing, Given
from synthproxy.matching.proposers.proposing import Heard, TrainedProposer
from synthproxy.matching.retrieval import in_space
from synthproxy.matching.target import Target
from synthproxy.synths import Note

FEWEST, MOST = 0.02, 0.6
"""Share of a preset that is forgotten, at least and at most; its logarithm is drawn evenly."""
STEPS = 2
TEMPERATURES = (0.3, 0.75)


@dataclass(frozen=True, eq=False)
class Redrawing:
    """Makes children of candidates for one target.

    Args:
        trained: the proposer.
        bounds: of the candidates; what is locked is never forgotten.
        heard: the target's sounds at each of the notes that they may be.
        columns: of the parameters that may be forgotten, in the proposer's space and in that of the candidates, (2, n).
    """

    trained: TrainedProposer
    bounds: Bounds
    heard: tuple[Heard, ...]
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, trained: TrainedProposer, bounds: Bounds, target: Target) -> Redrawing | None:
        """Listen to the target; None if the proposer knows no parameter that is open.

        Raises:
            IncompatibleError: the proposer is of an audio model with other weights.
        """
        place = {parameter.name: column for column, parameter in enumerate(trained.info.space.free)}
        named = [(place.get(bounds.space.free[column].name), column) for column in bounds.open.tolist()]
        columns = [pair for pair in named if pair[0] is not None]
        return cls(trained, bounds, tuple(trained.hear(target)), np.asarray(columns).T) if columns else None

    def children(self, parents: Sequence[Candidate], generator: np.random.Generator) -> list[Candidate]:
        """One of each parent, with its note.

        Raises:
            IncompatibleError: the proposer is of another synth.
        """
        proposer, info, space = self.trained.proposer, self.trained.info, self.bounds.space
        presets = presets_of(parents)
        hidden = self._hidden(len(parents), generator)
        theirs, ours = self.columns
        known = np.ones((len(parents), info.space.size), dtype=bool)
        known[:, theirs] = ~hidden
        heard = [self._heard(parent.note, generator) for parent in parents]
        drawn = proposer.draw(
            torch.from_numpy(np.stack([one.embedding for one in heard])),
            [self._told(one, parent.note) for one, parent in zip(heard, parents, strict=True)],
            len(parents),
            generator,
            Drawing(steps=STEPS, temperature=generator.uniform(*TEMPERATURES)),
            Given(in_space(presets, space, info.space), known),
        )
        changed = np.zeros(presets.shape, dtype=bool)
        changed[:, ours] = hidden
        presets = np.where(changed, in_space(drawn, info.space, space), presets)
        return [Candidate(preset, parent.note, "proposer") for preset, parent in zip(presets, parents, strict=True)]

    def _hidden(self, count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
        """What is forgotten, (count, columns): single parameters, or whole groups of them; always something."""
        free = self.trained.info.space.free
        names = [free[column].group or free[column].name for column in self.columns[0].tolist()]
        groups = np.unique(names, return_inverse=True)[1]
        share = np.exp(generator.uniform(np.log(FEWEST), np.log(MOST), (count, 1)))
        of_groups = generator.random((count, groups.max() + 1))
        order = np.where(
            generator.random((count, 1)) < 0.5, of_groups[:, groups], generator.random((count, len(names)))
        )
        return np.asarray(order <= np.maximum(share, order.min(axis=1, keepdims=True)))

    def _heard(self, note: Note, generator: np.random.Generator) -> Heard:
        """A sound of the target, as it is heard when the first of them is played as this note."""
        fitting = [one for one in self.heard if one.note.pitch == note.pitch] or self.heard
        return fitting[int(generator.integers(len(fitting)))]

    def _told(self, heard: Heard, note: Note) -> Note:
        told = self.trained.nearest_note(note)
        return replace(told, pitch=heard.told.pitch)
