"""Estimators on the command line: keeping levels, training by a recipe, judging, and what is said of mistakes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.synths import NamedPreset, get_synth

DOCUMENT = Path(__file__).parent.parent / "docs" / "estimators.md"
PROXY = """
[proxy]
name = "hn-oh"
sizes = { width = 16, blocks = 2 }
[corpus]
train = "corpora/training"
validation = "corpora/training"
[training]
batch_size = 32
epochs = 1
learning_rate = 2e-3
[schedule]
kind = "cosine"
[machine]
threads = 1
"""
SOUND_SCORES = {"stft", "mstft", "mel", "mfccd", "a_mean", "a_mean_level_matched", "envelope_correlation", "transport"}


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> Path:
    """A folder of three banks of audible voices."""
    folder = tmp_path_factory.mktemp("made")
    synth = get_synth("dexed-paper")
    generate(folder / "corpus", synth, get_audio_model("mel"), size=96, seed=5, rendering=Rendering(seconds=1.0))
    presets = Corpus.open(folder / "corpus").presets()
    (folder / "voices").mkdir()
    for bank in range(3):
        named = [NamedPreset(preset, f"VOICE {i}", "") for i, preset in enumerate(presets[32 * bank : 32 * bank + 32])]
        synth.write_presets(folder / "voices" / f"bank{bank}.syx", named)
    return folder / "voices"


@pytest.fixture
def folder(tmp_path, monkeypatch, voices, command) -> Path:
    """The current folder, as the document expects it: voices, a sound, and a trained proxy."""
    monkeypatch.chdir(tmp_path)
    Path("voices").symlink_to(voices)
    Path("sounds").mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 262 * np.arange(32_000) / 32_000)
    soundfile.write("sounds/tone.wav", tone.astype(np.float32), 32_000)
    Path("small.toml").write_text(PROXY)
    generated = "generate --synth dexed-paper --audio-model mel --size 64 --seed 1 --out corpora/training"
    for line in (generated, "train small.toml --out runs/small"):
        assert command(line).code == 0
    return tmp_path


def test_the_documents_commands_run(folder, command):
    for language, text in re.findall(r"```(\w+)\n(.*?)```", DOCUMENT.read_text(encoding="utf8"), re.DOTALL):
        if language == "toml":
            Path(text.split("\n", 1)[0].removeprefix("# ")).write_text(text, encoding="utf8")
        elif language == "python":
            exec(compile(text, str(DOCUMENT), "exec"), {})
        else:
            for line in text.strip().splitlines():
                outcome = command(line.removeprefix("synthproxy "))
                assert outcome.code == 0, outcome.err
                assert outcome.out
    run = folder / "runs" / "estimator"
    for name in ("in-domain", "in-domain-parameters", "in-domain-categories", "out-of-domain"):
        for ending in ("md", "csv", "tex"):
            assert (run / "scores" / f"{name}.{ending}").is_file()
    assert "nearest neighbour" in (run / "scores" / "out-of-domain.md").read_text(encoding="utf8")

    # The same command goes on, or says that there is nothing to do; JSON says the same as the files.
    outcome = command("train estimator.toml --out runs/estimator --json")
    assert json.loads(outcome.out)["status"] == "already finished"
    assert json.loads(outcome.out)["best"]["a_mean"] > 0
    judge = "evaluate runs/estimator/last.safetensors --corpus corpora/heard-voices --most 3 --json"
    found = json.loads(command(judge).out)
    assert (found["part"], found["in_domain"]["cases"], found["out_of_domain"]) == ("test", 3, None)
    scores = found["in_domain"]["scores"]
    assert set(scores["estimator"]["per_clip"]) >= SOUND_SCORES
    assert scores["true preset again"]["per_clip"]["a_mean"]["mean"] == pytest.approx(0, abs=1e-6)
    assert scores["estimator"]["in_batches_of_64"]["a_mean"] > 0
    assert 0 <= scores["estimator"]["parameters"]["categorical_accuracy"] <= 1
    reports(command)
    mistakes(command)


def reports(command) -> None:
    """Runs of estimators and of proxies are set side by side, each in tables of their own."""
    found = json.loads(command("report runs/small runs/estimator --out both --json").out)
    assert [row["run"] for row in found["runs"]] == ["small"]
    row = found["estimators"][0]
    metrics = [json.loads(line) for line in Path("runs/estimator/metrics.jsonl").read_text().splitlines()]
    assert (row["run"], row["schedule"], row["gradient"], row["proxy"]) == ("estimator", "mix", "soft", "hn-oh")
    assert (row["best_a_mean"], row["last_a_mean"]) == (min(r["a_mean"] for r in metrics), metrics[-1]["a_mean"])
    assert row["minutes"] == metrics[-1]["seconds"] / 60
    assert {row["domain"] for row in found["judgements"]} == {"in-domain", "out-of-domain"}
    assert Path(found["listen"]).is_file()
    for name in ("runs", "estimators", "estimators-in-domain", "estimators-out-of-domain"):
        assert Path(f"both/{name}.csv").is_file()
    page = Path("both/index.html").read_text(encoding="utf8")
    assert all(words in page for words in ("Learning curves", "Training runs of estimators", "listen/index.html"))
    assert not Path("report/runs.csv").exists()  # The document's is of an estimator alone.


def mistakes(command) -> None:
    """What is wrong ends in one line that says how to mend it."""
    estimator, proxy = "runs/estimator/last.safetensors", "runs/small/last.safetensors"
    corpus = "--corpus corpora/heard-voices"
    for line, *words in (
        (f"evaluate {estimator}", "or both: --corpus, --sounds"),
        (f"evaluate {estimator} --sounds sounds --part test", "--part says nothing without --corpus"),
        (f"evaluate {estimator} {corpus} --own-notes", "--own-notes says nothing without --sounds"),
        (f"evaluate {estimator} {corpus} --most 0", "--most", "at least one"),
        (f"evaluate {estimator} {corpus} --umap", "--umap cannot be used here", "is an estimator"),
        (f"evaluate {estimator} --corpus corpora/training --part test", "leave out --part test"),
        (f"evaluate {estimator} --sounds sounds --training-corpus corpora/training", "has not learned from this"),
        (f"evaluate {estimator} --sounds sounds --own-notes", "tone.wav", "leave out --own-notes"),
        (f"evaluate {proxy} --corpus corpora/training --sounds sounds", "--sounds cannot be used here"),
        (f"evaluate {proxy}", "give one with --corpus"),
        ("train estimator.toml --out runs/small", "another recipe"),
        ("train estimator.toml --out made --set corpus.train=corpora/training", "make it with --keep-levels"),
        ("train estimator.toml --out made --set loss.schedule=mx", "unknown loss schedule 'mx'; did you mean mix?"),
    ):
        outcome = command(line)
        assert outcome.code == 2, line
        assert not outcome.out
        assert len(outcome.err.strip().splitlines()) == 1, outcome.err
        for word in words:
            assert word in outcome.err, outcome.err
    assert not Path("made").exists()


def test_training_on_a_split_corpus_is_for_proxies_too(folder, command):
    text = PROXY.replace('validation = "corpora/training"', 'split = { together = "preset" }')
    Path("split.toml").write_text(text.replace("batch_size = 32", "batch_size = 16"))
    outcome = command("train split.toml --out runs/split")
    assert outcome.code == 0, outcome.err
    about = json.loads((folder / "runs" / "split" / "recipe.json").read_text())
    assert (about["corpora"]["train"]["size"], about["corpora"]["validation"]["size"]) == (52, 6)
