"""What may be judged: base presets, and moves whose steps can be told apart, on the real engines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthproxy.errors import FailedRenderError, InvalidInputError, UnavailableError
from synthproxy.matching.pitch import estimate_pitch
from synthproxy.ranking import Attribute, attributes_of
from synthproxy.ranking.clips import (
    SAMPLE_RATE,
    UnfitError,
    changing_steps,
    choose_sweeps,
    level_difference,
    play,
    unfit_as_base,
)
from synthproxy.ranking.plan import Plan, make_plan
from synthproxy.synths import NamedPreset, Note, Synth, get_synth
from synthproxy.synths.dexed import Dexed
from synthproxy.synths.plugin import PluginSynth
from synthproxy.synths.space import Floats


def plan_of(synth: Synth, presets: list[NamedPreset], *attributes: Attribute, steps: int = 6, wanted: int = 2) -> Plan:
    return make_plan(synth, presets, attributes or None, wanted=wanted, steps=steps, seed=0)


def named(plan: Plan, name: str) -> int:
    return next(place for place, preset in enumerate(plan.candidates) if preset.name == name)


PITCH = next(attribute for attribute in attributes_of("dexed") if attribute.name == "pitch coarse")
FEEDBACK = next(attribute for attribute in attributes_of("dexed") if attribute.name == "feedback")


def test_clips_are_the_published_ones(dexed: Dexed, voices: list[NamedPreset]) -> None:
    clip = play(dexed, voices[0].vector[None])[0]
    assert clip.shape == (4 * 44_100,)
    whole = dexed.render(voices[0].vector, Note(60, 100, 2.0), 4.0, 44_100)
    np.testing.assert_array_equal(clip[:-4410], whole[:-4410])
    np.testing.assert_allclose(clip[-4410:], whole[-4410:] * np.linspace(1, 0, 4410), atol=1e-7)


@pytest.mark.parametrize("decibels", [0.0, 1.0, -3.0])
def test_a_change_of_level_is_as_many_decibels(dexed: Dexed, voices: list[NamedPreset], decibels: float) -> None:
    clip = play(dexed, voices[1].vector[None])[0]
    assert level_difference(clip, clip * np.float32(10 ** (decibels / 20))) == pytest.approx(abs(decibels), abs=0.4)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bell", ""), ("reed", ""), ("organ", ""), ("silence", "too quiet or too loud"), ("hiss", "not pitched")],
)
def test_a_base_preset_is_audible_and_pitched(dexed: Dexed, voices: list[NamedPreset], name: str, reason: str) -> None:
    vector = next(voice.vector for voice in voices if voice.name == name)
    assert unfit_as_base(dexed, vector) == reason


def test_a_transposed_voice_is_heard_two_semitones_higher_each_step(dexed: Dexed, voices: list[NamedPreset]) -> None:
    plan = plan_of(dexed, voices, PITCH, steps=20)
    steps = plan.move(PITCH, named(plan, "organ"))
    pitches = [estimate_pitch(clip, SAMPLE_RATE)[0] for clip in play(plan.synth, steps[::4])]
    assert set(np.diff(pitches)) == {8}


def test_steps_that_change_nothing_are_left_out(dexed: Dexed) -> None:
    """A modulator of a DX7 is not heard at all until its level is about a fifth of the way up."""
    depth = Attribute("depth", ("op2_output_level",), 0.0, 1.0)
    preset = NamedPreset(dexed.space.from_names({"algorithm": "1"}), "pair", "tests")
    plan = plan_of(dexed, [preset], depth, steps=20)
    steps = plan.move(depth, 0)
    changing = changing_steps(dexed, steps)
    clips = play(dexed, steps)
    assert changing[0] == 0
    assert 10 <= len(changing) < 20
    assert changing[-1] == 19
    np.testing.assert_allclose(clips[: changing[1]], np.broadcast_to(clips[0], clips[: changing[1]].shape), atol=1e-4)


MODULATION = next(attribute for attribute in attributes_of("dexed") if attribute.name == "modulation depth")


@pytest.mark.parametrize(
    ("attribute", "voice", "reason"),
    [
        (MODULATION, "organ", "nothing to move"),
        (Attribute("level", ("op1_output_level",), 0, 1), "bell", "too quiet or too loud at an end"),
        (Attribute("unheard", ("lfo_delay",), 0, 1), "bell", "ends sound alike"),
        (Attribute("faint", ("op2_output_level",), 0, 0.15), "bell", "ends sound alike"),
        (Attribute("slight", ("op1_output_level",), 0.98, 1), "bell", "ends sound alike"),
    ],
)
def test_a_move_that_says_nothing_is_refused(
    dexed: Dexed, voices: list[NamedPreset], attribute: Attribute, voice: str, reason: str
) -> None:
    plan = plan_of(dexed, voices, attribute)
    with pytest.raises(UnfitError, match=reason):
        changing_steps(plan.synth, plan.move(attribute, named(plan, voice)))


class Drifting:
    """Dexed, each render louder than the one before by so many decibels, like a plug-in that remembers."""

    name, suffix = "drifting", ".syx"

    def __init__(self, dexed: Dexed, decibels: float) -> None:
        self.dexed, self.space, self.decibels, self.gain = dexed, dexed.space, decibels, 0.0

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> Floats:
        self.gain += self.decibels
        return self.dexed.render(preset, note, seconds, sample_rate) * np.float32(10 ** (self.gain / 20))

    def read_presets(self, path: Path, note: Note) -> list[NamedPreset]:
        return self.dexed.read_presets(path, note)

    def write_presets(self, path: Path, presets: list[NamedPreset]) -> None:
        self.dexed.write_presets(path, presets)


def test_what_a_synth_does_by_itself_does_not_count_as_a_change(dexed: Dexed) -> None:
    """A modulator is not heard in the lowest three of these steps; a drift of 0.05 dB would make them differ."""
    depth = Attribute("depth", ("op2_output_level",), 0.0, 0.8)
    preset = NamedPreset(dexed.space.from_names({"algorithm": "1"}), "pair", "tests")
    steps = plan_of(dexed, [preset], depth, steps=20).move(depth, 0)
    drifting = Drifting(dexed, decibels=0.05)
    played = play(Drifting(dexed, decibels=0.05), steps)
    assert level_difference(played[0], played[1]) > 0.01
    assert set(changing_steps(drifting, steps)) <= set(changing_steps(dexed, steps))


class Broken(Drifting):
    """A synth that plays nothing."""

    def render(self, *_: object) -> Floats:  # type: ignore[override]
        raise FailedRenderError("crashed")


def test_a_preset_that_cannot_be_played_is_no_candidate(dexed: Dexed, voices: list[NamedPreset]) -> None:
    broken = Broken(dexed, 0)
    assert unfit_as_base(broken, voices[0].vector) == "cannot be played"
    with pytest.raises(UnfitError, match="cannot be played"):
        changing_steps(broken, np.stack([voices[0].vector, voices[1].vector]))


# Choosing


def test_the_first_fitting_presets_in_a_drawn_order_are_chosen(dexed: Dexed, voices: list[NamedPreset]) -> None:
    plan = plan_of(dexed, voices, PITCH, wanted=3)
    choice = choose_sweeps(plan, PITCH, lambda place: unfit_as_base(plan.synth, plan.candidates[place].vector))
    chosen = [plan.candidates[sweep.candidate].name for sweep in choice.sweeps]
    fitting = [preset.name for preset in plan.candidates if preset.name not in ("silence", "hiss")]
    assert chosen == fitting[:3]
    assert choice.tried == len(chosen) + sum(choice.refused.values())


def test_the_order_depends_on_the_seed_only(dexed: Dexed, voices: list[NamedPreset]) -> None:
    def order(seed: int) -> list[str]:
        return [p.name for p in make_plan(dexed, voices, [PITCH], wanted=1, steps=5, seed=seed).candidates]

    assert order(0) == order(0)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_an_attribute_makes_do_with_what_there_is(dexed: Dexed, voices: list[NamedPreset]) -> None:
    plan = plan_of(dexed, voices, FEEDBACK, wanted=10, steps=20)
    choice = choose_sweeps(plan, FEEDBACK, lambda place: unfit_as_base(plan.synth, plan.candidates[place].vector))
    assert 0 < len(choice.sweeps) < 10
    assert choice.tried == len(voices)
    assert all(len(sweep.changing) == 8 for sweep in choice.sweeps)


# Held parameters


def test_what_is_held_in_a_space_can_be_moved() -> None:
    paper = get_synth("dexed-paper")
    transpose = next(p for p in paper.space.parameters if p.name == "transpose")
    assert transpose.held
    preset = NamedPreset(paper.space.encode(paper.space.defaults), "sine", "tests")
    plan = plan_of(paper, [preset], PITCH, steps=2)
    pitches = [estimate_pitch(clip, SAMPLE_RATE)[0] for clip in play(plan.synth, plan.move(PITCH, 0))]
    assert pitches == [41, 79]


def test_what_is_held_on_a_plugin_can_be_moved(amsynth: PluginSynth) -> None:
    volume = Attribute("volume", ("master_vol",), 0.2, 0.8)
    preset = NamedPreset(amsynth.space.encode(amsynth.space.defaults), "saw", "tests")
    plan = plan_of(amsynth, [preset], volume, steps=2)
    quiet, loud = play(plan.synth, plan.move(volume, 0))
    assert np.abs(loud).max() > 2 * np.abs(quiet).max()


def test_what_another_kind_of_synth_holds_cannot_be_moved(dexed: Dexed, voices: list[NamedPreset]) -> None:
    other = Drifting(dexed, 0)
    other.space = dexed.space.hold(["transpose"])
    kept = [replace(v, vector=other.space.encode(dexed.space.decode(v.vector))) for v in voices]
    with pytest.raises(UnavailableError, match="held parameters of 'drifting' cannot be moved"):
        plan_of(other, kept, PITCH)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 1}, "at least two steps, got 1"),
        ({"wanted": 0}, "at least one base preset per attribute is needed, got 0"),
        ({"seed": -1}, "must not be negative"),
        ({"attributes": []}, "no attribute"),
        ({"attributes": [PITCH, PITCH]}, "'pitch coarse' is given twice"),
        ({"presets": []}, "no presets"),
    ],
)
def test_a_plan_without_sense_is_refused(
    dexed: Dexed, voices: list[NamedPreset], change: dict[str, object], said: str
) -> None:
    arguments = {"presets": voices, "attributes": [PITCH], "wanted": 1, "steps": 5, "seed": 0} | change
    with pytest.raises(InvalidInputError, match=said):
        make_plan(dexed, **arguments)  # type: ignore[arg-type]
