"""Does a bank at several notes find nearer presets than one at middle C? Hand-crafted DX7 voices.

    SYNTHPROXY_SHARED=… python benchmarks/bank_notes.py [--voices 600] [--sounds 60] [--seed 0]

Makes a bank of some voices, plays others at notes of five octaves, and looks these sounds up: in the whole bank, and in
its corpus at middle C. What is told is the search distance of the first preset that is found, and of the nearest of 16.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Bank, make_bank
from synthproxy.matching.candidates import Bench
from synthproxy.matching.retrieval import retrieve
from synthproxy.matching.target import Target
from synthproxy.progress import counting
from synthproxy.report.tables import Table, to_markdown
from synthproxy.synths import Note
from synthproxy.synths.dexed import Dexed

RATE, SECONDS, HELD, FOUND = 32_000, 2.0, 1.0, 16
LOWEST, HIGHEST, MIDDLE = 28, 91, 60
FAINT = 0.01


def targets(synth: Dexed, file: Path, count: int, generator: np.random.Generator) -> list[Target]:
    """Voices of a file, each at a random note; those that are hardly heard are left out."""
    made: list[Target] = []
    for number in range(len(synth.read_presets(file))):
        note = Note(int(generator.integers(LOWEST, HIGHEST + 1)), 100, HELD)
        audio = synth.render(synth.read_presets(file, note)[number].vector, note, SECONDS, RATE)
        if np.sqrt(np.mean(np.square(audio))) > FAINT:
            made.append(Target(file, audio, 0.0, note, (note.pitch,), (HELD,)))
        if len(made) == count:
            break
    return made


def looked_up(synth: Dexed, bank: Bank, target: Target) -> tuple[float, float]:
    """Distance of the first found, and of the nearest of those found."""
    with Bench(synth, target.audio) as bench:
        scored = [c.distance for c in bench.score(retrieve(bank, synth, target, FOUND))]
    return scored[0], min(scored)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--voices", type=int, default=600)
    parser.add_argument("--sounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    shared = os.environ.get("SYNTHPROXY_SHARED")
    if not shared:
        raise SystemExit("set SYNTHPROXY_SHARED to the folder that has data/dx7_voices.npz")
    generator, synth = np.random.default_rng(arguments.seed), Dexed()
    with tempfile.TemporaryDirectory() as name, np.load(Path(shared) / "data" / "dx7_voices.npz") as voices:
        folder = Path(name)
        order = generator.permutation(len(voices["packed"]))
        for file, rows in (("bank", order[: arguments.voices]), ("sounds", order[-2 * arguments.sounds :])):
            np.savez(folder / f"{file}.npz", packed=voices["packed"][rows], source=voices["source"][rows])
        with counting("sounds") as progress:
            make_bank(folder / "bank", [folder / "bank.npz"], synth, get_audio_model("mel"), progress=progress)
        whole = Bank.open(folder / "bank")
        asked = targets(synth, folder / "sounds.npz", arguments.sounds, generator)
        ways = {"middle C": Bank((whole.nearest(MIDDLE),)), "36, 60 and 84": whole}
        found = {way: np.asarray([looked_up(synth, bank, target) for target in asked]) for way, bank in ways.items()}
    alone, all_notes = found.values()
    gain = (alone - all_notes)[:, 1]
    means = [(way, *values.mean(axis=0).tolist()) for way, values in found.items()]
    title = f"{len(asked)} sounds, a bank of {arguments.voices} voices"
    print(to_markdown(Table(title, ("heard at", "first", f"nearest of {FOUND}"), tuple(means))))
    print(f"nearer by {gain.mean():.3f} ± {1.96 * gain.std() / len(gain) ** 0.5:.3f} (95 %)")
    print(describe_machine())


if __name__ == "__main__":
    main()
