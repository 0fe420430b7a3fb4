"""Retrieval: the presets of a corpus whose stored embeddings are nearest to the target's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthproxy.audio.handmade import MATCHED_RMS
from synthproxy.audio.io import resample
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Bank, Corpus
from synthproxy.corpus.generate import embed_batch
from synthproxy.errors import IncompatibleError
from synthproxy.matching.candidates import Candidate
from synthproxy.matching.distances import SAMPLE_RATE, matching_gain
from synthproxy.matching.target import Target
from synthproxy.synths import Note, PresetSpace, Synth
from synthproxy.synths.space import Floats

_BLOCK = 4096


Ranked = list[tuple[float, Candidate]]
"""Candidates with the distance of their embedding from the target's, nearest first."""


def retrieve(corpus: Corpus | Bank, synth: Synth, target: Target, count: int) -> list[Candidate]:
    """The ``count`` presets of a corpus nearest to the target by L1 distance of embeddings, nearest first.

    The corpus may be one of another space of the same synth. Of a bank, the corpus at the nearest note is asked for
    each pitch that the target may have.

    Raises:
        IncompatibleError: the corpus is of another synth, or its audio model has changed since.
    """
    bank = corpus if isinstance(corpus, Bank) else Bank((corpus,))
    # Several notes are looked up by that between them, as they are as far apart in all cases.
    middles = np.mean([sound.pitches for sound in target.sounds], axis=0).tolist()
    nearest = [bank.nearest(pitch) for pitch in middles]
    found: Ranked = []
    for one in bank.corpora:
        places = [i for i, other in enumerate(nearest) if other is one]
        if places:
            found += _retrieve(one, synth, _with_pitches(target, places), count)
    return [candidate for _, candidate in sorted(found, key=lambda entry: entry[0])[:count]]


def _with_pitches(target: Target, places: Sequence[int]) -> Target:
    """The target with some of the pitches that it may have."""
    others = tuple(_with_pitches(other, places) for other in target.others)
    return replace(target, pitches=tuple(target.pitches[i] for i in places), others=others)


def _retrieve(corpus: Corpus, synth: Synth, target: Target, count: int) -> Ranked:
    info = corpus.info
    queries = embed_sounds(target, info.audio_model, info.audio_model_identity, info.note, info.seconds)
    vectors = in_space(corpus.presets(), info.space, synth.space)
    return _ranked(vectors, corpus.embeddings(), queries, target, count, "retrieval")


def nearest_by_embedding(
    presets: Floats, embeddings: Floats, queries: Floats, target: Target, count: int, origin: str
) -> list[Candidate]:
    """Candidates of the presets whose embeddings are nearest to the target's sounds, in the mean over these.

    Args:
        presets, embeddings: (n, free) and (n, dimension).
        queries: (sounds, notes, dimension), one for each of the possible notes of every sound of the target.
    """
    return [candidate for _, candidate in _ranked(presets, embeddings, queries, target, count, origin)]


def _ranked(presets: Floats, embeddings: Floats, queries: Floats, target: Target, count: int, origin: str) -> Ranked:
    found: list[tuple[float, int, Note]] = []
    for number, note in enumerate(target.notes):
        distance = np.mean([_l1(embeddings, query) for query in queries[:, number]], axis=0)
        order = np.argsort(distance, kind="stable")[:count]
        found += [(float(distance[i]), int(i), note) for i in order]
    found.sort(key=lambda entry: entry[0])
    return [(distance, Candidate(presets[i], note, origin)) for distance, i, note in found[:count]]


def embed_sounds(target: Target, audio_model: str, identity: str, note: Note, seconds: float) -> Floats:
    """Embeddings by :func:`embed_target` of every sound of the target: (sounds, pitches, dimension)."""
    return np.stack([embed_target(sound, audio_model, identity, note, seconds) for sound in target.sounds])


def embed_target(target: Target, audio_model: str, identity: str, note: Note, seconds: float) -> Floats:
    """Embeddings of the target for every pitch that it may have, (pitches, dimension), as presets were embedded.

    The target is brought to the pitch of the presets' note (by resampling), to their length and to a usual level.

    Raises:
        IncompatibleError: the audio model is not the one that embedded the presets.
    """
    return embed_shifted(target, audio_model, identity, [own.pitch - note.pitch for own in target.notes], seconds)


def embed_shifted(target: Target, audio_model: str, identity: str, above: Sequence[int], seconds: float) -> Floats:
    """Embeddings of the target brought down by so many semitones, (shifts, dimension); see :func:`embed_target`.

    Raises:
        IncompatibleError: the audio model is not the one that embedded the presets.
    """
    model = get_audio_model(audio_model)
    if model.identity != identity:
        raise IncompatibleError(f"{audio_model}: its weights are not those that the presets were embedded with")
    return embed_batch(model, np.stack([as_heard(target, shift, seconds, model.sample_rate) for shift in above]))


def in_space(presets: Floats, space: PresetSpace, other: PresetSpace) -> Floats:
    """Presets of one space as vectors of another of the same synth; what one of them holds keeps its value if it can.

    Raises:
        IncompatibleError: the spaces are not of the same synth.
    """
    if space == other:
        return presets
    position = {p.name: i for i, p in enumerate(space.parameters)}
    if set(position) != {p.name for p in other.parameters}:
        raise IncompatibleError(f"presets of {space.name!r} cannot be played by {other.name!r}")
    everything = space.decode(presets)[:, [position[p.name] for p in other.parameters]]
    return other.snap(other.encode(everything))


def as_heard(target: Target, above: int, seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """A target brought down by so many semitones, to so many seconds and to a usual level, (samples,)."""
    # A sound played back at another rate changes its pitch.
    pretended = round(SAMPLE_RATE * 2 ** (-above / 12))
    audio = resample(target.audio, pretended, sample_rate) if pretended != sample_rate else target.audio
    length = round(seconds * sample_rate)
    audio = np.pad(audio[:length], (0, max(0, length - len(audio))))
    usual = np.full(length, MATCHED_RMS, dtype=np.float32)
    return (audio * float(matching_gain(audio, usual))).astype(np.float32)


def _l1(stored: Floats, query: Floats) -> NDArray[np.float64]:
    blocks: Sequence[NDArray[np.float64]] = [
        np.abs(stored[i : i + _BLOCK] - query).mean(axis=1, dtype=np.float64) for i in range(0, len(stored), _BLOCK)
    ]
    return np.concatenate(blocks)
