"""Preset spaces: what a definition may say, and that presets keep their value whatever form they take."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from synthproxy.errors import InvalidInputError
from synthproxy.synths import Kind, Parameter, PresetSpace, get_synth

SPACES = {name: get_synth(name).space for name in ("dexed", "dexed-paper")}
SMALL = PresetSpace(
    "small",
    (
        Parameter("cutoff", low=0.2, high=0.7, group="filter"),
        Parameter(
            "wave", Kind.CATEGORICAL, default=1, group="osc.1", labels=("saw", "sine", "noise"), weights=(2, 1, 0)
        ),
        Parameter("sync", Kind.BINARY, group="osc.1", labels=("off", "on"), weights=(1, 3)),
        Parameter("octave", group="osc.1.pitch", values=(0.0, 0.1, 0.5, 1.0), weights=(1, 2, 3, 4)),
        Parameter("held", default=0.3, group="osc.10", held=True),
        Parameter("quarter", values=(0.0, 0.25, 0.5, 0.75, 1.0), low=0.25, high=0.75),
    ),
)
ALL_SPACES = [*SPACES.values(), SMALL]
IMPROBABLE = 1e-4

spaces = st.sampled_from(ALL_SPACES)
seeds = st.integers(0, 2**32)
few = settings(deadline=None, max_examples=40)


def drawn(space: PresetSpace, seed: int, count: int = 4) -> np.ndarray:
    return space.sample(np.random.default_rng(seed), count)


def refusal(**definition: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        Parameter(**{"name": "knob", **definition})  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"name": ""}, "no name"),
        ({"kind": Kind.CATEGORICAL, "labels": ("only",)}, "at least two"),
        ({"kind": Kind.CATEGORICAL}, "at least two"),
        ({"kind": Kind.CATEGORICAL, "labels": ("a", "b", "c"), "values": (0.0, 1.0)}, "3 labels for 2 values"),
        ({"kind": Kind.BINARY, "labels": ("off",)}, "1 labels for 2 values"),
        ({"low": 0.6, "high": 0.5}, "interval"),
        ({"low": -0.1}, "interval"),
        ({"high": 1.1}, "interval"),
        ({"high": float("nan")}, "interval"),
        ({"values": (0.0, 0.5, 0.5)}, "ascend"),
        ({"values": (0.5, 0.0)}, "ascend"),
        ({"values": (0.0, 1.0), "weights": (1.0,)}, "1 weights for 2 values"),
        ({"weights": (1.0, 1.0)}, "2 weights for 0 values"),
        ({"kind": Kind.BINARY, "weights": (1.0, -1.0)}, "negative"),
        ({"kind": Kind.BINARY, "weights": (0.0, 0.0)}, "all zero"),
        ({"values": (0.0, 1.0), "weights": (1.0, 1.0), "low": 0.5}, "either weights or an interval"),
        ({"values": (0.0, 1.0), "low": 0.2, "high": 0.8}, "no grid value"),
        ({"default": 1.5}, "out of range"),
        ({"default": float("nan")}, "out of range"),
        ({"kind": Kind.CATEGORICAL, "labels": ("a", "b"), "default": 2}, "out of range"),
    ],
)
def test_bad_definition_is_refused_with_its_reason(definition: dict[str, object], said: str) -> None:
    assert said in refusal(**definition)


def test_a_name_may_occur_only_once() -> None:
    with pytest.raises(InvalidInputError, match="more than once: a"):
        PresetSpace("twice", (Parameter("a"), Parameter("b"), Parameter("a")))


@few
@given(spaces, seeds)
def test_what_is_drawn_is_valid_and_snapping_leaves_it_alone(space: PresetSpace, seed: int) -> None:
    presets = drawn(space, seed)
    assert presets.dtype == np.float32
    space.validate(presets)
    space.validate(presets[0])
    np.testing.assert_array_equal(space.snap(presets), presets)


@few
@given(spaces, seeds)
def test_snapping_is_idempotent_valid_and_never_passes_a_nearer_value(space: PresetSpace, seed: int) -> None:
    anything = np.random.default_rng(seed).uniform(-1.0, 7.0, (3, space.size))
    snapped = space.snap(anything)
    space.validate(snapped)
    np.testing.assert_array_equal(space.snap(snapped), snapped)
    others = drawn(space, seed + 1, 3)
    assert (np.abs(snapped - anything) <= np.abs(others - anything) + 1e-6).all()


@few
@given(spaces, seeds)
def test_encode_undoes_decode_to_the_bit_and_held_values_stand_at_their_default(space: PresetSpace, seed: int) -> None:
    presets = drawn(space, seed)
    everything = space.decode(presets)
    assert everything.shape == (4, len(space.parameters))
    np.testing.assert_array_equal(space.encode(everything), presets)
    held = [i for i, p in enumerate(space.parameters) if p.held]
    np.testing.assert_array_equal(everything[:, held], np.tile(space.defaults[held], (4, 1)))


def test_defaults_are_valid_presets() -> None:
    for space in SPACES.values():
        space.validate(space.encode(space.defaults))


@pytest.mark.parametrize("space", ALL_SPACES, ids=lambda space: space.name)
def test_one_bad_value_is_refused_by_name(space: PresetSpace) -> None:
    good = drawn(space, 0)
    for column in range(space.size):
        for value in (np.nan, -0.02, 33.3, np.inf):
            bad = good.copy()
            bad[2, column] = value
            with pytest.raises(InvalidInputError, match=space.free[column].name):
                space.validate(bad)


def test_values_between_grid_points_and_outside_the_interval_are_refused() -> None:
    good = SMALL.from_names({"octave": 0.5, "quarter": 0.5, "cutoff": 0.4})
    SMALL.validate(good)
    for name, value in {"octave": 0.3, "quarter": 1.0, "cutoff": 0.15, "wave": 0.5, "sync": 0.5}.items():
        with pytest.raises(InvalidInputError, match=name):
            SMALL.validate(SMALL.from_names({"quarter": 0.5, "cutoff": 0.4, name: value}))


@pytest.mark.parametrize("shape", [(), (101,), (99,), (100, 3), (0,)])
def test_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    for check in (SPACES["dexed-paper"].validate, SPACES["dexed-paper"].decode):
        with pytest.raises(InvalidInputError, match="100 values"):
            check(np.zeros(shape))


@few
@given(spaces, seeds)
def test_from_names_undoes_to_names_to_the_bit(space: PresetSpace, seed: int) -> None:
    preset = drawn(space, seed, 1)[0]
    named = space.to_names(preset)
    assert list(named) == [p.name for p in space.parameters]
    np.testing.assert_array_equal(space.from_names(named), preset)
    np.testing.assert_array_equal(space.from_names(json.loads(json.dumps(named))), preset)


def test_every_grid_value_survives_its_name() -> None:
    for i, p in enumerate(SMALL.free):
        for value in p.values if p.kind is Kind.NUMERICAL else range(p.cardinality):
            assert SMALL.from_names({p.name: value})[i] == np.float32(value)


def test_names_are_labels_and_what_is_not_named_has_its_default() -> None:
    preset = SMALL.from_names({"wave": "noise", "sync": "on"})
    assert SMALL.to_names(preset) == {"cutoff": 0, "wave": "noise", "sync": 1, "octave": 0, "held": 0.3, "quarter": 0}
    np.testing.assert_array_equal(SMALL.from_names({}), SMALL.encode(SMALL.defaults))
    np.testing.assert_array_equal(SMALL.from_names({"held": 0.9}), SMALL.from_names({}))


def test_unknown_names_and_labels_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no parameter called 'cutof'"):
        SMALL.from_names({"cutoff": 0.4, "cutof": 0.4})
    with pytest.raises(InvalidInputError, match="'square' is none of saw, sine, noise"):
        SMALL.from_names({"wave": "square"})


@pytest.mark.parametrize("space", ALL_SPACES, ids=lambda space: space.name)
def test_definition_survives_json_and_keeps_its_digest(space: PresetSpace) -> None:
    again = PresetSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again == space
    assert again.digest == space.digest


def test_digest_tells_every_change_apart() -> None:
    parameters = SMALL.parameters
    changed = [
        replace(parameters[0], high=0.6),
        replace(parameters[0], default=0.1),
        replace(parameters[0], group="amp"),
        replace(parameters[0], held=True),
        replace(parameters[0], values=(0.0, 0.5)),
    ]
    digests = {SMALL.digest, *(PresetSpace("small", (p, *parameters[1:])).digest for p in changed)}
    digests.add(PresetSpace("other", parameters).digest)
    digests.add(PresetSpace("small", parameters[::-1]).digest)
    assert len(digests) == len(changed) + 3


def test_holding_by_pattern_and_by_group_takes_just_those_columns_away() -> None:
    space = SPACES["dexed-paper"]
    by_pattern = space.hold(["op?_detune"])
    assert by_pattern.size == space.size - 6
    assert not any(p.name.endswith("_detune") for p in by_pattern.free)
    by_group = space.hold(["operators.3"])
    assert [p.name for p in by_group.free] == [p.name for p in space.free if not p.name.startswith("op3_")]
    everything = space.hold(["operators"])
    assert not any(p.group.startswith("operators") for p in everything.free)
    assert [p.name for p in everything.parameters] == [p.name for p in space.parameters]


def test_a_group_does_not_take_its_namesake_along() -> None:
    held = {p.name for p in SMALL.hold(["osc.1"]).parameters if p.held}
    assert held == {"wave", "sync", "octave", "held"}
    assert "held" in {p.name for p in SMALL.parameters if p.held}
    assert SMALL.matching(["osc.1"]) == [1, 2, 3]


def test_held_parameters_stand_at_the_given_value() -> None:
    space = SMALL.hold(["cutoff", "octave"], {"cutoff": 0.5})
    assert space.decode(drawn(space, 0))[:, 0].tolist() == [0.5] * 4
    assert space.decode(drawn(space, 0))[:, 3].tolist() == [0.0] * 4


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    for pattern in ("op7_detune", "operators.7", "oper", ""):
        with pytest.raises(InvalidInputError, match="fits"):
            SPACES["dexed"].hold([pattern])


@pytest.mark.parametrize("space", ALL_SPACES, ids=lambda space: space.name)
def test_draws_follow_the_weights_and_fill_the_intervals(space: PresetSpace) -> None:
    presets = drawn(space, 7, 20_000)
    for column, p in zip(presets.T, space.free, strict=True):
        if not p.cardinality:
            assert kstest(column, "uniform", (p.low, p.high - p.low)).pvalue > IMPROBABLE
            continue
        values = np.float32(p.values) if p.kind is Kind.NUMERICAL else np.arange(p.cardinality, dtype=np.float32)
        weights = np.asarray(p.weights or np.ones(p.cardinality), dtype=np.float64)
        if p.kind is Kind.NUMERICAL:
            weights = weights * (values >= np.float32(p.low)) * (values <= np.float32(p.high))
        counts = (column[:, None] == values).sum(axis=0)
        assert counts.sum() == len(column)
        assert not counts[weights == 0].any()
        possible = weights > 0
        expected = weights[possible] / weights.sum() * len(column)
        assert chisquare(counts[possible], expected).pvalue > IMPROBABLE, p.name


def test_draws_of_different_parameters_are_not_correlated() -> None:
    correlation = np.corrcoef(drawn(SPACES["dexed-paper"], 3, 5000).T)
    np.fill_diagonal(correlation, 0.0)
    assert np.abs(correlation).max() < 0.08


@pytest.mark.parametrize("space", ALL_SPACES, ids=lambda space: space.name)
def test_a_draw_depends_on_the_generator_alone(space: PresetSpace) -> None:
    generator = np.random.default_rng(5)
    in_two_goes = np.concatenate([space.sample(generator, 10), space.sample(generator, 5)])
    np.testing.assert_array_equal(in_two_goes, drawn(space, 5, 15))
    assert not np.array_equal(in_two_goes, drawn(space, 6, 15))


@few
@given(spaces, seeds)
def test_one_hot_form_holds_the_preset_and_nothing_else(space: PresetSpace, seed: int) -> None:
    presets = drawn(space, seed)
    wide = space.one_hot(presets)
    assert wide.shape == (4, space.one_hot_width)
    categories = space.columns(Kind.CATEGORICAL)
    plain = [i for i in range(space.size) if i not in categories]
    np.testing.assert_array_equal(wide[:, : len(plain)], presets[:, plain])
    at = len(plain)
    for column in categories:
        width = space.free[column].cardinality
        block = wide[:, at : at + width]
        np.testing.assert_array_equal(block.argmax(axis=1), presets[:, column])
        assert ((block == 0) | (block == 1)).all()
        assert (block.sum(axis=1) == 1).all()
        at += width
