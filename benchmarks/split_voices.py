"""Hold hand-crafted DX7 voices out by sound: files of voices to learn from and to be asked about, and audited targets.

    SYNTHPROXY_SHARED=… python benchmarks/split_voices.py FOLDER [--held 3144] [--targets 60] [--seed 0]

Writes ``FOLDER/learned/voices.npz``, ``FOLDER/held-out/voices.npz``, and as many sounds of the latter as targets, in
``FOLDER/targets``. Sounds that are within 1 dB of each other in sixteen parts of the clip go to one side together; see
voices.py. Voices that are silent at middle C are on neither. Then every target is compared with every voice to learn
from, frame by frame (mean difference of log-mel spectra at matched level), and only taken if none is within 1 dB;
``targets.json`` tells how near the nearest is.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from voices import SYNTH, file_of_voices, held_out_together, level_spectrum, sounds_alike, voices_of

from synthproxy.audio.features import ESTIMATOR_MEL, MelSpectrogram
from synthproxy.audio.io import write_audio
from synthproxy.files import make_folder, replace_file, replacing
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.progress import counting
from synthproxy.synths import Note, Synth, get_synth
from synthproxy.synths.dx7_voice import unpack_parameters
from synthproxy.synths.packed_voices import read_packed_voices
from synthproxy.workers import independent_workers

SECONDS, NEAR_DECIBELS = 5.0, 1.0
MORE = 1.5
"""Voices that are audited for every target that is wanted."""


class Audit:
    """Tells how far sounds are from the nearest of many others, in dB."""

    def __init__(self, synth: Synth, presets: NDArray[np.float32]) -> None:
        self.synth, self.presets, self.mel = synth, presets, MelSpectrogram(ESTIMATOR_MEL)

    def sound(self, preset: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.synth.render(preset, Note(), SECONDS, SAMPLE_RATE)

    def nearest(self, others: NDArray[np.float32]) -> NDArray[np.float64]:
        """For each preset the distance of the nearest of the others, (presets,)."""
        own = np.stack([level_spectrum(self.sound(preset), self.mel) for preset in self.presets])

        def distances(other: NDArray[np.float32]) -> NDArray[np.float64]:
            heard = level_spectrum(self.sound(other), self.mel)
            return np.asarray([np.abs(one - heard).mean() for one in own])

        least = np.full(len(self.presets), np.inf)
        with independent_workers(), ThreadPoolExecutor(os.cpu_count()) as pool, counting("audit") as progress:
            for number, found in enumerate(pool.map(distances, others), 1):
                least = np.minimum(least, found)
                progress(number, len(others))
        return least


def write_voices(path: Path, packed: NDArray[np.uint8], sources: NDArray[np.str_]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, packed=packed, source=sources)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--held", type=int, default=3_144)
    parser.add_argument("--targets", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    voices, generator = voices_of(arguments.folder), np.random.default_rng(arguments.seed)
    learned, held = held_out_together(sounds_alike(voices), arguments.held, generator)
    packed, sources = read_packed_voices(file_of_voices())
    synth = get_synth(SYNTH)
    presets = synth.presets(unpack_parameters(packed), Note())  # type: ignore[attr-defined]
    rows: dict[bytes, list[int]] = {}
    for row, preset in enumerate(presets):
        rows.setdefault(preset.tobytes(), []).append(row)
    for name, side in (("learned", learned), ("held-out", held)):
        chosen = sorted(row for item in side for row in rows[voices.presets[item].tobytes()])
        write_voices(make_folder(arguments.folder / name) / "voices.npz", packed[chosen], np.asarray(sources)[chosen])
        print(f"{name}: {len(side):,} different presets, {len(chosen):,} voices", flush=True)
    if not (arguments.folder / "targets.json").exists():
        asked = generator.permutation(held)[: round(MORE * arguments.targets)]
        audit = Audit(synth, voices.presets[asked])
        distance = audit.nearest(voices.presets[learned])
        far = np.flatnonzero(distance >= NEAR_DECIBELS)[: arguments.targets]
        targets = make_folder(arguments.folder / "targets")
        for place in far:
            write_audio(
                targets / f"voice-{asked[place]:05d}.wav", audit.sound(voices.presets[asked[place]]), SAMPLE_RATE
            )
        nearest = {f"voice-{asked[place]:05d}": round(float(distance[place]), 3) for place in far}
        replace_file(arguments.folder / "targets.json", json.dumps(nearest, indent=1))
        print(
            f"targets: {len(far)} of {len(asked)} audited, {(distance < NEAR_DECIBELS).sum()} left out as a voice "
            f"to learn from is within 1 dB; of the others the nearest is {distance[far].min():.2f} dB away at least, "
            f"{np.median(distance[far]):.2f} dB in the median"
        )


if __name__ == "__main__":
    main()
