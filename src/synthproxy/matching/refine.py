"""Refinement of one candidate's numerical parameters by CMA-ES on the real synth (Hansen and Ostermeier, 2001)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from cmaes import CMA
from numpy.typing import NDArray

from synthproxy.matching.candidates import Bench, Candidate, nearest
from synthproxy.synths import Kind

INITIAL_STEP = 0.03
"""Standard deviation at the start, as a part of each parameter's range: a fine adjustment."""

_FARTHEST = 1e6  # CMA-ES wants finite values; a silent sound is worse than any other.


def refine(
    bench: Bench,
    population: Sequence[Candidate],
    generator: np.random.Generator,
    *,
    keep_going: Callable[[Sequence[Candidate]], bool],
) -> list[Candidate]:
    """Adjust the numerical parameters of the nearest candidates, one after the other, until told to stop.

    Each descent ends when it stagnates; the next starts from the nearest candidate that has not been a start.

    Args:
        population: scored candidates, nearest first.
        keep_going: asked with the population after each generation.

    Returns:
        The population with what was found, nearest first.
    """
    space = bench.synth.space
    columns = np.intersect1d(space.columns(Kind.NUMERICAL), bench.bounds.open)
    best = list(population)
    # CMA-ES adapts to how dimensions go together, so it wants two of them.
    if len(columns) < 2:
        return best
    started: set[bytes] = set()
    while keep_going(best):
        start = next((c for c in best if c.preset.tobytes() not in started), best[0])
        started.add(start.preset.tobytes())
        low, high = bench.bounds.low[columns], bench.bounds.high[columns]
        optimiser = CMA(
            mean=np.clip(start.preset[columns].astype(np.float64), low, high),
            sigma=INITIAL_STEP,
            bounds=np.stack([low, high], axis=1),
            seed=int(generator.integers(2**31)),
        )
        lowest, stagnant = start.distance, 0
        while keep_going(best) and stagnant < _patience(optimiser) and not optimiser.should_stop():
            asked = [optimiser.ask() for _ in range(optimiser.population_size)]
            scored = bench.score([_moved(start, columns, values, bench) for values in asked])
            optimiser.tell([(x, min(c.distance, _FARTHEST)) for x, c in zip(asked, scored, strict=True)])
            best = nearest([*best, *scored], len(population))
            found = min(c.distance for c in scored)
            stagnant = 0 if found < lowest - 1e-4 else stagnant + 1
            lowest = min(lowest, found)
    return best


def _patience(optimiser: CMA) -> int:
    """Generations without progress after which a descent is given up; more dimensions take longer to learn."""
    return 10 + int(optimiser.dim) // 2


def _moved(start: Candidate, columns: NDArray[np.int64], values: NDArray[np.float64], bench: Bench) -> Candidate:
    preset = start.preset.astype(np.float64)
    preset[columns] = values
    return replace(start, preset=bench.synth.space.snap(preset), origin="refinement")
