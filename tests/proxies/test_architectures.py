"""Sizes, inputs and gradients of every architecture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from synthproxy.errors import InvalidInputError
from synthproxy.proxies import count_parameters, make_proxy, proxy_names
from synthproxy.proxies.layers import HighwayBlock
from synthproxy.proxies.tokens import RawValues, SoftLayout, Tokenizer, position_code, to_hard, to_soft
from synthproxy.proxies.transformer import EncoderLayer

PUBLISHED = {
    "mlp-oh": (4_884_672, 5_406_912, 4_806_848),
    "hn-oh": (6_167_232, 6_363_072, 6_138_048),
    "hn-pt": (6_014_464, 8_422_848, 4_668_544),
    "hn-ptgru": (7_073_856, 7_171_776, 7_059_264),
    "tfm": (4_824_768, 4_890_048, 4_815_040),
}
"""Trainable parameters for Dexed, Diva and TAL-NoiseMaker with 192 outputs."""

SMALL = {
    "mlp-oh": {"width": 24},
    "hn-oh": {"width": 24, "blocks": 2},
    "hn-pt": {"token": 8, "width": 24, "blocks": 2},
    "hn-ptgru": {"token": 8, "hidden": 6, "width": 24, "blocks": 2},
    "tfm": {"width": 16, "layers": 2, "heads": 4, "feed_forward": 32},
    "mlp-raw": {"width": 24},
    "rn-oh": {"width": 24, "blocks": 2},
    "gru-oh": {"hidden": 6},
    "gtf": {"width": 16, "layers": 2, "heads": 4, "feed_forward": 32, "pieces": 4, "hidden": 24},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_trainable_parameters_are_the_published_ones(name, dexed_space, diva_space, tal_space):
    spaces = (dexed_space, diva_space, tal_space)
    assert [(space.size, space.one_hot_width) for space in spaces] == [(100, 141), (173, 396), (59, 103)]
    assert tuple(count_parameters(name, space, 192) for space in spaces) == PUBLISHED[name]


def test_transformer_for_sound_matching_has_the_published_size(dexed_space, diva_space):
    assert count_parameters("tfm", dexed_space, 1072) == 5_050_928
    assert count_parameters("tfm", diva_space, 1072) == 5_116_208


def test_counting_agrees_with_a_network_that_was_built(small_space):
    proxy = make_proxy("tfm", small_space, 5, **SMALL["tfm"])
    built = sum(weight.numel() for weight in proxy.parameters())
    assert count_parameters("tfm", small_space, 5, **SMALL["tfm"]) == built


@pytest.mark.parametrize("name", SMALL)
def test_hard_presets_and_their_one_hot_form_give_the_same_embeddings(name, tal_space):
    proxy = make_proxy(name, tal_space, 7, **SMALL[name]).eval()
    presets = tal_space.sample(np.random.default_rng(0), 33)
    with torch.no_grad():
        soft = proxy(torch.from_numpy(tal_space.one_hot(presets))).numpy()
    assert soft.shape == (33, 7)
    assert np.allclose(proxy.embed(presets, batch_size=10), soft, atol=1e-6)
    assert soft.std(axis=0).min() > 0


@pytest.mark.parametrize("name", SMALL)
def test_gradient_reaches_every_value_and_every_category(name, tal_space):
    torch.manual_seed(1)
    proxy = make_proxy(name, tal_space, 7, **SMALL[name]).eval()
    soft = torch.from_numpy(tal_space.one_hot(tal_space.sample(np.random.default_rng(0), 40))).requires_grad_()
    proxy(soft).square().sum().backward()
    reached = soft.grad.abs().sum(dim=0) > 0
    if name == "mlp-raw":  # Of a category it sees the index, to which the first one adds nothing.
        reached[[columns.start for columns in SoftLayout.of(tal_space).categories]] = True
    assert reached.all()


@pytest.mark.parametrize("name", SMALL)
def test_no_weight_is_out_of_reach(name, tal_space):
    torch.manual_seed(0)
    proxy = make_proxy(name, tal_space, 7, **SMALL[name])
    proxy(to_soft(tal_space, torch.from_numpy(tal_space.sample(np.random.default_rng(0), 200)))).abs().sum().backward()
    silent = [n for n, weight in proxy.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


def test_embedding_leaves_the_mode_as_it_was(small_space):
    proxy = make_proxy("hn-oh", small_space, 3, **SMALL["hn-oh"]).train()
    before = {name: value.clone() for name, value in proxy.state_dict().items()}
    proxy.embed(small_space.sample(np.random.default_rng(0), 9), batch_size=4)
    assert proxy.training
    assert all(torch.equal(before[name], value) for name, value in proxy.state_dict().items())


@pytest.mark.parametrize(
    ("presets", "words"),
    [
        (np.zeros((3, 4), dtype=np.float32), r"\(n, 5\)"),
        (np.array([[3, 0, 0, 0, 0]], dtype=np.float32), "shape has categories 0 to 2, got 3"),
        (np.array([[0, 0, 0, -1, 0]], dtype=np.float32), "mode has categories 0 to 1, got -1"),
        (np.array([[0, np.nan, 0, 0, 0]], dtype=np.float32), "not finite"),
    ],
)
def test_presets_that_are_none_are_refused(small_space, presets, words):
    with pytest.raises(InvalidInputError, match=words):
        make_proxy("mlp-oh", small_space, 3, width=4).embed(presets)


def test_soft_form_is_the_one_hot_form_of_the_space(dexed_space, tal_space, small_space):
    for space in (dexed_space, tal_space, small_space):
        presets = space.sample(np.random.default_rng(3), 50)
        assert np.array_equal(to_soft(space, torch.from_numpy(presets)).numpy(), space.one_hot(presets))
        assert SoftLayout.of(space).width == space.one_hot_width


@given(seed=st.integers(0, 1000))
def test_soft_and_back_is_the_same_preset(small_space, seed):
    presets = torch.from_numpy(small_space.sample(np.random.default_rng(seed), 5))
    assert torch.equal(to_hard(small_space, to_soft(small_space, presets)), presets)


def test_a_space_without_categories_works(small_space):
    plain = small_space.hold(["shape", "mode"])
    for name in SMALL:
        proxy = make_proxy(name, plain, 3, **SMALL[name])
        assert proxy.embed(plain.sample(np.random.default_rng(0), 4)).shape == (4, 3)


def test_raw_values_are_those_of_the_preset_and_of_soft_categories_the_mean_index(small_space):
    preset = torch.tensor([[2.0, 0.25, 1.0, 1.0, 0.75]])
    soft = to_soft(small_space, preset)
    assert RawValues(small_space)(soft)[0].tolist() == [1.0, 0.25, 1.0, 1.0, 0.75]
    soft[0, SoftLayout.of(small_space).categories[0]] = torch.tensor([0.5, 0.0, 0.5])
    assert RawValues(small_space)(soft)[0].tolist() == [0.5, 0.25, 1.0, 1.0, 0.75]


def test_tokens_are_scaled_vectors_and_rows_in_the_order_of_the_space(small_space):
    tokenizer = Tokenizer(small_space, 6, summary=True, positions=True)
    preset = torch.tensor([[2.0, 0.25, 1.0, 1.0, 0.75]])
    tokens = tokenizer(to_soft(small_space, preset))[0] - position_code(6, 6)
    vectors, rows = tokenizer.vectors, tokenizer.rows
    wanted = [tokenizer.summary[0], rows[2], 0.25 * vectors[0], vectors[1], rows[3 + 1], 0.75 * vectors[2]]
    assert torch.allclose(tokens, torch.stack(wanted), atol=1e-6)


def test_position_code_follows_its_formula():
    code = position_code(50, 8)
    assert code[7, 2].item() == pytest.approx(np.sin(7 / 10_000 ** (2 / 8)), abs=1e-5)
    assert code[7, 3].item() == pytest.approx(np.cos(7 / 10_000 ** (2 / 8)), abs=1e-5)
    assert position_code(3, 5).shape == (3, 5)


def test_highway_block_follows_its_equation():
    block = HighwayBlock(5).eval()
    x = torch.randn(4, 5)
    transformed, gate = block.transform(x), torch.sigmoid(x @ block.gate.weight.T + block.gate.bias)
    assert torch.allclose(block(x), transformed * gate + x * (1 - gate), atol=1e-6)
    assert torch.equal(block.gate.bias, torch.full((5,), -1.0))


def test_encoder_layer_agrees_with_the_one_of_torch():
    ours = EncoderLayer(16, 4, 32).eval()
    theirs = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True, norm_first=True)
    pairs = {
        "self_attn.in_proj_": ours.query_key_value,
        "self_attn.out_proj.": ours.attention_output,
        "linear1.": ours.expand,
        "linear2.": ours.contract,
        "norm1.": ours.attention_norm,
        "norm2.": ours.feed_forward_norm,
    }
    theirs.load_state_dict({f"{k}{part}": getattr(v, part) for k, v in pairs.items() for part in ("weight", "bias")})
    tokens = torch.randn(3, 9, 16)
    with torch.no_grad():
        assert torch.allclose(ours(tokens), theirs(tokens), atol=1e-5)
        assert torch.allclose(ours(tokens, first_only=True), theirs(tokens)[:, :1], atol=1e-5)


def test_bfloat16_attention_on_a_processor_stays_close(small_space):
    proxy = make_proxy("tfm", small_space, 3, **SMALL["tfm"]).eval()
    soft = to_soft(small_space, torch.from_numpy(small_space.sample(np.random.default_rng(0), 6)))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rough = proxy(soft)
    assert torch.allclose(rough.float(), proxy(soft), atol=0.1)


def test_names_are_the_published_short_ones():
    assert set(SMALL) <= set(proxy_names())


@pytest.mark.parametrize(
    ("name", "sizes", "words"),
    [
        ("hn-ho", {}, "did you mean hn-oh"),
        ("hn-oh", {"depth": 3}, "has no size 'depth'; it has width, blocks"),
        ("hn-oh", {"width": 0}, "width must be a whole number above 0, got 0"),
        ("tfm", {"width": 30}, "multiple of its heads, got 30 and 8"),
    ],
)
def test_wrong_choices_are_explained(small_space, name, sizes, words):
    with pytest.raises(InvalidInputError, match=words):
        make_proxy(name, small_space, 3, **sizes)
