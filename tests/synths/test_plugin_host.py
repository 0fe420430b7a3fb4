"""Plug-ins in processes of their own: real ones, and one that crashes, hangs and makes NaN when it is told to."""

import io
import os
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthproxy.errors import FailedRenderError, IncompatibleError, InvalidInputError, UnavailableError
from synthproxy.synths import Note, Parameter, PresetSpace, get_synth
from synthproxy.synths import plugin_channel as channel
from synthproxy.synths.amsynth_banks import UNITS
from synthproxy.synths.base import EXACT_ERROR
from synthproxy.synths.definition import Definition, PluginSettings
from synthproxy.synths.display import virtual_display
from synthproxy.synths.isolation import ISOLATIONS, Measured, choose, repeat_error
from synthproxy.synths.plugin import PluginSynth, resolve
from synthproxy.synths.plugin_files import find_plugin, given_plugin, plugin_folders
from synthproxy.synths.plugin_process import PluginFailedError, start_plugin
from synthproxy.synths.repeatability import remembered

RATE = 32_000
SHORT = Note(69, 100, 0.3)
CALM, NOT_FINITE, CRASHING, HANGING = 0.1, 0.5, 0.8, 1.0
"""Values of Moody's moods."""


def draws(synth: PluginSynth, count: int, seed: int = 0) -> np.ndarray:
    return synth.space.sample(np.random.default_rng(seed), count)


# Sound


def test_sound_has_the_length_the_level_and_the_pitch_that_were_asked_for(amsynth):
    preset = amsynth.space.encode(amsynth.space.defaults)
    audio = amsynth.render(preset, Note(69, 100, 1.0), 0.99999, RATE)
    assert audio.dtype == np.float32
    assert len(audio) == round(0.99999 * RATE)
    assert 0.01 < np.sqrt(np.mean(audio**2)) < 1
    spectrum = np.abs(np.fft.rfft(audio[:16_384] * np.hanning(16_384)))
    assert spectrum.argmax() * RATE / 16_384 == pytest.approx(440, abs=2)


def test_note_ends_when_the_key_is_released(amsynth):
    preset = amsynth.space.encode(amsynth.space.defaults)
    audio = amsynth.render(preset, Note(60, 100, 0.25), 1.0, RATE)
    assert np.abs(audio[: RATE // 5]).max() > 0.05
    assert np.abs(audio[RATE // 2 :]).max() < 1e-3


def test_exact_mode_repeats_to_the_bit_after_other_presets_and_in_other_processes(amsynth):
    assert amsynth.repeatability.repeats
    presets = draws(amsynth, 12)
    first = [amsynth.render(x, SHORT, 0.5, RATE) for x in presets]
    other = get_synth("amsynth")
    again = [other.render(x, SHORT, 0.5, RATE) for x in presets[::-1]][::-1]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("amsynth")
def test_fast_mode_says_by_how_much_it_does_not_repeat():
    fast = get_synth("amsynth", "fast")
    assert fast.repeatability.mode == "fast"
    assert fast.repeatability.isolation == "reuse"
    assert fast.repeatability.error > EXACT_ERROR
    assert not fast.repeatability.repeats


def test_every_parameter_of_the_definition_reaches_the_plugin(amsynth):
    values = amsynth.definition.to_plugin(draws(amsynth, 1)[0])
    with closing(amsynth.start(RATE)) as process:
        state = process.state(amsynth.indices, values)
        text = state[state.find(b"amSynth") :].decode("latin-1")
    natives = dict(line.split()[1:3] for line in text.splitlines() if line.startswith("<parameter>"))
    for parameter, value in zip(amsynth.space.parameters, values, strict=True):
        assert UNITS[parameter.name].to_plugin(float(natives[parameter.name])) == pytest.approx(value, abs=1e-4)


def test_threads_share_a_synth_and_get_the_same_sounds(amsynth):
    presets = draws(amsynth, 8, seed=1)
    alone = [amsynth.render(x, SHORT, 0.4, RATE) for x in presets]
    together: list[np.ndarray | None] = [None] * len(presets)

    def play(i: int) -> None:
        together[i] = amsynth.render(presets[i], SHORT, 0.4, RATE)

    threads = [threading.Thread(target=play, args=(i,)) for i in range(len(presets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


# What goes wrong


def test_instance_killed_from_outside_costs_nothing(amsynth):
    preset = draws(amsynth, 1, seed=2)[0]
    expected = amsynth.render(preset, SHORT, 0.5, RATE)
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.3):
            for process in list(amsynth._idle):
                os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(25):
            np.testing.assert_array_equal(amsynth.render(preset, SHORT, 0.5, RATE), expected)
    finally:
        stop.set()
        killer.join()


@pytest.mark.parametrize("isolation", ["reuse", "fork"])
@pytest.mark.parametrize(
    ("mood", "said"), [(NOT_FINITE, "not finite"), (CRASHING, "crashed .SIGABRT."), (HANGING, "hung")]
)
def test_misbehaving_preset_fails_by_itself_with_its_values(moody_synth, isolation, mood, said):
    if isolation not in ISOLATIONS:
        pytest.skip("this system cannot fork")
    synth = moody_synth(seconds=1.0, isolation=isolation)
    calm = synth.render(np.array([CALM, 0.5], np.float32), SHORT, 0.1, RATE)
    assert np.abs(calm).max() == pytest.approx(0.5, abs=0.01)
    with pytest.raises(FailedRenderError, match=said) as caught:
        synth.render(np.array([mood, 0.25], np.float32), SHORT, 0.1, RATE)
    assert "'level': 0.25" in str(caught.value)
    after = synth.render(np.array([CALM, 0.5], np.float32), SHORT, 0.1, RATE)
    assert np.abs(after).max() == pytest.approx(0.5, abs=0.01)


def test_hung_process_is_gone_with_what_it_has_forked(moody):
    process = start_plugin(moody, RATE, 1.0)
    with pytest.raises(PluginFailedError, match="hung"):
        process.play([0, 1], np.array([HANGING, 0.5]), SHORT, 0.1, "fork")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _in_group(process.pid):
        time.sleep(0.05)
    assert not _in_group(process.pid)


def _in_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_instance_is_replaced_after_many_renders(amsynth):
    settings = replace(amsynth.settings, restart_after=3)
    synth = PluginSynth(replace(amsynth.definition, plugin=settings), repeatability=amsynth.repeatability)
    preset = draws(synth, 1)[0]
    seen = set()
    for _ in range(7):
        synth.render(preset, SHORT, 0.1, RATE)
        seen |= {process.pid for process in synth._idle}
    assert len(seen) >= 2


@pytest.mark.usefixtures("amsynth")
def test_process_does_not_outlive_the_synth():
    synth = get_synth("amsynth")
    synth.render(draws(synth, 1)[0], SHORT, 0.1, RATE)
    pids = [process.pid for process in synth._idle]
    synth.close()
    assert pids
    assert not any(_in_group(pid) for pid in pids)


@pytest.mark.skipif(virtual_display() is None, reason="Xvfb is not installed: apt-get install xvfb")
def test_plugin_that_wants_a_display_is_given_a_virtual_one(moody, monkeypatch):
    monkeypatch.setenv("MOODY_WANTS_A_DISPLAY", "1")
    monkeypatch.delenv("DISPLAY", raising=False)
    with closing(start_plugin(moody, RATE, 5.0)) as process:
        assert process.names == ["Mood", "Level"]


def test_without_any_display_it_says_so(moody, monkeypatch):
    monkeypatch.setenv("MOODY_WANTS_A_DISPLAY", "1")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("PATH", "")
    virtual_display.cache_clear()
    try:
        with pytest.raises(UnavailableError, match="may need a display, and there is none: install Xvfb"):
            start_plugin(moody, RATE, 5.0)
    finally:
        virtual_display.cache_clear()


@pytest.mark.usefixtures("dawdreamer")
def test_what_is_no_plugin_does_not_load(tmp_path):
    text = tmp_path / "synth.so"
    text.write_text("no plug-in")
    with pytest.raises(UnavailableError, match=r"synth\.so: does not load as an instrument"):
        start_plugin(str(text), RATE, 10.0)


# Isolation


def test_cheapest_isolation_that_repeats_is_chosen():
    measured = [
        Measured("reuse", 2.4, 0.005),
        Measured("reload", 0.9, 0.005),
        Measured("flush", float("inf"), float("inf")),
        Measured("fork", 0.0, 0.01),
        Measured("fresh", 0.0, 0.2),
    ]
    assert choose(measured, "exact").isolation == "fork"
    assert choose(measured, "fast").isolation == "reuse"
    assert choose(measured, "fast").error == 2.4
    assert choose(measured[:3], "exact").isolation == "reload"
    assert not choose(measured[:3], "exact").repeats
    assert choose([], "exact").error is None


def test_repeat_error_of_another_sound_is_large_and_of_the_same_zero():
    tone = np.sin(np.arange(RATE) * 0.1).astype(np.float32)
    assert repeat_error(tone, tone.copy()) == 0
    assert repeat_error(tone, tone * np.float32(1.001)) < EXACT_ERROR
    assert repeat_error(tone, np.sin(np.arange(RATE) * 0.2).astype(np.float32)) > 1


@pytest.mark.usefixtures("amsynth")
def test_measurement_is_remembered_unless_it_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = get_synth("amsynth").repeatability
    (file,) = (tmp_path / "synthproxy" / "repeatability").iterdir()
    begun = time.monotonic()
    assert get_synth("amsynth").repeatability == found
    assert time.monotonic() - begun < 1
    assert remembered(file)
    file.write_text("damaged", encoding="utf8")
    assert remembered(file) is None


# Finding parameters and files


def definition(*names: str) -> Definition:
    return Definition(PresetSpace("x", tuple(map(Parameter, names))), tuple(range(len(names))), PluginSettings(("x",)))


def test_parameters_are_found_by_name_when_their_places_shift():
    there = ["Cutoff", "MonoMode", "OP1 EG Rate.1", "-", "-"]
    assert resolve(definition("cutoff", "op1_eg_rate_1"), there) == [0, 2]


def test_same_names_are_told_apart_by_place():
    assert resolve(definition("-", "tune", "tune#2"), ["-", "Tune", "Tune"]) == [0, 1, 2]


def test_name_without_its_module_is_found_at_its_place():
    assert resolve(definition("env1:attack", "env2:attack"), ["Attack", "Attack"]) == [0, 1]


def test_plugin_without_a_parameter_is_refused():
    with pytest.raises(IncompatibleError, match=r"no parameter called 'resonance' and 1 more.*inspect --check"):
        resolve(definition("cutoff", "resonance", "drive"), ["Cutoff", "Attack"])


def test_plugin_is_looked_for_in_the_folders_of_the_environment(tmp_path):
    (tmp_path / "maker").mkdir()
    (tmp_path / "maker" / "Synth.vst3").mkdir()
    folders = plugin_folders({"VST3_PATH": str(tmp_path)})
    assert folders[0] == tmp_path
    assert find_plugin("synth", ("Synth.so", "Synth.vst3"), folders) == str(tmp_path / "maker" / "Synth.vst3")
    assert find_plugin("synth", ("Nowhere.so", "http://a.b/c"), folders) == "http://a.b/c"
    with pytest.raises(UnavailableError, match=r"synth: no Nowhere\.so where plug-ins usually are; .*VST_PATH"):
        find_plugin("synth", ("Nowhere.so",), folders)


def test_named_plugin_must_be_there(tmp_path):
    with pytest.raises(InvalidInputError, match="there is no such plug-in"):
        given_plugin(str(tmp_path / "nothing.so"))
    assert given_plugin("urn:a:b") == "urn:a:b"


# The channel


@given(st.lists(st.text(max_size=9), max_size=5), st.lists(st.floats(0, 1), max_size=5), st.binary(max_size=200))
def test_messages_arrive_as_they_were_sent(names, values, payload):
    pipe = io.BytesIO()
    for message in (channel.Opened(names, values), channel.Done(), channel.Failed("because")):
        message.send(pipe, payload)
    pipe.seek(0)
    assert channel.receive(pipe) == (channel.Opened(names, values), payload)
    assert channel.receive(pipe) == (channel.Done(), payload)
    assert channel.receive(pipe) == (channel.Failed("because"), payload)
    with pytest.raises(channel.ChannelClosedError):
        channel.receive(pipe)


@given(st.integers(0, 60))
def test_message_cut_short_is_a_closed_channel(kept):
    pipe = io.BytesIO()
    channel.Failed("because").send(pipe, b"12345678")
    with pytest.raises(channel.ChannelClosedError):
        channel.receive(io.BytesIO(pipe.getvalue()[: min(kept, len(pipe.getvalue()) - 1)]))
