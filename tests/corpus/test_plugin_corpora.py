"""Corpora of plug-ins: the same whatever is killed meanwhile, and with what failed written down."""

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthproxy.audio.base import AudioModel
from synthproxy.corpus import Corpus, Rendering, generate, import_presets
from synthproxy.errors import IncompatibleError
from synthproxy.synths import Note, get_synth
from synthproxy.synths.plugin import PluginSynth
from synthproxy.synths.repeatability import known_repeatability

SIZE = 600
CLIP = Rendering(note=Note(60, 100, 0.1), seconds=0.2)


def hosts() -> list[int]:
    """Processes of plug-ins that this process has started, and what they have forked."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"synthproxy.synths.plugin_host" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_corpus_made_while_instances_are_killed_equals_an_undisturbed_one(
    amsynth: PluginSynth, model: AudioModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path / "calm", amsynth, model, size=SIZE, seed=5, rendering=CLIP, workers=1)
    chance, stop, kills = random.Random(3), threading.Event(), []
    played, render = [], PluginSynth.render

    def counted(*arguments: Any) -> Any:
        sound = render(*arguments)
        played.append(len(sound))
        return sound

    monkeypatch.setattr(PluginSynth, "render", counted)

    def kill() -> None:
        # By sounds that were played, not by the clock: a slow machine must not have one preset killed at every try.
        due = 30
        while not stop.wait(chance.uniform(0.0, 0.05)):
            running = hosts()
            if len(played) < due or not running:
                continue
            due = len(played) + chance.randint(50, 100)
            pid = chance.choice(running)
            try:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)
            except ProcessLookupError:
                pass

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        synth = get_synth("amsynth")
        result = generate(tmp_path / "harried", synth, model, size=SIZE, seed=5, rendering=CLIP, workers=2)
    finally:
        stop.set()
        killer.join()
    assert len(kills) >= 3
    assert result.failed == 0
    calm, harried = Corpus.open(tmp_path / "calm"), Corpus.open(tmp_path / "harried")
    assert len(calm) == len(harried) == SIZE
    np.testing.assert_array_equal(calm.presets(), harried.presets())
    np.testing.assert_array_equal(calm.embeddings(), harried.embeddings())


def test_corpus_says_how_well_its_synth_repeats(amsynth: PluginSynth, model: AudioModel, tmp_path: Path) -> None:
    generate(tmp_path / "x", amsynth, model, size=4, rendering=CLIP)
    found = Corpus.open(tmp_path / "x").info.repeatability
    assert found is not None
    assert (found.mode, found.error) == ("exact", 0.0)
    assert found.isolation == known_repeatability(amsynth, "exact").isolation
    with pytest.raises(IncompatibleError, match="repeatability"):
        generate(tmp_path / "x", get_synth("amsynth", "fast"), model, size=4, rendering=CLIP)


def test_presets_that_crash_are_drawn_again_and_listed(model: AudioModel, tmp_path: Path, moody_synth) -> None:
    result = generate(tmp_path / "x", moody_synth(isolation="fork"), model, size=24, seed=1, rendering=CLIP, workers=2)
    corpus = Corpus.open(tmp_path / "x")
    assert len(corpus) == 24
    assert (corpus.presets()[:, 0] < 0.34).all()
    assert result.failed == len(corpus.failures()) > 10
    assert result.failed == corpus.attempts().sum() - 24
    failure = corpus.failures()[0]
    assert "'mood': " in failure.reason
    assert ("crashed" in failure.reason) or ("not finite" in failure.reason)
    begun = time.monotonic()
    assert generate(tmp_path / "x", moody_synth(), model, size=24, seed=1, rendering=CLIP).made == 0
    assert time.monotonic() - begun < 5


def test_factory_presets_are_imported_with_their_names(
    amsynth: PluginSynth, amsynth_banks: Path, model: AudioModel, tmp_path: Path
) -> None:
    bank = amsynth_banks / "amsynth_factory.bank"
    result = import_presets(tmp_path / "x", [bank], amsynth, model, rendering=CLIP)
    corpus = Corpus.open(tmp_path / "x")
    assert result.failed == 0
    assert len(corpus) == result.kept == result.found - result.duplicates - result.silent
    assert corpus.names()[0] == "Derren 1"
    assert corpus.origins()[0] == "amsynth_factory.bank:1"
    again = {p.name: p.vector for p in amsynth.read_presets(bank)}
    np.testing.assert_array_equal(corpus.presets()[0], again["Derren 1"])
