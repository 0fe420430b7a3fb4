"""What of a preset a match lacks: how near it comes when it is told parts of the right one.

    python benchmarks/known_parts.py VOICES [--voices 12] [--renders 4000] [--seed 0]

VOICES is a file of DX7 voices, such as held-out/voices.npz of split_voices.py. Each is played at middle C for 2 s of
5 s, and that note is told. What is known is locked, as by ``--lock``: the proposer draws the rest to go with it, and no
stage moves it. Nothing else is used that is not shipped; the presets that ship are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray
from proposals import targets_of

from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.match import match
from synthproxy.matching.propose import Sources
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.scores import mean_with_interval
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.shipped import shipped_proposer
from synthproxy.report.tables import Cell, Table, to_markdown
from synthproxy.synths import get_synth

RATIOS, DETUNING = ("op?_mode", "op?_f_coarse", "op?_f_fine", "transpose"), ("op?_detune",)
FREQUENCIES = (*RATIOS, *DETUNING)
KNOWN: Mapping[str, Sequence[str]] = {
    "nothing": (),
    "algorithm": ("algorithm",),
    "detuning": DETUNING,
    "frequencies without detuning": RATIOS,
    "frequencies": FREQUENCIES,
    "algorithm and frequencies": ("algorithm", *FREQUENCIES),
    "output levels": ("op?_output_level",),
    "envelopes": ("op?_eg_rate_?", "op?_eg_level_?"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("voices", type=Path)
    parser.add_argument("--voices", type=int, default=12, dest="count")
    parser.add_argument("--renders", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    synth = get_synth("dexed")
    checkpoint = shipped_proposer(synth)
    assert checkpoint is not None
    sources = Sources(proposer=TrainedProposer.load(checkpoint))
    voices = targets_of(synth, arguments.voices, arguments.count, arguments.seed)
    found: dict[str, NDArray[np.float64]] = {}
    for known, lock in KNOWN.items():
        distances = []
        for preset, target in voices:
            bounds = Bounds.of(synth.space, preset, lock=lock)
            result = match(
                synth,
                target,
                Budget(renders=arguments.renders),
                sources=sources,
                settings=MatchSettings(top=1, seed=arguments.seed),
                bounds=bounds,
            )
            distances.append(result.matches[0].level_matched.a_mean)
            print(f"{known}: {distances[-1]:.3f}", flush=True)
        found[known] = np.asarray(distances)
    rows: list[tuple[Cell, ...]] = []
    for known, of_voices in found.items():
        mean, nearer = mean_with_interval(of_voices), mean_with_interval(found["nothing"] - of_voices)
        rows.append(
            (
                known,
                mean.mean,
                f"{mean.interval.low:.3f} to {mean.interval.high:.3f}",
                float(np.median(of_voices)),
                f"{nearer.mean:.3f} ({nearer.interval.low:.3f} to {nearer.interval.high:.3f})",
                int((of_voices < found["nothing"]).sum()),
            )
        )
    title = f"a_mean of {arguments.count} voices, {arguments.renders} renders, when so much is known"
    columns = ("", "a_mean", "95 %", "median", "nearer by", "nearer for")
    print(to_markdown(Table(title, columns, tuple(rows))))
    print(describe_machine())


if __name__ == "__main__":
    main()
