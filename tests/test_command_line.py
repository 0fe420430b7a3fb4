"""What the command line promises: its commands, JSON for machines, the folder of a match, and interruption."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dexed
import numpy as np
import pytest
import soundfile

from synthproxy import __version__
from synthproxy.audio.io import read_audio, write_audio
from synthproxy.cli import main
from synthproxy.cli.program import app
from synthproxy.matching.saved_state import FILE_NAME
from synthproxy.synths import NamedPreset, Note, get_synth

RATE = 32_000
COMMANDS = [
    *("audio-models", "convert", "demo", "distance", "embed", "evaluate", "generate", "import", "inspect", "listen"),
    *("match", "merge", "proxies", "rank-audio-models", "render", "report", "synths", "train", "tune"),
]
DISTANCES = {"stft", "mstft", "mel", "mfccd", "a_mean"}
PLUGIN_LEVEL = 0.132
SAME_SOUND = 1e-5
"""Largest difference of samples between two ways to the same sound."""


def tone(seconds: float = 0.3, rate: int = RATE) -> np.ndarray:
    """A decaying tone, (samples,)."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 330 * time) * np.exp(-4 * time)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty current folder with one sound, tone.wav."""
    monkeypatch.chdir(tmp_path)
    write_audio("tone.wav", tone(), RATE)
    return tmp_path


def read_json(outcome) -> object:
    """What a command printed with --json."""
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


# The program


def test_help_lists_every_command(process, folder):
    outcome = process("--help", folder)
    assert outcome.code == 0
    listed = [line.split()[1] for line in outcome.out.splitlines() if line.startswith("│ ")]
    assert set(COMMANDS) <= set(listed)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, command):
    outcome = command(f"{name} --help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: synthproxy {name}")
    arguments = app[name].assemble_argument_collection(parse_docstring=True)
    assert [a.name for a in arguments if not a.parameter.help and a.name != "*"] == []


def test_version(command):
    assert command("--version").out.strip() == __version__


def test_importing_the_command_line_leaves_torch_alone():
    script = (
        "import sys, synthproxy.cli; print([name for name in ('torch', 'zarr', 'matplotlib') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# JSON for machines


def test_synths_json(command):
    rows = {row["name"]: row for row in read_json(command("synths --json"))}
    assert {"dexed", "dexed-paper"} <= set(rows)
    for row in rows.values():
        assert {"name", "free", "numerical", "binary", "categorical", "one_hot_width", "available"} <= set(row)
        if row["available"]:
            assert row["free"] == row["numerical"] + row["binary"] + row["categorical"]
            assert row["one_hot_width"] == get_synth(row["name"]).space.one_hot_width


def test_audio_models_json(command):
    rows = {row["name"]: row for row in read_json(command("audio-models --json"))}
    assert {"mel", "mel128", "mfcc40", "mstft", "mn04", "mn04_mel", "mn04-clip"} <= set(rows)
    assert all({"name", "dimension", "sample_rate", "available"} <= set(row) for row in rows.values())
    assert (rows["mn04"]["dimension"], rows["mn04"]["sample_rate"]) == (192, 32_000)


def test_proxies_json_counts_the_published_parameters(command):
    rows = read_json(command("proxies --synth dexed-paper --audio-model mn04 --json"))
    counts = {row["name"]: row["parameters"] for row in rows}
    assert counts["hn-oh"] == 6_167_232
    assert counts["tfm"] == 4_824_768


@pytest.mark.parametrize("name", ["synths", "audio-models", "proxies --audio-model mel"])
def test_tables_for_people_name_the_same_rows(name, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    rows = read_json(command(f"{name} --json"))
    shown = command(name).out
    assert all(row["name"] in shown for row in rows)


def test_distance_json(command):
    write_audio("other.wav", tone()[::-1].copy(), RATE)
    found = read_json(command("distance other.wav tone.wav --json"))
    assert set(found) == {"raw", "level_matched"}
    for values in found.values():
        assert set(values) == DISTANCES
        assert values["a_mean"] == pytest.approx(np.mean([values[name] for name in DISTANCES - {"a_mean"}]))
        assert values["a_mean"] > 0.1


def test_distance_from_itself_is_nothing(command):
    found = read_json(command("distance tone.wav tone.wav --json"))
    assert {value for form in found.values() for value in form.values()} == {0.0}


def test_level_matched_distance_ignores_a_gain(command):
    write_audio("quiet.wav", tone() * np.float32(0.125), RATE)
    found = read_json(command("distance quiet.wav tone.wav --json"))
    assert found["raw"]["a_mean"] > 0.5
    assert found["level_matched"]["a_mean"] < 1e-5


def test_embed_writes_names_and_embeddings(command):
    write_audio("lärm.wav", tone(0.5), RATE)
    assert command("embed tone.wav lärm.wav --audio-model mfcc40 -o made.npz").code == 0
    with np.load("made.npz", allow_pickle=False) as made:
        assert made["names"].dtype.kind == "U"
        assert made["names"].tolist() == ["tone.wav", "lärm.wav"]
        assert made["embeddings"].shape == (2, 40)
        assert made["embeddings"].dtype == np.float32
        assert np.isfinite(made["embeddings"]).all()


def test_render_plays_each_voice_of_a_bank(command):
    synth = get_synth("dexed")
    presets = synth.space.sample(np.random.default_rng(5), 3)
    synth.write_presets(Path("bank.syx"), [NamedPreset(x, f"voice {i}", "") for i, x in enumerate(presets, 1)])
    note = Note(57, 90, 0.2)
    for number, preset in enumerate(presets, 1):
        line = (
            f"render bank.syx --number {number} --pitch 57 --velocity 90 --duration 0.2 --seconds 0.4 -o {number}.wav"
        )
        outcome = command(line)
        assert outcome.out == f"{number}.wav: voice {number}\n"
        sound = read_audio(f"{number}.wav")
        assert sound.sample_rate == RATE
        np.testing.assert_array_equal(sound.samples, synth.render(preset, note, 0.4, RATE))
    assert command("render bank.syx --number 33 -o none.wav").code == 2


# The folder of a match


@pytest.fixture(scope="module")
def matched(tmp_path_factory) -> Path:
    """The same reproducible match made twice, into the folders 1 and 2."""
    folder = tmp_path_factory.mktemp("matched")
    # Half a second of silence first: it is left out of what is analysed.
    write_audio(folder / "target.wav", np.concatenate([np.zeros(RATE // 2, np.float32), tone(0.4)]), RATE)
    for name in ("1", "2"):
        with pytest.raises(SystemExit) as ending:
            main(f"match {folder}/target.wav --renders 200 --seed 3 --top 2 --out {folder}/{name}".split())
        assert not ending.value.code
    return folder


def test_match_with_renders_is_reproducible(matched):
    for name in ("best.syx", "best.wav", "match-2.syx", "match-2.wav"):
        assert (matched / "1" / name).read_bytes() == (matched / "2" / name).read_bytes(), name


def test_match_folder_holds_what_was_promised_and_nothing_else(matched):
    expected = {"best.syx", "best.wav", "match-2.syx", "match-2.wav", "matches.json", "index.html"}
    assert {path.name for path in (matched / "1").iterdir()} == expected
    assert "target.wav" in (matched / "1" / "index.html").read_text(encoding="utf8")


def test_matches_json(matched):
    content = json.loads((matched / "1" / "matches.json").read_text())
    assert content["target"] == str(matched / "target.wav")
    assert content["seconds"] > 0
    assert len(content["candidates"]) == 2
    for row in content["candidates"]:
        assert {"preset", "wav", "note", "gain", "distances", "origin"} <= set(row)
        assert (matched / "1" / row["preset"]).is_file()
        assert (matched / "1" / row["wav"]).is_file()
        assert set(row["note"]) == {"pitch", "velocity", "seconds"}
        assert row["gain"] > 0
        assert set(row["distances"]["raw"]) == set(row["distances"]["level_matched"]) == DISTANCES
        assert row["origin"] in {"random", "shipped", "proposer", "search", "refinement"}
    first, second = (row["distances"]["search"] for row in content["candidates"])
    assert first <= second


def test_best_preset_played_by_dexed_alone_is_the_best_sound(matched):
    """By the note and gain of matches.json, at the plug-in's level, with nothing of synthproxy in between."""
    content = json.loads((matched / "1" / "matches.json").read_text())
    for row in content["candidates"]:
        message = (matched / "1" / row["preset"]).read_bytes()
        player = dexed.DexedSynth(sample_rate=RATE)
        player.load_patch(dexed.Patch.from_sysex(message[6:161]))
        sound, rate = soundfile.read(matched / "1" / row["wav"], dtype="float32")
        assert rate == RATE
        note = row["note"]
        played = player.render(note["pitch"], note["velocity"], note["seconds"], len(sound) / RATE)
        assert np.abs(sound).max() > 0.01
        np.testing.assert_allclose(played * PLUGIN_LEVEL * row["gain"], sound, rtol=0, atol=SAME_SOUND)


def test_best_sound_has_the_rate_length_and_level_of_the_analysed_target(matched):
    sound, rate = soundfile.read(matched / "1" / "best.wav")
    content = json.loads((matched / "1" / "matches.json").read_text())
    assert (rate, sound.ndim) == (RATE, 1)
    assert len(sound) == round(content["target_seconds"] * RATE)
    assert content["target_seconds"] == pytest.approx(0.4, abs=0.001)
    assert content["target_start"] == pytest.approx(0.5, abs=0.001)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(np.sqrt(np.mean(tone(0.4) ** 2)), rel=0.01)


def test_match_json_is_the_file_it_writes(command, folder):
    printed = read_json(
        command("match tone.wav --renders 1 --pitch 71 --duration 0.123 --velocity 80 --out made --json")
    )
    assert printed == json.loads((folder / "made" / "matches.json").read_text())
    # A single render ends with the first proposals, before any search: every note is the one that was given.
    assert {row["origin"] for row in printed["candidates"]} == {"shipped", "proposer"}
    assert all(row["note"] == {"pitch": 71, "velocity": 80, "seconds": 0.123} for row in printed["candidates"])


def _wave(name: str, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> str:
    soundfile.write(name, samples, rate, subtype=subtype)
    return name


TARGETS = {
    "stereo": lambda: _wave("target.wav", np.stack([tone(), 0.5 * tone()], axis=1)),
    "8 kHz": lambda: _wave("target.wav", tone(rate=8000), 8000),
    "44.1 kHz": lambda: _wave("target.wav", tone(rate=44_100), 44_100),
    "FLAC": lambda: _wave("target.flac", tone(), subtype="PCM_16"),
    "clipped": lambda: _wave("target.wav", np.clip(20 * tone(), -1, 1)),
    "DC offset": lambda: _wave("target.wav", tone() + 0.3),
    "24 bit": lambda: _wave("target.wav", tone(), subtype="PCM_24"),
    "10 ms": lambda: _wave("target.wav", tone(0.01)),
    "-60 dB": lambda: _wave("target.wav", 0.001 * tone() / np.abs(tone()).max()),
    "name with blanks": lambda: _wave("a ré.wav", tone()),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_sounds_of_every_kind_are_matched(kind, command, folder):
    name = TARGETS[kind]()
    outcome = command(f"match '{name}' --renders 40 --top 1 --out made")
    assert (outcome.code, outcome.err) == (0, "")
    assert {path.name for path in (folder / "made").iterdir()} == {"best.syx", "best.wav", "matches.json", "index.html"}
    best = json.loads(Path("made", "matches.json").read_text())["candidates"][0]
    assert np.isfinite([best["gain"], *best["distances"]["level_matched"].values()]).all()
    sound = read_audio("made/best.wav", RATE).samples
    target = read_audio(name, RATE).samples
    assert len(sound) == len(target)
    assert np.any(sound)


# Interruption

RENDERS = 300


def used_so_far(folder: Path) -> float:
    """Part of the budget that the state of an interrupted match says is used."""
    with np.load(folder / FILE_NAME) as state:
        return float(state["used"])


def assert_results(folder: Path) -> dict:
    assert {"best.syx", "best.wav", "matches.json", "index.html"} <= {path.name for path in folder.iterdir()}
    return json.loads((folder / "matches.json").read_text())


def assert_continues(line: str, command, folder: Path) -> None:
    """The same command spends only the rest of the budget, and removes the state."""
    used = used_so_far(folder)
    assert 0 < used < 1
    outcome = command(line)
    assert outcome.code == 0, outcome.err
    # Renders are counted over both runs; at most a batch of moves, with some taken together, goes beyond.
    assert assert_results(folder)["renders"] <= RENDERS + 36
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_ctrl_c_keeps_the_best_and_the_same_command_continues(command, folder):
    made = folder / "made"

    def interrupt() -> None:
        # The folder is made once signals are listened to.
        while not made.is_dir():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    line = f"match tone.wav --renders {RENDERS} --top 1 --out made"
    threading.Thread(target=interrupt, daemon=True).start()
    outcome = command(line)
    assert outcome.code == 0
    assert "made/best.syx" in outcome.out
    assert assert_results(made)["renders"] < RENDERS
    assert_continues(line, command, made)


def test_process_that_gets_ctrl_c_ends_long_before_its_time(start_process, folder):
    made = folder / "made"
    with start_process("match tone.wav --seconds 600 --top 1 --out made", folder) as running:
        try:
            while not made.is_dir() and running.poll() is None:
                time.sleep(0.05)
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=120)
        finally:
            running.kill()
    assert (running.returncode, err) == (0, "")
    assert_results(made)
    assert 0 < used_so_far(made) < 0.5


def test_match_that_was_killed_continues(command, folder):
    line = f"match tone.wav --renders {RENDERS} --top 1 --out made"
    # As the command does, but with the state saved at every step instead of every few seconds.
    script = (
        "import synthproxy.report.match_folder as m; from synthproxy.cli import main; m.SAVE_EVERY_SECONDS = 0.0; "
        f"main({line.split()!r})"
    )
    state = folder / "made" / FILE_NAME
    with subprocess.Popen([sys.executable, "-c", script], cwd=folder, stdout=subprocess.DEVNULL) as running:
        while not state.exists() and running.poll() is None:
            time.sleep(0.005)
        running.kill()
    assert running.returncode == -signal.SIGKILL
    # What was being written when it was killed.
    for unfinished in (folder / "made").glob(f".{Path(FILE_NAME).stem}.*"):
        unfinished.unlink()
    assert_continues(line, command, folder / "made")
