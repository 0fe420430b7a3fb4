"""Tables of players as HTML, and the deck on which the chosen one plays; their files go where the caller says."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from synthproxy.audio.io import read_audio
from synthproxy.report.content import Example, Sound, SoundTable, System, Take
from synthproxy.report.elements import (
    PLAY_ICON,
    Attach,
    class_attribute,
    data_attribute,
    escaped,
    flac,
    lines,
    paragraphs,
)
from synthproxy.report.levels import Levelled, level_in_words, match_levels
from synthproxy.report.spectrogram import mel_power, shared_axes, spectrogram_images
from synthproxy.report.tables import Direction, Table, best_cells, formatted_rows, is_finite

LONGEST_NAME: Final = 32
BETTER: Final[Mapping[Direction, str]] = {"lowest": "lower is better", "highest": "higher is better"}

Score = Mapping[str, Any]
"""What the script is told of a score: ``value``, or None, ``text``, and whether it is the ``best`` of its column."""


def sound_table_markup(table: SoundTable, identifier: str, attach: Attach) -> str:
    """A row of players for each system, a column for each example.

    The sounds of a column are as loud as each other and share a time axis and a colour scale. They are read, painted
    and handed to ``attach`` one column at a time.

    Raises:
        InvalidInputError: a sound file cannot be read, or has samples that are not finite.
    """
    scores = {name: _scores(table, name, direction) for name, direction in table.scores.items()}
    columns = [
        _cells(
            table, index, [{name: rows[row][index] for name, rows in scores.items()} for row in _rows(table)], attach
        )
        for index in range(len(table.examples))
    ]
    heads = "".join(f'<th scope="col">{_named(example.title, example.note)}</th>' for example in table.examples)
    rows = lines(
        f"<tr>{_row_head(system, {name: values[row][-1] for name, values in scores.items()})}"
        f"{''.join(column[row] for column in columns)}</tr>"
        for row, system in enumerate(table.systems)
    )
    note = f'<div class="note">{paragraphs(table.note)}</div>' if table.note else ""
    return f"""<section class="sound-table card" aria-labelledby="{identifier}">
<div class="top"><div><h3 id="{identifier}">{escaped(table.title)}</h3>{note}</div>{_score_choice(table)}</div>
<div class="scroll" role="region" aria-labelledby="{identifier}">
<table role="grid" aria-labelledby="{identifier}">
<thead><tr><th scope="col"><span class="unseen">System</span></th>{heads}</tr></thead>
<tbody>{rows}</tbody></table></div>
</section>"""


def deck_markup() -> str:
    """The player at the foot of a page: what is chosen in the tables, where it is, and how loud."""
    return f"""<div class="deck" role="region" aria-label="Player">
<button type="button" class="play" aria-label="Play" aria-pressed="false">{PLAY_ICON}</button>
<div class="now"><span class="system"></span><span class="title"></span><span class="facts"></span></div>
<div class="seek"><img class="spectrogram" alt=""><input type="range" min="0" max="1" step="any" value="0"
aria-label="Position"></div>
<span class="clock" aria-hidden="true"></span>
<div class="switches"><label class="switch"><input type="checkbox" class="loop"><span>Loop</span></label>
<label class="switch"><input type="checkbox" class="as-rendered"><span>Levels as rendered</span></label></div>
</div>"""


def _rows(table: SoundTable) -> range:
    return range(len(table.systems))


def _scores(table: SoundTable, name: str, direction: Direction) -> list[list[Score]]:
    """One score for each system in each example, then the system's mean over all examples."""
    grid = []
    for system in table.systems:
        takes = [example.takes.get(system.name) for example in table.examples]
        values = [math.nan if take is None else float(take.scores.get(name, math.nan)) for take in takes]
        grid.append((*values, sum(values) / len(values) if len(values) > 1 else math.nan))
    # As one column, so that all share their decimals; as a grid, so that each example has its best system.
    texts = iter(formatted_rows(Table("", (name,), tuple((value,) for row in grid for value in row))))
    columns = tuple(str(column) for column in range(len(grid[0])))
    best = best_cells(Table("", columns, tuple(grid), best=dict.fromkeys(columns, direction)))
    return [
        [_score(value, next(texts)[0], (row, column) in best) for column, value in enumerate(values)]
        for row, values in enumerate(grid)
    ]


def _score(value: float, text: str, best: bool) -> Score:
    if math.isnan(value):
        return {"value": None, "text": "", "best": False}
    return {"value": value if is_finite(value) else None, "text": text.replace("-", "−"), "best": best}


def _cells(table: SoundTable, index: int, scores: Sequence[Mapping[str, Score]], attach: Attach) -> list[str]:
    """One column: a cell for each system, empty where it has no take."""
    example = table.examples[index]
    sounds = {name: _sound(take, f"{name} of {example.title}") for name, take in _takes(table, example).items()}
    axes = shared_axes([s.seconds for s in sounds.values()], [s.sample_rate for s in sounds.values()])
    levels = dict(zip(sounds, match_levels(list(sounds.values())), strict=True))
    powers = [mel_power(levels[name].audio, sound.sample_rate, axes) for name, sound in sounds.items()]
    images = dict(zip(sounds, spectrogram_images(powers), strict=True))
    target = levels[table.systems[0].name]
    cells = []
    for row, (system, values) in enumerate(zip(table.systems, scores, strict=True)):
        if system.name not in sounds:
            cells.append('<td class="gap"><span class="unseen">no sound</span></td>')
            continue
        level, sound = levels[system.name], sounds[system.name]
        stem = f"{_file_name(table.title)}-{index + 1:02}-{_file_name(system.name)}"
        sound_address = attach(f"{stem}.flac", flac(level.audio, sound.sample_rate))
        picture_address = attach(f"{stem}.png", images[system.name])
        words = level_in_words(level, target) if row else ""
        cells.append(_cell(sound, level, words, values, sound_address, picture_address))
    return cells


def _takes(table: SoundTable, example: Example) -> dict[str, Take]:
    """In the order of the rows."""
    return {system.name: example.takes[system.name] for system in table.systems if system.name in example.takes}


def _sound(take: Take, label: str) -> Sound:
    if not isinstance(take.audio, np.ndarray):
        read = read_audio(take.audio)
        return Sound(label, read.samples, read.sample_rate)
    return Sound(label, take.audio, take.sample_rate or 0)


def _cell(sound: Sound, level: Levelled, words: str, scores: Mapping[str, Score], address: str, picture: str) -> str:
    label = escaped(sound.label)
    shown = next(iter(scores.values()), None)
    data = data_attribute("take", gain=level.gain, seconds=sound.seconds, level=words, scores=scores)
    return (
        f'<td class="take" {data}><div class="screen">'
        f'<img class="spectrogram" loading="lazy" alt="Mel spectrogram of {label}" src="{escaped(picture)}">'
        '<span class="playhead" aria-hidden="true"></span>'
        f'<button type="button" class="hear" tabindex="-1" aria-label="Play {label}" aria-pressed="false">'
        f"{PLAY_ICON}</button></div>"
        f'<audio controls preload="none" aria-label="{label}" src="{escaped(address)}"></audio>'
        f"{_score_markup(shown)}</td>"
    )


def _score_markup(score: Score | None) -> str:
    if score is None:
        return ""
    best = '<span class="unseen"> (best)</span>' if score["best"] else ""
    kind = class_attribute("score best" if score["best"] else "score")
    return f"<span{kind}>{escaped(score['text'])}{best}</span>"


def _row_head(system: System, means: Mapping[str, Score]) -> str:
    shown = next(iter(means.values()), None)
    mean = f'<div class="mean">{_score_markup(shown)}</div>' if shown else ""
    return f'<th scope="row" {data_attribute("means", **means)}>{_named(system.name, system.note)}{mean}</th>'


def _named(name: str, note: str) -> str:
    about = f'<span class="about">{escaped(note)}</span>' if note else ""
    # Names of files and instruments have no spaces to break at.
    return f'<span class="title">{escaped(name).replace("_", "_<wbr>")}</span>{about}'


def _score_choice(table: SoundTable) -> str:
    if not table.scores:
        return ""
    options = "".join(
        f'<option value="{escaped(name)}" data-best="{direction}" data-better="{BETTER[direction]}">'
        f"{escaped(name)}</option>"
        for name, direction in table.scores.items()
    )
    names = list(table.scores)
    only = "" if len(names) > 1 else f'<span aria-hidden="true">{escaped(names[0])}</span>'
    return (
        f'<div class="choice"><label>Score <select class="shown-score" autocomplete="off"{" hidden" if only else ""}>'
        f'{options}</select></label>{only} <span class="better">{BETTER[table.scores[names[0]]]}</span></div>'
    )


def _file_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_NAME] or "sound"
