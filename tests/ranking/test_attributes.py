"""Tables of sound attributes: they fit their synths, moves are what they say, bad tables are refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthproxy.errors import InvalidInputError
from synthproxy.ranking import Attribute, attributes_of, read_attributes, synths_with_attributes
from synthproxy.ranking.attributes import playing_space
from synthproxy.synths.definition import definition_path, read_definition
from synthproxy.synths.dexed import Dexed
from synthproxy.synths.dx7_algorithms import wiring
from synthproxy.synths.space import PresetSpace

PUBLISHED = {
    "amp attack",
    "amp decay",
    "filter cutoff",
    "filter decay",
    "filter resonance",
    "LFO amount on amp",
    "LFO amount on filter",
    "LFO amount on pitch",
    "LFO rate on amp",
    "LFO rate on filter",
    "LFO rate on pitch",
    "pitch coarse",
    "reverb wet",
}
"""The thirteen attributes of the published evaluation."""

MOVED_ON_TAL = {
    "amp attack": 11,
    "amp decay": 12,
    "filter cutoff": 3,
    "filter decay": 8,
    "filter resonance": 4,
    "LFO amount on amp": 31,
    "LFO amount on filter": 31,
    "LFO amount on pitch": 31,
    "LFO rate on amp": 29,
    "LFO rate on filter": 29,
    "LFO rate on pitch": 29,
    "pitch coarse": 19,
    "reverb wet": 60,
}
"""The plug-in's index of each, as published."""


def space_of(synth: str) -> PresetSpace:
    return read_definition(definition_path(synth)).space


def attribute_of(synth: str, name: str) -> Attribute:
    return next(attribute for attribute in attributes_of(synth) if attribute.name == name)


@pytest.mark.parametrize("synth", synths_with_attributes())
def test_every_table_fits_its_synth(synth: str) -> None:
    space = space_of(synth)
    for attribute in attributes_of(synth):
        assert attribute.touched(space)


@pytest.mark.parametrize("synth", ["amsynth", "talnm", "vital"])
def test_subtractive_synths_have_the_published_attributes(synth: str) -> None:
    assert {attribute.name for attribute in attributes_of(synth)} == PUBLISHED


def test_tal_moves_the_published_parameters() -> None:
    definition = read_definition(definition_path("talnm"))
    moved = {a.name: [definition.indices[i] for i in definition.space.matching(a.move)] for a in attributes_of("talnm")}
    assert moved == {name: [index] for name, index in MOVED_ON_TAL.items()}


def test_a_synth_without_a_table_is_named() -> None:
    with pytest.raises(InvalidInputError, match="no sound attributes are known of 'diva', only of amsynth, dexed"):
        attributes_of("diva")


# Moves


@pytest.mark.parametrize("synth", synths_with_attributes())
def test_a_move_changes_what_it_moves_and_nothing_else_from_step_to_step(synth: str) -> None:
    attributes = attributes_of(synth)
    space = playing_space(space_of(synth), attributes)
    preset = space.sample(np.random.default_rng(0), 1)[0]
    for attribute in attributes:
        steps = attribute.presets(space, preset, 20)
        moved = {space.parameters[i].name for i in attribute.touched(space)}
        # Of touched parameters some are only set.
        for column, parameter in enumerate(space.free):
            changes = np.diff(steps[:, column])
            assert not changes.any() or parameter.name in moved, f"{attribute.name} moves {parameter.name}"
            assert (changes >= 0).all() or (changes <= 0).all(), f"{attribute.name} goes back and forth"
            untouched = parameter.name not in moved
            assert not untouched or steps[0, column] == preset[column]
        space.validate(steps)


def test_a_move_goes_from_its_first_to_its_last_value_in_equal_steps() -> None:
    attribute = attribute_of("amsynth", "amp attack")
    space = playing_space(space_of("amsynth"), [attribute])
    column = [p.name for p in space.free].index("amp_attack")
    steps = attribute.presets(space, space.encode(space.defaults), 20)
    np.testing.assert_allclose(steps[:, column], np.linspace(attribute.first, attribute.last, 20), atol=1e-6)


def test_a_move_leaves_the_interval_that_presets_are_drawn_from() -> None:
    attribute = attribute_of("amsynth", "reverb wet")
    original = space_of("amsynth")
    space = playing_space(original, [attribute])
    steps = attribute.presets(space, space.encode(space.defaults), 5)
    column = [p.name for p in space.free].index("reverb_wet")
    assert steps[-1, column] == 1.0
    assert next(p for p in original.parameters if p.name == "reverb_wet").high < 1.0


def test_a_coarse_grid_gives_fewer_steps() -> None:
    attribute = attribute_of("dexed", "feedback")
    space = playing_space(space_of("dexed"), [attribute])
    assert len(attribute.presets(space, space.encode(space.defaults), 20)) == 8


def test_the_pitch_of_a_dx7_moves_by_two_semitones(dexed: Dexed) -> None:
    attribute = attribute_of("dexed", "pitch coarse")
    space = playing_space(dexed.space, [attribute])
    steps = attribute.presets(space, space.encode(space.defaults), 20)
    assert set(np.diff(dexed.with_space(space).voices(steps)[:, 144].astype(int))) == {2}


def test_parameters_that_move_relative_to_the_preset_keep_their_differences() -> None:
    attribute = Attribute("detune", ("osc_?_transpose",), -0.1, 0.1, relative=True)
    space = playing_space(space_of("vital"), [attribute])
    preset = space.from_names({"osc_1_transpose": 0.5, "osc_2_transpose": 0.625, "osc_3_transpose": 0.375})
    columns = [[p.name for p in space.free].index(f"osc_{i}_transpose") for i in (1, 2, 3)]
    steps = attribute.presets(space, preset, 5)[:, columns]
    np.testing.assert_allclose(steps - steps[:, :1], np.broadcast_to([0, 0.125, -0.125], (5, 3)), atol=0.011)


def test_carriers_and_modulators_are_those_of_the_engine() -> None:
    roles = attributes_of("dexed")[0].roles
    for algorithm, heard in enumerate(wiring().heard):
        carriers = {str(place + 1) for place in range(6) if heard[place]}
        assert set(roles["carrier"].members[algorithm]) == carriers
        assert set(roles["modulator"].members[algorithm]) == set("123456") - carriers


def test_a_placeholder_stands_for_the_operators_of_the_presets_algorithm() -> None:
    attribute = attribute_of("dexed", "amp attack")
    space = playing_space(space_of("dexed"), [attribute])
    names = [p.name for p in space.free]
    for algorithm, carriers in (("1", "13"), ("16", "1"), ("32", "123456")):
        steps = attribute.presets(space, space.from_names({"algorithm": algorithm}), 20)
        moving = {names[i] for i in np.nonzero(np.ptp(steps, axis=0))[0]}
        assert moving == {f"op{operator}_eg_rate_1" for operator in carriers}


def test_nothing_moves_where_a_placeholder_stands_for_nothing() -> None:
    attribute = attribute_of("dexed", "modulation depth")
    space = playing_space(space_of("dexed"), [attribute])
    assert len(attribute.presets(space, space.from_names({"algorithm": "32"}), 20)) == 1


def test_what_is_set_later_counts() -> None:
    attribute = attribute_of("dexed", "LFO amount on amp")
    space = playing_space(space_of("dexed"), [attribute])
    named = space.to_names(attribute.presets(space, space.from_names({"algorithm": "16"}), 2)[0])
    assert named["op1_amp_mod_sensitivity"] == 1
    assert named["op2_amp_mod_sensitivity"] == 0
    assert named["lfo_wave"] == "triangle"


def test_held_parameters_that_are_needed_become_free() -> None:
    space = space_of("talnm")
    playing = playing_space(space, attributes_of("talnm"))
    freed = {p.name for p in playing.free} - {p.name for p in space.free}
    assert freed == {"lfo_1_keytrigger", "lfo_2_keytrigger"}


# Mistakes


def problem(text: str, tmp_path: Path) -> str:
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        read_attributes(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "table.toml" in message
    return message


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "'attributes' is missing"),
        ("attributes = []", "at least"),
        ("attributes = 3", "no table"),
        ("[[attributes]]\nmove = ['x']\nto = [0, 1]", "'name' is missing"),
        ("[[attributes]]\nname = 'a'\nto = [0, 1]", "'move' is missing"),
        ("[[attributes]]\nname = 'a'\nmove = 'x'\nto = [0, 1]", "list of parameters"),
        ("[[attributes]]\nname = 'a'\nmove = []\nto = [0, 1]", "moves nothing"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']", "either to or by"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]\nby = [0, 1]", "either to or by"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]\nspeed = 3", "speed"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0]", "no table"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 2]", "got 0 and 2"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0.5, 0.5]", "got 0.5 and 0.5"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [nan, 1]", "got nan and 1"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]\nset = { x = [1] }", "no table"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]\nset = 3", "no table"),
        (f"[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1{'0' * 400}]", "no table"),
        (f"[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]\nset = {{ x = 1{'0' * 400} }}", "no table"),
        (f"x = {'[' * 5000}{']' * 5000}", "no TOML file"),
        ("roles = 3\n[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]", "no table"),
        ("[[attributes]]\nname = 'a'\nmove = ['x']\nto = [0, 1]\n" * 2, "a name of its own"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(table: str, said: str, tmp_path: Path) -> None:
    assert said in problem(table, tmp_path)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError):
        read_attributes(path)


def test_a_table_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_attributes(path)


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (Attribute("a", ("no_such",), 0, 1), "no parameter or group that fits 'no_such'"),
        (Attribute("a", ("filter_type",), 0, 1), "not numerical"),
        (Attribute("a", ("amp_attack",), 0, 1, settings={"filter_type": "comb"}), "'comb' is none of low pass"),
        (Attribute("a", ("amp_attack",), 0, 1, settings={"filter_type": 9}), "between 0 and 4, got 9"),
        (Attribute("a", ("amp_attack",), 0, 1, settings={"amp_decay": float("nan")}), "between 0 and 1, got nan"),
        (Attribute("a", ("amp_attack",), 0, 1, settings={"nothing": 1}), "fits 'nothing'"),
    ],
)
def test_an_attribute_that_a_synth_does_not_have_is_refused(attribute: Attribute, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        playing_space(space_of("amsynth"), [attribute])


def test_roles_must_cover_every_category(tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(
        "[roles.carrier]\nparameter = 'algorithm'\nmembers = [[1], [2]]\n"
        "[[attributes]]\nname = 'a'\nmove = ['op{carrier}_detune']\nto = [0, 1]\n"
    )
    with pytest.raises(InvalidInputError, match="32 categories, got members of roles for 2"):
        playing_space(space_of("dexed"), read_attributes(path))
