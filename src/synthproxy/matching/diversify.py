"""Diversification: several good presets that sound different, not one preset several times.

Search converges. So other ways to make the sound are set aside while islands are still apart, and each is refined by
itself once the nearest has been.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from synthproxy.audio.levels import MelLevels
from synthproxy.matching.candidates import Bench, Candidate
from synthproxy.matching.distances import MINIMUM_SAMPLES, matching_gain
from synthproxy.matching.refine import refine


def island_by_island(population: Sequence[Candidate]) -> list[Candidate]:
    """The nearest of every island, then their second ones, and so on; the population is nearest first."""
    before, places = Counter[int | None](), list[int]()
    for candidate in population:
        places.append(before[candidate.island])
        before[candidate.island] += 1
    return [population[i] for i in np.argsort(places, kind="stable")]


def different(bench: Bench, candidates: Sequence[Candidate], count: int, difference: float) -> list[Candidate]:
    """The first candidates that sound different from all before them, at most ``count``, in their order.

    Args:
        difference: least mean difference of levels of mel bands, in dB, over all notes of the target.
    """
    hear, chosen, heard = MelLevels(), list[Candidate](), list[NDArray[np.float32]]()
    for candidate in candidates:
        if len(chosen) == count:
            break
        if not np.isfinite(candidate.distance):
            continue
        pairs = zip(bench.render(candidate), bench.targets, strict=True)
        levels = np.concatenate([_levels(hear, *pair) for pair in pairs])
        if all(np.abs(levels - other).mean() >= difference for other in heard):
            chosen.append(candidate)
            heard.append(levels)
    return chosen


def refine_each(
    bench: Bench,
    candidates: Sequence[Candidate],
    generator: np.random.Generator,
    keep_going: Callable[[int], bool],
) -> list[Candidate]:
    """Every candidate, refined by itself.

    Args:
        keep_going: asked with the place of a candidate before each of its moves.
    """

    def refined(place: int, candidate: Candidate) -> Candidate:
        (best,) = refine(bench, [candidate], generator, keep_going=lambda _: keep_going(place))
        return best

    return [refined(place, candidate) for place, candidate in enumerate(candidates)]


def _levels(hear: MelLevels, sound: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels, one after the other, of a sound that is brought to the target's level."""
    levelled = sound * np.float32(matching_gain(sound, target))
    padded = np.pad(levelled, (0, max(0, MINIMUM_SAMPLES - len(levelled))))
    with torch.inference_mode():
        return np.asarray(hear(torch.from_numpy(padded)[None]).flatten().numpy())
