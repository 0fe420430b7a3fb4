"""Every judged estimator leaves its matches to listen to, and they can be set side by side; with the real engine."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.audio.io import read_audio, write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate, render_clip
from synthproxy.corpus.parts import LearnedFrom, Split
from synthproxy.corpus.sounds import RecordedSound
from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.baselines import nearest_by_levels
from synthproxy.matching.estimators.checkpoint import EstimatorInfo, load_estimator, save_estimator
from synthproxy.matching.estimators.evaluation import Targets, learned_presets, levels_of
from synthproxy.matching.estimators.network import Estimator, EstimatorSizes, LevelBounds
from synthproxy.matching.estimators.summary import EstimatorSummary
from synthproxy.report.estimator_folder import EstimatorOrder, run_estimator_evaluation
from synthproxy.report.estimator_runs import (
    ReportedEstimator,
    find_judgements,
    judgement_rows,
    judgement_tables,
    listening_page,
)
from synthproxy.report.match_sounds import target_names
from synthproxy.synths import Note, get_synth
from synthproxy.synths.readable import load_preset

RATE = 32_000
SIZES = EstimatorSizes(channels=(4, 8), features=16)
PLAYING = "[...document.querySelectorAll('audio')].filter((audio) => !audio.paused)"
LOUD = 3.0


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """A corpus in short clips, two estimators that have learned nothing of it yet, and a folder of sounds."""
    folder = tmp_path_factory.mktemp("material")
    rendering = Rendering(note=Note(60, 100, 0.1), seconds=0.2, fade=0.05)
    model = get_audio_model("mel")
    generate(folder / "corpus", get_synth("dexed-paper"), model, size=60, seed=1, rendering=rendering, keep_levels=True)
    info = Corpus.open(folder / "corpus").info
    learned = LearnedFrom.of(info, Split(shares=(0.8, 0.1, 0.1), together="preset"))
    about = EstimatorInfo(info.synth, info.space, rendering, None, SIZES, learned)
    for seed, name in enumerate("ab"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            save_estimator(
                folder / f"{name}.safetensors", Estimator(info.space, LevelBounds(-90.0, 30.0), SIZES), about
            )
    (folder / "sounds").mkdir()
    for name, level in (("soft", 0.1), ("loud", LOUD)):
        tone = level * np.sin(2 * np.pi * 262 * np.arange(RATE // 5) / RATE)
        write_audio(folder / "sounds" / f"{name}.wav", tone.astype(np.float32), RATE)
    return folder


def judge(material: Path, out: Path, name: str = "a", **changes) -> None:
    order = EstimatorOrder(material / f"{name}.safetensors", material / "corpus", material / "sounds")
    run_estimator_evaluation(replace(order, **changes), out)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_sounds_are_those_of_the_presets_beside_them(material, tmp_path):
    judge(material, tmp_path)
    _, info = load_estimator(material / "a.safetensors")
    synth = info.synth_to_play()
    for domain, count in (("in-domain", 6), ("out-of-domain", 2)):
        names = {name.removesuffix(".wav") for name in files(tmp_path / domain / "target")}
        assert len(names) == count
        for way in ("estimator", "nearest neighbour"):
            folder = tmp_path / domain / way
            assert files(folder) == {f"{name}{ending}" for name in names for ending in (".wav", ".syx")}
            for name in names:
                preset = load_preset(synth, folder / f"{name}.syx", info.rendering.note).vector
                played = render_clip(synth, preset, info.rendering, RATE)
                np.testing.assert_array_equal(read_audio(folder / f"{name}.wav").samples, played)
    assert np.abs(read_audio(tmp_path / "out-of-domain" / "target" / "loud.wav").samples).max() > 0.99 * LOUD


def test_a_match_has_the_name_of_its_own_target(material, tmp_path):
    judge(material, tmp_path, sounds=None)
    _, info = load_estimator(material / "a.safetensors")
    learned = learned_presets(info, Corpus.open(material / "corpus"))
    found = []
    for file in sorted((tmp_path / "in-domain" / "target").iterdir()):
        levels = levels_of(read_audio(file).samples[None])
        played = render_clip(info.synth_to_play(), nearest_by_levels(levels, learned)[0], info.rendering, RATE)
        found.append(read_audio(tmp_path / "in-domain" / "nearest neighbour" / file.name).samples)
        np.testing.assert_array_equal(found[-1], played)
    assert len({sound.tobytes() for sound in found}) > 1


def test_another_evaluation_in_the_folder_removes_what_it_does_not_show(material, tmp_path):
    judge(material, tmp_path)
    before = files(tmp_path / "in-domain" / "target")
    (tmp_path / "in-domain" / "ours").mkdir()
    write_audio(tmp_path / "in-domain" / "ours" / "mine.wav", np.ones(100, dtype=np.float32), RATE)
    judge(material, tmp_path, most=3)
    after = files(tmp_path / "in-domain" / "target")
    assert len(after) == 3
    assert after < before  # A target has the same name among fewer.
    assert len(files(tmp_path / "in-domain" / "estimator")) == 6
    assert files(tmp_path / "in-domain" / "ours") == {"mine.wav"}
    judge(material, tmp_path, corpus=None)
    assert not (tmp_path / "out-of-domain" / "nearest neighbour").exists()


def test_of_a_set_with_families_each_has_its_examples(material, tmp_path):
    (tmp_path / "nsynth" / "audio").mkdir(parents=True)
    pitches = {"bass_1-060": 60, "bass_1-062": 62, "bass_2-100": 100, "organ_1-050": 50}
    notes = {}
    for name, pitch in pitches.items():
        family, instrument = name.split("_")[0], name.split("-")[0]
        notes[name] = {"pitch": pitch, "velocity": 90, "instrument_str": instrument, "instrument_family_str": family}
        tone = 0.2 * np.sin(2 * np.pi * 4 * pitch * np.arange(3_200) / 16_000)
        write_audio(tmp_path / "nsynth" / "audio" / f"{name}.wav", tone.astype(np.float32), 16_000)
    (tmp_path / "nsynth" / "examples.json").write_text(json.dumps(notes))
    judge(material, tmp_path / "out", corpus=None, sounds=tmp_path / "nsynth", own_notes=True)
    chosen = files(tmp_path / "out" / "out-of-domain" / "target")
    assert len(chosen) == 2
    assert chosen & {"bass_1-060.wav", "bass_1-062.wav"}
    assert "organ_1-050.wav" in chosen
    # Played with the note of its own sound, not with that of another.
    _, info = load_estimator(material / "a.safetensors")
    found = tmp_path / "out" / "out-of-domain" / "estimator" / "organ_1-050"
    rendering = replace(info.rendering, note=Note(50, 90, 3.0))
    preset = load_preset(info.synth_to_play(), found.with_suffix(".syx"), info.rendering.note).vector
    played = render_clip(info.synth_to_play(), preset, rendering, RATE)
    np.testing.assert_array_equal(read_audio(found.with_suffix(".wav")).samples, played)


def test_names_are_safe_and_each_its_own():
    audio = np.zeros((4, 10), dtype=np.float32)
    names = ["more/bell.wav", "more-bell.wav", "../.hidden.wav", "Tone 1.flac"]
    recorded = [RecordedSound(name, Path(name)) for name in names]
    found = target_names(Targets(names, audio, recorded=recorded))
    assert found[2:] == ["hidden", "Tone 1"]
    assert len(set(found)) == 4
    assert not any("/" in name or name.startswith(".") for name in found)
    presets = np.eye(4, dtype=np.float32)
    made = target_names(Targets(["BRASS 1", "BRASS 1", "???", "x" * 300], audio, presets))
    assert len(set(made)) == 4
    assert made[0].startswith("BRASS 1-")
    assert max(map(len, made)) < 80
    # A preset has its name in whichever set of targets it is.
    assert target_names(Targets(["BRASS 1"], audio[:1], presets[1:2])) == made[1:2]


@pytest.mark.parametrize("from_disk", [False, True])
def test_every_player_of_the_page_has_a_sound(material, tmp_path, browser, serve, from_disk):
    judge(material, tmp_path, most=2)
    address = tmp_path.as_uri() if from_disk else serve(tmp_path)
    browser.open(f"{address}/index.html")
    count = browser.run("document.querySelectorAll('.hear').length")
    assert count == 2 * 2 * 3
    for number in range(count):
        browser.run(f"document.querySelectorAll('.hear')[{number}].click()")
        browser.wait_for(f"{PLAYING}.length === 1 && {PLAYING}[0].currentTime > 0")
        assert browser.run(f"{PLAYING}[0].duration") == pytest.approx(0.2, abs=0.01)
    assert browser.run("[...document.querySelectorAll('tbody .title')].map((e) => e.textContent)") == [
        *("target", "estimator", "nearest neighbour") * 2
    ]
    assert browser.complaints() == []


# Side by side


def reported(run: Path) -> ReportedEstimator:
    summary = EstimatorSummary(run, "dexed-paper", "mix", "soft", "hn-oh", 48, {}, ())
    return ReportedEstimator(run.name, summary, find_judgements(run, run.name))


@pytest.fixture(scope="module")
def runs(material, tmp_path_factory) -> list[ReportedEstimator]:
    """Two estimators judged by the same targets, one of them again by fewer kinds, and one judged by fewer targets."""
    folder = tmp_path_factory.mktemp("runs")
    judge(material, folder / "a" / "scores", "a", most=4)
    judge(material, folder / "b" / "scores", "b", most=4)
    judge(material, folder / "b" / "again", "b", corpus=None)
    judge(material, folder / "few" / "scores", "a", most=1, sounds=None)
    return [reported(folder / name) for name in ("a", "b", "few")]


def test_estimators_judged_by_the_same_targets_share_a_table(runs):
    page = listening_page(runs)
    assert [section.heading for section in page.sections] == [
        *("In domain: a, b, scores", "In domain: few", "Out of domain"),
    ]
    table = page.sections[0].contents[0]
    assert [system.name for system in table.systems] == ["target", "a", "b, scores", "nearest neighbour"]
    assert len(table.examples) == 4
    example = table.examples[0]
    assert len(example.takes) == 4
    assert len({take.audio.name for take in example.takes.values()}) == 1
    assert example.takes["a"].scores != example.takes["b, scores"].scores
    names = [system.name for system in page.sections[2].contents[0].systems]
    assert names == ["target", "a", "b, again", "b, scores", "nearest neighbour"]


def test_scores_of_estimators_are_rows_and_equal_baselines_stand_once(runs):
    rows = judgement_rows(runs)
    saved = json.loads((runs[1].summary.path / "scores" / "scores.json").read_text())
    of_b = [row for row in rows if (row["domain"], row["run"], row["way"]) == ("in-domain", "b, scores", "estimator")]
    assert of_b[0]["a_mean"] == saved["in_domain"]["scores"]["estimator"]["per_clip"]["a_mean"]["mean"]
    tables = judgement_tables(rows)
    baselines = ("nearest neighbour", "mean preset", "random preset")
    assert [row[0] for row in tables["estimators-out-of-domain"].rows] == ["a", "b, again", "b, scores", *baselines]
    inside = [row[0] for row in tables["estimators-in-domain"].rows]
    assert inside[:3] == ["a", "b, scores", "few"]
    assert {"nearest neighbour, as for a", "nearest neighbour, as for few"} <= set(inside)
    assert not any("as for b" in name for name in inside)


def test_without_sounds_there_is_no_page_and_damaged_scores_are_named(tmp_path):
    (tmp_path / "run" / "scores").mkdir(parents=True)
    assert listening_page([reported(tmp_path / "run")]) is None
    file = tmp_path / "run" / "scores" / "scores.json"
    file.write_text('{"in_domain": {"scores": {"estimator": {}}}, "out_of_domain": null}')
    with pytest.raises(InvalidInputError, match="run `synthproxy evaluate` again"):
        judgement_rows([reported(tmp_path / "run")])
    file.write_text("{")
    with pytest.raises(InvalidInputError, match=r"scores\.json: damaged"):
        reported(tmp_path / "run")
