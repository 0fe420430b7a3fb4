"""Tokens of groups: which groups share a network, what a number becomes, and that equal groups can change places."""

import numpy as np
import pytest
import torch

from synthproxy.errors import InvalidInputError
from synthproxy.proxies import count_parameters, make_proxy
from synthproxy.proxies.groups import FamilyTokens, families
from synthproxy.proxies.tokens import SoftLayout, to_soft
from synthproxy.proxies.wiring import WIRED_GROUPS, Wires
from synthproxy.synths import Kind, Parameter, PresetSpace, get_synth
from synthproxy.synths.dx7_algorithms import ALGORITHMS, symmetries


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


def test_operators_that_change_places_unheard_change_nothing_and_others_do(dexed_space):
    torch.manual_seed(0)
    proxy = make_proxy("gtf", dexed_space, 8, width=16, heads=2, layers=2, hidden=16)
    groups = np.array([parameter.group for parameter in dexed_space.free])
    columns = [np.flatnonzero(groups == name) for name in WIRED_GROUPS]
    algorithm = [parameter.name for parameter in dexed_space.free].index("algorithm")
    presets = dexed_space.sample(np.random.default_rng(0), ALGORITHMS)
    presets[:, algorithm] = np.arange(ALGORITHMS)

    def moved(order_of) -> np.ndarray:
        other = presets.copy()
        for row in range(ALGORITHMS):
            for here, there in enumerate(order_of(row)):
                other[row, columns[here]] = presets[row, columns[there]]
        return proxy.embed(other)

    plain = proxy.embed(presets)
    np.testing.assert_allclose(moved(lambda row: symmetries(row)[-1]), plain, atol=1e-5)
    swapped = moved(lambda _: (1, 0, 2, 3, 4, 5))
    can_swap = np.array([(symmetries(row) == [1, 0, 2, 3, 4, 5]).all(1).any() for row in range(ALGORITHMS)])
    assert (np.abs(swapped - plain).max(axis=1) < 1e-5).tolist() == can_swap.tolist()


def test_wires_of_a_soft_algorithm_are_the_mean(dexed_space):
    wires = Wires.of(dexed_space)
    columns = SoftLayout.of(dexed_space).categories[0]
    assert wires.category == columns
    soft = torch.zeros(1, dexed_space.one_hot_width)
    soft[0, columns.start], soft[0, columns.start + 31] = 0.25, 0.75
    ways, marks = wires(soft)
    assert ways[0, 0, 0, 1] == 0.25  # In algorithm 1 operator 2 feeds operator 1, in algorithm 32 none feeds another.
    assert marks[0, :, 0].tolist() == [1.0, 0.75, 1.0, 0.75, 0.75, 0.75]


def test_spaces_without_wiring(small_space, dexed_space):
    held = dexed_space.hold(["algorithm"])
    for space in (small_space, get_synth("amsynth").space, held, dexed_space.hold(["operators.3"])):
        proxy = make_proxy("gtf", space, 3, width=8, heads=2, layers=2)
        assert proxy.embed(space.sample(np.random.default_rng(0), 4)).shape == (4, 3)
    assert Wires.of(held) is None


def test_outputs_are_standardised_by_the_embeddings_shown(small_space):
    torch.manual_seed(0)
    proxy = make_proxy("gtf", small_space, 3, width=8, heads=2, layers=2)
    presets = small_space.sample(np.random.default_rng(0), 5)
    before = proxy.embed(presets)
    shown = np.array([[1, 5, 2], [3, 5, 2]], dtype=np.float32)
    proxy.fit_output(shown)
    deviation = [np.sqrt(2), 1.0, 1.0]
    np.testing.assert_allclose(proxy.embed(presets), before * deviation + [2, 5, 2], rtol=1e-5)
    other = make_proxy("gtf", small_space, 3, width=8, heads=2, layers=2)
    other.load_state_dict(proxy.state_dict())
    np.testing.assert_array_equal(other.embed(presets), proxy.embed(presets))


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
