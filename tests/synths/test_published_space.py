"""The preset space of the published experiments is the published one, on the grids of the engine."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from synthproxy.synths import Kind, Parameter, PresetSpace, get_synth

PLUGIN_ONLY = re.compile(r"cutoff|resonance|output|master_tune_adj|op\d_switch")
OUR_NAMES = {
    "lfo_pm_depth": "lfo_pitch_mod_depth",
    "lfo_am_depth": "lfo_amp_mod_depth",
    "middle_c": "transpose",
    "p_mode_sens.": "pitch_mod_sensitivity",
    "osc_detune": "detune",
    "l_scale_depth": "left_depth",
    "r_scale_depth": "right_depth",
    "l_key_scale": "left_curve",
    "r_key_scale": "right_curve",
    "a_mod_sens.": "amp_mod_sensitivity",
    "key_velocity": "velocity_sensitivity",
}
KINDS = {"num": Kind.NUMERICAL, "cat": Kind.CATEGORICAL, "bin": Kind.BINARY}
THREE_DECIMALS = 6e-4


def our_name(published: str) -> str:
    operator, rest = re.fullmatch(r"(op\d_)?(.*)", published).groups()  # type: ignore[union-attr]
    return (operator or "") + OUR_NAMES.get(rest, rest)


@pytest.fixture(scope="module")
def published(shared_folder: Path) -> list[dict[str, str]]:
    with (shared_folder / "facts" / "dexed_parameters.csv").open(encoding="utf8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def space() -> PresetSpace:
    return get_synth("dexed-paper").space


@pytest.fixture(scope="module")
def pairs(published: list[dict[str, str]], space: PresetSpace) -> list[tuple[dict[str, str], Parameter]]:
    ours = {p.name: p for p in space.parameters}
    return [(row, ours[our_name(row["name"])]) for row in published if not PLUGIN_ONLY.fullmatch(row["name"])]


def test_counts_are_those_of_the_paper(space: PresetSpace) -> None:
    assert len(space.parameters) == 145
    assert space.size == 100
    assert [len(space.columns(kind)) for kind in (Kind.NUMERICAL, Kind.BINARY, Kind.CATEGORICAL)] == [92, 0, 8]
    assert space.one_hot_width == 141


def test_our_own_space_frees_two_more() -> None:
    own = get_synth("dexed").space
    assert (len(own.parameters), own.size) == (145, 102)
    more = {p.name for p in own.free} - {p.name for p in get_synth("dexed-paper").space.free}
    assert more == {"transpose", "lfo_key_sync"}


def test_every_published_parameter_but_the_plugins_own_has_its_counterpart(
    published: list[dict[str, str]], pairs: list[tuple[dict[str, str], Parameter]], space: PresetSpace
) -> None:
    assert len(published) == 155
    assert [p.name for _, p in pairs] != []
    assert {p.name for _, p in pairs} == {p.name for p in space.parameters}
    assert {p.name for p in space.parameters}.isdisjoint(
        r["name"] for r in published if PLUGIN_ONLY.fullmatch(r["name"])
    )


def test_the_same_parameters_are_free_in_the_same_order(published: list[dict[str, str]], space: PresetSpace) -> None:
    free = [our_name(row["name"]) for row in published if row["held_at_default"] == "0"]
    assert [p.name for p in space.free] == free


def test_kinds_and_intervals_are_the_published_ones(pairs: list[tuple[dict[str, str], Parameter]]) -> None:
    for row, p in pairs:
        assert p.kind is KINDS[row["type"]], p.name
        assert (p.low, p.high) == (float(row["low"]), float(row["high"])), p.name


def test_discrete_parameters_have_the_published_grid_and_continuous_ones_the_engines(
    pairs: list[tuple[dict[str, str], Parameter]],
) -> None:
    for row, p in pairs:
        if p.name == "transpose":
            continue  # Held. The plug-in shows 48 values, the engine has 49.
        assert p.cardinality == (int(row["cardinality"]) if row["cardinality"] else 100), p.name
        if row["values"] and p.kind is Kind.NUMERICAL:
            np.testing.assert_allclose(p.values, np.float64(row["values"].split()), atol=THREE_DECIMALS)


def test_weights_are_the_published_ones(pairs: list[tuple[dict[str, str], Parameter]]) -> None:
    assert sum(bool(row["weights"]) for row, _ in pairs) == 13
    for row, p in pairs:
        assert bool(row["weights"]) == bool(p.weights), p.name
        if p.weights:
            ours, theirs = np.asarray(p.weights), np.float64(row["weights"].split())
            np.testing.assert_allclose(ours / ours.sum(), theirs / theirs.sum(), rtol=1e-5)


def test_held_parameters_stand_where_the_published_ones_do_up_to_the_engines_grid(
    pairs: list[tuple[dict[str, str], Parameter]],
) -> None:
    held = [(float(row["default"]), p) for row, p in pairs if row["held_at_default"] == "1"]
    assert len(held) == 45
    for theirs, p in held:
        step = 1 / (p.cardinality - 1) if p.kind is Kind.NUMERICAL else 0.0
        assert abs(p.default - theirs) <= step / 2, p.name
