"""A corpus that is made under ``kill -9`` equals one that was left in peace, to the bit.

python benchmarks/kill.py
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from synthproxy.corpus import Corpus

KILLS = 10
SIZE = 20_480
STARTING = 1.0
COMMAND = ["generate", "--synth", "dexed-paper", "--audio-model", "mel", "--size", str(SIZE)]
COMMAND += ["--seconds", "0.3", "--duration", "0.2", "--seed", "3", "--out"]


def start(path: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start making the corpus."""
    return subprocess.Popen([sys.executable, "-m", "synthproxy.cli", *COMMAND, str(path), *more])


def main() -> None:
    """Kill, resume, compare."""
    chance = random.Random(11)
    with tempfile.TemporaryDirectory() as folder:
        calm, harried = Path(folder) / "calm", Path(folder) / "harried"
        begun = time.monotonic()
        assert start(calm, "--workers", "1").wait() == 0
        whole = (time.monotonic() - begun) / 2
        kills = 0
        while kills < KILLS:
            process = start(harried)
            while process.poll() is None and not harried.exists():
                time.sleep(0.05)
            time.sleep(STARTING + chance.uniform(0, whole / 6))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            process.wait()
            if harried.exists():
                partial = Corpus.open(harried, partial=True)
                left = len(partial.missing_shards())
                print(f"kill {kills}: {partial.info.shards - left} of {partial.info.shards} shards are done")
                if not left:
                    break
        assert start(harried).wait() == 0
        one, other = Corpus.open(calm), Corpus.open(harried)
        assert len(one) == len(other) == SIZE
        for column in ("presets", "embeddings", "attempts"):
            np.testing.assert_array_equal(getattr(one, column)(), getattr(other, column)())
        print(f"{kills} kills, 1 worker against 2: {len(one):,} items equal to the bit")


if __name__ == "__main__":
    main()
