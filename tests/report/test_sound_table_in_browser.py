"""Sound tables in a real browser: every cell plays, keys go through them, columns sort, levels switch."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthproxy.report.content import Comparison, Example, Page, Section, Sound, SoundTable, System, Take
from synthproxy.report.listening_folder import write_listening_page
from synthproxy.report.page import write_page
from synthproxy.report.tables import Table

SAMPLE_RATE = 16_000
SECONDS = (2.0, 1.5, 2.5)
LEVELS = {"target": 0.1, "Mix": 0.2, "ours": 0.4}
MEL = {"Mix": (0.3, 0.1, 0.2), "ours": (0.25, 0.15)}
CORRELATION = {"Mix": (0.5, 0.9, 0.7), "ours": (0.6, -0.2)}
SHIFT = 8
SMALLEST_TARGET = 24
"""CSS pixels of a control that fingers and unsteady hands still hit (WCAG 2.2, 2.5.8)."""

PLAYING = "[...document.querySelectorAll('audio')].filter((audio) => !audio.paused)"
PLAYER = f"{PLAYING}[0]"
FOCUS = "document.activeElement.getAttribute('aria-label')"
HEADS = "[...document.querySelectorAll('.sound-table thead .title')].slice(0, 3).map((title) => title.textContent)"
# iOS does not let pages set the volume of a player.
LIKE_AN_IPHONE = """
  Object.defineProperty(HTMLMediaElement.prototype, "volume", { get: () => 1, set: () => {} });
  window.gainNodes = [];
  const createGain = AudioContext.prototype.createGain;
  AudioContext.prototype.createGain = function () {
    const node = createGain.call(this);
    window.gainNodes.push(node);
    return node;
  };
"""


def take(name: str, place: int) -> Take:
    """A tone that another cell does not have: by its length per column, its level per row."""
    time = np.arange(round(SAMPLE_RATE * SECONDS[place])) / SAMPLE_RATE
    audio = (LEVELS[name] * np.sin(2 * np.pi * (220 + 20 * place) * time)).astype(np.float32)
    if name == "target":
        return Take(audio, SAMPLE_RATE)
    return Take(audio, SAMPLE_RATE, {"mel": MEL[name][place], "correlation": CORRELATION[name][place]})


def sound_table(title: str) -> SoundTable:
    """Three rows, three columns; what ours made of the third sound is missing."""
    examples = tuple(
        Example(
            name, {system: take(system, place) for system in LEVELS if (system, name) != ("ours", "Bell")}, "a note"
        )
        for place, name in enumerate(("Brass", "Organ", "Bell"))
    )
    systems = tuple(System(name, "how it works") for name in LEVELS)
    return SoundTable(title, systems, examples, {"mel": "lowest", "correlation": "highest"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two tables of players, in a folder whose name needs escaping in addresses."""
    folder = tmp_path_factory.mktemp("pages") / "a #page"
    contents = (sound_table("Voices"), Table("Means", ("system", "mel"), (("Mix", 0.2),)))
    sections = (Section("In-domain", "", contents), Section("Out-of-domain", "", (sound_table("Notes"),)))
    write_listening_page(folder, Page("Sounds", "To listen to.", sections))
    return folder


@pytest.fixture
def visit(browser: Any, folder: Path, serve: Callable[[Path], str]) -> Iterator[Callable[..., Any]]:
    """Open the page from a host and give the browser; what it complained of fails the test."""

    def go(**options: Any) -> Any:
        browser.open(f"{serve(folder)}/index.html", **options)
        return browser

    yield go
    assert browser.complaints() == []


def cell(row: int, column: int, table: int = 1) -> str:
    place = f".section:nth-of-type({table}) .sound-table tbody"
    return f"{place} tr:nth-child({row}) td:nth-of-type({column}) .hear"


def position(browser: Any) -> float:
    return float(browser.run("document.querySelector('.seek input').value"))


@pytest.mark.parametrize("from_disk", [False, True])
def test_every_player_has_a_sound_that_plays(browser, folder, serve, from_disk):
    address = folder.as_uri() if from_disk else serve(folder)
    browser.open(f"{address}/index.html")
    count = browser.run("document.querySelectorAll('.hear').length")
    assert count == 2 * (3 * 3 - 1)
    durations = []
    for number in range(count):
        browser.run(f"document.querySelectorAll('.hear')[{number}].click()")
        browser.wait_for(f"{PLAYING}.length === 1 && {PLAYER}.currentTime > 0")
        durations.append(browser.run(f"{PLAYER}.duration"))
    assert durations == pytest.approx((list(SECONDS) * 2 + list(SECONDS[:2])) * 2, abs=0.01)
    assert browser.complaints() == []
    allowed = (address, "blob:", "data:")
    assert all(asked.startswith(allowed) for asked in browser.requested())


def test_arrows_go_from_cell_to_cell_and_pass_over_gaps(visit):
    browser = visit()
    browser.run("document.querySelector('.shown-score').focus()")
    browser.press("Tab")
    assert browser.run(FOCUS) == "Play target of Brass"
    ways = [
        "ArrowRight",
        "ArrowDown",
        "ArrowRight",
        "ArrowDown",
        "Home",
        "ArrowDown",
        "ArrowRight",
        "ArrowRight",
        "End",
    ]
    seen = []
    for way in ways:
        browser.press(way)
        seen.append(browser.run(FOCUS).removeprefix("Play ").split(",")[0])
    assert seen == [
        *("target of Organ", "Mix of Organ", "Mix of Bell", "Mix of Bell", "Mix of Brass"),
        *("ours of Brass", "ours of Organ", "ours of Organ", "ours of Organ"),
    ]
    assert browser.run("document.querySelectorAll('.hear[tabindex=\"0\"]').length") == 2  # One for each table.
    assert browser.run(f"{PLAYING}.length") == 0


def test_space_plays_and_rows_switch_at_the_same_position(visit):
    browser = visit()
    browser.run(f"document.querySelector('{cell(1, 1)}').focus()")
    browser.press(" ")
    browser.wait_for(f"{PLAYER}?.currentTime > 0.3")
    before = browser.run(f"{PLAYER}.currentTime")
    browser.press("ArrowDown")
    browser.wait_for(f"{PLAYING}.length === 1 && document.querySelector('.deck .system').textContent === 'Mix'")
    after = browser.run(f"{PLAYER}.currentTime")
    assert before <= after < before + 1.0
    assert browser.run(FOCUS) == "Pause Mix of Brass, mel 0.300"
    browser.press("3")
    assert browser.run(FOCUS).startswith("Pause ours of Brass")
    browser.press(" ")
    browser.wait_for(f"{PLAYING}.length === 0")
    paused = position(browser)
    assert after <= paused < SECONDS[0]
    browser.press("ArrowUp")
    assert position(browser) == pytest.approx(paused)
    browser.press("ArrowRight", SHIFT)
    assert position(browser) == pytest.approx(paused + 0.25, abs=0.01)


def test_another_sound_plays_from_its_beginning_and_alone(visit):
    browser = visit()
    browser.click(cell(2, 1))
    browser.wait_for(f"{PLAYER}?.currentTime > 0.4")
    browser.press("ArrowRight")
    browser.wait_for(f"{PLAYER}?.duration < {SECONDS[1] + 0.1}")
    assert browser.run(f"{PLAYER}.currentTime") < 0.4
    browser.click(cell(1, 3, table=2))
    browser.wait_for(f"{PLAYER}?.duration > {SECONDS[2] - 0.1}")
    assert browser.run(f"{PLAYING}.length") == 1
    assert browser.run("document.querySelectorAll('.take.playing').length") == 1
    browser.wait_for(f"{PLAYING}.length === 0")  # It ends.
    assert position(browser) == 0
    assert browser.run(FOCUS) == "Play target of Bell"


def test_haste_leaves_one_sound_playing(visit):
    browser = visit()
    browser.click(cell(1, 1))
    for key in (
        "ArrowRight",
        "ArrowDown",
        "ArrowLeft",
        "3",
        "ArrowRight",
        "1",
        "ArrowRight",
        "ArrowRight",
        " ",
        " ",
    ) * 2:
        browser.press(key)
    browser.wait_for(f"{PLAYING}.length === 1 && {PLAYER}.currentTime > 0")
    assert browser.run(FOCUS) == "Pause target of Bell"
    assert browser.run(f"{PLAYER}.duration") == pytest.approx(SECONDS[2], abs=0.01)


def test_players_of_a_comparison_on_the_same_page_sound_alone_too(browser, tmp_path):
    table = sound_table("Voices")
    target = Sound("target", np.asarray(table.examples[0].takes["target"].audio), SAMPLE_RATE)
    contents = (table, Comparison("One", target, (target,)))
    write_page(tmp_path / "page.html", Page("Sounds", "", (Section("All", "", contents),)))
    browser.open((tmp_path / "page.html").as_uri())
    browser.click(".deck .loop")  # So that none falls silent by itself.
    browser.click(".comparison .loop")
    for selector in (cell(1, 1), ".comparison .play", cell(2, 2)):
        browser.click(selector)
        browser.wait_for(f"{PLAYING}.length === 1 && {PLAYER}.currentTime > 0")
        inside = browser.run(f"{PLAYER}.closest('.comparison') !== null")
        assert inside == selector.startswith(".comparison")
    assert browser.complaints() == []


def test_the_deck_moves_in_time_and_loops(visit):
    browser = visit()
    browser.click(cell(1, 1))
    browser.wait_for(f"{PLAYING}.length === 1")
    browser.click(".deck .loop")
    browser.click(".deck .seek input")
    assert position(browser) == pytest.approx(SECONDS[0] / 2, abs=0.3)
    browser.wait_for(f"{PLAYER}.currentTime < 0.5")
    browser.click(".deck .play")
    browser.wait_for(f"{PLAYING}.length === 0")


def test_columns_sort_by_the_scores_of_a_row(visit):
    browser = visit()
    sort = ".sound-table tbody tr:nth-child({}) .sort"
    seen = []
    for row in (2, 2, 2, 3):
        browser.click(sort.format(row))
        marks = browser.run("[...document.querySelectorAll('[aria-sort]')].map((e) => e.getAttribute('aria-sort'))")
        seen.append((browser.run(HEADS), marks))
    assert seen == [
        (["Organ", "Bell", "Brass"], ["ascending"]),
        (["Brass", "Bell", "Organ"], ["descending"]),
        (["Brass", "Organ", "Bell"], []),
        (["Organ", "Brass", "Bell"], ["ascending"]),  # A gap is last.
    ]
    browser.run(
        "const choice = document.querySelector('.shown-score'); choice.value = 'correlation';"
        "choice.dispatchEvent(new Event('change'))"
    )
    assert browser.run(HEADS) == ["Brass", "Organ", "Bell"]  # Of correlations, the highest is the best.
    scores = "[...document.querySelector('.sound-table').querySelectorAll('tbody tr:nth-child({}) .score')]"
    texts = [browser.run(f"{scores.format(row)}.map((e) => e.textContent)") for row in (2, 3)]
    assert texts == [["0.700", "0.500", "0.900 (best)", "0.700"], ["", "0.600 (best)", "−0.200"]]
    assert browser.run("document.querySelector('.better').textContent") == "higher is better"


def test_cells_still_belong_to_their_columns_after_sorting(visit):
    browser = visit()
    browser.click(".sound-table tbody tr:nth-child(2) .sort")
    browser.click(cell(2, 1))
    browser.wait_for(f"{PLAYER}?.duration > 0")
    assert browser.run(f"{PLAYER}.duration") == pytest.approx(SECONDS[1], abs=0.01)
    assert browser.run(FOCUS).startswith("Pause Mix of Organ")
    browser.press("ArrowRight")
    assert browser.run(FOCUS).startswith("Pause Mix of Bell")


def test_levels_are_matched_until_the_switch_gives_the_true_ones(visit):
    browser = visit()
    browser.click(cell(1, 1))
    browser.wait_for(f"{PLAYER}?.currentTime > 0")
    volumes = "[...document.querySelectorAll('.deck audio')].map((audio) => audio.volume)"
    assert browser.run(volumes) == [1, 1, 1]
    browser.click(".deck .as-rendered")
    assert browser.run(volumes) == pytest.approx([0.25, 0.5, 1.0], rel=0.01)
    browser.click(cell(1, 3))
    browser.wait_for(f"{PLAYER}?.duration > {SECONDS[2] - 0.1}")
    assert browser.run(volumes)[:2] == pytest.approx([0.5, 1.0], rel=0.01)
    browser.click(".deck .as-rendered")
    assert browser.run(volumes) == [1, 1, 1]


def test_levels_switch_where_the_volume_is_fixed(visit):
    browser = visit(before=LIKE_AN_IPHONE)
    browser.click(cell(1, 1))
    browser.wait_for(f"{PLAYER}?.currentTime > 0")
    browser.click(".deck .as-rendered")
    assert browser.run("gainNodes.map((node) => node.gain.value)") == pytest.approx([0.25, 0.5], rel=0.01)
    at = browser.run(f"{PLAYER}.currentTime")
    browser.wait_for(f"{PLAYER}.currentTime > {at}")
    browser.click(".deck .as-rendered")
    assert browser.run("gainNodes.map((node) => node.gain.value)") == [1, 1]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_table_scrolls_inside_the_page_and_row_names_stay(visit, width):
    browser = visit(width=width, phone=width < 500)
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    scroll = "document.querySelector('.sound-table .scroll')"
    left = f"{scroll}.querySelector('tbody th').getBoundingClientRect().left"
    before = browser.run(left)
    browser.run(f"{scroll}.scrollLeft = 60")
    if width < 500:
        assert browser.run(f"{scroll}.scrollLeft") == 60
    assert browser.run(left) == before


def test_controls_have_names_and_are_large_enough_for_fingers(visit):
    browser = visit(width=390, phone=True)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    controls = [n for n in nodes if n["role"]["value"] in ("button", "checkbox", "slider", "combobox", "link")]
    names = [node["name"]["value"] for node in controls]
    assert len(names) > 2 * (3 * 3 - 1)
    assert all(names)
    sizes = browser.run(
        "[...document.querySelectorAll('.hear, .sort, .play, .switch, select, .seek input')]"
        ".map((e) => Math.min(e.getBoundingClientRect().width, e.getBoundingClientRect().height))"
    )
    assert min(sizes) >= SMALLEST_TARGET


def test_a_sound_that_is_missing_is_told_and_the_others_play(browser, tmp_path, serve):
    write_listening_page(tmp_path, Page("Sounds", "", (Section("All", "", (sound_table("Voices"),)),)))
    next((tmp_path / "sounds").glob("voices-01-mix-*.flac")).unlink()
    browser.open(f"{serve(tmp_path)}/index.html")
    browser.click(cell(2, 1))
    browser.wait_for("document.querySelector('.deck .facts').textContent === 'This sound could not be played.'")
    assert browser.run(FOCUS).startswith("Play Mix of Brass")
    browser.press("ArrowDown")
    browser.press(" ")
    browser.wait_for(f"{PLAYER}?.currentTime > 0")
