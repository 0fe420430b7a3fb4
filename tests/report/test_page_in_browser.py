"""The listening page in a real browser: sounds load, keys switch between them in place, tables sort."""

from typing import Any

import numpy as np
import pytest

from synthproxy.report.page import Comparison, Page, Section, Sound, Table, write_page

SAMPLE_RATE = 16_000

# Does what a visitor would do, and gives what it saw.
VISIT = r"""
(async () => {
  const seen = {};
  const audios = [...document.querySelectorAll("audio")];
  const ready = (audio) => new Promise((done) => {
    if (audio.readyState >= 1) done();
    else { audio.addEventListener("loadedmetadata", done); audio.addEventListener("error", done); }
  });
  const press = (key, options = {}, target = document.body) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...options }));
  const chosen = (element) => [...element.querySelectorAll(".player")].findIndex((p) => p.classList.contains("chosen"));
  const sounding = () => audios.flatMap((audio, index) => (audio.paused ? [] : [index]));
  const column = (table, index) => [...table.tBodies[0].rows].map((row) => row.cells[index].textContent);
  await Promise.all(audios.map(ready));
  const [first, second] = document.querySelectorAll(".comparison");
  seen.loaded = audios.map(({ readyState, duration }) => ({ readyState, duration }));
  seen.chosen = [chosen(first)];
  for (const key of ["ArrowRight", "3", "ArrowRight", "ArrowLeft", "9", "1"]) {
    press(key);
    seen.chosen.push(chosen(first));
  }

  press("ArrowRight", { shiftKey: true });
  seen.seeked = [audios[0].currentTime];
  press("2");
  seen.seeked.push(audios[1].currentTime);
  press(" ");
  seen.sounding = [sounding()];
  press("3");
  seen.sounding.push(sounding());
  seen.handedOver = audios[2].currentTime;
  second.querySelector(".play").click();
  seen.sounding.push(sounding());
  second.querySelector(".play").click();
  seen.sounding.push(sounding());
  seen.ignoredInTables = press("1", {}, document.querySelector(".scroll")) && chosen(first);

  const screen = first.querySelectorAll(".screen")[1];
  const frame = screen.getBoundingClientRect();
  const clientX = frame.left + frame.width / 4;
  screen.dispatchEvent(new PointerEvent("pointerdown", { clientX, button: 0, bubbles: true, pointerId: 1 }));
  seen.clicked = [chosen(first), audios[1].currentTime, first.style.getPropertyValue("--position")];

  const volumes = () => audios.slice(0, 3).map((audio) => audio.volume);
  seen.volumes = [volumes()];
  first.querySelector(".as-rendered").click();
  seen.volumes.push(volumes());
  first.querySelector(".loop").click();
  seen.loops = audios.map((audio) => audio.loop);

  const table = [...document.querySelectorAll("table")].at(-1);
  const header = table.tHead.rows[0].cells;
  const sorting = (index) => {
    header[index].querySelector("button").click();
    return [header[index].getAttribute("aria-sort"), column(table, index)];
  };
  seen.sorted = [sorting(1), sorting(1), sorting(0)];
  seen.sortMarks = table.querySelectorAll("[aria-sort]").length;
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return seen;
})()
"""


def tone(label: str, hertz: float, level: float, seconds: float) -> Sound:
    time = np.arange(round(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    audio = (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    return Sound(label, audio, SAMPLE_RATE, distances={"mel": hertz})


@pytest.fixture(scope="module")
def seen(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a visit to a page of two comparisons and a table saw."""
    folder = tmp_path_factory.mktemp("browser")
    target, best, near = tone("target", 220, 0.1, 1.0), tone("best", 221, 0.2, 2.0), tone("near", 300, 0.4, 1.5)
    numbers = Table("Numbers", ("name", "value"), (("b10", 10.0), ("b9", -2.0), ("a", float("nan")), ("c", 9.5)))
    contents = (Comparison("One", target, (best, near)), Comparison("Two", target, (near,)), numbers)
    write_page(folder / "page.html", Page("Visit", "", (Section("Sounds", "", contents),)))
    browser.open((folder / "page.html").as_uri())
    result = browser.run(VISIT)
    assert not browser.complaints()
    return result


def test_every_sound_loads_at_its_length(seen):
    assert all(audio["readyState"] >= 1 for audio in seen["loaded"])
    assert [audio["duration"] for audio in seen["loaded"]] == pytest.approx([1.0, 2.0, 1.5, 1.0, 1.5], abs=0.01)


def test_arrows_and_number_keys_switch_and_wrap_around(seen):
    assert seen["chosen"] == [0, 1, 2, 0, 2, 2, 0]


def test_switching_keeps_the_position_and_one_sound_at_a_time(seen):
    assert seen["seeked"] == pytest.approx([0.25, 0.25])
    assert seen["sounding"] == [[1], [2], [3], []]
    assert 0.25 <= seen["handedOver"] < 1.0
    assert seen["ignoredInTables"] == 2


def test_a_click_on_the_picture_chooses_and_seeks(seen):
    chosen, time, position = seen["clicked"]
    assert chosen == 1
    assert time == pytest.approx(0.5, abs=0.01)
    assert float(position) == pytest.approx(0.25, abs=0.01)


def test_levels_as_rendered_are_the_true_ratios(seen):
    matched, rendered = seen["volumes"]
    assert matched == [1, 1, 1]
    assert rendered == pytest.approx([0.25, 0.5, 1.0], rel=0.01)
    assert seen["loops"] == [True, True, True, False, False]


def test_tables_sort_by_number_and_by_word_with_gaps_last(seen):
    assert seen["sorted"] == [
        ["ascending", ["−2.0", "9.5", "10.0", "–"]],
        ["descending", ["10.0", "9.5", "−2.0", "–"]],
        ["ascending", ["a", "b9", "b10", "c"]],
    ]
    assert seen["sortMarks"] == 1


def test_the_page_is_no_wider_than_the_window(seen):
    assert seen["overflow"] == 0
