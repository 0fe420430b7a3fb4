"""Spaces and examples that the tests of this room share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, CorpusInfo, Rendering, generate
from synthproxy.corpus.store import SHARD, Shard
from synthproxy.proxies.examples import Examples, Setting
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.synths import Kind, Note, Parameter, PresetSpace, get_synth

RATE, SECONDS, BANDS = 16_000, 0.25, 24


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def dexed_space() -> PresetSpace:
    return get_synth("dexed-paper").space


@pytest.fixture(scope="session")
def diva_space() -> PresetSpace:
    return get_synth("diva").space


@pytest.fixture(scope="session")
def tal_space() -> PresetSpace:
    return get_synth("talnm").space


@pytest.fixture(scope="session")
def small_space() -> PresetSpace:
    return PresetSpace(
        "small",
        (
            Parameter("shape", Kind.CATEGORICAL, labels=("sine", "saw", "noise")),
            Parameter("level"),
            Parameter("sync", Kind.BINARY),
            Parameter("mode", Kind.CATEGORICAL, labels=("a", "b")),
            Parameter("held", default=0.5, held=True),
            Parameter("pitch"),
        ),
    )


def setting_of(space: PresetSpace) -> Setting:
    return Setting(space.name, space, "bands", "bands-1", Note(), SECONDS)


def random_examples(space: PresetSpace, count: int, dimension: int, seed: int) -> Examples:
    """Presets with embeddings that depend on them in a way no network needs to understand."""
    presets = space.sample(np.random.default_rng(seed), count)
    mix = np.random.default_rng(0).normal(size=(space.one_hot_width, dimension)) / np.sqrt(space.one_hot_width)
    return Examples(setting_of(space), presets, np.tanh(space.one_hot(presets) @ mix).astype(np.float32))


@pytest.fixture(scope="session")
def make_examples():
    return random_examples


def stored_examples(path: Path, examples: Examples, silent: Sequence[int] = ()) -> Corpus:
    """A corpus of these examples; hand-crafted, if some rows are to be silent."""
    setting, size = examples.setting, len(examples)
    info = CorpusInfo(
        synth=setting.synth,
        space=setting.space,
        audio_model=setting.audio_model,
        audio_model_identity=setting.audio_model_identity,
        dimension=examples.dimension,
        sample_rate=RATE,
        size=size,
        rendering=Rendering(note=setting.note, seconds=setting.seconds),
        kind="hand-crafted" if len(silent) else "synthetic",
    )
    corpus = Corpus.create(path, info)
    attempts = np.ones(size, dtype=np.uint16)
    attempts[list(silent)] = 0
    for number in range(info.shards):
        rows = slice(number * SHARD, (number + 1) * SHARD)
        corpus.write_shard(number, Shard(examples.presets[rows], examples.embeddings[rows], attempts[rows]))
    return Corpus.open(path)


@pytest.fixture(scope="session")
def store_examples():
    return stored_examples


@pytest.fixture(scope="session")
def rendered_examples() -> tuple[Examples, Examples]:
    """1,400 and 200 sounds of the real engine: Dexed with one carrier audible, as log energies of bands."""
    synth = get_synth("dexed-paper")
    presets = synth.space.sample(np.random.default_rng(1), 1_600)
    edges = np.unique(np.geomspace(1, RATE * SECONDS / 2, BANDS + 1).astype(int))
    rows = []
    for preset in presets:
        power = np.abs(np.fft.rfft(synth.render(preset, Note(duration=0.2), SECONDS, RATE))) ** 2
        rows.append(np.log10(np.add.reduceat(power[: edges[-1]], edges[:-1]) + 1e-4) / 4)
    embeddings = np.asarray(rows, dtype=np.float32)
    setting = Setting("dexed-paper", synth.space, "bands", "bands-1", Note(duration=0.2), SECONDS)
    return (
        Examples(setting, presets[:1_400], embeddings[:1_400]),
        Examples(setting, presets[1_400:], embeddings[1_400:]),
    )


@pytest.fixture
def make_recipe():
    """A recipe for a run of a second, with changes by section."""

    def make(**changes: dict[str, object]) -> TrainingRecipe:
        data: dict[str, dict[str, object]] = {
            "proxy": {"name": "hn-oh", "sizes": {"width": 16, "blocks": 2}},
            "corpus": {"train": Path("train"), "validation": Path("validation")},
            "training": {"batch_size": 16, "epochs": 3, "learning_rate": 4e-3, "validations_per_epoch": 2},
            "schedule": {"kind": "cosine", "warmup_steps": 3},
            "machine": {"accelerator": "cpu", "threads": 1},
        }
        return TrainingRecipe.model_validate({key: data.get(key, {}) | changes.get(key, {}) for key in data})

    return make


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small corpora of short clips: ``train`` and ``validation``."""
    folder = tmp_path_factory.mktemp("corpora")
    rendering = Rendering(note=Note(60, 100, 0.1), seconds=0.2, fade=0.05)
    for name, size, seed in (("train", 128, 1), ("validation", 32, 2)):
        generate(
            folder / name,
            get_synth("dexed-paper"),
            get_audio_model("mel"),
            size=size,
            seed=seed,
            rendering=rendering,
        )
    return folder
