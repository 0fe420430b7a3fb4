"""Two processes train a transformer as one does.

    python benchmarks/processes.py FOLDER [--presets 8192] [--epochs 12]

Makes a small corpus in FOLDER, trains the laptop size of ``tfm`` there with three seeds in one process each, and with
the first seed in two, and compares the last checkpoints: the difference must lie within two deviations of the seeds.
All of it can be resumed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import generate
from synthproxy.progress import counting
from synthproxy.proxies.run_summary import read_run
from synthproxy.report.tables import Table, to_markdown
from synthproxy.synths import get_synth

RECIPE = Path(__file__).parent.parent / "recipes" / "dexed-paper" / "tfm-laptop.toml"
SEEDS = (42, 43, 44)


def train(folder: Path, epochs: int, seed: int, processes: int) -> tuple[float, float]:
    """MRR and L1 of the last validation."""
    run = folder / f"{processes}-{seed}"
    settings = {
        "corpus.train": f'"{folder}/train"',
        "corpus.validation": f'"{folder}/validation"',
        "training.batch_size": 64,
        "training.epochs": epochs,
        "training.seed": seed,
        "machine.devices": processes,
        "machine.threads": 2 // processes,
    }
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    subprocess.run(["synthproxy", "train", str(RECIPE), "--out", str(run), *changes], check=True, stdout=sys.stderr)
    summary = read_run(run)
    scores = summary.last("mrr"), summary.last("l1")
    assert None not in scores
    return scores  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--presets", type=int, default=8_192)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    synth, model = get_synth("dexed-paper"), get_audio_model("mel")
    for seed, (name, size) in enumerate((("train", arguments.presets), ("validation", 2_048)), 1):
        with counting(name, size) as progress:
            generate(arguments.folder / name, synth, model, size=size, seed=seed, progress=progress)
    alone = np.asarray([train(arguments.folder, arguments.epochs, seed, 1) for seed in SEEDS])
    together = np.asarray(train(arguments.folder, arguments.epochs, SEEDS[0], 2))
    deviation = alone.std(axis=0, ddof=1)
    rows: list[tuple[str, float, float]] = [
        (f"1 process, seed {seed}", *scores) for seed, scores in zip(SEEDS, alone.tolist(), strict=True)
    ]
    rows += [(f"2 processes, seed {SEEDS[0]}", *together.tolist()), ("deviation of seeds", *deviation.tolist())]
    rows += [("2 processes − 1, in deviations", *((together - alone[0]) / deviation).tolist())]
    print(to_markdown(Table(f"tfm, laptop size, {arguments.presets:,} presets", ("", "MRR", "L1"), tuple(rows))))
    print(describe_machine())
    if (np.abs(together - alone[0]) > 2 * deviation).any():
        raise SystemExit("two processes differ from one by more than two deviations of the seeds")


if __name__ == "__main__":
    main()
