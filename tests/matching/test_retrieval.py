"""Retrieval finds what is in a corpus, across the spaces of a synth."""

from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.errors import IncompatibleError
from synthproxy.matching.proxy_bank import ProxyBank
from synthproxy.matching.retrieval import in_space, retrieve
from synthproxy.matching.target import read_target
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.zoo import make_proxy
from synthproxy.synths import Note, PresetSpace, get_synth

RATE = 32_000
RENDERING = Rendering(note=Note(60, 100, 0.5), seconds=1.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpora") / "bank"
    generate(path, get_synth("dexed-paper"), get_audio_model("mel"), size=96, seed=4, rendering=RENDERING, workers=1)
    return Corpus.open(path)


def target_of(corpus: Corpus, item: int, folder: Path, pitch: int = 60):
    note = Note(pitch, 100, 0.5)
    audio = get_synth("dexed-paper").render(corpus.presets()[item], note, 1.0, RATE)
    level = np.sqrt(np.mean(np.square(audio)))
    write_audio(folder / "target.wav", (0.04 / level * audio).astype(np.float32), RATE)
    return read_target(folder / "target.wav", pitch=pitch)


def test_a_preset_of_the_corpus_is_found_by_its_sound(corpus, tmp_path):
    synth = get_synth("dexed-paper")
    hits = 0
    for item in range(0, 96, 12):
        found = retrieve(corpus, synth, target_of(corpus, item, tmp_path), 8)
        hits += any((c.preset == corpus.presets()[item]).all() for c in found)
        assert all(c.origin == "retrieval" for c in found)
    assert hits >= 6


def test_candidates_are_played_at_the_pitch_of_the_target(corpus, tmp_path):
    found = retrieve(corpus, get_synth("dexed-paper"), target_of(corpus, 0, tmp_path, pitch=67), 8)
    assert {c.note.pitch for c in found} == {67}


def test_presets_move_between_the_spaces_of_a_synth(corpus):
    paper, full = get_synth("dexed-paper"), get_synth("dexed")
    moved = in_space(corpus.presets(), paper.space, full.space)
    full.space.validate(moved)
    note = RENDERING.note
    for x, y in zip(corpus.presets()[:4], moved[:4], strict=True):
        np.testing.assert_array_equal(paper.render(x, note, 0.5, RATE), full.render(y, note, 0.5, RATE))


def test_presets_of_another_synth_are_refused(corpus):
    space = corpus.info.space
    other = PresetSpace("other", space.parameters[:-1])
    with pytest.raises(IncompatibleError, match="other"):
        in_space(corpus.presets(), space, other)


def test_a_proxy_proposes_presets_of_the_synth(corpus, tmp_path):
    setting = Examples.from_corpus(corpus).setting
    proxy = make_proxy("hn-oh", setting.space, corpus.info.dimension, width=32)
    bank = ProxyBank(proxy.eval(), setting, presets=256)
    synth = get_synth("dexed")
    known = list(in_space(corpus.presets()[:10], setting.space, synth.space))
    found = bank.propose(synth, target_of(corpus, 0, tmp_path), known, 16, np.random.default_rng(0))
    assert len(found) == 16
    for candidate in found:
        assert candidate.origin == "proxy"
        synth.space.validate(candidate.preset)
