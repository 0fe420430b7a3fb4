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
ALGORITHM, FEEDBACK, TRANSPOSE = 134, 135, 144
OUTPUT_STEP = PLUGIN_LEVEL * 2**-12
LEVEL, MODE, COARSE, FINE, DETUNE = 16, 17, 18, 19, 20


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
    operators[..., DETUNE] = 7
    drawn[:, TRANSPOSE] = generator.choice([0, 12, 24, 36], len(drawn))
    return drawn


def operators_of(voices: np.ndarray) -> np.ndarray:
    """A view of them, operator 1 first: (n, 6, 21)."""
    return voices[:, :126].reshape(-1, OPERATORS, 21)[:, ::-1]


def even(operators: np.ndarray) -> np.ndarray:
    """Where half the ratio can be written with the same fine frequency."""
    return (operators[..., COARSE] % 2 == 0) & (operators[..., COARSE] > 0) | (operators[..., COARSE] == 1)


def halved(operators: np.ndarray) -> np.ndarray:
    """With half the ratios where frequencies are ratios."""
    other = operators.copy()
    ratio = operators[..., MODE] == 0
    other[ratio, COARSE] = operators[ratio, COARSE] // 2
    return other


def play(dexed, voice: np.ndarray) -> np.ndarray:
    return dexed.render(dexed.presets(voice[None])[0], NOTE, 0.4, 32_000)


def test_it_sounds_the_same(dexed, voices):
    found = canonical(voices)
    assert (found <= MAXIMA).all()
    assert (found != voices).any(axis=1).mean() > 0.8
    assert (found[:, ALGORITHM] != voices[:, ALGORITHM]).mean() > 0.2
    moved = found[:, TRANSPOSE] != voices[:, TRANSPOSE]
    assert moved.mean() > 0.5
    apart = []
    for before, after in zip(voices, found, strict=True):
        one, other = play(dexed, before), play(dexed, after)
        # The engine rounds each carrier, so that a silent one more or less is a step of its output.
        apart.append((np.abs(one - other).max() - 2 * OUTPUT_STEP) / max(np.abs(one).max(), 1e-2))
    assert max(np.asarray(apart)[~moved]) < 2e-3
    # In another octave it rounds frequencies otherwise, by less than a millionth, which much feedback makes heard.
    assert np.quantile(np.asarray(apart)[moved], 0.9) < 2e-2


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
    # An octave up where all ratios can be halved.
    octave_up = (others[:, TRANSPOSE] == 12) & (silent | (operators[..., MODE] == 1) | even(operators)).all(axis=1)
    operators[octave_up] = halved(operators[octave_up])
    others[octave_up, TRANSPOSE] = 24
    assert octave_up.any()
    assert (others != voices).any(axis=1).mean() > 0.9
    np.testing.assert_array_equal(canonical(others), found)


def test_an_octave_lower_detuning_is_as_near_as_its_steps_allow(dexed):
    voice = dexed.voices(dexed.space.encode(dexed.space.defaults)[None]).astype(np.int64)
    operators = operators_of(voice)
    voice[:, [ALGORITHM, TRANSPOSE]] = 31, 24
    operators[..., LEVEL], operators[..., COARSE] = 99, np.arange(1, 7)
    operators[..., DETUNE] = [7, 8, 10, 14, 0, 3]
    found = canonical(voice)
    assert found[0, TRANSPOSE] == 12
    assert operators_of(found)[0, :, COARSE].tolist() == [2, 4, 6, 8, 10, 12]
    # An octave down, a step is a third larger.
    assert operators_of(found)[0, :, DETUNE].tolist() == [7, 8, 9, 12, 2, 4]


def test_operators_that_are_heard_come_first_by_frequency():
    voice = np.zeros((1, 145), dtype=np.int64)
    voice[:, ALGORITHM] = 31  # All are carriers, and operator 6 feeds itself.
    voice[:, TRANSPOSE] = 12
    operators = operators_of(voice)
    operators[..., [4, LEVEL]] = 99
    operators[0, :, COARSE] = [5, 3, 2, 4, 1, 1]
    operators[0, 2, LEVEL] = 0
    operators[0, 4, LEVEL] = 60
    found = operators_of(canonical(voice))
    assert found[0, :5, COARSE].tolist() == [1, 1, 3, 4, 5]
    assert found[0, :2, LEVEL].tolist() == [99, 60]
    assert found[0, 5, LEVEL] == 0


@pytest.mark.parametrize("held", ["transpose", "op3_f_coarse", "op?_f_fine", "algorithm", "feedback"])
def test_what_a_space_cannot_say_is_left_as_it_is(dexed, voices, held):
    assert isinstance(dexed, KnowsAlike)
    synth = dexed.with_space(dexed.space.hold([held]))
    presets = synth.presets(voices)
    found = synth.canonical(presets)
    assert (found != presets).any()
    np.testing.assert_array_equal(canonical(synth.voices(found)), canonical(synth.voices(presets)))
