"""Plug-ins looked at: what is found by itself, drafts of definitions, and differences from a definition."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthproxy.errors import InvalidInputError
from synthproxy.synths import Kind, Note, get_synth
from synthproxy.synths.definition import definition_path, read_definition
from synthproxy.synths.fxp import pack_program, program_from_state
from synthproxy.synths.inspection import Mismatch, check_plugin, compare, draft_definition
from synthproxy.synths.plugin import PluginSynth
from synthproxy.synths.probing import Inspected, inspect_parameters
from synthproxy.synths.space import PresetSpace

LEAST_AGREEING = 38
RATE = 32_000
NEKOBI = Path("/usr/lib/vst/Nekobi-vst.so")


@pytest.fixture(scope="module")
def inspected(amsynth: PluginSynth) -> list[Inspected]:
    with closing(amsynth.start(RATE)) as process:
        return inspect_parameters(process)


def test_stepped_and_binary_parameters_of_amsynth_are_found_without_knowing_it(amsynth, inspected):
    assert len(inspected) == 41
    by_index = dict(zip(amsynth.definition.indices, amsynth.space.parameters, strict=True))
    agreeing = [one for one in inspected if one.steps == by_index[one.index].cardinality]
    assert len(agreeing) >= LEAST_AGREEING
    kinds = {one.name: (one.parameter.kind, one.steps) for one in inspected}
    assert kinds["osc2_sync"] == (Kind.BINARY, 2)
    assert kinds["osc2_pitch"] == (Kind.NUMERICAL, 25)
    assert kinds["lfo_waveform"][1] == 7
    assert kinds["filter_cutoff"] == (Kind.NUMERICAL, 0)


def test_found_values_select_what_they_are_found_for(amsynth, inspected):
    with closing(amsynth.start(RATE)) as process:
        for one in inspected:
            if not one.steps:
                continue
            values = one.parameter.values or tuple(np.linspace(0, 1, one.steps))
            shown = process.probe(one.index, 1001).texts
            assert len({shown[round(v * 1000)] for v in values}) == one.steps


def test_looking_changes_nothing(amsynth):
    with closing(amsynth.start(RATE)) as process:
        inspect_parameters(process)
        state = program_from_state(process.state([], np.empty(0)), "", len(process.names))
        after = process.load(pack_program(state), ".fxp")
        np.testing.assert_allclose(after, process.values, atol=1e-6)


def test_draft_is_a_definition_that_plays(amsynth, tmp_path):
    found, text = draft_definition(amsynth.plugin, "mine")
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf8")
    synth = get_synth(str(file))
    assert isinstance(synth, PluginSynth)
    assert synth.name == "mine"
    assert len(synth.space.parameters) == len(found) == 41
    with closing(synth.start(RATE)) as process:
        silent = process.play(synth.indices, synth.definition.to_plugin(synth.space.defaults), Note(), 0.2, "reuse")
    assert np.abs(silent).max() > 0.01
    assert check_plugin(str(file)) == []


def test_table_that_comes_with_the_package_fits_the_plugin(amsynth):
    differing = {one.parameter for one in check_plugin("amsynth")}
    # Its text does not round what its code does.
    assert differing <= {"portamento_mode"}
    assert check_plugin(amsynth.plugin) == check_plugin("amsynth")


def test_every_difference_is_listed(amsynth, inspected):
    definition = amsynth.definition
    parameters = list(definition.space.parameters)
    names = [p.name for p in parameters]
    changed = {
        "filter_cutoff": replace(parameters[names.index("filter_cutoff")], values=(0.0, 0.5, 1.0), low=0.0, high=1.0),
        "osc2_pitch": replace(parameters[names.index("osc2_pitch")], values=(), weights=()),
        "lfo_freq": replace(parameters[names.index("lfo_freq")], name="lfo_speed"),
    }
    shifted = tuple(i + (names[n] == "reverb_wet") * 1 for n, i in enumerate(definition.indices))
    wrong = replace(
        definition,
        space=PresetSpace("amsynth", tuple(changed.get(p.name, p) for p in parameters)),
        indices=shifted,
    )
    known = set(compare(definition, inspected))
    assert set(compare(wrong, inspected)) - known == {
        Mismatch("filter_cutoff", "3 steps", "continuous"),
        Mismatch("osc2_pitch", "continuous", "25 steps"),
        Mismatch("lfo_speed", "at 15", "not there"),
        Mismatch("lfo_freq", "not there", "at 15"),
        Mismatch("reverb_wet", "at 28", "at 27"),
    }


def test_texts_that_are_no_numbers_make_categories(moody):
    found, text = draft_definition(moody)
    mood, level = found
    assert (mood.parameter.kind, mood.steps) == (Kind.NUMERICAL, 4)
    assert level.steps == 0
    assert 'name = "moody"' in text
    if NEKOBI.exists():
        waveform = draft_definition(str(NEKOBI))[0][0].parameter
        assert (waveform.kind, waveform.labels) == (Kind.BINARY, ("Square", "Triangle"))


@pytest.mark.usefixtures("dawdreamer")
def test_plugin_that_no_definition_names_needs_one_to_compare_with(moody):
    with pytest.raises(InvalidInputError, match="give the one to compare with --definition"):
        check_plugin(moody)
    assert check_plugin(moody, "amsynth")


def test_inspect_command_prints_writes_and_checks(amsynth, command, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = command(f"inspect {amsynth.plugin}")
    assert shown.code == 0
    assert "osc2_pitch" in shown.out
    assert command(f"inspect {amsynth.plugin} --out {tmp_path}/mine.toml").out.strip().endswith("41 parameters")
    assert read_definition(tmp_path / "mine.toml").name == "amsynth"
    assert command(f"inspect {tmp_path}/mine.toml --check").code == 0
    different = command(f"inspect {tmp_path}/mine.toml --check --definition talnm")
    assert different.code == 1
    assert "filter_contour" in different.out


@pytest.mark.parametrize("line", ["inspect nowhere.so", "inspect nowhere.toml --check", "inspect talnm --check"])
def test_what_is_not_there_is_said_in_one_line(command, line):
    outcome = command(line)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_definitions_of_the_package_are_files_of_it():
    assert definition_path("amsynth").exists()
