"""A run that is killed or interrupted at any moment loses only unfinished shards, and ends in the same corpus."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from synthproxy.audio.base import AudioModel
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.errors import InvalidInputError
from synthproxy.synths import Synth

SEED = 7  # Of the fixture ``whole``.
PATIENCE = 120.0
POLL = 0.02
INTERRUPTED = "synthproxy: interrupted; what is finished is kept, the same command continues\n"

HANG = """
import asyncio, os, signal, threading
from zarr.core.sync import sync
from synthproxy.cli import program

async def work() -> None:
    await asyncio.gather(*(asyncio.sleep(60) for _ in range(3)))

@program.app.command
def hang() -> None:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    sync(work())

program.main(["hang"])
"""


def start(path: Path, size: int, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "synthproxy.cli", "generate", "--synth", "dexed-paper", "--audio-model", "mel"]
    command += ["--size", str(size), "--seed", str(SEED), "--out", str(path), "--workers", str(workers)]
    command += ["--seconds", "0.2", "--duration", "0.1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def done(path: Path) -> int:
    """Finished shards, -1 before there is a corpus."""
    if not path.exists():
        return -1
    corpus = Corpus.open(path, partial=True)
    return corpus.info.shards - len(corpus.missing_shards())


def until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + PATIENCE
    while not holds():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(POLL)


def stop(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str]:
    process.send_signal(by)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def assert_equal(part: Corpus, whole: Corpus) -> None:
    for column in ("presets", "embeddings", "attempts"):
        np.testing.assert_array_equal(getattr(part, column)(), getattr(whole, column)()[: len(part)], strict=True)


def test_run_killed_three_times_ends_in_the_corpus_of_an_uninterrupted_one(
    tmp_path: Path, whole: Corpus, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    path = tmp_path / "killed"
    size = len(whole)
    moments = np.random.default_rng()
    for shards, longest_wait in ((0, 0.4), (0, 0.3), (1, 0.05)):
        process = start(path, size, workers=1)
        if shards == 0 and done(path) == 0:  # Begun before: the folder does not tell that this run has begun.
            files = sum(1 for _ in path.rglob("*"))
            until(lambda before=files: sum(1 for _ in path.rglob("*")) > before, process)
        until(lambda needed=shards: done(path) >= needed, process)
        time.sleep(moments.uniform(0.0, longest_wait))
        code, _ = stop(process, signal.SIGKILL)
        assert code == -signal.SIGKILL
        kept = done(path)
        assert kept >= shards
        assert_equal(Corpus.open(path, partial=True), whole)
        with pytest.raises(InvalidInputError, match=f"unfinished, {3 - kept} of 3 shards are missing"):
            Corpus.open(path)
    left = size - len(Corpus.open(path, partial=True))
    result = generate(path, synth, model, size=size, seed=SEED, rendering=rendering, workers=2)
    assert result.made == left
    corpus = Corpus.open(path)
    assert len(corpus) == size
    assert_equal(corpus, whole)
    assert [p.name for p in tmp_path.iterdir()] == ["killed"]


def test_ctrl_c_ends_with_one_line_and_code_130_and_the_same_command_continues(
    tmp_path: Path, whole: Corpus, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    path = tmp_path / "interrupted"
    size = len(whole)  # Several shards for one worker: seconds of work, so that the signal comes long before its end.
    process = start(path, size, workers=1)
    until(path.exists, process)  # Opening it to look inside could take as long as the work does on a busy machine.
    code, errors = stop(process, signal.SIGINT)
    assert code == 130
    assert errors == INTERRUPTED
    left = size - len(Corpus.open(path, partial=True))
    assert left > 0
    assert generate(path, synth, model, size=size, seed=SEED, rendering=rendering).made == left
    assert_equal(Corpus.open(path), whole)


def test_ctrl_c_in_the_middle_of_a_write_ends_with_one_line() -> None:
    """Zarr writes in an event loop of its own, which dies with what it was asked for."""
    ended = subprocess.run([sys.executable, "-c", HANG], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (130, INTERRUPTED)


def test_half_written_shard_is_made_again(
    tmp_path: Path, whole: Corpus, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    """A process that dies between the arrays and the mark leaves anything behind; only the mark counts."""
    path = tmp_path / "half"
    generate(path, synth, model, size=40, seed=SEED, rendering=rendering)
    group = zarr.open_group(path)
    group["embeddings"][:] = np.float32(3)
    group["attempts"][:20] = 0
    group["done"][0] = 0
    with pytest.raises(InvalidInputError, match="unfinished"):
        Corpus.open(path)
    assert len(Corpus.open(path, partial=True)) == 0
    assert generate(path, synth, model, size=40, seed=SEED, rendering=rendering).made == 40
    assert_equal(Corpus.open(path), whole)
