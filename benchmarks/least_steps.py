"""What a_mean is of presets that are all but the right one: one number, or five, moved by the least step there is.

    python benchmarks/least_steps.py VOICES [--voices 60] [--seed 0]

VOICES is a file of voices, such as held-out/voices.npz of split_voices.py. Only moves that change the sound count.
Beside it stands which part of the distance of log magnitudes lies where the target is 60 dB below its loudest.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from numpy.typing import NDArray

from synthproxy.audio.features import hann_window, spectrogram
from synthproxy.matching.distances import SAMPLE_RATE, STFT, distances, matching_gain
from synthproxy.report.tables import Table, to_markdown
from synthproxy.synths import Kind, Note, PresetSpace, Synth, get_synth
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers

SECONDS = 5.0
MOVED = (1, 2, 5)
TRIED = 12
QUIET_DECIBELS = -60.0
POWER_FLOOR = 1e-8


def moved(space: PresetSpace, preset: Floats, column: int, generator: np.random.Generator) -> Floats:
    """The preset with one number one step of its grid up or down, whichever there is."""
    parameter, step = space.free[column], generator.choice((-1.0, 1.0)) / (space.free[column].cardinality - 1)
    other = preset.astype(np.float64)
    other[column] += step if parameter.low <= other[column] + step <= parameter.high else -step
    return space.snap(other)


def quiet_share(sound: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Part of the log-magnitude distance in bins where the target is far below its loudest."""
    pair = torch.from_numpy(np.stack([sound * np.float32(matching_gain(sound, target)), target]))
    window = hann_window(STFT.window_length, periodic=True)
    magnitudes = spectrogram(
        pair, n_fft=STFT.n_fft, hop=STFT.hop, window=window, magnitude=True, power_floor=POWER_FLOOR
    )
    apart = (magnitudes[0].log() - magnitudes[1].log()).abs()
    quiet = magnitudes[1] < magnitudes[1].max() * 10 ** (QUIET_DECIBELS / 20)
    return float(apart[quiet].sum() / apart.sum().clamp(min=1e-9))


def of_voice(synth: Synth, preset: Floats, seed: int) -> NDArray[np.float64]:
    """Mean a_mean and share of what is quiet, over some random moves, for each number of moves: (counts, 2)."""
    generator, numbers = np.random.default_rng(seed), synth.space.columns(Kind.NUMERICAL)

    def sound(of: Floats) -> NDArray[np.float32]:
        return synth.render(of, Note(), SECONDS, SAMPLE_RATE)

    target, found = sound(preset), []
    for _ in range(TRIED):
        other, heard, count = preset, target, 0
        for column in generator.permutation(numbers):
            tried = moved(synth.space, other, int(column), generator)
            if np.array_equal(played := sound(tried), heard):
                continue
            other, heard, count = tried, played, count + 1
            if count in MOVED:
                found.append((distances(heard, target, level_matched=True).a_mean, quiet_share(heard, target)))
            if count == MOVED[-1]:
                break
    mean: NDArray[np.float64] = np.asarray(found).reshape(TRIED, len(MOVED), 2).mean(axis=0)
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("voices", type=Path)
    parser.add_argument("--voices", type=int, default=60, dest="count")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    synth = get_synth("dexed")
    presets = np.stack([preset.vector for preset in synth.read_presets(arguments.voices, Note())])
    order = np.random.default_rng(arguments.seed).permutation(len(presets))
    heard = [i for i in order if np.abs(synth.render(presets[i], Note(), 1.0, SAMPLE_RATE)).max() > 0.01]
    chosen = heard[: arguments.count]
    with independent_workers(), ThreadPoolExecutor(os.cpu_count()) as pool:
        found = np.asarray(list(pool.map(lambda i: of_voice(synth, presets[i], int(i)), chosen)))
    rows = tuple(
        (f"{count} moved", float(a.mean()), *np.quantile(a, (0.25, 0.5, 0.75)).tolist(), float(quiet.mean()))
        for count, (a, quiet) in zip(MOVED, found.transpose(1, 2, 0), strict=True)
    )
    columns = ("", "mean", "quarter", "median", "three quarters", f"part below {QUIET_DECIBELS:.0f} dB")
    title = f"a_mean of {len(chosen)} voices with numbers moved by the least step, mean of {TRIED} ways"
    print(to_markdown(Table(title, columns, rows)))
    print(describe_machine())


if __name__ == "__main__":
    main()
