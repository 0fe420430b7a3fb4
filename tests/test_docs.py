"""What the documentation shows is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.cli.program import app
from synthproxy.corpus import Corpus
from synthproxy.synths import NamedPreset, Note, get_synth

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(name: str) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in BLOCK.finditer((ROOT / name).read_text(encoding="utf8"))]


def test_quickstart_runs_from_top_to_bottom(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for language, text in blocks("docs/quickstart.md"):
        if language == "toml":
            Path(text.split("\n", 1)[0].removeprefix("# ")).write_text(text, encoding="utf8")
        elif language == "python":
            subprocess.run([sys.executable, "-W", "error", "-c", text], check=True, capture_output=True, timeout=300)
        else:
            for line in text.strip().splitlines():
                if "target.wav" in line and not Path("target.wav").exists():
                    preset = Corpus.open(Path("corpora/validation")).presets()[0]
                    audio = get_synth("dexed-paper").render(preset, Note(), 3.0, 32_000)
                    write_audio("target.wav", audio, 32_000)
                assert line.startswith("synthproxy ")
                outcome = command(line.removeprefix("synthproxy "))
                assert outcome.code == 0
                assert outcome.out
    assert Path("found/best.syx").exists()
    assert Path("match/index.html").exists()


def test_proxies_page_runs_from_top_to_bottom(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for language, text in blocks("docs/proxies.md"):
        if language == "toml":
            Path(text.split("\n", 1)[0].removeprefix("# ")).write_text(text, encoding="utf8")
            continue
        for line in text.strip().splitlines():
            outcome = command(line.removeprefix("synthproxy "))
            assert outcome.code == 0, outcome.err
            assert outcome.out


def test_matching_page_runs_from_top_to_bottom(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    synth = get_synth("dexed")
    drawn = synth.space.sample(np.random.default_rng(21), 300)
    loud = drawn[np.argsort(-synth.loudness_bound(drawn, Note(), 1.0, 32_000))[:20]]
    for name, pitch in (("sound", 60), ("low", 48), ("middle", 60), ("high", 72)):
        write_audio(f"{name}.wav", synth.render(loud[0], Note(pitch, 100, 0.3), 0.5, 32_000), 32_000)
    Path("voices").mkdir()
    presets = [NamedPreset(preset, f"VOICE {number}", "") for number, preset in enumerate(loud)]
    synth.write_presets(Path("my.syx"), presets[1:2])
    synth.write_presets(Path("voices/own.syx"), presets)
    for _, text in blocks("docs/matching.md"):
        for line in text.strip().splitlines():
            assert line.startswith("synthproxy ")
            outcome = command(line.removeprefix("synthproxy "))
            assert outcome.code == 0, outcome.err
            assert outcome.out
    assert len(get_synth("dexed").read_presets(Path("matches.syx"))) == 32
    assert Path("found/instrument/best-note-3.wav").exists()


PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    broken = [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]
    assert not broken


def test_every_command_of_the_paper_is_one_and_its_recipe_is_there():
    lines = [line for _, text in blocks("docs/reproduce-the-paper.md") for line in text.strip().splitlines()]
    named = set()
    for line in lines:
        assert line.startswith("synthproxy ")
        app.parse_args(line.removeprefix("synthproxy "), exit_on_error=False, print_error=False)
        named |= {word for word in line.split() if word.startswith("recipes/")}
    missing = [name for name in named if not (ROOT / name).exists()]
    assert len(named) > 6
    assert not missing
    lacking = [name for name in named if not (ROOT / name.replace(".toml", "-laptop.toml")).exists()]
    assert not lacking


def test_readme_commands_exist(command):
    commands = re.findall(
        r"^\.venv/bin/synthproxy ([\w-]+)", (ROOT / "README.md").read_text(encoding="utf8"), re.MULTILINE
    )
    assert commands
    listed = command("--help").out
    assert all(name in listed for name in commands)
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    assert all(f"\n{target}:" in makefile for target in ("demo", "test", "check"))
