"""The published choice of examples: it depends on the set and the seed, and on no score."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.corpus.sounds import RecordedSound
from synthproxy.errors import InvalidInputError
from synthproxy.report.example_choice import choose_by_family, choose_examples, choose_in_domain
from synthproxy.synths import Note


def sound(number: int, family: str, instrument: str, pitch: int) -> RecordedSound:
    name = f"{instrument}-{pitch:03}-{number}"
    return RecordedSound(name, Path(f"{name}.wav"), Note(pitch, 100, 3.0), instrument, family)


def many_sounds() -> list[RecordedSound]:
    """Three families: of many instruments, of two, and of none that plays in the middle."""
    sounds = [sound(n, "string", f"string_{n % 9}", 30 + n % 70) for n in range(400)]
    sounds += [sound(n, "brass", f"brass_{n % 2}", 40 + n % 30) for n in range(60)]
    return sounds + [sound(n, "bass", f"bass_{n}", 20 + n % 29) for n in range(50)]


def test_in_domain_examples_are_the_first_of_pytorchs_permutation():
    # What the published script draws from its test set of 2,761 voices.
    expected = torch.randperm(2761, generator=torch.Generator().manual_seed(999))[:64].tolist()
    assert choose_in_domain(2761) == expected
    assert choose_in_domain(2761, seed=998) != expected


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(1, 100))
def test_in_domain_examples_are_different_sounds_of_the_set(count, examples):
    chosen = choose_in_domain(count, examples)
    assert len(chosen) == len(set(chosen)) == min(count, examples)
    assert all(0 <= index < count for index in chosen)


def test_families_give_up_to_four_instruments_in_the_middle_of_the_keyboard():
    sounds = many_sounds()
    chosen = [sounds[index] for index in choose_by_family(sounds)]
    assert [s.family for s in chosen] == ["brass"] * 2 + ["string"] * 4
    assert len({s.instrument for s in chosen}) == 6
    assert all(s.note is not None and 49 <= s.note.pitch <= 73 for s in chosen)


def test_the_choice_of_one_family_does_not_depend_on_the_others():
    sounds = many_sounds()
    strings = [s for s in sounds if s.family == "string"]
    alone = [strings[index].name for index in choose_by_family(strings)]
    assert [sounds[index].name for index in choose_by_family(sounds)][2:] == alone


def test_the_range_of_pitches_includes_both_ends():
    sounds = [sound(pitch, "organ", f"organ_{pitch}", pitch) for pitch in (48, 49, 73, 74)]
    assert sorted(choose_by_family(sounds)) == [1, 2]


def test_sets_without_notes_are_chosen_from_as_in_domain():
    files = [RecordedSound(f"{n}.wav", Path(f"{n}.wav")) for n in range(100)]
    assert choose_examples(files) == choose_in_domain(100)
    assert choose_examples(many_sounds()) == choose_by_family(many_sounds())
    with pytest.raises(InvalidInputError, match="none of 100 sounds has a known pitch from 49 to 73"):
        choose_by_family(files)


@pytest.mark.parametrize(("count", "examples"), [(0, 64), (10, 0)])
def test_nothing_to_choose_is_refused(count, examples):
    with pytest.raises(InvalidInputError, match="at least one example"):
        choose_in_domain(count, examples)
