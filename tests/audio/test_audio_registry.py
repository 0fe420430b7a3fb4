"""Audio models by name, and packages that add one."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import torch

from synthproxy.audio import registry
from synthproxy.audio.base import AudioModel, AudioModelInfo
from synthproxy.audio.registry import audio_model_names, describe_audio_models, get_audio_model
from synthproxy.audio.sizes import SIZES
from synthproxy.errors import InvalidInputError, UnavailableError

INFO = AudioModelInfo("listed", 7, 16_000, 3, True, "", "MIT")


class Peak:
    name = "peak"
    sample_rate = 8_000
    dimension = 1
    parameters = 0
    identity = "peak:1"

    def embed(self, audio: torch.Tensor) -> torch.Tensor:
        return audio.abs().amax(dim=1, keepdim=True)


def listed() -> AudioModel:
    raise AssertionError("describing a model with info must not build it")


listed.info = INFO  # type: ignore[attr-defined]


def broken() -> AudioModel:
    raise RuntimeError("no luck\ntoday")


def not_a_model() -> object:
    return 42


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points to the callables above, to a module that is not there, and one that claims a built-in name."""
    import sys

    module = type(sys)("audio_plugin_for_tests")
    module.__dict__.update(Peak=Peak, listed=listed, broken=broken, not_a_model=not_a_model)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    targets = {name.lower(): f"{module.__name__}:{name}" for name in ("Peak", "listed", "broken", "not_a_model")}
    targets |= {"absent": "no_such_module_anywhere:model", "mel": f"{module.__name__}:broken"}
    points = EntryPoints(EntryPoint(name, value, registry.ENTRY_POINT_GROUP) for name, value in targets.items())
    monkeypatch.setattr(registry, "entry_points", lambda *, group: points.select(group=group))


def test_every_designed_name_is_registered() -> None:
    names = audio_model_names()
    assert names[:4] == ["mel", "mel128", "mfcc40", "mstft"]
    assert len(names) == len(set(names))
    for size in SIZES:
        assert {size.name + suffix for suffix in ("", "_mel", "-clip", "_mel-clip")} <= set(names)
    assert audio_model_names("mn04*") == ["mn04", "mn04_mel", "mn04-clip", "mn04_mel-clip"]
    assert audio_model_names("nothing*") == []


def test_description_agrees_with_the_built_model(shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHPROXY_SHARED", str(shared_folder))
    described = {info.name: info for info in describe_audio_models()}
    assert list(described) == audio_model_names()
    for name in ["mel", "mel128", "mfcc40", "mstft", *audio_model_names("mn04*")]:
        model, info = get_audio_model(name), described[name]
        assert (model.name, model.dimension, model.sample_rate, model.parameters) == (
            info.name,
            info.dimension,
            info.sample_rate,
            info.parameters,
        )
        assert info.available
        assert info.how_to_get == ""


def test_absent_weights_are_listed_with_the_way_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SYNTHPROXY_SHARED", raising=False)
    for info in describe_audio_models("mn*"):
        assert not info.available
        assert str(tmp_path) in info.how_to_get
        assert "https://" in info.how_to_get
    assert all(info.available for info in describe_audio_models("m[fs]*"))


def test_unknown_name_brings_the_closest_ones() -> None:
    with pytest.raises(InvalidInputError, match="mn04_mel"):
        get_audio_model("mn4_mel")
    with pytest.raises(InvalidInputError, match="the audio models are mel,"):
        get_audio_model("§")


def test_weights_for_a_model_without_any_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="takes no weights"):
        get_audio_model("mel", weights=tmp_path)


@pytest.mark.usefixtures("plugins")
def test_plugin_is_listed_and_built() -> None:
    assert "peak" in audio_model_names()
    assert describe_audio_models("peak")[0] == AudioModelInfo("peak", 1, 8_000, 0, True, "", "")
    assert get_audio_model("peak").embed(torch.tensor([[0.1, -0.5]])).item() == 0.5


@pytest.mark.usefixtures("plugins")
def test_plugin_with_info_is_described_without_building_it() -> None:
    assert describe_audio_models("listed") == [INFO]


@pytest.mark.usefixtures("plugins")
def test_plugin_cannot_take_a_built_in_name() -> None:
    assert audio_model_names().count("mel") == 1
    assert get_audio_model("mel").dimension == 256


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "package"), [("broken", "audio_plugin"), ("absent", "no_such_module"), ("not_a_model", "audio_plugin")]
)
def test_broken_plugin_is_named_in_one_line(name: str, package: str) -> None:
    with pytest.raises(UnavailableError, match=package) as caught:
        get_audio_model(name)
    assert "\n" not in str(caught.value)
    info = describe_audio_models(name)[0]
    assert not info.available
    assert package in info.how_to_get
