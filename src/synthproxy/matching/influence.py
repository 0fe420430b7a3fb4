"""Which parameters a sound depends on: each part of the synth is moved a little, and how much that changes is heard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthproxy.matching.candidates import Bench, Candidate
from synthproxy.matching.match import Match
from synthproxy.matching.target import Target
from synthproxy.synths import Kind, Parameter, PresetSpace, Synth
from synthproxy.synths.base import NamesParts
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers

STEP = 0.05
"""How far a numerical parameter is moved, as a part of its range, or to the next value of its grid."""

MOST_RENDERS = 120
"""Sounds rendered at most, for each note; with more parts than that, each is moved one way only."""

_MOSTLY = 0.5  # So many parts are named that they make up this share together,
_MOST_NAMED = 3  # but not more than this.
_PITCH_WORDS = ("tune", "tuning", "detune", "transpose", "pitch", "octave", "semitone", "range")
_SMALLEST_SHARE = 0.01
_ABBREVIATIONS = {"lfo": "LFO", "lfos": "LFO", "eq": "EQ"}


@dataclass(frozen=True)
class Influence:
    """One part of the synth: in words, the parameters it consists of, and its share of all influence, 0–1."""

    part: str
    parameters: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Influences:
    """The parts that matter, those with the largest shares first, and how many sounds were rendered to find out."""

    parts: tuple[Influence, ...]
    renders: int

    @property
    def words(self) -> str:
        """What mattered, as the end of a sentence; empty where nothing did."""
        if not self.parts:
            return ""
        together = np.cumsum([part.share for part in self.parts])
        count = min(_MOST_NAMED, int(np.searchsorted(together, _MOSTLY)) + 1, len(self.parts))
        named = [part.part for part in self.parts[:count]]
        listed = f"{', '.join(named[:-1])} and {named[-1]}" if count > 1 else named[0]
        return f"mostly {listed}" if together[count - 1] >= _MOSTLY else f"many things, first of all {listed}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, shares in percent."""
        rows = [
            {"part": p.part, "percent": round(100 * p.share, 1), "parameters": list(p.parameters)} for p in self.parts
        ]
        return {"words": self.words, "renders": self.renders, "parts": rows}


def influences(synth: Synth, target: Target, match: Match, workers: int | None = None) -> Influences:
    """How much each part of the synth shapes a match: the search distance from the match's own sound when it is moved.

    Only numerical parameters are moved, as no other moves a little. What sets a pitch is left out: moved a little, it
    changes any sound more than all the rest does.
    """
    parts = parts_in_words(synth, match.candidate.preset)
    ways = (1, -1) if 2 * len(parts) <= MOST_RENDERS else (1,)
    moved = [
        replace(match.candidate, preset=moved_a_little(synth.space, match.candidate.preset, columns, way))
        for columns in parts.values()
        for way in ways
    ]
    own = [note.audio for note in match.notes]
    further = [replace(note, audio=audio) for note, audio in zip(target.further, own[1:], strict=True)]
    with independent_workers(), Bench(synth, own[0], workers, further=further) as bench:
        changes = _changes(bench, match.candidate, moved).reshape(len(parts), len(ways)).mean(axis=1)
        # As variances are shared out; it also keeps what hardly matters from adding up.
        squares = np.square(changes)
        shares = squares / squares.sum() if squares.any() else squares
        names = [p.name for p in synth.space.free]
        found = [
            Influence(words, tuple(names[i] for i in columns), float(share))
            for (words, columns), share in zip(parts.items(), shares, strict=True)
            if share >= _SMALLEST_SHARE
        ]
        return Influences(tuple(sorted(found, key=lambda part: -part.share)), bench.renders)


def parts_in_words(synth: Synth, preset: Floats) -> dict[str, NDArray[np.int64]]:
    """Columns of the numerical parameters of each part of a synth, by what it is in this preset."""
    space = synth.space
    words = synth.parts(preset) if isinstance(synth, NamesParts) else [_part_of(p) for p in space.free]
    numerical = [i for i in space.columns(Kind.NUMERICAL).tolist() if words[i]]
    names = dict.fromkeys(words[i] for i in numerical)
    return {name: np.asarray([i for i in numerical if words[i] == name]) for name in names}


def moved_a_little(space: PresetSpace, preset: Floats, columns: NDArray[np.int64], way: int) -> Floats:
    """A preset with some numerical parameters moved up (``way`` 1) or down (−1), within their intervals."""
    values = preset.astype(np.float64)
    for i in columns:
        parameter = space.free[i]
        step = STEP * (parameter.high - parameter.low)
        if parameter.values:
            step = max(step, float(np.diff(parameter.values).max()))
        values[i] += way * step
    return space.snap(values)


def _changes(bench: Bench, own: Candidate, moved: list[Candidate]) -> NDArray[np.float64]:
    """Distance of each from the sound of ``own``; one that has fallen silent counts as much as the farthest."""
    differing = [i for i, candidate in enumerate(moved) if (candidate.preset != own.preset).any()]
    changes = np.zeros(len(moved))
    changes[differing] = [c.distance for c in bench.score([moved[i] for i in differing])]
    heard = np.isfinite(changes)
    return np.where(heard, changes, changes[heard].max(initial=0.0))


def _part_of(parameter: Parameter) -> str:
    """Its group in words: ``oscillators.1`` as ``oscillator 1``, ``envelopes.amp`` as ``the amp envelope``."""
    if set(parameter.name.lower().split("_")) & set(_PITCH_WORDS):
        return ""
    stem, _, member = (parameter.group or parameter.name).replace("_", " ").partition(".")
    single = _ABBREVIATIONS.get(stem, stem.removesuffix("s") if member else stem)
    if member.isdigit():
        return f"{single} {member}"
    of = _ABBREVIATIONS.get(member, member.replace(".", " "))
    return f"the {of} {single}" if member else f"the {single}"
