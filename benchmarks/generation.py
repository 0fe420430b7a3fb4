"""Speed and memory of making a corpus, against its parts alone.

    python benchmarks/generation.py

Rendering alone draws, screens and renders until enough presets are audible; embedding alone embeds ready clips; the
whole does both and writes. All use the same threads, in turns, so that a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rich
from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Rendering, generate
from synthproxy.corpus.generate import BATCH, embed_batch
from synthproxy.corpus.sampling import draw_audible
from synthproxy.report.tables import Table, to_terminal
from synthproxy.synths import get_synth
from synthproxy.workers import independent_workers

SYNTH = "dexed-paper"
MODELS = ("mel", "mn04-clip")
ROUNDS = 3
ITEMS = 1024  # Two shards: one for each core.
SIZES = (1024, 4096)


def in_threads(work: Callable[[int], object], count: int) -> float:
    """Seconds that a number of pieces of work take on all cores."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, range(count)))
    return time.perf_counter() - begun


def measure(name: str) -> tuple[float, float, float]:
    """Median presets/s of rendering alone, embedding alone and the whole."""
    synth, model, rendering = get_synth(SYNTH), get_audio_model(name), Rendering()
    clips = draw_audible(synth, rendering, model.sample_rate, 0, range(BATCH)).audio
    rates: list[tuple[float, float, float]] = []
    for number in range(ROUNDS + 1):

        def draw(batch: int, number: int = number) -> object:
            items = range(batch * BATCH, (batch + 1) * BATCH)
            return draw_audible(synth, rendering, model.sample_rate, number, items)

        rendering_alone = in_threads(draw, ITEMS // BATCH)
        embedding_alone = in_threads(lambda _: embed_batch(model, clips), ITEMS // BATCH)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            generate(Path(folder) / "corpus", synth, model, size=ITEMS, seed=number)
            whole = time.perf_counter() - begun
        if number:  # The first round warms up.
            rates.append((ITEMS / rendering_alone, ITEMS / embedding_alone, ITEMS / whole))
    rendered, embedded, made = (statistics.median(column) for column in zip(*rates, strict=True))
    return rendered, embedded, made


def peak_memory(size: int) -> float:
    """Peak memory of a fresh process that makes a corpus, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", str(size), str(Path(folder) / "corpus")]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    """Print both tables."""
    if sys.argv[1:2] == ["--one"]:
        generate(Path(sys.argv[3]), get_synth(SYNTH), get_audio_model("mel"), size=int(sys.argv[2]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    rows = []
    for name in MODELS:
        with independent_workers():
            rendered, embedded, made = measure(name)
        limit = 1 / (1 / rendered + 1 / embedded)
        rows.append((name, rendered, embedded, limit, made, f"{made / limit:.0%}"))
    columns = ("audio model", "rendering alone", "embedding alone", "limit of both", "whole", "of the limit")
    caption = f"Presets/s, median of {ROUNDS} rounds of {ITEMS:,} audible {SYNTH} presets of 5 s. {describe_machine()}"
    rich.print(to_terminal(Table("Generation", columns, tuple(rows), caption)))
    memory = tuple((size, peak_memory(size)) for size in SIZES)
    rich.print(to_terminal(Table("Peak memory", ("presets", "MB"), memory, "One fresh process each, audio model mel.")))
    np.testing.assert_array_less(memory[-1][1], 1.1 * memory[0][1] + 50)


if __name__ == "__main__":
    main()
