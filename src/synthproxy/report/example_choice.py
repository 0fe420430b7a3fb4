"""Which sounds go onto a listening page: by the published rule, which looks at no score.

So nobody can pick what pleases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from synthproxy.corpus.sounds import RecordedSound
from synthproxy.errors import InvalidInputError

IN_DOMAIN_EXAMPLES: Final = 64
IN_DOMAIN_SEED: Final = 999
FAMILY_EXAMPLES: Final = 4
FAMILY_SEED: Final = 1000
PITCHES: Final = range(49, 74)
"""MIDI pitches of examples from families of instruments: an octave to either side of 61."""


def choose_examples(sounds: Sequence[RecordedSound]) -> list[int]:
    """Choose by family among sounds of which notes and families are known, as they are of NSynth, else as in-domain.

    Where no sound has a pitch that may be chosen, the family does not count either. Sounds that are all chosen stay in
    their order.

    Returns:
        Indices into ``sounds``, in the order of the columns.

    Raises:
        InvalidInputError: there is nothing to choose from.
    """
    pitches = [sound.note.pitch for sound in sounds if sound.note is not None and sound.family]
    if len(pitches) == len(sounds) and any(pitch in PITCHES for pitch in pitches):
        return choose_by_family(sounds)
    chosen = choose_in_domain(len(sounds))
    return sorted(chosen) if len(chosen) == len(sounds) else chosen


def choose_in_domain(count: int, examples: int = IN_DOMAIN_EXAMPLES, seed: int = IN_DOMAIN_SEED) -> list[int]:
    """Choose among the sounds of a test set as published: the first of a random order, which the seed decides.

    Args:
        count: sounds in the set.
        examples: how many are wanted; all of the set if it has fewer.
        seed: of PyTorch's generator, so that a set of the published size and order gives the published examples.

    Returns:
        Their indices, in the order of the columns.

    Raises:
        InvalidInputError: there is nothing to choose from, or nothing wanted.
    """
    if count < 1 or examples < 1:
        raise InvalidInputError(f"at least one example of one sound is needed, got {examples} of {count} sounds")
    return _shuffled(count, seed)[:examples]


def choose_by_family(
    sounds: Sequence[RecordedSound],
    examples: int = FAMILY_EXAMPLES,
    pitches: range = PITCHES,
    seed: int = FAMILY_SEED,
) -> list[int]:
    """Choose among recorded sounds as published: of each family of instruments a few, each of another instrument.

    Every family is gone through in a random order of its own; sounds of other or unknown pitch are passed over, and
    so are those of an instrument that was chosen before.

    Args:
        sounds: the set, with notes, instruments and families as NSynth has them.
        examples: of each family, at most.
        pitches: MIDI pitches that may be chosen.
        seed: of PyTorch's generator, the same for all families.

    Returns:
        Indices into ``sounds``, by family in alphabetical order.

    Raises:
        InvalidInputError: no sound has a known pitch in this range.
    """
    chosen: list[int] = []
    for family in sorted({sound.family for sound in sounds}):
        members = [index for index, sound in enumerate(sounds) if sound.family == family]
        by_instrument: dict[str, int] = {}
        for place in _shuffled(len(members), seed):
            sound = sounds[members[place]]
            if sound.note is not None and sound.note.pitch in pitches:
                by_instrument.setdefault(sound.instrument or sound.name, members[place])
        chosen += list(by_instrument.values())[:examples]
    if not chosen:
        raise InvalidInputError(
            f"none of {len(sounds)} sounds has a known pitch from {pitches.start} to {pitches.stop - 1}; "
            "the choice by family needs a set that tells the note of each sound, as NSynth does"
        )
    return chosen


def _shuffled(count: int, seed: int) -> list[int]:
    import torch

    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return order
