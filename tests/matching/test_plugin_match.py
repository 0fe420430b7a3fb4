"""Matching with a plug-in: a factory preset that is in no corpus, found, exported and read again."""

import json
from pathlib import Path

import numpy as np

from synthproxy.audio.io import read_audio, write_audio
from synthproxy.synths import Note
from synthproxy.synths.plugin import PluginSynth

RATE = 32_000
CLIP = "--duration 0.3 --seconds 0.6"


def test_factory_preset_is_matched_exported_and_read_again(
    amsynth: PluginSynth, amsynth_banks: Path, tmp_path: Path, monkeypatch, command
) -> None:
    monkeypatch.chdir(tmp_path)
    banks = [amsynth_banks / f"PatriksBank0{n}.bank" for n in (1, 2)]
    target = amsynth.read_presets(amsynth_banks / "amsynth_factory.bank")[1]
    assert target.vector.tobytes() not in {p.vector.tobytes() for bank in banks for p in amsynth.read_presets(bank)}
    write_audio("target.wav", amsynth.render(target.vector, Note(60, 100, 0.3), 0.6, RATE), RATE)
    imported = command(f"import {banks[0]} {banks[1]} --synth amsynth {CLIP} --out bank --json")
    assert imported.code == 0, imported.err
    assert json.loads(imported.out)["kept"] > 200

    outcome = command("match target.wav --synth amsynth --corpus bank --renders 500 --pitch 60 --out found")
    assert outcome.code == 0, outcome.err
    content = json.loads(Path("found/matches.json").read_text())
    best = content["candidates"][0]
    assert best["distances"]["level_matched"]["a_mean"] < content["nearest_proposal"]["a_mean"]
    assert best["preset"] == "best.bank"
    assert set(best["parameters"]) == {p.name for p in amsynth.space.parameters}

    note = Note(best["note"]["pitch"], best["note"]["velocity"], best["note"]["seconds"])
    written = read_audio(Path("found/best.wav"), RATE).samples
    assert command("convert found/best.bank --synth amsynth --out best.fxp").code == 0
    assert command("convert best.fxp --synth amsynth --out best.json").code == 0
    for file in ("found/best.bank", "best.fxp"):
        (again,) = amsynth.read_presets(Path(file))
        sound = amsynth.render(again.vector, note, len(written) / RATE, RATE) * np.float32(best["gain"])
        # Files hold fewer digits than presets: an oscillator may be off by a part of a cent.
        assert np.corrcoef(sound, written)[0, 1] > 0.999
    assert json.loads(Path("best.json").read_text())["synth"] == "amsynth"
