"""The wiring of the algorithms, and that operators which can change places do so without being heard."""

import numpy as np
import pytest

from synthproxy.synths import Note, get_synth
from synthproxy.synths.dx7_algorithms import ALGORITHMS, OPERATORS, change, symmetries, wiring


@pytest.fixture(scope="module")
def dexed():
    return get_synth("dexed")


def test_known_algorithms():
    graph = wiring()
    assert graph.heard[31].all()
    assert not graph.feeds[31].any()
    assert np.argwhere(graph.feeds[4]).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert np.argwhere(graph.feedback[5]).tolist() == [[5, 4]]  # Operator 6 is fed back to by the one it feeds.
    assert (graph.feedback.sum((1, 2)) == 1).all()


def test_no_operator_is_fed_by_one_of_lower_number():
    assert not np.tril(wiring().feeds).any()


def test_symmetries_are_groups_that_begin_with_the_identity():
    assert [len(symmetries(number)) for number in (0, 4, 11, 22, 30, 31)] == [1, 2, 6, 2, 24, 120]
    for number in range(ALGORITHMS):
        orders = symmetries(number)
        assert change(number, number).connections == 0
        assert orders[0].tolist() == list(range(OPERATORS))
        known = {tuple(order) for order in orders.tolist()}
        assert all(tuple(one[other]) in known for one in orders for other in orders[:6])


def test_symmetric_operators_change_places_unheard_and_others_do_not(dexed):
    generator = np.random.default_rng(0)
    groups = np.asarray([parameter.group for parameter in dexed.space.free])
    columns = [np.flatnonzero(groups == f"operators.{number + 1}") for number in range(OPERATORS)]
    algorithm = [parameter.name for parameter in dexed.space.free].index("algorithm")
    heard_swaps = 0
    for number in range(ALGORITHMS):
        orders = symmetries(number)
        preset = dexed.space.sample(generator, 1)[0]
        preset[algorithm] = number
        swap = np.asarray([1, 0, 2, 3, 4, 5])
        for order in (*orders[1:3], orders[-1], swap):
            moved = preset.copy()
            for here, there in enumerate(order):
                moved[columns[here]] = preset[columns[there]]
            one, other = (dexed.render(x, Note(), 0.5, 32_000) for x in (preset, moved))
            alike = np.abs(one - other).max() <= 1e-3 * max(np.abs(one).max(), 1e-3)
            if (orders == order).all(1).any():
                assert alike, (number, order)
            else:
                heard_swaps += not alike
    assert heard_swaps > 10


def test_algorithms_that_differ_in_one_connection():
    # 1 and 2 in where the feedback is, 1 and 3 in how many operators are in a stack.
    assert [change(0, other).connections for other in (1, 2)] == [1, 2]
    assert change(0, 1).orders.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert all(change(a, b).connections == change(b, a).connections for a in range(4) for b in range(ALGORITHMS))


def test_rewiring_places_operators_where_they_do_what_they_did(dexed):
    generator = np.random.default_rng(3)
    names = [parameter.name for parameter in dexed.space.free]
    groups = np.asarray([parameter.group for parameter in dexed.space.free])
    operators = np.asarray([np.flatnonzero(groups == f"operators.{number + 1}") for number in range(OPERATORS)])
    preset = dexed.space.sample(generator, 1)[0]
    preset[[names.index("algorithm"), names.index("feedback")]] = 0
    rewired = [dexed.rewired(preset, generator) for _ in range(100)]
    for other in rewired:
        dexed.space.validate(other)
        assert sorted(other[operators].tolist()) == sorted(preset[operators].tolist())
        assert other[names.index("algorithm")] != 0
    # Without feedback, algorithms 1 and 2 are the same.
    alike = next(other for other in rewired if other[names.index("algorithm")] == 1)
    one, other = (dexed.render(x, Note(), 0.5, 32_000) for x in (preset, alike))
    assert np.array_equal(one, other)
