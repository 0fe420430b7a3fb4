"""How many candidates a match renders and compares a second, against its parts alone.

    python benchmarks/candidates.py [--seconds 20]

The target is a preset of Dexed. Rendering alone and comparing alone use all cores, in turns with whole matches, with
and without the proposer; what they take together is the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rich
from machine import describe_machine

from synthproxy.matching.budget import Budget
from synthproxy.matching.distances import SAMPLE_RATE, SearchDistance, distances
from synthproxy.matching.match import Progress, State, match
from synthproxy.matching.propose import Sources
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.search import draw_presets
from synthproxy.matching.shipped import shipped_proposer
from synthproxy.matching.target import Target
from synthproxy.report.tables import Table, to_terminal
from synthproxy.synths import Note, get_synth
from synthproxy.workers import independent_workers

ROUNDS, PRESETS, SECONDS = 3, 256, 5.0
NOTE = Note(60, 100, 2.0)


def per_second(work: Callable[[int], object]) -> float:
    """How many of so many pieces of work all cores do a second."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = time.perf_counter()
        list(pool.map(work, range(PRESETS)))
        return PRESETS / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    synth = get_synth("dexed")
    checkpoint = shipped_proposer(synth)
    assert checkpoint is not None
    proposer = TrainedProposer.load(checkpoint)
    presets = draw_presets(synth.space, PRESETS, np.random.default_rng(0))
    sounds = [synth.render(preset, NOTE, SECONDS, SAMPLE_RATE) for preset in presets]
    loudest = max(sounds, key=lambda sound: float(np.abs(sound).sum()))
    target = Target(Path("preset"), loudest, 0.0, NOTE, (NOTE.pitch,), (NOTE.duration,))
    distance = SearchDistance(loudest)
    rendered = 0

    def count(progress: Progress, _: State) -> None:
        nonlocal rendered
        rendered = progress.renders

    def whole(asked: TrainedProposer | None) -> float:
        begun = time.perf_counter()
        match(synth, target, Budget(seconds=seconds), sources=Sources(proposer=asked), report=count)
        return rendered / (time.perf_counter() - begun)

    parts: dict[str, Callable[[], float]] = {
        "rendering alone": lambda: per_second(lambda i: synth.render(presets[i], NOTE, SECONDS, SAMPLE_RATE)),
        "comparing alone": lambda: per_second(lambda i: distance([sounds[i]])),
        "comparing by the published distances": lambda: per_second(lambda i: distances(sounds[i], loudest)),
        "a match": lambda: whole(None),
        "a match with the proposer": lambda: whole(proposer),
    }
    with independent_workers():
        rates = [{name: measure() for name, measure in parts.items()} for _ in range(ROUNDS + 1)][1:]
    found = {name: statistics.median(rate[name] for rate in rates) for name in parts}
    limit = 1 / (1 / found["rendering alone"] + 1 / found["comparing alone"])
    rows = [(name, rate, f"{rate / limit:.0%}" if "match" in name else "") for name, rate in found.items()]
    rows.insert(2, ("limit of both", limit, ""))
    caption = f"Sounds of {SECONDS:g} s a second, median of {ROUNDS} rounds. {describe_machine()}"
    rich.print(to_terminal(Table("Candidates", ("", "sounds/s", "of the limit"), tuple(rows), caption)))


if __name__ == "__main__":
    main()
