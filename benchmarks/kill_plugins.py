"""A corpus of a plug-in whose processes are killed at random moments equals one that was left in peace, to the bit.

    python benchmarks/kill_plugins.py

2,000 presets of amsynth with clips of 5 s; every second or so one of the plug-in's processes, or a copy of one in the
middle of a render, is killed with SIGKILL.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, generate
from synthproxy.synths import get_synth

SIZE = 2_000
PAUSE = (0.5, 2.0)


def plugin_processes() -> list[int]:
    """Processes of plug-ins, and the copies that they have forked."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"synthproxy.synths.plugin_host" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def main() -> None:
    """Make one in peace and one under fire, and compare."""
    model, chance = get_audio_model("mel"), random.Random(7)
    stop, kills = threading.Event(), []

    def kill() -> None:
        while not stop.wait(chance.uniform(*PAUSE)):
            running = plugin_processes()
            if running:
                pid = chance.choice(running)
                try:
                    os.kill(pid, signal.SIGKILL)
                    kills.append(pid)
                except ProcessLookupError:
                    continue

    with tempfile.TemporaryDirectory() as folder:
        calm, harried = Path(folder) / "calm", Path(folder) / "harried"
        begun = time.monotonic()
        generate(calm, get_synth("amsynth"), model, size=SIZE, seed=9)
        in_peace = time.monotonic() - begun
        killer = threading.Thread(target=kill)
        killer.start()
        begun = time.monotonic()
        result = generate(harried, get_synth("amsynth"), model, size=SIZE, seed=9)
        under_fire = time.monotonic() - begun
        stop.set()
        killer.join()
        one, other = Corpus.open(calm), Corpus.open(harried)
        assert len(one) == len(other) == SIZE
        for column in ("presets", "embeddings", "attempts"):
            np.testing.assert_array_equal(getattr(one, column)(), getattr(other, column)())
    print(
        f"{len(kills)} processes killed in {under_fire:.0f} s ({in_peace:.0f} s in peace): {SIZE:,} items equal to the "
        f"bit, {result.failed} presets failed"
    )
    print(describe_machine())


if __name__ == "__main__":
    main()
