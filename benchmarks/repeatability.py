"""Does a preset sound the same after 100 others? For each synth and each way to keep its renders apart.

    python benchmarks/repeatability.py [dexed amsynth vital]

Ten audible presets are played first in a fresh process or engine of their own, then after 100 random others; the error
is the published a_mean between the two sounds (0.00 and "equal" mean to the bit). Speeds are of clips of 5 s at 32 kHz.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice

import numpy as np
import rich
import vita
from dexed._dexed import DexedSynth
from machine import describe_machine
from numpy.typing import NDArray

from synthproxy.matching.distances import distances
from synthproxy.report.tables import Table, to_terminal
from synthproxy.synths import Note, Synth, get_synth
from synthproxy.synths.dexed import PLUGIN_LEVEL, Dexed
from synthproxy.synths.isolation import ISOLATIONS
from synthproxy.synths.plugin import PluginSynth
from synthproxy.synths.space import Floats
from synthproxy.synths.vital import Vital, play

RATE, SECONDS, NOTE = 32_000, 5.0, Note()
PROBES, OTHERS, TIMED = 10, 100, 40
Player = Callable[[Floats], NDArray[np.float32]]


def players_of(synth: Synth) -> dict[str, Callable[[], Player]]:
    """For each isolation, what makes an instance to play on."""
    if isinstance(synth, PluginSynth):
        return {isolation: partial(plugin_player, synth, isolation) for isolation in ISOLATIONS}
    if isinstance(synth, Dexed):
        return {"reuse": lambda: dexed_player(synth), "fresh": lambda: lambda preset: dexed_player(synth)(preset)}
    assert isinstance(synth, Vital)
    fresh: Player = lambda preset: synth.render(preset, NOTE, SECONDS, RATE)  # noqa: E731
    return {"reuse": lambda: vital_player(synth), "fresh": lambda: fresh}


def plugin_player(synth: PluginSynth, isolation: str) -> Player:
    """One process."""
    process = synth.start(RATE)
    return lambda preset: process.play(synth.indices, synth.definition.to_plugin(preset), NOTE, SECONDS, isolation)


def dexed_player(synth: Dexed) -> Player:
    """One engine."""
    engine = DexedSynth(RATE, 0)

    def render(preset: Floats) -> NDArray[np.float32]:
        engine.load_sysex(synth.voices(preset).tobytes() + b" " * 10 + b"\x3f")
        audio = engine.render(NOTE.pitch, NOTE.velocity, NOTE.duration, SECONDS)
        return np.asarray(audio) * np.float32(PLUGIN_LEVEL)

    return render


def vital_player(synth: Vital) -> Player:
    """One engine, brought back to its initial preset before each render."""
    engine = vita.Synth()  # type: ignore[attr-defined]
    engine.set_sample_rate(RATE)

    def render(preset: Floats) -> NDArray[np.float32]:
        engine.load_init_preset()
        engine.load_json(synth.file(preset).lighter().to_json())
        return play(engine, NOTE, SECONDS, RATE)

    return render


def measure(synth: Synth) -> list[tuple[str | float, ...]]:
    """A row for each isolation."""
    presets = synth.space.sample(np.random.default_rng(5), OTHERS + 40 * PROBES)
    players = players_of(synth)
    reference: list[tuple[Floats, NDArray[np.float32]]] = []
    first = next(iter(players.values()))
    for preset in presets[OTHERS:]:
        sound = first()(preset)
        if np.sqrt(np.mean(sound**2)) > 0.01:
            reference.append((preset, sound))
        if len(reference) == PROBES:
            break
    rows: list[tuple[str | float, ...]] = []
    for isolation, make in players.items():
        player = make()
        for preset in presets[:OTHERS]:
            player(preset)
        errors, equal = [], 0
        for preset, sound in reference:
            again = player(preset)
            same = np.array_equal(again, sound)
            equal += same
            errors.append(0.0 if same else distances(again, sound).to_dict()["a_mean"])
        speeds = [speed(make, presets, instances) for instances in (1, 2)]
        rows.append(
            (synth.name, isolation, float(np.mean(errors)), float(np.max(errors)), f"{equal}/{len(reference)}", *speeds)
        )
    return rows


def speed(make: Callable[[], Player], presets: Floats, instances: int) -> float:
    """Renders/s of all instances together, each in a thread."""
    players = [make() for _ in range(instances)]

    def work(player: Player) -> None:
        for preset in islice(cycle(presets), TIMED):
            player(preset)

    for player in players:
        player(presets[0])
    begun = time.perf_counter()
    with ThreadPoolExecutor(instances) as pool:
        list(pool.map(work, players))
    return instances * TIMED / (time.perf_counter() - begun)


def main() -> None:
    """Measure and print."""
    rows = [row for name in sys.argv[1:] or ("dexed", "amsynth", "vital") for row in measure(get_synth(name))]
    columns = ("synth", "isolation", "mean a_mean", "worst", "equal", "renders/s, 1", "renders/s, 2")
    rich.print(to_terminal(Table(f"A preset after {OTHERS} others", columns, tuple(rows))))
    print(describe_machine())
    os._exit(0)  # Without waiting for plug-ins to unload.


if __name__ == "__main__":
    main()
