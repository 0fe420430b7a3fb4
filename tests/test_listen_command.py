"""The command that sets folders of sounds side by side."""

import json
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.io import write_audio

RATE = 32_000
VOICES = {"low": 220.0, "high": 440.0}


def tone(hertz: float) -> np.ndarray:
    time = np.arange(RATE // 4) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time) * np.exp(-6 * time)).astype(np.float32)


@pytest.fixture(autouse=True)
def _folders(tmp_path, monkeypatch):
    """Targets, a system's sounds, and matches as `match` leaves them, one for each target."""
    monkeypatch.chdir(tmp_path)
    for name, hertz in VOICES.items():
        for folder in ("targets", "system", f"matches/{name}"):
            Path(folder).mkdir(parents=True, exist_ok=True)
        write_audio(f"targets/{name}.wav", tone(hertz), RATE)
        write_audio(f"system/{name}.wav", tone(1.5 * hertz), RATE)
        write_audio(f"matches/{name}/best.wav", 0.5 * tone(hertz), RATE)
        write_audio(f"matches/{name}/match-2.wav", tone(3 * hertz), RATE)
        Path(f"matches/{name}/matches.json").write_text("{}")


def test_folders_and_the_best_of_matches_are_set_side_by_side(command):
    outcome = command("listen target=targets theirs=system ours=matches --out page --title 'Two & more' --json")
    assert outcome.code == 0, outcome.err
    rows = {row["system"]: row for row in json.loads(outcome.out)}
    assert list(rows) == ["theirs", "ours"]
    assert [row["sounds"] for row in rows.values()] == [2, 2]
    assert rows["ours"]["a_mean"] == pytest.approx(0, abs=1e-3)
    assert rows["theirs"]["a_mean"] > 1
    assert len(list(Path("page/sounds").glob("*.flac"))) == 6
    assert "Two &amp; more" in Path("page/index.html").read_text(encoding="utf8")


def test_people_are_told_where_to_listen(command):
    assert "page/index.html" in command("listen target=targets theirs=system --out page").out


MISTAKES = [
    ("targets theirs=system", "'targets': give a name and a folder"),
    ("=targets theirs=system", "'=targets': give a name and a folder"),
    ("target= theirs=system", "'target=': give a name and a folder"),
    ("target=targets theirs=system theirs=matches", "theirs is system already"),
    ("target=targets theirs=nowhere", "nowhere: there is no such folder"),
    ("target=nowhere theirs=system", "nowhere: there is no such folder"),
    ("target=targets", "at least one system, got 1"),
    ("target=targets theirs=matches/low", "no sound of any of the 2 targets"),
]


@pytest.mark.parametrize(("folders", "words"), MISTAKES)
def test_mistakes_end_in_one_line(folders, words, command):
    outcome = command(f"listen {folders} --out made")
    assert outcome.code == 2
    assert not outcome.out
    assert len(outcome.err.strip().splitlines()) == 1
    assert words in outcome.err
    assert not Path("made").exists()
