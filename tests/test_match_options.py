"""What musicians ask of a match on the command line: locks, a start, several notes, banks, and what mattered."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.io import read_audio, write_audio
from synthproxy.cli.program import app
from synthproxy.matching.saved_state import FILE_NAME
from synthproxy.synths import NamedPreset, Note, get_synth
from synthproxy.synths.registry import describe_synths

RATE = 32_000
LENGTH = 0.3
PITCHES = (48, 60)


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


@pytest.fixture(scope="module")
def voices(synth):
    """Three presets that are loud, the loudest first."""
    drawn = synth.space.sample(np.random.default_rng(21), 300)
    order = np.argsort(-synth.loudness_bound(drawn, Note(60, 100, LENGTH), 0.5, RATE))[:3]
    return [NamedPreset(drawn[i], f"VOICE {i}", "") for i in order]


@pytest.fixture
def folder(tmp_path, monkeypatch, synth, voices):
    """Two notes of one preset, low.wav and high.wav, and a file of the others: my.syx."""
    monkeypatch.chdir(tmp_path)
    for name, pitch in zip(("low", "high"), PITCHES, strict=True):
        write_audio(f"{name}.wav", synth.render(voices[0].vector, Note(pitch, 100, LENGTH), 0.5, RATE), RATE)
    synth.write_presets(Path("my.syx"), voices[1:])
    return tmp_path


def contents(place: str) -> dict:
    return json.loads(Path(place, "matches.json").read_text())


@pytest.mark.parametrize("name", ["bank", "collect"])
def test_the_new_commands_explain_themselves(name, command):
    outcome = command(f"{name} --help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: synthproxy {name}")
    arguments = app[name].assemble_argument_collection(parse_docstring=True)
    assert [a.name for a in arguments if not a.parameter.help and a.name != "*"] == []


# Locks, and a preset to start from


@pytest.mark.usefixtures("folder")
def test_locked_groups_have_the_values_of_the_start_in_every_preset(command, synth, voices):
    options = "--start my.syx --start-number 2 --lock operators.3 --lock lfo"
    outcome = command(f"match high.wav --pitch 60 {options} --renders 200 --out made")
    assert outcome.code == 0, outcome.err
    made = contents("made")
    start = synth.space.to_names(voices[2].vector)
    expected = {p.name for p in synth.space.free if p.group in ("operators.3", "lfo")}
    assert set(made["locked"]) == expected
    assert made["start"] == {"preset": "my.syx", "number": 2, "name": voices[2].name, "near": 1.0}
    for row in made["candidates"]:
        assert {name: row["parameters"][name] for name in expected} == {name: start[name] for name in expected}
        (written,) = synth.read_presets(Path("made", row["preset"]))
        assert {n: v for n, v in synth.space.to_names(written.vector).items() if n in expected} == {
            name: start[name] for name in expected
        }


@pytest.mark.usefixtures("folder")
def test_a_match_near_its_start_repeats_and_says_so(command, synth, voices):
    for name in ("1", "2"):
        assert command(f"match high.wav --start my.syx --near 0.1 --renders 150 --top 2 --out {name}").code == 0
    assert Path("1/best.syx").read_bytes() == Path("2/best.syx").read_bytes()
    assert Path("1/best.wav").read_bytes() == Path("2/best.wav").read_bytes()
    assert contents("1")["start"]["near"] == 0.1
    (best,) = synth.read_presets(Path("1/best.syx"))
    assert np.abs(best.vector - voices[1].vector).max() <= 0.1 + 1e-6


MISTAKES = [
    ("match high.wav --lock operators.9 --out made", ["no parameter or group", "operators.9"]),
    ("match high.wav --near 0.5 --out made", ["--near", "--start"]),
    ("match high.wav --start my.syx --near 2 --out made", ["--near", "up to 1", "2"]),
    ("match high.wav --start none.syx --out made", ["none.syx", "cannot be read"]),
    ("match high.wav --start my.syx --start-number 33 --out made", ["my.syx", "32 presets", "33"]),
    ("match low.wav high.wav --pitch 60 --out made", ["--pitch", "2 sounds", "got 1"]),
    ("match low.wav missing.wav --out made", ["missing.wav"]),
    ("bank my.syx --pitch 60 --pitch 60 --out made", ["--pitch", "different"]),
    ("bank none.syx --out made", ["none.syx"]),
    ("collect . --out made.syx", ["no match in this folder"]),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_mistakes_end_in_one_line(line, words, command, folder):
    before = sorted(path.name for path in folder.iterdir())
    outcome = command(line + " --renders 40" * line.startswith("match"))
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert all(word in outcome.err for word in words), outcome.err
    assert sorted(path.name for path in folder.iterdir()) == before


# Several notes


@pytest.mark.usefixtures("folder")
def test_every_note_has_its_sound_distance_and_place_on_the_page(command, synth):
    outcome = command("match low.wav high.wav --pitch 48 --pitch 60 --duration 0.3 --renders 300 --top 2 --out made")
    assert outcome.code == 0, outcome.err
    made = contents("made")
    page = Path("made/index.html").read_text(encoding="utf8")
    assert page.count('<section class="comparison') == 2
    assert all(f">{name}.wav</h3>" in page for name in ("low", "high"))
    for row in made["candidates"]:
        assert [note["target"] for note in row["notes"]] == ["low.wav", "high.wav"]
        assert [note["note"]["pitch"] for note in row["notes"]] == list(PITCHES)
        assert (row["wav"], row["note"], row["gain"]) == tuple(row["notes"][0][key] for key in ("wav", "note", "gain"))
        each = [note["distances"]["level_matched"]["a_mean"] for note in row["notes"]]
        assert row["distances"]["level_matched"]["a_mean"] == pytest.approx(np.mean(each))
        (preset,) = synth.read_presets(Path("made", row["preset"]))
        for note in row["notes"]:
            played = synth.render(preset.vector, Note(*note["note"].values()), 0.5, RATE) * note["gain"]
            np.testing.assert_allclose(read_audio(Path("made", note["wav"])).samples, played, atol=1e-5)
    assert Path("made/best-note-2.wav").exists()


def test_an_interrupted_match_of_several_notes_with_locks_goes_on(command, folder):
    made = folder / "made"

    def interrupt() -> None:
        while not made.is_dir():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    line = "match low.wav high.wav --start my.syx --lock lfo --renders 600 --top 1 --out made"
    threading.Thread(target=interrupt, daemon=True).start()
    assert command(line).code == 0
    first = contents("made")
    assert first["renders"] < 600
    assert (made / FILE_NAME).exists()
    assert command(line).code == 0
    second = contents("made")
    assert 550 < second["renders"] < 750
    assert second["candidates"][0]["distances"]["search"] <= first["candidates"][0]["distances"]["search"]
    assert not (made / FILE_NAME).exists()


# What mattered


@pytest.mark.usefixtures("folder")
def test_what_mattered_is_told_in_words_and_percent(command):
    outcome = command("match high.wav --start my.syx --renders 100 --top 1 --out made")
    mattered = contents("made")["mattered"]
    assert mattered["words"]
    assert mattered["words"] in outcome.out
    assert mattered["words"] in Path("made/index.html").read_text(encoding="utf8")
    percents = [part["percent"] for part in mattered["parts"]]
    assert percents == sorted(percents, reverse=True)
    assert 80 < sum(percents) <= 101
    assert 0 < mattered["renders"] <= 120
    assert all(part["part"] and part["parameters"] for part in mattered["parts"])


# Banks


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", ["--bank", "--corpus"])
def test_own_presets_become_a_bank_that_matches_retrieve_from(option, command, synth, voices):
    synth.write_presets(Path("own.syx"), voices)
    outcome = command("bank own.syx --synth dexed --out bank")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("\n") == 1
    assert outcome.out.startswith("bank: 32 presets, of these ")
    assert "heard at pitch 36" in outcome.out
    told = json.loads(command("bank own.syx --out bank --json").out)
    assert set(told) == {"36", "60", "84"}
    write_audio("own.wav", synth.render(voices[2].vector, Note(60, 100, LENGTH), 0.5, RATE), RATE)
    outcome = command(f"match own.wav --pitch 60 --duration 0.3 {option} bank --renders 64 --top 1 --out made")
    assert outcome.code == 0, outcome.err
    made = contents("made")["candidates"][0]
    assert made["distances"]["level_matched"]["a_mean"] < 0.2
    assert made["origin"] in ("retrieval", "search", "refinement")


@pytest.mark.usefixtures("folder")
def test_matches_are_collected_into_one_bank_file(command, synth):
    for name in ("low", "high"):
        assert command(f"match {name}.wav --renders 32 --top 1 --out found/{name}").code == 0
    outcome = command("collect found/low found/high --out made.syx --json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [(row["number"], row["name"], row["target"]) for row in rows] == [
        (1, "low", "low.wav"),
        (2, "high", "high.wav"),
    ]
    bank = synth.read_presets(Path("made.syx"))
    assert len(bank) == 32
    for preset, name in zip(bank, ("low", "high"), strict=False):
        (single,) = synth.read_presets(Path("found", name, "best.syx"))
        np.testing.assert_array_equal(preset.vector, single.vector)
        assert preset.name == single.name
    assert command("collect found --out sorted.syx").code == 0
    assert [p.name for p in synth.read_presets(Path("sorted.syx"))[:2]] == ["high", "low"]


@pytest.mark.usefixtures("folder")
def test_collecting_refuses_what_makes_no_bank(command):
    assert command("match high.wav --renders 32 --top 1 --out found/1").code == 0
    outcome = command(f"collect {' '.join(['found/1'] * 33)} --out made.syx")
    assert (outcome.code, "holds 32" in outcome.err) == (2, True)
    other = contents("found/1") | {"synth": "vital"}
    Path("found/2").mkdir()
    Path("found/2/matches.json").write_text(json.dumps(other))
    outcome = command("collect found --out made.syx")
    assert (outcome.code, "different synths: dexed, vital" in outcome.err) == (2, True)
    Path("found/2/matches.json").write_text("{}")
    outcome = command("collect found --out made.syx")
    assert (outcome.code, "match the sound again" in outcome.err) == (2, True)
    assert not Path("made.syx").exists()


@pytest.mark.usefixtures("folder")
def test_a_synth_without_banks_says_so(command):
    if not next(info for info in describe_synths() if info.name == "vital").available:
        pytest.skip("Vital is not installed: pip install 'synthproxy[vital]'")
    vital = get_synth("vital")
    preset = NamedPreset(vital.space.snap(vital.space.encode(vital.space.defaults)), "x", "")
    for name in ("1", "2"):
        place = Path("found", name)
        place.mkdir(parents=True)
        vital.write_presets(place / "best.vital", [preset])
        row = {"preset": "best.vital", "note": {"pitch": 60, "velocity": 100, "seconds": 1.0}}
        (place / "matches.json").write_text(json.dumps({"synth": "vital", "target": "x.wav", "candidates": [row]}))
    outcome = command("collect found --out made.vital")
    assert (outcome.code, "vital keeps one preset in a file" in outcome.err) == (2, True)
    outcome = command("collect found --out made.fxp")
    assert (outcome.code, outcome.err.startswith("synthproxy: made.fxp: ")) == (2, True)
    assert sorted(path.name for path in Path().iterdir()) == ["found", "high.wav", "low.wav", "my.syx"]
    assert command("collect found --out made.json").code == 0
