"""How near an estimator comes to sounds, of its own synth or of the world, beside what trivial matches reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from synthproxy.audio.base import AudioModel
from synthproxy.audio.levels import MelLevels
from synthproxy.corpus import Corpus
from synthproxy.corpus.parts import Part, rows_of_parts
from synthproxy.corpus.sounds import RecordedSound, find_sounds, read_clip
from synthproxy.errors import InvalidInputError
from synthproxy.matching.distances import SAMPLE_RATE, Distances, compare
from synthproxy.matching.estimators.baselines import mean_preset, nearest_by_levels, random_presets
from synthproxy.matching.estimators.checkpoint import EstimatorInfo
from synthproxy.matching.estimators.heard import HeardPresets
from synthproxy.matching.estimators.network import Estimator
from synthproxy.matching.estimators.parameter_scores import ParameterScores, parameter_scores
from synthproxy.matching.playing import Player, in_chunks, on_all_cores
from synthproxy.matching.scores import (
    PUBLISHED_BATCH,
    ScoredPair,
    SoundScores,
    embedding_distances,
    score_pair,
    scores_of,
)
from synthproxy.synths import Note
from synthproxy.synths.space import Floats

SOUNDS_AT_ONCE = 2 * PUBLISHED_BATCH

ESTIMATOR = "estimator"
NEAREST = "nearest neighbour"
MEAN = "mean preset"
RANDOM = "random preset"
AGAIN = "true preset again"

PartOrAll = Part | Literal["all"]


@dataclass(frozen=True, eq=False)
class Targets:
    """Sounds to be matched.

    Args:
        names: of the sounds.
        audio: float32, (n, samples), at 32 kHz.
        presets: that made them, (n, free); None for sounds of the world.
        notes: to play their matches with; None for the note that the estimator has learned from.
        recorded: the files of sounds of the world.
    """

    names: Sequence[str]
    audio: Floats
    presets: Floats | None = None
    notes: Sequence[Note] | None = None
    recorded: Sequence[RecordedSound] = ()

    def __len__(self) -> int:
        return len(self.audio)


@dataclass(frozen=True, eq=False)
class MatchScores:
    """Scores of one way to match all targets.

    Args:
        sounds: of the played matches; beside the usual ones ``a_mean_level_matched``, which does not see levels, and
            ``embedding``, if an audio model was asked.
        parameters: of the presets, where those of the targets are known.
        unplayable: matches that the synth could not play.
    """

    sounds: SoundScores
    parameters: ParameterScores | None
    unplayable: int

    def to_dict(self, seed: int = 0) -> dict[str, Any]:
        """Plain data for JSON."""
        parameters = self.parameters.to_dict() if self.parameters else None
        return {**self.sounds.to_dict(seed), "parameters": parameters, "unplayable": self.unplayable}


@dataclass(frozen=True, eq=False)
class MatchEvaluation:
    """The estimator and its baselines, by name, for the same targets.

    Args:
        targets: the sounds.
        presets: of the matches, one for each target, (n, free).
        scores: of these.
    """

    targets: Targets
    presets: Mapping[str, Floats]
    scores: Mapping[str, MatchScores]

    def to_dict(self, seed: int = 0) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "cases": len(self.targets),
            "own_notes": self.targets.notes is not None,
            "scores": {name: scores.to_dict(seed) for name, scores in self.scores.items()},
        }


def targets_of_corpus(corpus: Corpus, rows: NDArray[np.bool_], player: Player, most: int, seed: int = 42) -> Targets:
    """Sounds of presets in these rows of a corpus, (size,); if there are more than ``most``, some of them."""
    items = np.flatnonzero(rows[corpus.counting()])
    if len(items) > most:
        items = np.sort(np.random.default_rng(seed).permutation(items)[:most])
    if not len(items):
        raise InvalidInputError(f"{corpus.path}: there is no preset to judge by")
    presets = corpus.presets()[items]
    names = corpus.names() or [f"item {item}" for item in range(len(corpus))]
    return Targets([names[item] for item in items], player.play(presets)[0], presets)


def targets_of_folder(folder: Path, player: Player, most: int, *, own_notes: bool = False, seed: int = 42) -> Targets:
    """Recorded sounds, as long as the player's; if there are more than ``most``, some of them.

    Args:
        folder: see :func:`~synthproxy.corpus.sounds.find_sounds`.
        own_notes: play each match with the note of its sound.

    Raises:
        InvalidInputError: the folder or a sound in it cannot be used, or a note is not known.
    """
    sounds = find_sounds(folder)
    if len(sounds) > most:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(sounds))[:most])
        sounds = [sounds[row] for row in chosen]
    audio = np.stack([read_clip(sound.path, SAMPLE_RATE, player.rendering.seconds) for sound in sounds])
    notes = _notes(sounds) if own_notes else None
    return Targets([sound.name for sound in sounds], audio, notes=notes, recorded=sounds)


def _notes(sounds: Sequence[RecordedSound]) -> list[Note]:
    notes = [sound.note for sound in sounds if sound.note is not None]
    if len(notes) < len(sounds):
        unknown = next(sound.path for sound in sounds if sound.note is None)
        raise InvalidInputError(
            f"{unknown}: its note is not known, only those of NSynth's examples.json are; leave out --own-notes"
        )
    return notes


def part_of_corpus(
    info: EstimatorInfo, corpus: Corpus, part: PartOrAll | None = None
) -> tuple[PartOrAll, NDArray[np.bool_]]:
    """Which rows of a corpus to judge an estimator by: those of the test part, if it has learned from another part.

    Args:
        info: of the estimator.
        corpus: any corpus of the same presets and sounds.
        part: ``train``, ``validation`` or ``test`` of the corpus that it has learned from, or ``all``.

    Raises:
        IncompatibleError: the corpus is of other presets or sounds.
        InvalidInputError: a part is asked for, but the corpus is another, or was not split.
    """
    info.require_same(corpus.info, str(corpus.path))
    split = info.learned_from.split if info.learned_from.is_of(corpus) else None
    part = part or ("test" if split else "all")
    if part == "all":
        return part, corpus.counting()
    if split is None:
        raise InvalidInputError(
            f"{corpus.path}: this estimator has not learned from a part of this corpus; leave out --part {part}"
        )
    return part, rows_of_parts(corpus, split)[part]


def learned_presets(info: EstimatorInfo, corpus: Corpus) -> HeardPresets:
    """What an estimator has learned from.

    Raises:
        InvalidInputError: it has not learned from this corpus, or the corpus keeps no levels.
    """
    if not info.learned_from.is_of(corpus):
        raise InvalidInputError(f"{corpus.path}: the estimator has not learned from this corpus; give the one it has")
    split = info.learned_from.split
    return HeardPresets(corpus, rows_of_parts(corpus, split)["train"] if split else corpus.counting())


def evaluate_estimator(
    estimator: Estimator,
    targets: Targets,
    player: Player,
    *,
    learned: HeardPresets | None = None,
    audio_model: AudioModel | None = None,
    seed: int = 42,
) -> MatchEvaluation:
    """Judge an estimator by sounds.

    Args:
        estimator: the estimator.
        targets: the sounds.
        player: plays the matches.
        learned: what it has learned from, for the baselines nearest neighbour, mean and random preset.
        audio_model: by whose embeddings to judge, too; better one that nothing was learned from.
        seed: of the random presets.
    """
    matches = {ESTIMATOR: estimator.estimate(targets.audio)}
    if learned is not None:
        known, space = learned.presets(), estimator.space
        matches[NEAREST] = nearest_by_levels(levels_of(targets.audio), learned)
        matches[MEAN] = np.tile(mean_preset(space, known), (len(targets), 1))
        matches[RANDOM] = random_presets(known, len(targets), seed)
    if targets.presets is not None:
        matches[AGAIN] = targets.presets
    scores = {name: score_matches(presets, targets, player, audio_model) for name, presets in matches.items()}
    return MatchEvaluation(targets, matches, scores)


def score_matches(
    presets: Floats, targets: Targets, player: Player, audio_model: AudioModel | None = None
) -> MatchScores:
    """Play presets, one for each target, (n, free), and compare them with the targets."""
    pairs: list[ScoredPair] = []
    more: dict[str, list[NDArray[np.float64]]] = {}
    unplayable = 0
    for part in in_chunks(len(targets), SOUNDS_AT_ONCE):
        wanted = targets.audio[part]
        sounds, failed = player.play(presets[part], targets.notes[part] if targets.notes else None)
        unplayable += failed
        pairs += on_all_cores(score_pair, sounds, wanted)
        more.setdefault("a_mean_level_matched", []).append(np.asarray(on_all_cores(_level_matched, sounds, wanted)))
        if audio_model is not None:
            more.setdefault("embedding", []).append(embedding_distances(audio_model, sounds, wanted))
    scored = scores_of(pairs)
    by_clip = {**scored.by_clip, **{name: np.concatenate(values) for name, values in more.items()}}
    parameters = None
    if targets.presets is not None:
        parameters = parameter_scores(player.synth.space, presets, targets.presets)
    return MatchScores(replace(scored, by_clip=by_clip), parameters, unplayable)


def _level_matched(sound: Floats, target: Floats) -> float:
    return Distances.of([compare(sound, target, level_matched=True)]).a_mean


def levels_of(audio: Floats) -> NDArray[np.float32]:
    """Levels of sounds, (n, samples) to (n, bands, frames)."""
    hear = MelLevels()
    with torch.inference_mode():
        parts = [hear(torch.from_numpy(audio[part])).numpy() for part in in_chunks(len(audio), PUBLISHED_BATCH)]
    return np.concatenate(parts)
