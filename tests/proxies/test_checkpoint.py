"""Checkpoints explain themselves, and files that are none are refused in words."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from synthproxy.errors import InvalidInputError
from synthproxy.proxies import make_proxy
from synthproxy.proxies.checkpoint import load_checkpoint, save_checkpoint
from synthproxy.training.tensors import METADATA_KEY, read_tensors, write_tensors


@pytest.fixture
def saved(tmp_path, small_space, make_examples):
    examples = make_examples(small_space, 20, 3, 0)
    proxy = make_proxy("hn-pt", small_space, 3, token=4, width=8, blocks=2)
    proxy(torch.from_numpy(small_space.one_hot(examples.presets)))  # moves the running statistics of batch norm
    path = tmp_path / "proxy.safetensors"
    save_checkpoint(path, proxy, examples.setting, {"mrr": 0.5})
    return path, proxy, examples


def test_a_loaded_proxy_gives_the_same_embeddings_to_the_bit(saved):
    path, proxy, examples = saved
    loaded, info = load_checkpoint(path)
    assert np.array_equal(loaded.embed(examples.presets), proxy.embed(examples.presets))
    assert not loaded.training
    assert (info.proxy, dict(info.sizes), info.dimension) == ("hn-pt", {"token": 4, "width": 8, "blocks": 2}, 3)
    assert info.setting == examples.setting
    assert info.metrics["mrr"] == 0.5


def test_loading_draws_no_random_numbers(saved):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_checkpoint(saved[0])
    assert torch.equal(torch.rand(1), expected)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"no\.safetensors: there is no such file"):
        load_checkpoint(tmp_path / "no.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 200, 0.5, -1])
def test_a_file_cut_short_is_refused(saved, kept):
    path = saved[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(InvalidInputError, match="not a whole safetensors file"):
        load_checkpoint(path)


def test_text_is_refused(tmp_path):
    path = tmp_path / "proxy.safetensors"
    path.write_text("not a checkpoint at all, but a sentence that is long enough to be read as a header")
    with pytest.raises(InvalidInputError, match="not a whole safetensors file"):
        load_checkpoint(path)


def test_a_pickle_is_not_opened(tmp_path, saved):
    path = tmp_path / "model.pt"
    torch.save(saved[1].state_dict(), path)
    with pytest.raises(InvalidInputError, match="not a whole safetensors file"):
        load_checkpoint(path)


def test_safetensors_of_something_else_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(InvalidInputError, match="not one of the form"):
        load_checkpoint(path)
    save_file({"weight": torch.zeros(3)}, path, metadata={METADATA_KEY: "[1]"})
    with pytest.raises(InvalidInputError, match="not one of the form"):
        load_checkpoint(path)


def _rewritten(path, change):
    tensors, about = read_tensors(path, "synthproxy-proxy")
    change(tensors, about)
    write_tensors(path, tensors, about)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _, about: about.update(format_version=99), "format version 99"),
        (lambda _, about: about.pop("sizes"), "does not fit its own description"),
        (lambda _, about: about.update(sizes={"width": 9}), "does not fit its own description"),
        (lambda _, about: about.update(proxy="hn-px"), "unknown proxy 'hn-px'"),
        (lambda _, about: about["setting"].pop("space"), "does not fit its own description"),
        (lambda tensors, _: tensors.popitem(), "does not fit its own description"),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(saved, change, words):
    _rewritten(saved[0], change)
    with pytest.raises(InvalidInputError, match=words):
        load_checkpoint(saved[0])


def test_the_description_is_json_that_names_everything(saved):
    about = read_tensors(saved[0], "synthproxy-proxy")[1]
    assert json.loads(json.dumps(about)) == about
    assert {"version", "proxy", "sizes", "dimension", "setting", "metrics"} <= about.keys()
    assert about["setting"]["note"] == {"pitch": 60, "velocity": 100, "duration": 2.0}


def test_a_folder_that_is_not_there_is_named(tmp_path, saved):
    with pytest.raises(InvalidInputError, match="cannot be written"):
        save_checkpoint(tmp_path / "none" / "x.safetensors", saved[1], saved[2].setting)
