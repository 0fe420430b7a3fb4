"""Voices of ours to move attributes on, and audio models that are easy to see through."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from synthproxy.ranking import Ranking, attributes_of, rank_audio_models
from synthproxy.synths import NamedPreset, get_synth
from synthproxy.synths.dexed import Dexed

NAMES = ("modulation depth", "pitch coarse")
ATTRIBUTES = [attribute for attribute in attributes_of("dexed") if attribute.name in NAMES]
QUICK = {"presets_per_attribute": 2, "steps": 6}


@pytest.fixture(scope="session")
def dexed() -> Dexed:
    synth = get_synth("dexed")
    assert isinstance(synth, Dexed)
    return synth


VOICES = {
    "bell": {"algorithm": "5", "op2_output_level": 0.6, "op2_f_coarse": 3 / 31},
    "reed": {"algorithm": "2", "op2_output_level": 0.8, "feedback": 1.0},
    "brass": {"algorithm": "18", "op2_output_level": 0.7, "op3_output_level": 0.6, "op1_eg_rate_1": 50 / 99},
    "organ": {"algorithm": "32", "op2_output_level": 0.9, "op2_f_coarse": 2 / 31},
    "silence": {"op1_output_level": 0.0},
    "hiss": {
        "algorithm": "16",
        **{f"op{operator}_output_level": 1.0 for operator in range(2, 7)},
        **{f"op{operator}_f_coarse": 1.0 for operator in range(5, 7)},
        "feedback": 1.0,
    },
}


@pytest.fixture(scope="session")
def voices(dexed: Dexed) -> list[NamedPreset]:
    """Four pitched voices, the last without modulators, one that is silent, and one without a pitch."""
    return [NamedPreset(dexed.space.from_names(named), name, "tests") for name, named in VOICES.items()]


@dataclass
class Ear:
    """An audio model whose whole method is a function of the sound; it counts what it listens to."""

    name: str
    hear: Callable[[Tensor], Tensor]
    sample_rate: int = 16_000
    dimension: int = 1
    parameters: int = 0
    identity: str = "ear:1"
    heard: list[int] = field(default_factory=list)

    def embed(self, audio: Tensor) -> Tensor:
        self.heard.append(len(audio))
        return self.hear(audio)


def levels(audio: Tensor) -> Tensor:
    """Levels of 64 bands, (batch, 64)."""
    bands = torch.fft.rfft(audio).abs()[:, : 64 * 400].reshape(len(audio), 64, 400)
    return (bands.square().mean(dim=2) + 1e-3).log()


@pytest.fixture
def sharp_ear() -> Ear:
    """Hears the levels of bands."""
    return Ear("sharp", levels, dimension=64)


@pytest.fixture
def deaf_ear() -> Ear:
    """Hears nothing."""
    return Ear("deaf", lambda audio: torch.ones(len(audio), 3), dimension=3)


@pytest.fixture
def scattered_ear() -> Ear:
    """Hears something else in everything: the last bits of a sample."""
    return Ear("scattered", lambda audio: (audio[:, 8_000:8_004] * 1e6).frac(), sample_rate=44_100, dimension=4)


@pytest.fixture(scope="session")
def rank(dexed: Dexed, voices: list[NamedPreset]) -> Callable[..., Ranking]:
    """Rank ears on two attributes of two voices each, in six steps."""

    def run(folder: Path, *ears: Ear, **changes: object) -> Ranking:
        arguments = {"attributes": ATTRIBUTES, "workers": 2, **QUICK, **changes}
        return rank_audio_models(dexed, ears, arguments.pop("presets", voices), folder, **arguments)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def finished(rank: Callable[..., Ranking], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ranking]:
    """The folder and the result of a ranking of the sharp ear."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, rank(folder, Ear("sharp", levels, dimension=64))


@pytest.fixture
def folder(finished: tuple[Path, Ranking], tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(finished[0], tmp_path / "ranking"))
