"""Tokens of groups: which groups share a network, what a number becomes, and that equal groups can change places."""

import numpy as np
import pytest
import torch

from synthproxy.errors import InvalidInputError
from synthproxy.proxies import count_parameters, make_proxy
from synthproxy.proxies.groups import FamilyTokens, families
from synthproxy.proxies.tokens import SoftLayout, to_soft
from synthproxy.synths import Kind, Parameter, PresetSpace, get_synth


def test_operators_share_a_network_and_every_column_is_read_once():
    for name, sizes in (("dexed-paper", {6: 1, 1: 3}), ("amsynth", {2: 1, 1: 8})):
        space = get_synth(name).space
        found = families(space)
        assert {size: sum(family.size == size for family in found) for size in sizes} == sizes
        columns = [c for family in found for rows in (family.numerical, family.others) for row in rows for c in row]
        assert sorted(columns) == list(range(SoftLayout.of(space).width))


def test_groups_of_other_kinds_or_without_a_name_stay_alone():
    space = PresetSpace(
        "odd",
        (
            Parameter("a", group="osc.1"),
            Parameter("b", Kind.BINARY, group="osc.2"),
            Parameter("c"),
            Parameter("d", Kind.CATEGORICAL, labels=("x", "y"), group="osc.3"),
            Parameter("e", Kind.CATEGORICAL, labels=("x", "y", "z"), group="osc.4"),
        ),
    )
    assert [family.size for family in families(space)] == [1] * 5
    proxy = make_proxy("gtf", space, 3, width=8, heads=2, layers=2)
    assert proxy.embed(space.sample(np.random.default_rng(0), 4)).shape == (4, 3)


def test_groups_that_change_places_change_tokens(dexed_space):
    torch.manual_seed(0)
    family = next(family for family in families(dexed_space) if family.size == 6)
    tokens = FamilyTokens(family, 8, pieces=4, hidden=16).eval()
    torch.nn.init.zeros_(tokens.place)
    preset = dexed_space.sample(np.random.default_rng(0), 1)
    groups = [parameter.group for parameter in dexed_space.free]
    first, third = (np.flatnonzero(np.array(groups) == f"operators.{number}") for number in (1, 3))
    swapped = preset.copy()
    swapped[:, first], swapped[:, third] = preset[:, third], preset[:, first]
    one, other = (tokens(to_soft(dexed_space, torch.from_numpy(p)))[0] for p in (preset, swapped))
    order = list(range(6))
    names = list(dict.fromkeys(group for group in groups if group.startswith("operators.")))
    here, there = names.index("operators.1"), names.index("operators.3")
    order[here], order[there] = there, here
    torch.testing.assert_close(other, one[order])
    assert not torch.allclose(other, one)


def test_numbers_become_ramps():
    space = PresetSpace("one", (Parameter("a"),))
    tokens = FamilyTokens(families(space)[0], 4, pieces=4, hidden=4)
    seen = []
    tokens.network[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].flatten().tolist()))
    for value in (0.0, 0.375, 1.0):
        tokens(torch.tensor([[value]]))
    assert seen == [[0, 0, 0, 0], [1, 0.5, 0, 0], [1, 1, 1, 1]]


def test_size_and_refusals(dexed_space):
    assert count_parameters("gtf", dexed_space, 192) < count_parameters("hn-oh", dexed_space, 192) / 8
    with pytest.raises(InvalidInputError, match="multiple of its heads"):
        make_proxy("gtf", dexed_space, 3, width=10, heads=4)
