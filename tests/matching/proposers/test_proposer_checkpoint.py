"""Proposers come back from their files as they were, with all that asking them needs; in half precision nearly."""

import json

import numpy as np
import pytest
import torch

from synthproxy.corpus import Corpus
from synthproxy.corpus.parts import LearnedFrom
from synthproxy.errors import InvalidInputError
from synthproxy.matching.proposers.checkpoint import FORMAT, ProposerInfo, load_proposer, save_proposer
from synthproxy.matching.proposers.network import note_values
from synthproxy.matching.proposers.recipe import ProposerSizes
from synthproxy.proxies.tokens import to_soft
from synthproxy.training.tensors import checkpoint_form, read_tensors, write_tensors

SIZES = ProposerSizes(tokens=2, width=16, layers=1, heads=2, feed_forward=16, pieces=4, hidden=8)


@pytest.fixture
def info(noted_corpora) -> ProposerInfo:
    corpora = [Corpus.open(noted_corpora[name]).info for name in ("low", "high")]
    one = corpora[0]
    return ProposerInfo(
        one.synth, one.space, one.audio_model, one.audio_model_identity, one.dimension, 4, one.seconds, SIZES,
        tuple(c.note for c in corpora), tuple(LearnedFrom.of(c, None) for c in corpora), {"loss": 1.5},
    )  # fmt: skip


@pytest.fixture
def proposer(info):
    torch.manual_seed(0)
    network = info.new_network().eval()
    network.hearing.fit(torch.randn(50, info.dimension) * 3 + 1e-3)
    network.usual.uniform_()
    for head in network.heads:
        torch.nn.init.normal_(head.weight, std=0.1)
    return network


def logits(proposer, info):
    generator = np.random.default_rng(0)
    soft = to_soft(info.space, torch.from_numpy(info.space.sample(generator, 4)))
    known = torch.from_numpy(generator.random((4, info.space.size)) < 0.5)
    sounds = torch.from_numpy(generator.standard_normal((4, info.dimension)).astype(np.float32))
    with torch.no_grad():
        return proposer(sounds, note_values(list(info.notes) * 2), soft, known)


def test_a_proposer_comes_back_as_it_was(tmp_path, info, proposer):
    path = tmp_path / "p.safetensors"
    save_proposer(path, proposer, info)
    state = torch.get_rng_state()
    again, about = load_proposer(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert about == info
    assert not again.training
    torch.testing.assert_close(logits(again, info), logits(proposer, info), rtol=0, atol=0)
    assert torch.equal(again.usual, proposer.usual)
    assert checkpoint_form(path) == FORMAT


def test_half_precision_halves_the_file_and_changes_little(tmp_path, info, proposer):
    save_proposer(tmp_path / "whole.safetensors", proposer, info)
    save_proposer(tmp_path / "half.safetensors", proposer, info, half=True)
    tensors, about = read_tensors(tmp_path / "half.safetensors", FORMAT)
    apart = len(json.dumps(about)) + tensors["usual"].nbytes
    whole, half = ((tmp_path / f"{name}.safetensors").stat().st_size - apart for name in ("whole", "half"))
    assert half < 0.6 * whole
    assert tensors["hearing.standardised.mean"].dtype == tensors["usual"].dtype == torch.float32
    again, found = load_proposer(tmp_path / "half.safetensors")
    assert found == info
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}
    expected = logits(proposer, info)
    assert (logits(again, info) - expected).abs().max() < 0.01
    assert not torch.equal(logits(again, info), expected)
    assert next(proposer.parameters()).dtype == torch.float32


def test_what_is_no_proposer_or_does_not_fit_is_refused(tmp_path, info, proposer, proxy_checkpoint):
    with pytest.raises(InvalidInputError, match="no such file"):
        load_proposer(tmp_path / "none.safetensors")
    with pytest.raises(InvalidInputError, match="not one of the form 'synthproxy-proposer'"):
        load_proposer(proxy_checkpoint)
    tensors, about = proposer.state_dict(), info.to_dict()
    for changes in ({"sizes": {"width": 7}}, {"segments": 5}, {"dimension": 2 * info.dimension}, {"notes": None}):
        write_tensors(tmp_path / "p.safetensors", tensors, about | changes)
        with pytest.raises(InvalidInputError, match=r"p\.safetensors: "):
            load_proposer(tmp_path / "p.safetensors")
    del tensors["usual"]  # As in files of earlier versions.
    write_tensors(tmp_path / "p.safetensors", tensors, about)
    with pytest.raises(InvalidInputError, match=r"own description \(.*Missing key.*usual.*\)$"):
        load_proposer(tmp_path / "p.safetensors")
