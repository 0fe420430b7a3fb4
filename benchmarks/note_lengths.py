"""How often it is told from a sound when its key was let go, for voices played at any pitch and length.

    python benchmarks/note_lengths.py VOICES [--sounds 400] [--seed 0]

VOICES is a file of voices, such as held-out/voices.npz of split_voices.py. Only sounds count that change where the key
is let go. A length is right within 60 ms. Beside it stand one length for all sounds, and the steepest fall of each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.release import estimate_releases
from synthproxy.matching.scores import mean_with_interval
from synthproxy.report.tables import Cell, Table, to_markdown
from synthproxy.synths import Note, get_synth

SECONDS = 5.0
RIGHT = 0.06
HEARD_DECIBELS = -50.0
LENGTHS = (0.3, 3.5)
ALWAYS = 3.0
HOP, SPAN = SAMPLE_RATE // 50, 5


def steepest_fall(audio: NDArray[np.float32]) -> float:
    """Where the level falls most within a tenth of a second."""
    frames = audio[: len(audio) // HOP * HOP].reshape(-1, HOP)
    level = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-10)
    return float((level[:-SPAN] - level[SPAN:]).argmax() * HOP / SAMPLE_RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("voices", type=Path)
    parser.add_argument("--sounds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    synth, generator = get_synth("dexed"), np.random.default_rng(arguments.seed)
    presets = synth.read_presets(arguments.voices, Note())
    off: dict[str, list[float]] = {}
    for place in generator.permutation(len(presets))[: arguments.sounds]:
        length = float(generator.uniform(*LENGTHS))
        note = Note(int(generator.integers(40, 76)), 100, length)
        audio, held = (
            synth.render(presets[place].vector, Note(note.pitch, note.velocity, seconds), SECONDS, SAMPLE_RATE)
            for seconds in (length, SECONDS)
        )
        if np.abs(audio - held).max() < np.abs(held).max() * 10 ** (HEARD_DECIBELS / 20):
            continue
        told = estimate_releases(audio, SAMPLE_RATE)
        found = {
            "likeliest": told[:1],
            "any of three": told,
            "always 3 s": (ALWAYS,),
            "steepest fall": (steepest_fall(audio),),
        }
        for method, seconds in found.items():
            off.setdefault(method, []).append(min((abs(one - length) for one in seconds), default=SECONDS))
    rows: list[tuple[Cell, ...]] = []
    for method, errors in off.items():
        right = mean_with_interval((np.asarray(errors) < RIGHT).astype(np.float64))
        interval = f"{right.interval.low:.2f} to {right.interval.high:.2f}"
        rows.append((method, right.mean, interval, float(np.median(errors))))
    title = f"How long the key was held, told from {len(errors)} sounds"
    columns = ("", f"within {1000 * RIGHT:.0f} ms", "95 % interval", "median error, s")
    print(to_markdown(Table(title, columns, tuple(rows))))
    print(describe_machine())


if __name__ == "__main__":
    main()
