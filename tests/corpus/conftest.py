"""What the tests of corpora share: a cheap way to hear, short clips, and one whole corpus to compare with."""

from pathlib import Path

import pytest
import torch

from synthproxy.audio.base import AudioModel
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.synths import Note, Synth, get_synth

WHOLE_SIZE = 1300  # Two whole shards and a short one, whose last batch is short.
WHOLE_SEED = 7


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model() -> AudioModel:
    return get_audio_model("mel")


@pytest.fixture(scope="session")
def synth() -> Synth:
    return get_synth("dexed-paper")


@pytest.fixture(scope="session")
def rendering() -> Rendering:
    return Rendering(note=Note(60, 100, 0.1), seconds=0.2)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, synth: Synth, model: AudioModel, rendering: Rendering) -> Corpus:
    """A corpus made without interruption by three workers."""
    path: Path = tmp_path_factory.mktemp("whole") / "corpus"
    generate(path, synth, model, size=WHOLE_SIZE, seed=WHOLE_SEED, rendering=rendering, workers=3)
    return Corpus.open(path)
