"""The wheel: installed from it, without network, a match finds all that it needs."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.io import write_audio

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 25e6
"""Bytes of the wheel."""
ONE_VOICE = 163
"""Bytes of a .syx file of one voice."""


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Standard output of a process, which must end well."""
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, folder=ROOT)
    return next(folder.glob("synthproxy-*.whl"))


def without_network() -> list[str]:
    """What a command is put behind to have no network, where this machine can do that."""
    isolated = ["unshare", "--map-root-user", "--net"]
    able = shutil.which("unshare") and subprocess.run([*isolated, "true"], capture_output=True).returncode == 0
    return isolated if able else []


def test_it_holds_code_what_we_ship_and_nothing_of_other_people(wheel):
    assert wheel.stat().st_size < LARGEST
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert {name.suffix for name in names if "dist-info" not in name.parts[0]} <= {
        *(".py", ".typed", ".md", ".safetensors", ".syx"),
        *(".json", ".toml", ".css", ".js", ".html", ".svg"),
    }
    shipped = [name.name for name in names if name.parent == Path("synthproxy/shipped")]
    assert sorted(shipped) == [
        "README.md",
        "amsynth-proposer.safetensors",
        "dexed-bank.syx",
        "dexed-proposer.safetensors",
    ]


def test_a_sound_is_matched_from_the_wheel_alone(wheel, tmp_path):
    installed, folder = tmp_path / "installed", tmp_path / "empty"
    folder.mkdir()
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", installed, wheel)
    run(*pip, folder=tmp_path)
    time = np.arange(32_000) / 32_000
    sound = 0.3 * np.exp(-3 * time) * np.sin(2 * np.pi * 220 * time + 2 * np.sin(2 * np.pi * 440 * time))
    write_audio(folder / "sound.wav", sound.astype(np.float32), 32_000)

    environment = {"PYTHONPATH": str(installed), "HOME": str(folder), "SYNTHPROXY_SHARED": ""}
    where = run(sys.executable, "-c", "import synthproxy; print(synthproxy.__file__)", folder=folder, **environment)
    assert Path(where.strip()).is_relative_to(installed)
    command = (*without_network(), installed / "bin" / "synthproxy", "match", "sound.wav", "--renders", "200")
    run(*command, "--out", "found", folder=folder, **environment)

    assert json.loads((folder / "found" / "matches.json").read_text())["candidates"]
    assert (folder / "found" / "best.syx").stat().st_size == ONE_VOICE
