"""One voice of those that sound alike: that it sounds the same, and that it is the same for all of them."""

import numpy as np
import pytest

from synthproxy.synths import Note, get_synth
from synthproxy.synths.base import KnowsAlike
from synthproxy.synths.dexed import PLUGIN_LEVEL
from synthproxy.synths.dx7_algorithms import ALGORITHMS, OPERATORS, symmetries
from synthproxy.synths.dx7_canonical import canonical
from synthproxy.synths.dx7_voice import MAXIMA

NOTE = Note(60, 100, 0.3)
ALGORITHM, FEEDBACK = 134, 135
OUTPUT_STEP = PLUGIN_LEVEL * 2**-12
LEVEL, MODE, COARSE, FINE = 16, 17, 18, 19


@pytest.fixture(scope="module")
def dexed():
    return get_synth("dexed")


@pytest.fixture
def voices(dexed) -> np.ndarray:
    """Four of each algorithm, whose level, mode and frequencies are as people set them rather than evenly drawn."""
    generator = np.random.default_rng(0)
    drawn = dexed.voices(dexed.space.sample(generator, 4 * ALGORITHMS)).astype(np.int64)
    drawn[:, ALGORITHM] = np.arange(len(drawn)) % ALGORITHMS
    drawn[::2, FEEDBACK] = 0
    operators = operators_of(drawn)
    operators[..., MODE] = generator.random(operators.shape[:2]) < 0.1
    operators[..., COARSE] = generator.integers(0, 6, operators.shape[:2])
    operators[..., FINE] = generator.choice([0, 50], operators.shape[:2])
    operators[..., LEVEL] *= generator.random(operators.shape[:2]) < 0.7
    return drawn


def operators_of(voices: np.ndarray) -> np.ndarray:
    """A view of them, operator 1 first: (n, 6, 21)."""
    return voices[:, :126].reshape(-1, OPERATORS, 21)[:, ::-1]


def play(dexed, voice: np.ndarray) -> np.ndarray:
    return dexed.render(dexed.presets(voice[None])[0], NOTE, 0.4, 32_000)


def test_it_sounds_the_same(dexed, voices):
    found = canonical(voices)
    assert (found != voices).any(axis=1).mean() > 0.5
    assert (found <= MAXIMA).all()
    assert (found[:, ALGORITHM] != voices[:, ALGORITHM]).mean() > 0.2
    for before, after in zip(voices, found, strict=True):
        one, other = play(dexed, before), play(dexed, after)
        # The engine rounds each carrier, so that a silent one more or less is a step of its output.
        np.testing.assert_allclose(other, one, atol=2e-3 * np.abs(one).max() + 2 * OUTPUT_STEP)


def test_it_is_the_same_for_all_that_sound_alike(voices):
    generator = np.random.default_rng(1)
    found = canonical(voices)
    np.testing.assert_array_equal(canonical(found), found)
    others = voices.copy()
    operators = operators_of(others)
    for number, algorithm in enumerate(others[:, ALGORITHM]):
        operators[number] = operators[number, generator.choice(symmetries(algorithm))]
    silent = operators[..., LEVEL] == 0
    operators[silent, COARSE] = 17
    fixed = ~silent & (operators[..., MODE] == 1)
    operators[fixed, COARSE] += 8
    thrice = ~silent & ~fixed & (operators[..., COARSE] == 3) & (operators[..., FINE] == 0)
    assert thrice.any()
    operators[thrice, COARSE], operators[thrice, FINE] = 2, 50
    assert (others != voices).any(axis=1).mean() > 0.9
    np.testing.assert_array_equal(canonical(others), found)


def test_operators_that_are_heard_come_first_by_frequency():
    voice = np.zeros((1, 145), dtype=np.int64)
    voice[:, ALGORITHM] = 31  # All are carriers, and operator 6 feeds itself.
    operators = operators_of(voice)
    operators[..., [4, LEVEL]] = 99
    operators[0, :, COARSE] = [5, 3, 2, 4, 1, 1]
    operators[0, 2, LEVEL] = 0
    operators[0, 4, LEVEL] = 60
    found = operators_of(canonical(voice))
    assert found[0, :5, COARSE].tolist() == [1, 1, 3, 4, 5]
    assert found[0, :2, LEVEL].tolist() == [99, 60]
    assert found[0, 5, LEVEL] == 0


def test_where_a_part_of_an_operator_is_held_nothing_can_change_places(dexed):
    assert isinstance(dexed, KnowsAlike)
    held = dexed.with_space(dexed.space.hold(["op3_f_coarse"]))
    presets = held.space.sample(np.random.default_rng(0), 3)
    np.testing.assert_array_equal(held.canonical(presets), presets)
