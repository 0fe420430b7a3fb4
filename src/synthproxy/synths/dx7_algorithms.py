"""How the six operators of a DX7 are wired in each of its 32 algorithms, and which of them can change places.

Operators count from 0 here: operator 1 of the instrument is row 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

OPERATORS = 6
ALGORITHMS = 32

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Wiring:
    """The graph of each algorithm.

    Args:
        feeds: whether operator j modulates operator i, (algorithms, i, j).
        feedback: the same for the one connection that runs back, mostly from an operator to itself.
        heard: which operators are carriers, (algorithms, operators).
    """

    feeds: Flags
    feedback: Flags
    heard: Flags


@cache
def wiring() -> Wiring:
    """The graphs as the engine plays them."""
    from dexed.algorithms import algorithms

    feeds = np.zeros((ALGORITHMS, OPERATORS, OPERATORS), dtype=bool)
    feedback = np.zeros_like(feeds)
    heard = np.zeros((ALGORITHMS, OPERATORS), dtype=bool)
    for number in range(ALGORITHMS):
        algorithm = algorithms[number]
        feeds[number] = algorithm.mod_matrix
        source, target = algorithm.feedback_edge
        feedback[number, target, source] = True
        heard[number, list(algorithm.carriers)] = True
    for array in (feeds, feedback, heard):
        array.flags.writeable = False
    return Wiring(feeds, feedback, heard)


@dataclass(frozen=True)
class Change:
    """From one algorithm to another.

    Args:
        connections: how many connections, carriers among them, are other than before.
        orders: (orders, 6), every order of the operators with which they are so few; as of :func:`symmetries`.
    """

    connections: int
    orders: NDArray[np.int64]


@cache
def change(algorithm: int, other: int) -> Change:
    """From one algorithm to another, both 0–31."""
    graph, orders = wiring(), every_order()
    rows, columns = orders[:, :, None], orders[:, None, :]
    fed = graph.feeds[algorithm][rows, columns] != graph.feeds[other]
    # A feedback that is elsewhere is one that is gone and one that is new.
    fed_back = graph.feedback[algorithm][rows, columns] != graph.feedback[other]
    heard = graph.heard[algorithm][orders] != graph.heard[other]
    differing = fed.sum((1, 2)) + fed_back.sum((1, 2)) // 2 + heard.sum(1)
    best: NDArray[np.int64] = orders[differing == differing.min()]
    best.flags.writeable = False
    return Change(int(differing.min()), best)


def symmetries(algorithm: int) -> NDArray[np.int64]:
    """Orders of the operators that leave the sound as it is: the automorphisms of the algorithm's graph.

    Args:
        algorithm: 0–31.

    Returns:
        (orders, 6), the first of which is 0, 1, …, 5: where an order has j in place i, operator i is to become what
        operator j is.
    """
    return change(algorithm, algorithm).orders


@cache
def every_order() -> NDArray[np.int64]:
    """Every order of the operators, (720, 6), the first of which is 0, 1, …, 5."""
    return np.asarray(list(permutations(range(OPERATORS))))
