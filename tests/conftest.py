"""Fixtures that several rooms' tests share."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from synthproxy.cli import main

SHARED_VARIABLE = "SYNTHPROXY_SHARED"


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Folder with real weights, reference values and sounds that are too large for the repository.

    ``$SYNTHPROXY_SHARED``, or ``../shared`` beside the checkout; without either the test is skipped.
    """
    named = os.environ.get(SHARED_VARIABLE)
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip(f"no shared folder at {folder}: set {SHARED_VARIABLE} to the folder that holds weights/ and data/")
    return folder


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Outcome]:
    """Run a command line, as it is typed after ``synthproxy``, in this process."""

    def run(line: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main(shlex.split(line))
        out, err = capsys.readouterr()
        return Outcome(int(ending.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def start_process() -> Callable[..., "subprocess.Popen[str]"]:
    """Start a command line in a process of its own, in a folder, with additions to the environment."""

    def start(line: str, folder: Path, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "synthproxy.cli", *shlex.split(line)],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def process(start_process: Callable[..., "subprocess.Popen[str]"]) -> Callable[..., Outcome]:
    """Run a command line in a process of its own to its end."""

    def run(line: str, folder: Path, environment: Mapping[str, str] | None = None) -> Outcome:
        with start_process(line, folder, environment) as running:
            out, err = running.communicate(timeout=120)
        return Outcome(running.returncode, out, err)

    return run
