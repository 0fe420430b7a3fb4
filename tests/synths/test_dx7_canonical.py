"""Of presets that sound alike, one stands for all: it sounds as they do, and is found from each of them."""

import numpy as np
import pytest

from synthproxy.matching.search import draw_presets
from synthproxy.synths import Note, get_synth
from synthproxy.synths.base import KnowsAlike
from synthproxy.synths.dx7_algorithms import OPERATORS, symmetries

NOTE, RATE = Note(48, 90, 0.8), 32_000


@pytest.fixture(scope="module")
def dexed():
    return get_synth("dexed")


@pytest.fixture(scope="module")
def presets(dexed):
    return draw_presets(dexed.space, 200, np.random.default_rng(1))


def column(synth, name):
    return [parameter.name for parameter in synth.space.free].index(name)


def operators(synth):
    groups = np.asarray([parameter.group for parameter in synth.space.free])
    return np.stack([np.flatnonzero(groups == f"operators.{number + 1}") for number in range(OPERATORS)])


def test_it_sounds_the_same(dexed, presets):
    canonical = dexed.canonical(presets)
    assert isinstance(dexed, KnowsAlike)
    dexed.space.validate(canonical)
    assert (canonical != presets).any(1).mean() > 0.5
    pairs = [[dexed.render(x, NOTE, 1.2, RATE) for x in pair] for pair in zip(presets, canonical, strict=True)]
    differences = np.asarray([np.abs(one - other).max() for one, other in pairs])
    assert (differences == 0).mean() > 0.98
    assert differences.max() < 1e-3


def test_it_is_its_own_canonical_form(dexed, presets):
    canonical = dexed.canonical(presets)
    np.testing.assert_array_equal(dexed.canonical(canonical), canonical)


def test_operators_that_do_the_same_stand_in_one_order(dexed, presets):
    where, algorithm = operators(dexed), column(dexed, "algorithm")
    generator = np.random.default_rng(2)
    moved = presets.copy()
    for row in moved:
        orders = symmetries(int(row[algorithm]))
        row[where] = row[where[orders[generator.integers(len(orders))]]]
    assert (moved != presets).any(1).mean() > 0.2
    np.testing.assert_array_equal(dexed.canonical(moved), dexed.canonical(presets))


def test_what_is_not_heard_says_nothing(dexed, presets):
    generator = np.random.default_rng(3)
    where = operators(dexed)
    level = [column(dexed, f"op{number}_output_level") for number in range(1, OPERATORS + 1)]
    silent = presets.copy()
    silent[:, level[3:]] = 0.0
    silent[:, column(dexed, "lfo_pitch_mod_depth")] = 0.0
    silent[:, column(dexed, "lfo_amp_mod_depth")] = 0.0
    other = silent.copy()
    anything = dexed.space.sample(generator, len(other))
    for number in (3, 4, 5):
        free = np.setdiff1d(where[number], level)
        other[:, free] = anything[:, free]
    for name in ("lfo_speed", "lfo_delay", "lfo_wave", "pitch_mod_sensitivity"):
        other[:, column(dexed, name)] = anything[:, column(dexed, name)]
    np.testing.assert_array_equal(dexed.canonical(other), dexed.canonical(silent))


def test_operators_stay_where_a_space_tells_them_apart(dexed, presets):
    held = dexed.with_space(dexed.space.hold(["op1_f_coarse"]))
    own = held.space.encode(dexed.space.decode(presets))
    canonical = held.canonical(own)
    for one, other in zip(own[:40], canonical[:40], strict=True):
        np.testing.assert_allclose(held.render(one, NOTE, 0.5, RATE), held.render(other, NOTE, 0.5, RATE), atol=1e-3)
