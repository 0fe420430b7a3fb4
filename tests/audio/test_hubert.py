"""HuBERT and MERT: the frames that transformers gives by itself, from files in the layouts of the Hub."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthproxy.audio.published import PublishedFrames
from synthproxy.audio.reductions import ReducedModel
from synthproxy.audio.transformers_models import MODELS, TransformersModel, build

transformers = pytest.importorskip("transformers", reason="pip install 'synthproxy[transformers]' to hear with HuBERT")
hubert = pytest.importorskip("synthproxy.audio.hubert")

ROWS = {model.name: model for model in MODELS}
WIDTH = 24
SMALL = {
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "conv_dim": (4,) * 7,
}
TOLERANCE = 1e-4
NAMES = ["hubert", "mert330"]


def small(name: str) -> TransformersModel:
    """A row with a small network of the same kind."""
    return replace(ROWS[name], channels=WIDTH, configuration={**ROWS[name].configuration, **SMALL}, sha256="")


def upstream(model: TransformersModel) -> torch.nn.Module:
    """The network as its authors build it, with the mask of its training, and weights that all matter."""
    torch.manual_seed(5)
    network = transformers.HubertModel(transformers.HubertConfig(**model.configuration))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network.eval()


def save_as_published(network: torch.nn.Module, model: TransformersModel, folder: Path) -> Path:
    """Write ``pytorch_model.bin`` in a folder of the repository's name, weight normalisation named as in 2021."""
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for name, tensor in network.state_dict().items():
        for present, old in names.items():
            name = name.replace(present, old)
        state[name] = tensor
    path = folder / model.file_name
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    return path


@pytest.fixture(scope="module", params=NAMES)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PublishedFrames, torch.nn.Module]:
    """A small model built from its file, and the network the file was written from."""
    model = small(request.param)
    network = upstream(model)
    return build(model, save_as_published(network, model, tmp_path_factory.mktemp("hub"))), network


def sounds(model: PublishedFrames, count: int = 3, seconds: float = 0.25) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, round(seconds * model.sample_rate), generator=generator) * 0.1


def test_frames_are_those_of_transformers_and_its_processor(pair: tuple[PublishedFrames, torch.nn.Module]) -> None:
    model, network = pair
    audio = sounds(model)
    processor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=model.sample_rate, do_normalize=True)
    inputs = processor(list(audio.numpy()), sampling_rate=model.sample_rate, return_tensors="pt").input_values
    with torch.no_grad():
        expected = network(inputs).last_hidden_state
    frames = model.frames(audio)
    assert frames.shape == expected.shape
    assert frames.std(dim=1).min() > 0.01
    assert (frames - expected).abs().max() < TOLERANCE
    assert not frames.requires_grad


def test_embedding_is_the_mean_over_frames(pair: tuple[PublishedFrames, torch.nn.Module]) -> None:
    model, _ = pair
    reduced = ReducedModel(model, model.reduction)
    assert (reduced.name, reduced.dimension) == (model.name, WIDTH)
    frames = model.frames(sounds(model)).double()
    assert (reduced.embed(sounds(model)) - frames.sum(dim=1) / frames.shape[1]).abs().max() < TOLERANCE


def test_a_sound_is_heard_alike_in_any_company_and_in_any_thread(pair: tuple[PublishedFrames, torch.nn.Module]) -> None:
    model, _ = pair
    audio = sounds(model, count=4)
    together = model.frames(audio)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            alone = torch.cat(list(pool.map(model.frames, audio.split(1))))
            assert torch.equal(together, alone)


def test_mean_and_variance_are_taken_as_numpy_takes_them() -> None:
    audio = np.array([[0.1, -0.2, 0.4, 0.05], [1e-4, 2e-4, 0.0, 1e-4]])
    expected = (audio - audio.mean(axis=1, keepdims=True)) / np.sqrt(audio.var(axis=1, keepdims=True) + 1e-7)
    assert np.allclose(hubert.standardised(torch.from_numpy(audio)).numpy(), expected, rtol=1e-12)


def test_level_and_offset_do_not_matter(pair: tuple[PublishedFrames, torch.nn.Module]) -> None:
    model, _ = pair
    audio = sounds(model)
    assert (model.frames(audio) - model.frames(audio * 0.3 + 0.1)).abs().max() < 1e-3


def test_five_seconds_have_the_frames_that_are_told(pair: tuple[PublishedFrames, torch.nn.Module]) -> None:
    model, _ = pair
    assert model.frames(sounds(model, count=1, seconds=5.0)).shape == (1, model.model.frames, WIDTH)


@pytest.mark.parametrize("samples", [1, 399, 400, 401])
def test_shortest_sounds_are_one_frame(pair: tuple[PublishedFrames, torch.nn.Module], samples: int) -> None:
    model, _ = pair
    frames = model.frames(torch.full((2, samples), 0.5))
    assert frames.shape == (2, 1, WIDTH)
    assert frames.isfinite().all()


def test_silence_has_finite_frames(pair: tuple[PublishedFrames, torch.nn.Module]) -> None:
    model, _ = pair
    assert model.frames(torch.zeros(1, 8000)).isfinite().all()


def test_the_order_of_norms_tells_the_larger_mert_from_the_smaller(tmp_path: Path) -> None:
    network = upstream(small("mert95"))
    path = save_as_published(network, small("mert95"), tmp_path)
    first, other = build(small("mert95"), path), build(small("mert330"), path)
    assert (first.frames(sounds(first)) - other.frames(sounds(first))).abs().max() > 0.1
