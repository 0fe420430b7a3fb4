"""The listening page as a parser sees it: sounds, pictures, data and text are all inside, whole and escaped."""

import base64
import io
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synthproxy.audio.io import write_audio
from synthproxy.errors import InvalidInputError
from synthproxy.report.content import Example, SoundTable, System, Take
from synthproxy.report.levels import HIGHEST_PEAK, match_levels, root_mean_square
from synthproxy.report.page import Comparison, Figure, Page, Section, Sound, Table, page_html, write_page
from synthproxy.report.spectrogram import BANDS, COLUMNS, mel_power, shared_axes

SAMPLE_RATE = 16_000
QUANTISATION = 1 / 2**15
HOSTILE = "<script>alert(1)</script> \"quoted\" & 'single'"
VOID_ELEMENTS = {"meta", "img", "input", "source", "br", "link", "wbr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Document(HTMLParser):
    """Every element in document order, with its own text; unbalanced tags fail."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID_ELEMENTS:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        if self.open:
            self.open[-1].text += data

    def all(self, tag: str, class_name: str = "") -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag and (not class_name or class_name in element.attributes.get("class", "").split())
        ]


def parse(text: str) -> Document:
    document = Document()
    document.feed(text)
    document.close()
    assert not document.open
    return document


def tone(hertz: float, level: float, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(round(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def sounds() -> tuple[Sound, ...]:
    """Quiet, beyond full scale and of another length, and spiky."""
    click = tone(330, 0.01)
    click[100] = 0.5
    return (
        Sound("target", tone(220, 0.05), SAMPLE_RATE, ("0.5 s",)),
        Sound("best match", tone(221, 3.0, 0.8), SAMPLE_RATE, distances={"mel": 0.2, "stft": 0.5}),
        Sound("nearest in corpus", click, SAMPLE_RATE, distances={"mel": 0.4, "stft": 0.3}),
    )


def page_of(*contents: Comparison | SoundTable | Table | Figure) -> Page:
    return Page("A page", "First.\n\nSecond.", (Section("Sounds", "What is here.", contents),), "The end.")


def sound_table() -> SoundTable:
    """Two sounds of other rates and lengths; there is nothing that "ours" made of the second."""
    low, high = (
        Example("low", {"target": Take(tone(110, 0.05), SAMPLE_RATE)}, "pitch 45"),
        Example("high", {"target": Take(tone(880, 0.2, 0.3), SAMPLE_RATE)}, "pitch 81"),
    )
    low.takes.update(
        Mix=Take(tone(112, 0.8), SAMPLE_RATE, {"mel": 1.5, "correlation": 0.9}),
        ours=Take(tone(110, 0.4, 0.7), SAMPLE_RATE, {"mel": 0.5, "correlation": 0.8}),
    )
    high.takes.update(Mix=Take(tone(900, 0.1), 2 * SAMPLE_RATE, {"mel": 0.25}))
    systems = (System("target"), System("Mix", "both losses"), System("ours"))
    return SoundTable("Sounds", systems, (low, high), {"mel": "lowest", "correlation": "highest"})


def decoded(address: str, media_type: str) -> bytes:
    start = f"data:{media_type};base64,"
    assert address.startswith(start)
    return base64.b64decode(address.removeprefix(start), validate=True)


@pytest.fixture(scope="module")
def document() -> Document:
    target, *candidates = sounds()
    return parse(page_html(page_of(Comparison("Tones", target, tuple(candidates)))))


def embedded_audio(document: Document) -> list[np.ndarray]:
    files = [decoded(element.attributes["src"], "audio/flac") for element in document.all("audio")]
    read = [soundfile.read(io.BytesIO(content), dtype="float32") for content in files]
    assert all(rate == SAMPLE_RATE for _, rate in read)
    return [audio for audio, _ in read]


def test_every_sound_is_embedded_whole_at_one_level_without_clipping(document):
    embedded = embedded_audio(document)
    assert [audio.size for audio in embedded] == [sound.audio.size for sound in sounds()]
    levels = [root_mean_square(audio) for audio in embedded]
    np.testing.assert_allclose(levels, levels[0], rtol=0.01)
    assert max(np.abs(audio).max() for audio in embedded) <= HIGHEST_PEAK + QUANTISATION


def test_the_gain_attribute_leads_back_to_the_sound_as_given(document):
    players = document.all("li", "player")
    for audio, player, sound in zip(embedded_audio(document), players, sounds(), strict=True):
        data = json.loads(player.attributes["data-sound"])
        np.testing.assert_allclose(audio * data["gain"], sound.audio, atol=1.01 * QUANTISATION * data["gain"])
        assert data["seconds"] == pytest.approx(sound.seconds)


def test_every_cell_of_a_sound_table_has_its_sound_as_loud_as_the_others_of_its_column():
    table = sound_table()
    document = parse(page_html(page_of(table)))
    cells = document.all("td", "take")
    assert [cell.attributes["aria-label"] for cell in document.all("audio")] == [
        *("target of low", "target of high", "Mix of low", "Mix of high", "ours of low"),
    ]
    takes = [example.takes.get(system.name) for system in table.systems for example in table.examples]
    levels: dict[int, list[float]] = {0: [], 1: []}
    given = [(place % 2, take) for place, take in enumerate(takes) if take]
    for (column, take), cell, element in zip(given, cells, document.all("audio"), strict=True):
        audio, rate = soundfile.read(io.BytesIO(decoded(element.attributes["src"], "audio/flac")), dtype="float32")
        data = json.loads(cell.attributes["data-take"])
        assert rate == take.sample_rate
        assert data["seconds"] == pytest.approx(take.audio.size / rate)
        np.testing.assert_allclose(audio * data["gain"], take.audio, atol=1.01 * QUANTISATION * data["gain"])
        levels[column].append(root_mean_square(audio))
    for of_one_column in levels.values():
        np.testing.assert_allclose(of_one_column, of_one_column[0], rtol=0.01)


def test_a_sound_table_marks_the_best_of_each_column_and_means_over_all():
    document = parse(page_html(page_of(sound_table())))
    scores = [json.loads(cell.attributes["data-take"])["scores"] for cell in document.all("td", "take")]
    assert [score["mel"]["text"] for score in scores] == ["", "", "1.50", "0.25", "0.50"]
    assert [score["mel"]["best"] for score in scores] == [False, False, False, False, True]
    assert [score["correlation"]["value"] for score in scores] == [None, None, 0.9, None, 0.8]
    assert scores[2]["correlation"]["best"]
    means = [
        json.loads(head.attributes["data-means"]) for head in document.all("th") if "data-means" in head.attributes
    ]
    assert [mean["mel"]["value"] for mean in means] == [None, 0.875, None]  # Ours has no score for the second.
    assert [mean["correlation"]["text"] for mean in means] == ["", "", ""]
    assert [span.text for span in document.all("span", "score")] == ["", "", "", "0.88", "1.50", "0.25", "", "0.50"]
    assert len(document.all("td", "gap")) == 1


def test_a_sound_table_reads_sound_files(tmp_path: Path):
    write_audio(tmp_path / "a.wav", tone(220, 0.3), SAMPLE_RATE)
    table = SoundTable("Files", (System("target"),), (Example("a", {"target": Take(tmp_path / "a.wav")}),))
    document = parse(page_html(page_of(table)))
    assert json.loads(document.all("td", "take")[0].attributes["data-take"])["seconds"] == pytest.approx(0.5)
    assert not document.all("select")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"systems": ()}, "at least one system"),
        ({"examples": ()}, "one example"),
        ({"systems": (System("target"), System("target"))}, "a name of its own"),
        ({"systems": (System("Switch"), System("target"), System("Mix"), System("ours"))}, "has no 'Switch'"),
        ({"systems": (System("target"), System("ours"))}, "has a take of 'Mix'"),
    ],
)
def test_a_sound_table_whose_parts_do_not_fit_is_refused(change, said):
    with pytest.raises(InvalidInputError, match=f"'Sounds'.*{said}"):
        replace(sound_table(), **change)


@pytest.mark.parametrize(("audio", "rate"), [(Path("a.wav"), SAMPLE_RATE), (tone(220, 0.1), None)])
def test_a_take_has_one_sample_rate(audio, rate):
    with pytest.raises(InvalidInputError, match="sample rate"):
        Take(audio, rate)


def test_spectrograms_decode_and_share_the_longest_time_axis(document):
    pictures = [
        Image.open(io.BytesIO(decoded(element.attributes["src"], "image/png")))
        for element in document.all("img", "spectrogram")
    ]
    assert [picture.size for picture in pictures] == [(COLUMNS, BANDS)] * 3
    assert json.loads(document.all("section", "comparison")[0].attributes["data-comparison"]) == {"seconds": 0.8}
    # The target lasts 0.5 s of 0.8 s: the rest of its picture is the colour of silence.
    shades = np.asarray(pictures[0])
    assert shades[:, : COLUMNS // 2].max() > 200
    assert shades[:, round(COLUMNS * 0.75) :].max() == 0
    # It is a tone of 220 Hz: the light is at the bottom.
    assert shades.max(axis=1).argmax() > 0.85 * BANDS


@pytest.mark.parametrize("hertz", [100.0, 440.0, 3000.0])
def test_a_tone_lights_the_band_at_its_height(hertz):
    axes = shared_axes([0.5], [SAMPLE_RATE])
    loudest_band = mel_power(tone(hertz, 0.5), SAMPLE_RATE, axes).sum(axis=1).argmax()
    assert loudest_band / BANDS == pytest.approx(axes.height_of(hertz), abs=1.5 / BANDS)


def test_a_click_is_painted_at_its_time():
    audio = np.zeros(SAMPLE_RATE, np.float32)
    audio[SAMPLE_RATE // 4] = 1
    power = mel_power(audio, SAMPLE_RATE, shared_axes([1.0], [SAMPLE_RATE])).sum(axis=0)
    assert power.argmax() / COLUMNS == pytest.approx(0.25, abs=1 / COLUMNS)


def test_words_from_outside_are_escaped_everywhere():
    hostile = Sound(HOSTILE, tone(220, 0.1), SAMPLE_RATE, (HOSTILE,), {HOSTILE: 1.0}, f"{HOSTILE}.syx", b"x")
    contents = (
        Comparison(HOSTILE, hostile, (hostile,), HOSTILE),
        Table(HOSTILE, (HOSTILE, "n"), ((HOSTILE, 1),), HOSTILE),
        Figure(HOSTILE, b"png", HOSTILE, HOSTILE, b"png"),
        SoundTable(
            HOSTILE,
            (System(HOSTILE, HOSTILE),),
            (Example(HOSTILE, {HOSTILE: Take(tone(220, 0.1), SAMPLE_RATE, {HOSTILE: 1.0})}, HOSTILE),),
            {HOSTILE: "lowest"},
            HOSTILE,
        ),
    )
    text = page_html(Page(HOSTILE, HOSTILE, (Section(HOSTILE, HOSTILE, contents),) * 2, HOSTILE))
    document = parse(text)
    assert "<script>alert" not in text
    assert len(document.all("script")) == 1
    assert document.all("title")[0].text == HOSTILE
    assert {heading.text for tag in ("h1", "h2", "h3") for heading in document.all(tag)} == {HOSTILE}
    assert not [name for element in document.elements for name in element.attributes if name.startswith("on")]


def test_nothing_outside_the_file_is_referred_to(document):
    png = b"\x89PNG"
    table = Table("T", ("a",), (("x",),))
    text = page_html(
        page_of(Comparison("c", sounds()[0], ()), table, Figure("f", png, "a", dark_png=png), sound_table())
    )
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"base64,[\w+/=]+", "", text), re.IGNORECASE)
    assert "@import" not in text
    for element in [*document.elements, *parse(text).elements]:
        for name in ("src", "href", "srcset", "action"):
            assert element.attributes.get(name, "#").startswith(("data:", "#"))


@pytest.mark.parametrize("name", ["javascript:alert(1)", "https://example.com/x.syx"])
def test_a_download_cannot_lead_elsewhere(name):
    link = parse(page_html(page_of(Comparison("c", replace(sounds()[0], file=name), ())))).all("a", "download")[0]
    assert ":" not in link.attributes["href"]
    with pytest.raises(InvalidInputError, match="relative to the page"):
        replace(sounds()[0], file="//example.com/x.syx")


def test_preset_files_are_linked_or_embedded():
    linked = replace(sounds()[0], file="presets/best 1.syx")
    embedded = replace(linked, file_bytes=b"\xf0\x43\xf7")
    links = parse(page_html(page_of(Comparison("c", linked, (embedded,))))).all("a", "download")
    assert links[0].attributes["href"] == "presets/best%201.syx"
    assert decoded(links[1].attributes["href"], "application/octet-stream") == b"\xf0\x43\xf7"
    assert {link.attributes["download"] for link in links} == {"best 1.syx"}


def test_the_smallest_distance_of_each_column_is_marked(document):
    assert [cell.text for cell in document.all("td", "best")] == ["0.200", "0.300"]
    assert [cell.attributes["data-value"] for cell in document.all("td")] == ["0.2", "0.5", "0.4", "0.3"]


def test_the_document_is_well_built(document):
    assert document.all("html")[0].attributes["lang"] == "en"
    levels = [int(element.tag[1]) for element in document.elements if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    identifiers = [element.attributes["id"] for element in document.elements if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    for element in document.elements:
        assert element.attributes.get("aria-labelledby", identifiers[0]) in identifiers
        assert element.tag != "img" or element.attributes["alt"]


def test_silent_and_tiny_sounds_make_a_page():
    silence = Sound("silence", np.zeros(100, np.float32), SAMPLE_RATE)
    blip = Sound("blip", np.array([0.5], np.float32), 44_100)
    document = parse(page_html(page_of(Comparison("c", silence, (blip,)), Comparison("d", silence, (silence,)))))
    gains = [json.loads(player.attributes["data-sound"])["gain"] for player in document.all("li", "player")]
    assert gains[0] == gains[2] == gains[3] == 0 < gains[1]


@pytest.mark.parametrize(
    ("audio", "rate", "said"),
    [
        (np.zeros((2, 10), np.float32), 16_000, "mono"),
        (np.zeros(0, np.float32), 16_000, "not empty"),
        (np.array([np.nan], np.float32), 16_000, "NaN"),
        (np.zeros(10, np.float32), 0, "positive"),
    ],
)
def test_a_sound_that_cannot_be_played_is_refused_by_name(audio, rate, said):
    with pytest.raises(InvalidInputError, match=f"'broken'.*{said}"):
        Sound("broken", audio, rate)


def test_the_page_is_written_whole_and_its_folder_must_exist(tmp_path: Path):
    path = tmp_path / "index.html"
    write_page(path, page_of())
    assert path.read_text(encoding="utf8") == page_html(page_of())
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_page(tmp_path / "missing" / "index.html", page_of())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-5, 100), st.integers(0, 2**31)), min_size=1, max_size=4))
def test_levels_match_and_never_clip(specifications):
    noises = [
        Sound("s", (scale * np.random.default_rng(seed).laplace(size=400)).astype(np.float32), SAMPLE_RATE)
        for scale, seed in specifications
    ]
    levelled = match_levels(noises)
    measured = [root_mean_square(level.audio) for level in levelled]
    np.testing.assert_allclose(measured, measured[0], rtol=1e-4)
    for level, noise in zip(levelled, noises, strict=True):
        assert np.abs(level.audio).max() <= HIGHEST_PEAK * (1 + 1e-6)
        np.testing.assert_allclose(level.audio * level.gain, noise.audio, rtol=1e-4, atol=1e-9)
