"""What the tests of this room share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.matching.estimators.recipe import EstimatorRecipe
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.proposers.recipe import ProposerRecipe
from synthproxy.matching.proposers.training import train_proposer
from synthproxy.matching.target import Target, read_target
from synthproxy.proxies.checkpoint import save_checkpoint
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.zoo import make_proxy
from synthproxy.synths import Kind, Note, Parameter, PresetSpace, get_synth


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mixed_space() -> PresetSpace:
    """All kinds of parameters: continuous, with a grid, in an interval, both; switches and categories."""
    return PresetSpace(
        "mixed",
        (
            Parameter("shape", Kind.CATEGORICAL, labels=("sine", "saw", "noise")),
            Parameter("level"),
            Parameter("sync", Kind.BINARY),
            Parameter("coarse", values=(0.0, 0.25, 0.5, 1.0)),
            Parameter("held", default=0.5, held=True),
            Parameter("decay", low=0.2, high=0.6),
            Parameter("mode", Kind.CATEGORICAL, labels=("a", "b")),
            Parameter("octave", low=0.3, high=0.8, values=tuple(i / 10 for i in range(11))),
            Parameter("mute", Kind.BINARY),
        ),
    )


@pytest.fixture(scope="session")
def heard_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """600 drawn presets of the real engine in short clips, with levels."""
    path: Path = tmp_path_factory.mktemp("heard") / "corpus"
    rendering = Rendering(note=Note(60, 100, 0.1), seconds=0.2, fade=0.05)
    model = get_audio_model("mel")
    generate(path, get_synth("dexed-paper"), model, size=600, seed=1, rendering=rendering, keep_levels=True)
    return Corpus.open(path)


@pytest.fixture(scope="session")
def proxy_checkpoint(tmp_path_factory: pytest.TempPathFactory, heard_corpus: Corpus) -> Path:
    """A small proxy, not trained, of what that corpus is of."""
    path: Path = tmp_path_factory.mktemp("proxy") / "proxy.safetensors"
    examples = Examples.from_corpus(heard_corpus)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        proxy = make_proxy("mlp-oh", examples.setting.space, examples.dimension, width=16)
    save_checkpoint(path, proxy, examples.setting)
    return path


@pytest.fixture
def make_recipe(heard_corpus: Corpus, proxy_checkpoint: Path) -> Callable[..., EstimatorRecipe]:
    """A recipe for a run of 3 epochs of 10 steps, some seconds, with changes by section."""

    def make(**changes: dict[str, object]) -> EstimatorRecipe:
        data: dict[str, dict[str, object]] = {
            "estimator": {"channels": (4, 8), "features": 16},
            "corpus": {"train": heard_corpus.path, "split": {"together": "preset", "most": 160}},
            "loss": {"schedule": "mix"},
            "proxy": {"checkpoint": proxy_checkpoint},
            "training": {
                "batch_size": 16,
                "epochs": 3,
                "learning_rate": 7e-3,
                "epochs_per_validation": 1,
                "rendered": 6,
            },
            "schedule": {"kind": "plateau", "warmup_steps": 3, "patience": 0},
            "machine": {"accelerator": "cpu", "threads": 1},
        }
        return EstimatorRecipe.model_validate({key: data[key] | changes.get(key, {}) for key in data})

    return make


@pytest.fixture(scope="session")
def noted_corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Corpora of the real engine at two notes, to learn from and to validate by, in short clips."""
    folder: Path = tmp_path_factory.mktemp("noted")
    synth, model = get_synth("dexed-paper"), get_audio_model("mel@4")
    sizes = {"low": (48, 96), "high": (72, 64), "low-validation": (48, 24), "high-validation": (72, 16)}
    for seed, (name, (pitch, size)) in enumerate(sizes.items()):
        rendering = Rendering(note=Note(pitch, 100, 0.1), seconds=0.2, fade=0.05)
        generate(folder / name, synth, model, size=size, seed=seed, rendering=rendering, workers=1)
    return {name: folder / name for name in sizes}


@pytest.fixture
def make_proposer_recipe(noted_corpora: dict[str, Path]) -> Callable[..., ProposerRecipe]:
    """A recipe for a run of 3 epochs of 5 steps, with changes by section."""

    def make(**changes: dict[str, object]) -> ProposerRecipe:
        data: dict[str, dict[str, object]] = {
            "proposer": {
                "tokens": 2, "width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "pieces": 4, "hidden": 8,
            },
            "corpus": {
                "train": (noted_corpora["low"], noted_corpora["high"]),
                "validation": (noted_corpora["low-validation"], noted_corpora["high-validation"]),
            },
            "training": {
                "batch_size": 32, "epochs": 3, "learning_rate": 1e-2, "gradient_clip": 1.0, "noise": 0.1,
            },
            "schedule": {"kind": "cosine", "warmup_steps": 3},
            "machine": {"accelerator": "cpu", "threads": 1},
        }  # fmt: skip
        return ProposerRecipe.model_validate({key: data[key] | changes.get(key, {}) for key in data})

    return make


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


@pytest.fixture
def trained(tmp_path, make_proposer_recipe) -> TrainedProposer:
    """A proposer that has learned for a moment."""
    train_proposer(make_proposer_recipe(), tmp_path / "run")
    return TrainedProposer.load(tmp_path / "run" / "last.safetensors")


@pytest.fixture
def target(tmp_path, synth) -> Target:
    """The loudest of some drawn presets, at middle C."""
    drawn, note, rate = synth.space.sample(np.random.default_rng(21), 300), Note(60, 100, 0.5), 32_000
    preset = drawn[int(np.argmax(synth.loudness_bound(drawn, note, 0.8, rate)))]
    write_audio(tmp_path / "target.wav", synth.render(preset, note, 0.8, rate), rate)
    return read_target(tmp_path / "target.wav")
