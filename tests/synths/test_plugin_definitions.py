"""The tables of Dexed's, Diva's and TAL-NoiseMaker's plug-in parameters say what the published tables say."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthproxy.synths.definition import Definition, definition_path, read_definition
from synthproxy.synths.space import Kind, Parameter

THREE_DECIMALS = 5e-4 + 1e-9
SINGLE_PRECISION = 1e-6
COUNTS = {
    "dexed-plugin": (155, 100, 141, [92, 0, 8]),
    "diva": (280, 173, 396, [100, 22, 51]),
    "talnm": (83, 59, 103, [48, 3, 8]),
}
PUBLISHED = {"dexed-plugin": "dexed", "diva": "diva", "talnm": "talnm"}
KINDS = {"num": Kind.NUMERICAL, "bin": Kind.BINARY, "cat": Kind.CATEGORICAL}
DEFINITIONS = {name: read_definition(definition_path(name)) for name in COUNTS}

each = pytest.mark.parametrize("name", COUNTS)
seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=15)


def plugin_values(parameter: Parameter) -> list[float]:
    """All that the plug-in may be set to; empty for a continuous parameter."""
    return list(parameter.values) or np.linspace(0, 1, parameter.cardinality).tolist()


def plugin_default(parameter: Parameter) -> float:
    if parameter.kind is Kind.CATEGORICAL:
        return plugin_values(parameter)[int(parameter.default)]
    return parameter.default


# What holds for each of them


@each
def test_counts_are_those_of_the_paper(name: str) -> None:
    space = DEFINITIONS[name].space
    counts = [len(space.columns(kind)) for kind in (Kind.NUMERICAL, Kind.BINARY, Kind.CATEGORICAL)]
    assert (len(space.parameters), space.size, space.one_hot_width, counts) == COUNTS[name]


@each
def test_places_on_the_plugin_ascend_and_its_files_are_named(name: str) -> None:
    definition = DEFINITIONS[name]
    assert list(definition.indices) == sorted(set(definition.indices))
    assert definition.plugin is not None
    assert any(file.endswith(".vst3") for file in definition.plugin.files)
    assert any(file.endswith(".so") for file in definition.plugin.files)
    assert "vstpreset" in definition.plugin.presets
    assert re.fullmatch(r"([0-9A-F]{32})?", definition.plugin.vst3_class)


@each
def test_like_groups_have_like_parameters_in_the_same_order(name: str) -> None:
    families: dict[str, dict[str, list[Parameter]]] = {}
    for p in DEFINITIONS[name].space.parameters:
        assert p.group, p.name
        if number := re.fullmatch(r"(.*)\.(\d)", p.group):
            families.setdefault(number[1], {}).setdefault(number[2], []).append(p)
    assert families
    for groups in families.values():
        assert len(groups) > 1
        first, *others = [
            [(re.split(r"[_:]", p.name)[-1], p.kind, p.values, p.cardinality, p.low, p.high, p.weights) for p in group]
            for group in groups.values()
        ]
        assert all(other == first for other in others)


@each
def test_defaults_are_values_that_the_parameters_take(name: str) -> None:
    space = DEFINITIONS[name].space
    space.validate(space.encode(space.defaults))


@each
@few
@given(seed=seeds)
def test_every_draw_is_valid_and_comes_back_from_the_plugin(name: str, seed: int) -> None:
    definition = DEFINITIONS[name]
    presets = definition.space.sample(np.random.default_rng(seed), 20)
    definition.space.validate(presets)
    values = definition.to_plugin(presets)
    assert values.shape == (20, len(definition.space.parameters))
    assert values.min() >= 0
    assert values.max() <= 1
    np.testing.assert_array_equal(definition.from_plugin(values), presets)
    np.testing.assert_array_equal(definition.from_plugin(values.astype(np.float32)), presets)


@each
def test_every_category_of_the_plugin_is_told_from_the_others(name: str) -> None:
    definition = DEFINITIONS[name]
    space = definition.space
    for column, p in enumerate(space.free):
        if p.kind is Kind.NUMERICAL:
            continue
        presets = np.repeat(space.encode(space.defaults)[None], p.cardinality, axis=0)
        presets[:, column] = np.arange(p.cardinality)
        values = definition.to_plugin(presets)[:, space.free_indices[column]]
        np.testing.assert_allclose(values, plugin_values(p), atol=SINGLE_PRECISION)
        np.testing.assert_array_equal(definition.from_plugin(definition.to_plugin(presets)), presets)


# Facts of one of them


def parameters_of(name: str) -> dict[str, Parameter]:
    return {p.name: p for p in DEFINITIONS[name].space.parameters}


def test_divas_sources_are_eight_of_24() -> None:
    for p in parameters_of("diva").values():
        if p.kind is Kind.CATEGORICAL and "lfo1" in p.labels and p.name.startswith("mod:"):
            assert np.round(np.multiply(p.values, 23), 9).tolist() == [14, 15, 16, 17]
        elif p.kind is Kind.CATEGORICAL and "lfo1" in p.labels:
            assert np.round(np.multiply(p.values, 23), 9).tolist() == [0, 14, 15, 16, 17, 20, 21, 23]
    assert sum("multiply" in p.labels for p in parameters_of("diva").values()) == 19


def test_seven_parameters_of_divas_amplifier_are_free_as_in_the_experiments() -> None:
    names = ["pan", "volume", "vca", "panmodulation", "panmoddepth", "mode", "offset"]
    assert not any(parameters_of("diva")[f"vca1:{name}"].held for name in names)


def test_dexeds_first_operator_alone_is_heard_at_first() -> None:
    levels = [parameters_of("dexed-plugin")[f"op{i}_output_level"].default for i in range(1, 7)]
    assert levels == [1, 0, 0, 0, 0, 0]


# Row by row

Pairs = tuple[Definition, list[tuple[dict[str, str], int, Parameter]]]


@pytest.fixture(params=COUNTS, scope="module")
def pairs(request: pytest.FixtureRequest, shared_folder: Path) -> Pairs:
    """A definition, and each row of its published table with the index and the parameter of the same name."""
    definition = DEFINITIONS[request.param]
    ours = dict(zip((p.name for p in definition.space.parameters), definition.indices, strict=True))
    with (shared_folder / "facts" / f"{PUBLISHED[request.param]}_parameters.csv").open(encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(ours)
    by_name = {p.name: p for p in definition.space.parameters}
    return definition, [(row, ours[row["name"]], by_name[row["name"]]) for row in rows]


def numbers(text: str) -> list[float]:
    return [float(number) for number in text.split()]


def every(pairs: Pairs, holds: Callable[[dict[str, str], int, Parameter], bool]) -> None:
    assert [row["name"] for row, index, p in pairs[1] if not holds(row, index, p)] == []


def test_every_row_has_its_index_kind_and_cardinality(pairs: Pairs) -> None:
    every(pairs, lambda row, index, _: index == int(row["index"]))
    every(pairs, lambda row, _, p: p.kind is KINDS[row["type"]])
    every(pairs, lambda row, _, p: p.cardinality == int(row["cardinality"] or 0))


def test_every_row_has_its_grid(pairs: Pairs) -> None:
    def holds(row: dict[str, str], _: int, p: Parameter) -> bool:
        published = numbers(row["values"])
        return len(published) == p.cardinality and bool(np.allclose(plugin_values(p), published, 0, THREE_DECIMALS))

    every(pairs, holds)


def test_grids_are_steps_of_the_plugin_to_full_precision(pairs: Pairs) -> None:
    def holds(row: dict[str, str], _: int, p: Parameter) -> bool:
        # Steps that were left out count, but not the uneven ones of a grid that was thinned without saying so.
        steps = p.cardinality + len(numbers(row["excluded_categories"])) - 1
        places = np.multiply(plugin_values(p), steps)
        return p.cardinality == 0 or p.name == "transpose" or bool(np.allclose(places, np.round(places), 0, 1e-12))

    every(pairs, holds)


def test_every_row_has_its_interval_and_default(pairs: Pairs) -> None:
    every(pairs, lambda row, _, p: (p.low, p.high) == (float(row["low"]), float(row["high"])))

    def holds(row: dict[str, str], _: int, p: Parameter) -> bool:
        published = float(row["default"])
        if p.kind is Kind.CATEGORICAL:
            distances = np.abs(np.subtract(plugin_values(p), published))
            return int(p.default) == distances.argmin()
        return abs(p.default - published) < SINGLE_PRECISION

    every(pairs, holds)


def test_categories_start_where_the_plugin_does_where_they_can(pairs: Pairs) -> None:
    """All but five are at the published default itself; these have no category there."""
    away = [
        row["name"] for row, _, p in pairs[1] if not p.held and abs(plugin_default(p) - float(row["default"])) > 0.01
    ]
    fed = ["mod:quantisesource", "mod:lagsource", "mod:mulsource1", "mod:mulsource2", "fx2:module"]
    assert away == (fed if pairs[0].name == "diva" else [])


def test_every_row_has_its_weights(pairs: Pairs) -> None:
    def holds(row: dict[str, str], _: int, p: Parameter) -> bool:
        published, ours = numbers(row["weights"]), np.asarray(p.weights)
        if not published or not len(ours):
            return len(published) == len(ours)
        return bool(np.allclose(ours / ours.sum(), published, 0, SINGLE_PRECISION))

    every(pairs, holds)


def test_the_same_parameters_are_free_in_the_same_order(pairs: Pairs) -> None:
    every(pairs, lambda row, _, p: p.held == (row["held_at_default"] == "1"))
    free = [row["name"] for row, _, _ in pairs[1] if row["held_at_default"] == "0"]
    assert [p.name for p in pairs[0].space.free] == free
