"""What docs/add-an-audio-model.md shows: commands are run, excerpts compared with the files, and the example hears."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.audio.base import AudioModel
from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "add-an-audio-model.md").read_text(encoding="utf8")
RATE = 16_000


def commands() -> list[str]:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.strip().splitlines()]
    return [line.removeprefix("synthproxy ") for line in lines if line.startswith("synthproxy ")]


def note(pitch: float, seconds: float = 1.0) -> np.ndarray:
    """A tone with five harmonics, (samples,)."""
    phase = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * np.arange(round(seconds * RATE)) / RATE
    return np.float32(0.2) * sum(np.sin(k * phase) / k**2 for k in range(1, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def site(installed: Callable[[str], Path]) -> Path:
    """A folder that the example is installed in."""
    return installed("example-audio-model")


@pytest.fixture(scope="module")
def chroma(site: Path) -> Iterator[AudioModel]:
    """The installed example, found by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield get_audio_model("chroma")
        for name in [name for name in sys.modules if name.partition(".")[0] == "chroma_ear"]:
            del sys.modules[name]


def test_every_excerpt_is_in_the_file_that_is_named_before_it() -> None:
    tokens = re.findall(r"\]\((example-audio-model/[^)]+)\)|```(?:toml|python)\n(.*?)```", PAGE, re.DOTALL)
    file, found = "", 0
    for named, excerpt in tokens:
        file = named or file
        if excerpt:
            assert excerpt in (DOCS / file).read_text(encoding="utf8"), file
            found += 1
    assert found == 3


def test_every_link_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_commands_of_the_page_work_once_the_example_is_installed(site, process, tmp_path) -> None:
    write_audio(tmp_path / "target.wav", note(60), RATE)
    listed, embedded, generated = (process(line, tmp_path, {"PYTHONPATH": str(site)}) for line in commands()[:3])
    assert (listed.code, embedded.code, generated.code) == (0, 0, 0), listed.err + embedded.err + generated.err
    assert "chroma" in listed.out
    assert np.load(tmp_path / "embeddings.npz")["embeddings"].shape == (1, 12)
    assert Corpus.open(tmp_path / "bank").embeddings().shape == (64, 48)


@pytest.mark.usefixtures("amsynth", "amsynth_banks")
def test_example_is_ranked_as_the_page_shows(site, process, tmp_path) -> None:
    line = next(line for line in commands() if line.startswith("rank-audio-models"))
    outcome = process(f"{line} --presets-per-attribute 1 --steps 4", tmp_path, {"PYTHONPATH": str(site)})
    assert outcome.code == 0, outcome.err
    ranking = json.loads((tmp_path / "ranking" / "scores.json").read_text(encoding="utf8"))
    assert {score["model"] for score in ranking["scores"]} == {"mel", "chroma", "chroma@4"}
    assert len(ranking["attributes"]) == 13
    for distance in ("l1", "l2", "cosine"):
        (best, *_) = [score for score in ranking["scores"] if score["distance"] == distance]
        assert best["model"] == "mel"
        for name in (f"ranking-{distance}", f"attributes-{distance}"):
            assert all((tmp_path / "ranking" / f"{name}.{suffix}").stat().st_size for suffix in ("md", "csv", "tex"))
        assert (tmp_path / "ranking" / f"ranking-{distance}.png").read_bytes().startswith(b"\x89PNG")


def test_example_hears_pitch_classes_and_nothing_else(chroma: AudioModel) -> None:
    assert isinstance(chroma, AudioModel)
    sounds = torch.from_numpy(np.stack([note(60), note(72), note(61)]))
    embedded = chroma.embed(sounds)
    assert embedded.shape == (3, chroma.dimension)
    assert embedded.argmax(dim=1).tolist() == [0, 0, 1]
    torch.testing.assert_close(chroma.embed(0.5 * sounds), embedded)
    torch.testing.assert_close(chroma.embed(sounds[1:2]), embedded[1:2])
    assert chroma.embed(torch.zeros(1, 1)).abs().max() == 0


def test_example_can_be_reduced_in_every_way(chroma: AudioModel) -> None:
    assert chroma.name == "chroma"
    rising = torch.from_numpy(np.concatenate([note(60), note(64)]))[None]
    assert get_audio_model("chroma@2").embed(rising).reshape(2, 12).argmax(dim=1).tolist() == [0, 4]
    for reduction in ("mean", "max", "flatten", "channel-mean", "channel-max"):
        model = get_audio_model(f"chroma@{reduction}")
        assert model.embed(torch.zeros(1, 5 * RATE)).shape == (1, model.dimension)
