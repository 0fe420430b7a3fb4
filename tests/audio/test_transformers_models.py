"""The table of networks on the Hugging Face Hub, where their files are found, and that nothing wrong is loaded."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from synthproxy.audio import published
from synthproxy.audio.published import describe
from synthproxy.audio.reductions import FrameModel
from synthproxy.audio.transformers_models import MODELS, TransformersModel, build
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import InvalidInputError, UnavailableError

transformers = pytest.importorskip("transformers", reason="pip install 'synthproxy[transformers]' to read its networks")

HUBERT = replace(
    MODELS[-1],
    channels=8,
    configuration={
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        "conv_dim": (4,) * 7,
    },
)
LARGER = replace(HUBERT, channels=16, configuration={**HUBERT.configuration, "hidden_size": 16})
CLICK = torch.tensor([[1.0] + [0.0] * 800])
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """What the file of a small HuBERT holds, and the head of a fine-tuned one."""
    torch.manual_seed(0)
    network = transformers.HubertModel(transformers.HubertConfig(**HUBERT.configuration))
    return {**network.state_dict(), "lm_head.weight": torch.zeros(3, 8)}


@pytest.fixture
def locations(tmp_path: Path) -> WeightLocations:
    return WeightLocations(tmp_path / "cache", tmp_path / "shared")


def written(path: Path, state: State) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def refusal(path: Path, model: TransformersModel = HUBERT) -> str:
    with pytest.raises(InvalidInputError) as caught:
        build(model, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


# The table


CONFIGS = {"clap": "ClapAudioConfig", "dac": "DacConfig", "encodec": "EncodecConfig", "hubert": "HubertConfig"}
NETWORKS = {
    "clap": ("ClapAudioModelWithProjection", ("audio_model", "audio_projection")),
    "dac": ("DacModel", ("encoder", "quantizer")),
    "encodec": ("EncodecModel", ("encoder",)),
    "hubert": ("HubertModel", ("feature_extractor", "feature_projection", "encoder")),
}
every_model = pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])


def config_of(model: TransformersModel) -> Any:
    return getattr(transformers, CONFIGS[model.family])(**model.configuration)


@every_model
def test_the_table_tells_the_size_of_the_network_that_is_built(model: TransformersModel) -> None:
    network_class, parts = NETWORKS[model.family]
    with torch.device("meta"):
        network = getattr(transformers, network_class)(config_of(model))
    counts = {name: sum(weights.numel() for weights in part.parameters()) for name, part in network.named_children()}
    assert model.parameters == sum(counts[part] for part in parts)


@every_model
def test_the_table_tells_what_shapes_of_weights_cannot(model: TransformersModel) -> None:
    """Published settings, of which some are defaults that another version of transformers could change."""
    config = config_of(model)
    if model.family == "clap":
        assert (config.projection_dim, config.num_mel_bins, config.spec_size) == (model.channels, 64, 256)
        assert (config.hidden_act, config.projection_hidden_act) == ("gelu", "relu")
        assert (config.window_size, tuple(config.patch_stride), config.enable_fusion) == (8, (4, 4), False)
    elif model.family == "dac":
        assert (config.n_codebooks * config.codebook_dim, config.sampling_rate) == (model.channels, model.sample_rate)
        assert (config.hop_length, tuple(config.downsampling_ratios)) == (512, (2, 4, 8, 8))
    elif model.family == "encodec":
        stereo = model.name == "encodec48"
        assert (config.hidden_size, config.sampling_rate) == (model.channels, model.sample_rate)
        assert (config.normalize, config.use_causal_conv, config.pad_mode) == (stereo, not stereo, "reflect")
        assert (config.audio_channels, tuple(config.upsampling_ratios)) == (1 + stereo, (8, 5, 4, 2))
    else:
        assert (config.hidden_size, config.hidden_size // config.num_attention_heads) == (model.channels, 64)
        assert (config.do_stable_layer_norm, config.feat_extract_norm) == (model.name == "mert330", "group")
        assert (config.hidden_act, config.feat_extract_activation, config.layer_norm_eps) == ("gelu", "gelu", 1e-5)
        assert tuple(config.conv_stride) == (5, 2, 2, 2, 2, 2, 2)


def test_rows_name_a_folder_and_the_address_of_its_file() -> None:
    assert len({model.name for model in MODELS}) == len({model.file_name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.url.startswith("https://huggingface.co/")
        assert model.url.replace("/resolve/main/", "/").endswith(f"/{model.file_name}")
        assert model.licence
        assert model.reduction == "mean"


def test_describing_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from synthproxy.audio.published import describe\n"
        "from synthproxy.audio.transformers_models import MODELS\n"
        "from synthproxy.audio.weights import WeightLocations\n"
        "print([describe(model, WeightLocations(Path('/nowhere'))).name for model in MODELS])\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "clap-msa" in done.stdout


# Where files are found


def test_absent_weights_are_described_with_the_way_to_get_them(locations: WeightLocations) -> None:
    for model in MODELS:
        info = describe(model, locations)
        assert not info.available
        assert (info.name, info.dimension, info.sample_rate) == (model.name, model.channels, model.sample_rate)
        for part in (model.url, str(locations.cache), model.folder):
            assert part in info.how_to_get
        assert "\n" not in info.how_to_get


@pytest.mark.parametrize("file_name", ["model.safetensors", "pytorch_model.bin"])
def test_either_format_is_found_in_cache_and_shared_folder(
    locations: WeightLocations, state: State, file_name: str
) -> None:
    assert HUBERT.folder_among(locations.folders) is None
    for folder in reversed(locations.folders):
        written(folder / HUBERT.folder / file_name, state)
        assert HUBERT.folder_among(locations.folders) == folder
        info = describe(HUBERT, locations)
        assert info.available
        assert info.how_to_get == ""


@pytest.mark.parametrize("file_name", ["model.safetensors", "pytorch_model.bin"])
def test_file_folder_of_the_repository_and_folder_of_folders_are_the_same_model(
    tmp_path: Path, state: State, file_name: str
) -> None:
    path = written(tmp_path / HUBERT.folder / file_name, state)
    models = [build(HUBERT, given) for given in (path, path.parent, tmp_path)]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert {model.identity for model in models} == {f"hubert:1:{digest[:16]}"}
    for model in models:
        assert isinstance(model, FrameModel)
        assert torch.equal(model.frames(CLICK), models[0].frames(CLICK))


def test_both_formats_give_the_same_frames(tmp_path: Path, state: State) -> None:
    first, second = (build(HUBERT, written(tmp_path / name, state)) for name in ("a.safetensors", "b.bin"))
    assert torch.equal(first.frames(CLICK), second.frames(CLICK))
    assert first.identity != second.identity


def test_building_and_hearing_print_nothing(tmp_path: Path, state: State, capfd: pytest.CaptureFixture[str]) -> None:
    build(HUBERT, written(tmp_path / "model.safetensors", state)).frames(CLICK)
    assert capfd.readouterr() == ("", "")


def test_frames_stay_when_the_file_is_overwritten(tmp_path: Path, state: State) -> None:
    path = written(tmp_path / "model.safetensors", state)
    model = build(HUBERT, path)
    before = model.frames(CLICK)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(model.frames(CLICK), before)


def test_half_precision_is_read_as_single(tmp_path: Path, state: State) -> None:
    halves = {name: tensor.half() for name, tensor in state.items()}
    for name in ("model.safetensors", "pytorch_model.bin"):
        frames = build(HUBERT, written(tmp_path / name, halves)).frames(CLICK)
        assert frames.dtype == torch.float32
        assert frames.isfinite().all()


# What is refused


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("damage", ["empty", "text", "random", "truncated", "header"])
def test_damaged_file_is_refused(tmp_path: Path, state: State, suffix: str, damage: str) -> None:
    path = written(tmp_path / f"weights{suffix}", state)
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "text": b"hello",
        "random": np.random.default_rng(0).bytes(1000),
        "truncated": content[:-2000],
        "header": (1 << 62).to_bytes(8, "little") + content[8:],
    }
    path.write_bytes(damaged[damage])
    assert "damaged" in refusal(path)


def test_missing_file_and_empty_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.bin", tmp_path / "nothing.safetensors", tmp_path):
        message = refusal(path)
        assert "no weights at" in message
        assert HUBERT.file_name in message


Change = Callable[[State], object]


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.pop("encoder.layers.0.final_layer_norm.bias"), "1 tensors are missing"),
        (lambda state: state.update({"encoder.layers.1.final_layer_norm.bias": torch.zeros(8)}), "unknown"),
        (lambda state: state.update({"encoder.layer_norm.bias": torch.zeros(9)}), "has shape (9,) instead of (8,)"),
        (lambda state: state.update({"encoder.layer_norm.bias": torch.zeros(8, dtype=torch.int64)}), "missing"),
        (lambda state: state.update({"encoder.layer_norm.bias": torch.full((8,), torch.nan)}), "not numbers"),
        (lambda state: state.update({"encoder.layer_norm.bias": torch.full((8,), torch.inf)}), "not numbers"),
        (lambda state: state.clear(), ""),
    ],
    ids=["missing", "unknown", "shape", "integers", "nan", "infinite", "nothing"],
)
def test_file_of_another_network_is_refused(
    tmp_path: Path, state: State, suffix: str, change: Change, reason: str
) -> None:
    changed = dict(state)
    change(changed)
    assert reason in refusal(written(tmp_path / f"weights{suffix}", changed))


def test_weights_of_zero_size_that_normalisation_divides_by_are_refused(tmp_path: Path, state: State) -> None:
    (name,) = [name for name in state if name.endswith(("weight_v", "original1"))]
    path = written(tmp_path / "model.safetensors", {**state, name: torch.zeros_like(state[name])})
    assert "not numbers" in refusal(path)


def test_file_of_a_larger_network_is_refused(tmp_path: Path, state: State) -> None:
    assert "has shape" in refusal(written(tmp_path / "model.safetensors", state), LARGER)


def test_pickled_code_is_never_run(tmp_path: Path, state: State) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "pytorch_model.bin"
    torch.save({**state, "encoder.layer_norm.bias": Trap()}, path)
    refusal(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "other"), [("pytorch_model.bin", "model.safetensors"), ("model.safetensors", "pytorch_model.bin")]
)
def test_known_digest_is_checked_in_the_published_file_only(
    tmp_path: Path, state: State, name: str, other: str
) -> None:
    known = replace(HUBERT, file_name=f"{HUBERT.folder}/{name}", sha256="0" * 64)
    assert "is not the published" in refusal(written(tmp_path / name, state), known)
    path = written(tmp_path / "elsewhere" / other, state)
    assert build(known, path).identity == build(HUBERT, path).identity


# What is not installed


def test_without_transformers_the_way_to_install_it_is_told(
    tmp_path: Path, locations: WeightLocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match=r"pip install 'synthproxy\[transformers\]'"):
        build(HUBERT, tmp_path)
    info = describe(HUBERT, locations)
    assert not info.available
    assert "pip install 'synthproxy[transformers]'" in info.how_to_get


def test_transformers_without_the_network_is_told_in_one_line(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "synthproxy.audio.hubert", None)  # importing it fails, as from an old package
    with pytest.raises(UnavailableError, match="--upgrade") as caught:
        build(HUBERT, written(tmp_path / "model.safetensors", state))
    assert "\n" not in str(caught.value)
