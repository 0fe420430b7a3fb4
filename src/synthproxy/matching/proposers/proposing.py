"""Proposals of a trained proposer: presets drawn for a target, at each note that it may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
import torch

from synthproxy.matching.bounds import Bounds
from synthproxy.matching.candidates import Candidate
from synthproxy.matching.proposers.checkpoint import ProposerInfo, load_proposer
from synthproxy.matching.proposers.network import Drawing, Given, Proposer
from synthproxy.matching.retrieval import embed_shifted, in_space
from synthproxy.matching.target import Target
from synthproxy.synths import Note, Synth
from synthproxy.synths.space import Floats

_AT_ONCE = 32
"""Presets drawn by one pass of the network: as fast, each, as of many more."""


@dataclass(frozen=True, eq=False)
class TrainedProposer:
    """A proposer with what it has learned from.

    Args:
        proposer: the network, on the CPU.
        info: what its checkpoint says.
    """

    proposer: Proposer
    info: ProposerInfo

    @classmethod
    def load(cls, checkpoint: Path) -> Self:
        """The proposer of a checkpoint file."""
        return cls(*load_proposer(checkpoint))

    def propose(
        self,
        synth: Synth,
        heard: Sequence[Heard],
        count: int,
        temperatures: Sequence[float],
        generator: np.random.Generator,
        keep_going: Callable[[], bool] = lambda: True,
        bounds: Bounds | None = None,
    ) -> list[Candidate]:
        """``count`` presets of ``synth``, in turn for each sound that is heard, and each temperature.

        A thread per core draws.

        Args:
            heard: sounds of a target, each taken for a note, as :meth:`hear` tells them.
            temperatures: of :class:`~synthproxy.matching.proposers.network.Drawing`; as many presets are drawn at each.
            keep_going: asked now and then; when it says no, what is drawn by then is returned.
            bounds: what is locked is given to the network, so that the rest is drawn to go with it.

        Raises:
            IncompatibleError: the proposer is of another synth, or of an audio model with other weights.
        """
        asked = list(product(heard, temperatures))
        given = self._given(synth, bounds) if bounds else None
        shares = [len(share) for share in np.array_split(np.arange(count), len(asked))]
        # A little of each at a time, so that whoever has to end early has as many of each, and ends soon.
        parts = sorted((first, n) for n, share in enumerate(shares) for first in range(0, share, _AT_ONCE))
        pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="proposer")
        drawn: list[tuple[int, Candidate]] = []
        try:
            tasks = []
            for (first, n), own in zip(parts, generator.spawn(len(parts)), strict=True):
                (sound, temperature), size = asked[n], min(_AT_ONCE, shares[n] - first)
                how = Drawing(temperature=temperature)
                task = pool.submit(sound.draw, self.proposer, how, size, own, given)
                tasks.append((first, sound.note, task))
            for first, note, task in tasks:
                presets = in_space(task.result(), self.info.space, synth.space)
                drawn += [(turn, Candidate(preset, note, "proposer")) for turn, preset in enumerate(presets, first)]
                if not keep_going():
                    break
        finally:
            pool.shutdown(cancel_futures=True)
        return [candidate for _, candidate in sorted(drawn, key=lambda entry: entry[0])]

    def _given(self, synth: Synth, bounds: Bounds) -> Given:
        """What is locked, as values of the network's own space."""
        locked = set(bounds.locked)
        preset = in_space(bounds.low.astype(np.float32)[None], synth.space, self.info.space)[0]
        return Given(preset, np.asarray([parameter.name in locked for parameter in self.info.space.free]))

    def hear(self, target: Target) -> list[Heard]:
        """The sounds of the target at each of the notes that they are likely to be.

        The network hears a sound as it is, and is told the note. Of a note beyond those that it has learned from it is
        told the nearest that is not, and the sound is brought to that pitch.

        Raises:
            IncompatibleError: the audio model's weights are not those that the proposer has learned from.
        """
        info, found = self.info, []
        for sound in target.sounds:
            longer = sound.note.duration / target.note.duration
            own = [self.nearest_note(note) for note in sound.notes]
            above = [note.pitch - other.pitch for note, other in zip(sound.notes, own, strict=True)]
            heard = embed_shifted(sound, info.audio_model, info.audio_model_identity, above, info.seconds)
            of = dict(zip(target.pitches, zip(own, heard, strict=True), strict=True))
            for note in target.likely_notes:
                told, embedding = of[note.pitch]
                held = self.nearest_note(replace(told, duration=note.duration * longer))
                found.append(Heard(note, held, embedding))
        return found

    def nearest_note(self, note: Note) -> Note:
        """The note, with what lies beyond all notes that were learned from brought to the nearest of them."""
        learned = [(known.pitch, known.velocity, known.duration) for known in self.info.notes]
        low, high = np.min(learned, axis=0), np.max(learned, axis=0)
        pitch, velocity, duration = np.clip((note.pitch, note.velocity, note.duration), low, high).tolist()
        return Note(int(pitch), int(velocity), duration)


@dataclass(frozen=True, eq=False)
class Heard:
    """A sound of a target, taken for a note.

    Args:
        note: that of the candidates.
        told: that which the network is told.
        embedding: (dimension,).
    """

    note: Note
    told: Note
    embedding: Floats

    def draw(
        self, proposer: Proposer, drawing: Drawing, count: int, generator: np.random.Generator, given: Given | None
    ) -> Floats:
        """Presets of the proposer's space, (count, free)."""
        return proposer.draw(torch.from_numpy(self.embedding), self.told, count, generator, drawing, given)
