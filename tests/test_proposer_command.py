"""The document about proposers runs as it stands, and mistakes end in one line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.matching.proposers.checkpoint import load_proposer
from synthproxy.synths import NamedPreset, Note, get_synth

DOCUMENT = Path(__file__).parent.parent / "docs" / "proposers.md"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, as the document expects it: voices and a sound."""
    monkeypatch.chdir(tmp_path)
    synth = get_synth("dexed-paper")
    rendering = Rendering(seconds=1.0)
    generate(tmp_path / "made", synth, get_audio_model("mel"), size=32, seed=5, rendering=rendering, workers=1)
    presets = Corpus.open(tmp_path / "made").presets()
    Path("voices").mkdir()
    named = [NamedPreset(preset, f"VOICE {i}", "") for i, preset in enumerate(presets)]
    synth.write_presets(tmp_path / "voices" / "bank.syx", named)
    write_audio(Path("target.wav"), synth.render(presets[0], Note(60, 100, 0.5), 1.0, 32_000), 32_000)
    return tmp_path


def test_the_documents_commands_run(folder, command, capsys):
    for language, text in re.findall(r"```(\w+)\n(.*?)```", DOCUMENT.read_text(encoding="utf8"), re.DOTALL):
        if language == "toml":
            Path(text.split("\n", 1)[0].removeprefix("# ")).write_text(text, encoding="utf8")
        elif language == "python":
            capsys.readouterr()
            exec(compile(text, str(DOCUMENT), "exec"), {})
            assert len(set(re.findall(r"\w+", capsys.readouterr().out))) == 1
        else:
            for line in text.strip().splitlines():
                outcome = command(line.removeprefix("synthproxy "))
                assert outcome.code == 0, outcome.err
                assert outcome.out
    whole, half = (load_proposer(folder / "runs" / "proposer" / f"{name}.safetensors") for name in ("last", "small"))
    assert [note.pitch for note in half[1].notes] == [48, 72]
    assert half[1].space == whole[1].space
    found = json.loads((folder / "match" / "matches.json").read_text())
    assert found["candidates"]
    assert np.isfinite(found["candidates"][0]["distances"]["level_matched"]["a_mean"])

    # The same command goes on, or says that there is nothing to do.
    outcome = command("train proposer.toml --out runs/proposer --json")
    assert json.loads(outcome.out)["status"] == "already finished"
    assert json.loads(outcome.out)["best"]["loss_from_nothing"] > 0
    mistakes(command)


def mistakes(command) -> None:
    """What is wrong ends in one line that says how to mend it."""
    proposer, match = "runs/proposer/last.safetensors", "match target.wav --renders 10 --out none"
    for line, *words in (
        (f"{match} --proposer nowhere.safetensors", "there is no such file"),
        (f"{match} --proposer proposer.toml", "not a whole safetensors file"),
        (f"{match} --proposer {proposer} --unaided", "--unaided", "leave out --proposer"),
        (f"{match} --proxy {proposer}", "not one of the form 'synthproxy-proxy'"),
        ("report runs/proposer --out none", "the run of a proposer"),
        (f"evaluate {proposer} --corpus corpora/low", "not one of the form"),
        ("train proposer.toml --out none --set corpus.train.1=no", "corpus.train.1: there is no no; make it with"),
        ("train proposer.toml --out none --set proposer.tokens=5", "5 tokens of a sound must divide its 16 segments"),
        ("train proposer.toml --out runs/proposer --set training.noise=0.2", "another recipe", "training.noise"),
    ):
        outcome = command(line)
        assert outcome.code == 2, line
        assert not outcome.out
        assert len(outcome.err.strip().splitlines()) == 1, outcome.err
        for word in words:
            assert word in outcome.err, outcome.err
    assert not Path("none").exists()
