"""The generative model: what it looks at, what it can tell, and that it draws what it has learned."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.matching.proposers.codes import FINEST, PresetCode
from synthproxy.matching.proposers.network import Drawing, Given, Hearing, Proposer, hide, note_values
from synthproxy.proxies.tokens import SoftLayout, to_soft
from synthproxy.proxies.wiring import WIRED_GROUPS
from synthproxy.synths import Kind, Note, Parameter, PresetSpace, get_synth
from synthproxy.synths.dx7_algorithms import symmetries

SIZES = {"tokens": 2, "width": 16, "layers": 2, "heads": 2, "feed_forward": 32, "pieces": 4, "hidden": 16}


@pytest.fixture(scope="module")
def space() -> PresetSpace:
    return get_synth("dexed").space


def small(space: PresetSpace, seed: int = 0) -> Proposer:
    torch.manual_seed(seed)
    proposer = Proposer(space, 24, 4, **SIZES)
    for head in proposer.heads:
        torch.nn.init.normal_(head.weight, std=0.1)
    return proposer.eval()


@pytest.mark.parametrize("name", ["dexed", "dexed-paper", "amsynth", "diva"])
def test_classes_stand_for_the_values_nearest_to_them(name):
    space = get_synth(name).space
    code, presets = PresetCode(space), space.sample(np.random.default_rng(0), 200)
    classes = code.classes(presets)
    again = code.presets(classes)
    space.validate(again)
    assert np.abs(again - presets).max() <= 0.5 / (FINEST - 1) + 0.01
    np.testing.assert_array_equal(code.classes(again), classes)
    exact = [i for i, parameter in enumerate(code.parameters) if not parameter.is_divided]
    np.testing.assert_array_equal(again[:, exact], presets[:, exact])
    drawn = code.draw(classes, code.usual(presets[:0]), np.random.default_rng(1))
    space.validate(drawn)
    assert np.abs(drawn - presets).max() <= 1.0 / (FINEST - 1) + 0.01
    assert (drawn != again).any()


def test_values_are_drawn_as_they_were_seen_in_their_class(space):
    """People leave a fine frequency at 0, hardly ever at 1, and both are of one class."""
    code, generator = PresetCode(space), np.random.default_rng(0)
    fine = [parameter.name for parameter in space.free].index("op1_f_fine")
    seen = space.sample(generator, 400)
    seen[:, fine] = np.where(generator.random(400) < 0.75, 0.0, np.float32(1 / 99))
    usual = code.usual(seen)
    drawn = code.draw(code.classes(seen), usual, generator)
    space.validate(drawn)
    assert set(np.rint(99 * drawn[:, fine])) == {0.0, 1.0}
    assert 0.65 < np.mean(drawn[:, fine] == 0) < 0.85
    values = code.usual(seen[:0])[fine, code.parameters[fine].size - 1]
    np.testing.assert_allclose(usual[fine, code.parameters[fine].size - 1], values)  # None was seen: evenly spread.


def test_classes_beside_the_right_one_are_learned_but_not_drawn(space):
    proposer = small(space)
    names = [parameter.name for parameter in space.free]
    chances = torch.zeros(1, space.size, proposer.code.most)
    chances[:, :, 0] = 1.0
    fine, sizes = names.index("op1_f_fine"), [parameter.size for parameter in proposer.code.parameters]
    chances[0, fine, [0, 5, 6]] = torch.tensor([0.5, 0.2, 0.3])
    learned = torch.einsum("bfc,fcd->bfd", chances, proposer.targets)
    assert learned[0, fine, 1] > 0.05
    found = proposer.unsmeared(learned.clamp(min=1e-12).log().masked_fill(proposer.absent, -1e4)).softmax(dim=2)
    torch.testing.assert_close(found, chances, atol=1e-3, rtol=0)
    assert all(found[0, i, size:].abs().max() < 1e-6 for i, size in enumerate(sizes) if size < proposer.code.most)


def test_a_proposer_draws_the_usual_values(space):
    proposer = small(space)
    fine = [parameter.name for parameter in space.free].index("op1_f_fine")
    proposer.usual[fine] = 7 / 99
    drawn = proposer.draw(torch.zeros(24), Note(), 20, np.random.default_rng(0))
    np.testing.assert_allclose(drawn[:, fine], 7 / 99, rtol=1e-6)


def test_targets_count_neighbours_only_where_classes_are_parts(space):
    by_name = {code.parameter.name: code for code in PresetCode(space).parameters}
    level, ratio = by_name["op1_output_level"].weights(), by_name["op1_f_coarse"].weights()
    np.testing.assert_array_equal(ratio, np.eye(32))
    np.testing.assert_allclose(level.sum(axis=1), 1.0)
    assert (level.argmax(axis=1) == np.arange(FINEST)).all()
    assert 0.1 < level[5, 6] < level[5, 5]


def test_a_reading_adds_what_the_sound_alone_tells(space):
    torch.manual_seed(0)
    proposer, generator = Proposer(space, 24, 4, **SIZES, reading=8).eval(), np.random.default_rng(0)
    plain = Proposer(space, 24, 4, **SIZES).eval()
    plain.load_state_dict({k: v for k, v in proposer.state_dict().items() if not k.startswith("reading")})
    sounds, notes = torch.randn(2, 24), note_values([Note()] * 2)
    softs = [to_soft(space, torch.from_numpy(space.sample(generator, 2))) for _ in range(2)]
    known = torch.from_numpy(hide(space, 2, generator))
    torch.testing.assert_close(proposer(sounds, notes, softs[0], known), plain(sounds, notes, softs[0], known))
    torch.nn.init.normal_(proposer.reading.last.weight)
    added = [proposer(sounds, notes, soft, known) - plain(sounds, notes, soft, known) for soft in softs]
    torch.testing.assert_close(*added, atol=1e-5, rtol=1e-4)
    there = torch.from_numpy(np.stack([np.arange(proposer.code.most) < code.size for code in proposer.code.parameters]))
    assert (added[0][:, there] != 0).all()
    assert (added[0][:, ~there] == 0).all()
    drawn = [
        network.draw(sound, Note(), 3, np.random.default_rng(1), Drawing(steps=2))
        for network, sound in ((proposer, sounds[0]), (proposer, sounds[:1].expand(3, -1)), (plain, sounds[0]))
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_what_is_hidden_is_not_looked_at(space):
    proposer, generator = small(space), np.random.default_rng(0)
    one, other = (torch.from_numpy(space.sample(generator, 6)) for _ in range(2))
    known = torch.from_numpy(hide(space, 6, generator))
    mixed = torch.where(known, one, other)
    sounds, notes = torch.randn(6, 24), note_values([Note()] * 6)
    logits = [proposer(sounds, notes, to_soft(space, presets), known) for presets in (one, mixed)]
    torch.testing.assert_close(*logits)
    assert not torch.allclose(logits[0], proposer(sounds, notes, to_soft(space, other), known))
    assert not torch.allclose(logits[0], proposer(sounds + 1, notes, to_soft(space, one), known))
    assert not torch.allclose(logits[0], proposer(sounds, notes + 0.2, to_soft(space, one), known))


def test_operators_that_change_places_change_logits_with_them(space):
    proposer = small(space)
    groups = np.array([parameter.group for parameter in space.free])
    columns = np.stack([np.flatnonzero(groups == name) for name in WIRED_GROUPS])
    preset = space.sample(np.random.default_rng(0), 1)
    preset[:, [parameter.name for parameter in space.free].index("algorithm")] = 31
    order = symmetries(31)[77]
    moved, places = preset.copy(), np.arange(space.size)
    moved[:, columns.ravel()] = preset[:, columns[order].ravel()]
    places[columns.ravel()] = columns[order].ravel()
    known = torch.from_numpy(np.random.default_rng(1).random((1, space.size)) < 0.7)
    known[:, [parameter.name for parameter in space.free].index("algorithm")] = True
    sounds, notes = torch.randn(1, 24), note_values([Note()])
    plain = proposer(sounds, notes, to_soft(space, torch.from_numpy(preset)), known)
    other = proposer(sounds, notes, to_soft(space, torch.from_numpy(moved)), known[:, places])
    torch.testing.assert_close(other, plain[:, places], atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_cross_entropy_of_what_is_hidden(space):
    proposer, generator = small(space), np.random.default_rng(0)
    presets = space.sample(generator, 4)
    soft, known = to_soft(space, torch.from_numpy(presets)), torch.from_numpy(hide(space, 4, generator))
    classes = torch.from_numpy(proposer.code.classes(presets))
    sounds, notes = torch.randn(4, 24), note_values([Note()] * 4)
    logits = proposer(sounds, notes, soft, known)
    terms = []
    for column, code in enumerate(proposer.code.parameters):
        for row in range(4):
            if not known[row, column]:
                wanted = torch.from_numpy(code.weights()[classes[row, column]]).float()
                terms.append(F.cross_entropy(logits[row, column, : code.size], wanted))
    torch.testing.assert_close(proposer.loss(sounds, notes, soft, classes, known), torch.stack(terms).mean())
    everything = torch.ones_like(known)
    assert proposer.loss(sounds, notes, soft, classes, everything) == 0


def test_it_learns_to_draw_presets_that_depend_on_the_sound():
    space = PresetSpace(
        "toy",
        (
            Parameter("level", values=tuple(i / 7 for i in range(8)), group="osc.1"),
            Parameter("on", Kind.BINARY, group="osc.1"),
            Parameter("level 2", values=tuple(i / 7 for i in range(8)), group="osc.2"),
            Parameter("on 2", Kind.BINARY, group="osc.2"),
            Parameter("wave", Kind.CATEGORICAL, labels=("sine", "saw", "square")),
        ),
    )
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    proposer = Proposer(space, 4, 2, **SIZES)
    optimiser = torch.optim.AdamW(proposer.parameters(), lr=5e-3)

    def heard(presets: np.ndarray) -> torch.Tensor:
        """Which of the two oscillators has the level is not heard."""
        levels = presets[:, [0, 2]]
        columns = (levels.max(axis=1), levels.min(axis=1), presets[:, 4] / 2, presets[:, 1] + presets[:, 3])
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))

    notes = note_values([Note()] * 128)
    for _ in range(600):
        presets = space.sample(generator, 128)
        classes = torch.from_numpy(proposer.code.classes(presets))
        known = torch.from_numpy(hide(space, 128, generator))
        loss = proposer.loss(heard(presets), notes, to_soft(space, torch.from_numpy(presets)), classes, known)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    target = np.asarray([[6 / 7, 1, 1 / 7, 0, 2]], dtype=np.float32)
    drawn = proposer.draw(heard(target)[0], Note(), 200, generator, Drawing(steps=5))
    space.validate(drawn)
    difference = (heard(drawn) - heard(target)).abs()
    assert (difference.max(dim=1).values < 0.2).float().mean() > 0.6
    assert 0.25 < (drawn[:, 0] > drawn[:, 2]).mean() < 0.75  # Both orders, seldom two of the same.


@pytest.mark.parametrize("locks_the_algorithm", [True, False])
def test_given_values_are_kept_and_heeded(space, locks_the_algorithm):
    proposer, generator = small(space), np.random.default_rng(0)
    presets = space.sample(generator, 2)
    known = np.array([parameter.group == "operators.2" for parameter in space.free])
    algorithm = [parameter.name for parameter in space.free].index("algorithm")
    known[algorithm] = locks_the_algorithm
    drawn = [
        proposer.draw(torch.ones(24), Note(), 8, np.random.default_rng(1), Drawing(steps=4), Given(preset, known))
        for preset in presets
    ]
    for preset, found in zip(presets, drawn, strict=True):
        space.validate(found)
        assert (found[:, known] == preset[known]).all()
        assert (found[:, ~known] != preset[~known]).any(axis=1).all()
        assert len(np.unique(found, axis=0)) == 8
    # The same draws, but for what is given.
    assert (drawn[0][:, ~known] != drawn[1][:, ~known]).any()


def test_all_given_leaves_nothing_to_draw_and_nothing_given_all(space):
    proposer, preset = small(space), space.sample(np.random.default_rng(0), 1)[0]
    everything = Given(preset, np.ones(space.size, dtype=bool))
    found = proposer.draw(torch.ones(24), Note(), 3, np.random.default_rng(1), Drawing(steps=2), everything)
    np.testing.assert_array_equal(found, np.repeat(preset[None], 3, axis=0))
    nothing = Given(preset, np.zeros(space.size, dtype=bool))
    drawn = [
        proposer.draw(torch.ones(24), Note(), 3, np.random.default_rng(1), Drawing(steps=2), given)
        for given in (nothing, None)
    ]
    np.testing.assert_array_equal(*drawn)


def test_each_preset_may_have_its_own_values_given(space):
    proposer, generator = small(space), np.random.default_rng(0)
    presets = space.sample(generator, 6)
    known = generator.random(presets.shape) < np.linspace(0, 1, 6)[:, None]
    found = proposer.draw(torch.ones(24), Note(), 6, np.random.default_rng(1), Drawing(steps=3), Given(presets, known))
    space.validate(found)
    np.testing.assert_array_equal(found[known], presets[known])
    assert (found != presets).any(axis=1).tolist() == [True] * 5 + [False]


def test_a_given_preset_must_be_one_of_the_space(space):
    given = Given(np.full(space.size, 0.123456, dtype=np.float32), np.ones(space.size, dtype=bool))
    with pytest.raises(InvalidInputError, match="cannot be"):
        small(space).draw(torch.ones(24), Note(), 1, np.random.default_rng(0), given=given)


def test_shares_that_are_known_in_training_are_of_every_size_but_rather_small(space):
    known = hide(space, 2000, np.random.default_rng(0))
    counts = np.histogram(known.mean(axis=1), bins=4, range=(0, 1))[0]
    assert counts.min() > 200
    assert counts[0] > 850
    groups = np.array([parameter.group for parameter in space.free])
    whole = np.stack([known[:, groups == name].all(axis=1) | ~known[:, groups == name].any(axis=1) for name in groups])
    assert 0.4 < whole.all(axis=0).mean() < 0.65


def test_sizes_that_do_not_fit_and_steps_that_are_none():
    with pytest.raises(InvalidInputError, match="divide"):
        Hearing(20, 3, 1, 8)
    with pytest.raises(InvalidInputError, match="divide"):
        Hearing(24, 4, 3, 8)
    for drawing in ({"steps": 0}, {"temperature": 0.0}):
        with pytest.raises(InvalidInputError, match="drawn in steps"):
            Drawing(**drawing)


def test_layout_of_what_is_known(space):
    proposer = small(space)
    layout = SoftLayout.of(space)
    owners = proposer.soft_of.tolist()
    assert len(owners) == space.one_hot_width
    assert owners[: len(layout.plain)] == list(layout.plain)
    assert owners[layout.categories[0].start : layout.categories[0].stop] == [layout.categorical[0]] * 32
