"""What docs/add-a-synth.md shows: commands are run, excerpts compared with the files, and the example is a synth."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from synthproxy.audio.io import read_audio
from synthproxy.cli.program import app
from synthproxy.corpus import Corpus
from synthproxy.errors import InvalidInputError
from synthproxy.synths import Kind, NamedPreset, Note, Synth, get_synth
from synthproxy.synths.definition import definition_path
from synthproxy.synths.readable import load_presets, save_presets

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "add-a-synth.md").read_text(encoding="utf8")
PLUGIN_PART, PYTHON_PART = PAGE.split("\n## B. ")
EXAMPLE = Path("docs") / "example-synth"
RATE = 32_000
GATE = (0.01, 1.0)
"""RMS between which a corpus keeps a clip."""

LEAST_AUDIBLE = 0.95
LEAST_HARMONIC = 0.99
FARTHEST_MATCH = 1.5
"""a_mean of a match of one of its own sounds; presets drawn at random are at about 3."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[str]:
    lines = [line for block in blocks(text, "sh") for line in block.strip().splitlines()]
    return [line.removeprefix("synthproxy ") for line in lines if line.startswith("synthproxy ")]


@pytest.fixture(scope="module")
def site(installed: Callable[[str], Path]) -> Path:
    """A folder that the example is installed in."""
    return installed("example-synth")


@pytest.fixture(scope="module")
def bentwave(site: Path) -> Iterator[Synth]:
    """The installed example, found by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        synth = get_synth("bentwave")
        assert Path(sys.modules["bentwave"].__file__ or "").parent.parent == site
        yield synth
    for name in [name for name in sys.modules if name.partition(".")[0] == "bentwave"]:
        del sys.modules[name]


def drawn(synth: Synth, count: int) -> NDArray[np.float32]:
    return synth.space.sample(np.random.default_rng(1), count)


# The page


@pytest.mark.parametrize("line", commands(PAGE))
def test_every_command_of_the_page_has_these_options(line: str) -> None:
    app.parse_args(shlex.split(line), exit_on_error=False, print_error=False)


def test_every_excerpt_is_in_the_file_that_is_named_before_it() -> None:
    tokens = re.findall(r"\]\((example-synth/[^)]+)\)|```(?:toml|python)\n(.*?)```", PYTHON_PART, re.DOTALL)
    file, found = "", 0
    for named, excerpt in tokens:
        file = named or file
        if excerpt:
            assert excerpt in (DOCS / file).read_text(encoding="utf8"), file
            found += 1
    assert found >= 10


def test_every_link_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (DOCS / link).exists()] == []


# A plug-in without code


def test_plugin_is_drafted_edited_checked_and_played_as_the_page_shows(
    amsynth, amsynth_banks, command, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    original = amsynth.read_presets(amsynth_banks / "amsynth_factory.bank")[4]
    amsynth.write_presets(Path("lead.fxp"), [original])
    inspect, check, render, convert = (
        next(line for line in commands(PLUGIN_PART) if re.search(pattern, line))
        for pattern in ("^inspect .* --out", "^inspect .* --check", "^render ", "^convert ")
    )

    outcome = command(inspect.replace("/path/to/My.vst3", amsynth.plugin))
    assert (outcome.code, outcome.out) == (0, "my-synth.toml: 41 parameters\n")
    before, after, settings_table = blocks(PLUGIN_PART, "toml")
    draft = Path("my-synth.toml").read_text(encoding="utf8")
    assert before in draft
    assert settings_table in draft
    assert after in definition_path("amsynth").read_text(encoding="utf8")
    edited = draft.replace(before, after)
    Path("my-synth.toml").write_text(edited, encoding="utf8")
    assert command(check).code == 0
    Path("wrong.toml").write_text(edited.replace("osc2_range", "osc2_rage"), encoding="utf8")
    assert command(check.replace("my-synth", "wrong")).code == 1

    assert command(render).out == f"lead.wav: {original.name}\n"
    assert np.sqrt(np.mean(np.square(read_audio(Path("lead.wav"), RATE).samples))) > GATE[0]
    assert command(convert).code == 0
    (preset,) = json.loads(Path("lead.json").read_text(encoding="utf8"))["presets"]
    known = amsynth.space.to_names(original.vector)
    assert (preset["name"], preset["parameters"]["filter_type"]) == (original.name, known["filter_type"])
    assert preset["parameters"]["filter_cutoff"] == pytest.approx(known["filter_cutoff"], abs=1e-6)


# A synth in Python


def test_commands_of_the_page_work_once_the_example_is_installed(site, process, tmp_path) -> None:
    shutil.copytree(DOCS / "example-synth", tmp_path / EXAMPLE)
    environment = {"PYTHONPATH": str(site)}
    for line in commands(PYTHON_PART):
        outcome = process(line, tmp_path, environment)
        assert outcome.code == 0, (line, outcome.err)
    assert len(Corpus.open(tmp_path / "bank")) == 64
    assert len(Corpus.open(tmp_path / "sounds")) == 5
    assert (tmp_path / "again.bent").read_text() == (tmp_path / "found" / "best.bent").read_text()
    matches = json.loads((tmp_path / "found" / "matches.json").read_text())
    reached = matches["candidates"][0]["distances"]["level_matched"]["a_mean"]
    assert reached < min(matches["nearest_proposal"]["a_mean"], FARTHEST_MATCH)

    (listed,) = [
        row for row in json.loads(process("synths --json", tmp_path, environment).out) if row["name"] == "bentwave"
    ]
    counts = {key: listed[key] for key in ("free", "numerical", "binary", "categorical", "one_hot_width", "available")}
    assert list(counts.values()) == [12, 10, 1, 1, 15, True]


def test_example_is_a_synth_with_every_kind_of_parameter(bentwave) -> None:
    assert isinstance(bentwave, Synth)
    assert bentwave.name == bentwave.space.name == "bentwave"
    assert {p.kind for p in bentwave.space.free} == set(Kind)
    numerical = [p for p in bentwave.space.free if p.kind is Kind.NUMERICAL]
    assert {bool(p.values) for p in numerical} == {True, False}
    assert [p.name for p in bentwave.space.parameters if p.held] == ["level"]
    waves = next(p for p in bentwave.space.parameters if p.name == "wave").labels
    assert tuple(wave.__name__ for wave in sys.modules["bentwave.voice"].WAVES) == waves


@pytest.mark.parametrize("suffix", [".bent", ".json"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), names=st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_presets_survive_files(bentwave, tmp_path, suffix, seed, names) -> None:
    vectors = bentwave.space.sample(np.random.default_rng(seed), len(names))
    path = tmp_path / f"some{suffix}"
    save_presets(bentwave, path, [NamedPreset(v, n, "") for v, n in zip(vectors, names, strict=True)])
    found = load_presets(bentwave, path, Note())
    assert [p.name for p in found] == names
    np.testing.assert_array_equal(np.stack([p.vector for p in found]), vectors)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n\n", b"\x00\xff\xfe", b"no JSON", b"[]", b"42", b"null", b"{}", b"[" * 100_000),
        *(b'{"bend": 0.5}', b'{"name": "x", "bent": 0.5}', b'{"name": "x", "wave": "triangle"}'),
        *(b'{"name": "x", "%s": %s}' % (key, value) for key in (b"bend", b"wave", b"plain", b"interval")
          for value in (b"NaN", b"1e30", b"-1", b"1" + b"0" * 400, b"9" * 5000, b"[1]", b"{}", b"null", b'"1"')),
        b'{"name": "x"}\n{"name": "y", "interval": 0.5001}',
    ],
)  # fmt: skip
def test_bad_files_are_refused_by_name(bentwave, tmp_path, content) -> None:
    path = tmp_path / "bad.bent"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"bad\.bent") as caught:
        bentwave.read_presets(path, Note())
    assert "\n" not in str(caught.value)


def test_presets_of_a_file_lie_on_the_grid_and_know_their_line(bentwave, tmp_path) -> None:
    path = tmp_path / "typed.bent"
    path.write_text('{"name": "x", "interval": 0.50003}\n\n{"name": "y"}\n', encoding="utf8")
    first, second = bentwave.read_presets(path, Note())
    assert bentwave.space.to_names(first.vector)["interval"] == 0.5
    assert (first.origin, second.origin) == ("typed.bent:1", "typed.bent:3")
    np.testing.assert_array_equal(second.vector, bentwave.space.encode(bentwave.space.defaults))


def test_missing_files_and_folders_are_refused(bentwave, tmp_path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.bent"):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            bentwave.read_presets(path, Note())
    with pytest.raises(InvalidInputError, match="cannot be written"):
        bentwave.write_presets(tmp_path, [])


def test_renders_repeat_to_the_bit_in_any_order_and_any_thread(bentwave) -> None:
    presets = drawn(bentwave, 24)

    def render(preset: NDArray[np.float32]) -> bytes:
        return bentwave.render(preset, Note(), 1.5, RATE).tobytes()

    serial = [render(preset) for preset in presets]
    assert len(set(serial)) == len(presets)
    assert [render(preset) for preset in presets[::-1]] == serial[::-1]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(render, presets)) == serial
    assert [type(bentwave)().render(preset, Note(), 1.5, RATE).tobytes() for preset in presets] == serial


@pytest.mark.parametrize("sample_rate", [8_000, 32_000, 44_100])
def test_sound_has_the_promised_form_and_the_beginning_does_not_depend_on_the_length(bentwave, sample_rate) -> None:
    for seconds in (0.05, 0.6, 1.00003):
        sound = bentwave.render(drawn(bentwave, 1)[0], Note(), seconds, sample_rate)
        assert (sound.dtype, sound.shape) == (np.float32, (round(seconds * sample_rate),))
    whole = bentwave.render(drawn(bentwave, 1)[0], Note(), 2.0, sample_rate)
    np.testing.assert_array_equal(whole[: len(sound)], sound)


@pytest.mark.parametrize("wave", ["sawtooth", "square", "pulse", "formant"])
@pytest.mark.parametrize("pitch", [36, 60, 84])
def test_pitch_is_right(bentwave, wave, pitch) -> None:
    preset = bentwave.space.from_names({"wave": wave, "bend": 0.4})
    sound = bentwave.render(preset, Note(pitch, 100, 3.0), 2.0, RATE)[RATE:]
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(RATE))))
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    harmonics = np.rint(np.arange(1, int(RATE / 2 / fundamental)) * fundamental).astype(int)
    around = harmonics[:, None] + np.arange(-3, 4)
    assert power[around].sum() > LEAST_HARMONIC * power.sum()
    assert power[around[::2]].sum() > 0.05 * power.sum(), "only even harmonics would be an octave too high"


def test_every_free_parameter_is_heard(bentwave) -> None:
    named = {"bend": 0.2, "sweep": 0.3, "interval": 1.0, "mix": 0.5, "sustain": 0.5, "detune": 0.5, "attack": 0.5}
    preset = bentwave.space.from_names(named)
    sound = bentwave.render(preset, Note(), 3.0, RATE)
    for column, parameter in enumerate(bentwave.space.free):
        changed = preset.copy()
        changed[column] = parameter.snap(np.asarray(1.0 if preset[column] < 0.5 else 0.0))
        difference = bentwave.render(changed, Note(), 3.0, RATE) - sound
        assert np.sqrt(np.mean(np.square(difference))) > GATE[0], parameter.name


def test_note_sounds_as_long_and_as_loud_as_it_is_played(bentwave) -> None:
    preset = bentwave.space.snap(bentwave.space.from_names({"release": 0.0}))

    def level(note: Note, start: float, end: float) -> float:
        sound = bentwave.render(preset, note, 3.0, RATE)[round(start * RATE) : round(end * RATE)]
        return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))

    for duration in (0.5, 2.0):
        note = Note(60, 100, duration)
        assert level(note, 0.1, duration) > 0.1
        assert level(note, duration + 0.3, 3.0) < 1e-5
    assert level(Note(60, 50), 0.1, 2.0) == pytest.approx(level(Note(60, 100), 0.1, 2.0) / 2, rel=1e-5)


def test_most_drawn_presets_are_loud_enough_for_a_corpus_and_none_has_an_offset(bentwave) -> None:
    sounds = np.stack([bentwave.render(preset, Note(), 5.0, RATE) for preset in drawn(bentwave, 200)])
    rms = np.sqrt(np.mean(np.square(sounds, dtype=np.float64), axis=1))
    assert np.mean((rms > GATE[0]) & (rms < GATE[1])) >= LEAST_AUDIBLE
    assert np.abs(sounds).max() < 1
    assert np.abs(sounds[:, :RATE].mean(axis=1)).max() < GATE[0]
