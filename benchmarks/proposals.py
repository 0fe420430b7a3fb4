"""How near the presets are that proposers draw for voices they have not learned from.

    python benchmarks/proposals.py VOICES PROPOSER … [--voices 40] [--draws 200] [--seed 0]
        [--synth dexed] [--right algorithm --right 'op?_f_coarse' …]

VOICES is a file of presets, such as held-out/voices.npz of split_voices.py; PROPOSER a checkpoint. Each voice is
played at middle C for 2 s of 5 s, and that note is told. Half of the draws are at a temperature of 0.4, half at 0.7;
distances are those that a search goes by. For each parameter or group that is asked for, the share of the values drawn
that are the voice's is told too, and for how many voices any draw has all of them; of voices that sound alike, the
canonical one is compared.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from synthproxy.audio.io import write_audio
from synthproxy.matching.candidates import Bench, presets_of
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.scores import mean_with_interval
from synthproxy.matching.target import Target, read_target
from synthproxy.report.tables import Cell, Table, to_markdown
from synthproxy.synths import Note, Synth, get_synth
from synthproxy.synths.base import KnowsAlike
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers

SECONDS = 5.0
TEMPERATURES = (0.4, 0.7)
FARTHEST = 9.0
"""Distance that a silent draw counts for."""
AUDIBLE = 0.01


def canonical(synth: Synth, presets: Floats) -> Floats:
    """One of the presets that sound like each, (n, free), where the synth knows."""
    return synth.canonical(presets) if isinstance(synth, KnowsAlike) else presets


def targets_of(synth: Synth, voices: Path, count: int, seed: int) -> list[tuple[Floats, Target]]:
    """Audible voices of a file, with their sounds at middle C as targets; of those that sound alike, the canonical."""
    presets = canonical(synth, np.stack([preset.vector for preset in synth.read_presets(voices, Note())]))
    found: list[tuple[Floats, Target]] = []
    with tempfile.TemporaryDirectory() as folder:
        for place in np.random.default_rng(seed).permutation(len(presets)):
            audio = synth.render(presets[place], Note(), SECONDS, SAMPLE_RATE)
            if np.abs(audio).max() > AUDIBLE:
                write_audio(sound := Path(folder) / "voice.wav", audio, SAMPLE_RATE)
                target = read_target(sound, pitch=Note().pitch, duration=Note().duration)
                found.append((presets[place], target))
            if len(found) == count:
                break
    return found


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a target: distances, nearest first, and canonical presets, (n, free)."""

    distances: NDArray[np.float64]
    presets: Floats

    @classmethod
    def by(cls, proposer: TrainedProposer, synth: Synth, target: Target, draws: int, seed: int) -> Drawn:
        with Bench(synth, target.audio) as bench:
            drawn = proposer.propose(synth, proposer.hear(target), draws, TEMPERATURES, np.random.default_rng(seed))
            found = np.asarray([candidate.distance for candidate in bench.score(drawn)])
        return cls(np.sort(np.where(np.isfinite(found), found, FARTHEST)), canonical(synth, presets_of(drawn)))

    def right(self, preset: Floats, columns: list[int]) -> NDArray[np.bool_]:
        """Which of some values are those of a preset: (n, columns)."""
        return np.isclose(self.presets[:, columns], preset[columns], atol=1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("voices", type=Path)
    parser.add_argument("proposers", type=Path, nargs="+", metavar="PROPOSER")
    parser.add_argument("--voices", type=int, default=40, dest="count")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--synth", default="dexed")
    parser.add_argument("--right", action="append", default=[], metavar="PARAMETER")
    arguments = parser.parse_args()
    synth = get_synth(arguments.synth)
    targets = targets_of(synth, arguments.voices, arguments.count, arguments.seed)
    rows: list[tuple[Cell, ...]] = []
    for checkpoint in arguments.proposers:
        proposer = TrainedProposer.load(checkpoint)
        with independent_workers():
            found = [Drawn.by(proposer, synth, target, arguments.draws, arguments.seed) for _, target in targets]
        best = mean_with_interval(np.asarray([drawn.distances[0] for drawn in found]))
        interval = f"{best.interval.low:.3f} to {best.interval.high:.3f}"
        ten = float(np.mean([drawn.distances[:10].mean() for drawn in found]))
        middle = float(np.mean([np.median(drawn.distances) for drawn in found]))
        asked = [synth.space.columns_matching(pattern) for pattern in arguments.right]
        both = list(zip(found, (preset for preset, _ in targets), strict=True))
        right = [float(np.mean([drawn.right(preset, columns).mean() for drawn, preset in both])) for columns in asked]
        if together := sorted({*chain(*asked)}):
            right.append(float(np.mean([drawn.right(preset, together).all(axis=1).any() for drawn, preset in both])))
        rows.append((checkpoint.stem, best.mean, interval, ten, middle, *right))
    title = f"Search distance of {arguments.draws} draws, mean over {len(targets)} voices"
    columns = ("", "nearest", "95 %", "nearest ten", "median", *(f"{pattern} right" for pattern in arguments.right))
    columns += ("all right in a draw",) if arguments.right else ()
    print(to_markdown(Table(title, columns, tuple(rows), best={"nearest": "lowest"})))
    print(describe_machine())


if __name__ == "__main__":
    main()
