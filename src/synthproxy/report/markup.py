"""The parts of a listening page as HTML. Every word from outside passes through :func:`escaped`."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote

from synthproxy.report.content import Comparison, Figure, Section, Sound, SoundTable
from synthproxy.report.elements import (
    PLAY_ICON,
    Attach,
    class_attribute,
    data_attribute,
    data_uri,
    escaped,
    flac,
    lines,
    paragraphs,
    percent,
)
from synthproxy.report.levels import Levelled, level_in_words, match_levels
from synthproxy.report.sound_table_markup import sound_table_markup
from synthproxy.report.spectrogram import Axes, mel_power, shared_axes, spectrogram_images
from synthproxy.report.tables import Table, best_cells, formatted_rows, is_finite, numeric_columns

MOST_TIME_TICKS: Final = 9
FREQUENCY_MARKS: Final = ((200.0, "200"), (1_000.0, "1 k"), (4_000.0, "4 k"), (10_000.0, "10 k"))


def section_markup(section: Section, number: int, attach: Attach) -> str:
    """One headed section; ``number`` makes its element ids unique on the page.

    The files of sound tables are handed to ``attach``; everything else is written into the page.
    """
    identifier = f"section-{number}"
    contents = "\n".join(
        _content_markup(content, f"{identifier}-{index}", attach)
        for index, content in enumerate(section.contents, start=1)
    )
    return (
        f'<section class="section" aria-labelledby="{identifier}">\n'
        f'<div class="lead"><h2 id="{identifier}">{escaped(section.heading)}</h2>{paragraphs(section.text)}</div>\n'
        f"{contents}\n</section>"
    )


def _content_markup(content: Comparison | SoundTable | Table | Figure, identifier: str, attach: Attach) -> str:
    if isinstance(content, Comparison):
        return comparison_markup(content, identifier)
    if isinstance(content, SoundTable):
        return sound_table_markup(content, identifier, attach)
    if isinstance(content, Table):
        return _titled_table(content, identifier)
    return _figure_markup(content, identifier)


def comparison_markup(comparison: Comparison, identifier: str) -> str:
    """Players of a target and its candidates under one another, on one time axis, and their distances."""
    sounds = comparison.sounds
    axes = shared_axes([sound.seconds for sound in sounds], [sound.sample_rate for sound in sounds])
    levelled = match_levels(sounds)
    images = spectrogram_images(
        [mel_power(level.audio, sound.sample_rate, axes) for sound, level in zip(sounds, levelled, strict=True)]
    )
    players = "\n".join(
        _player(sound, level, image, axes, number, level_in_words(level, levelled[0]) if number > 1 else "")
        for number, (sound, level, image) in enumerate(zip(sounds, levelled, images, strict=True), start=1)
    )
    note = f'<div class="note">{paragraphs(comparison.note)}</div>' if comparison.note else ""
    data = data_attribute("comparison", seconds=axes.seconds)
    return f"""<section class="comparison card" aria-labelledby="{identifier}" {data}>
<div class="top"><div><h3 id="{identifier}">{escaped(comparison.title)}</h3>{note}</div>
<div class="controls"><span class="clock" aria-hidden="true"></span>
<label class="switch"><input type="checkbox" class="loop"><span>Loop</span></label>
<label class="switch"><input type="checkbox" class="as-rendered"><span>Levels as rendered</span></label></div></div>
<ol class="players">
{players}
</ol>
{_time_axis(axes.seconds)}
{_distances_table(comparison, identifier)}
</section>"""


def _player(sound: Sound, level: Levelled, image: bytes, axes: Axes, number: int, level_detail: str) -> str:
    label = escaped(sound.label)
    key = f"<kbd>{number}</kbd>" if number <= 9 else ""
    facts = "".join(f"<li>{escaped(fact)}</li>" for fact in (*sound.details, level_detail) if fact)
    details = f'<ul class="details">{facts}</ul>' if facts else ""
    marks = "".join(
        f'<span style="bottom:{percent(axes.height_of(hertz))}">{text}</span>'
        for hertz, text in FREQUENCY_MARKS
        if axes.height_of(hertz) < 0.95
    )
    return f"""<li class="player" {data_attribute("sound", gain=level.gain, seconds=sound.seconds)}>
<div class="name"><button type="button" class="play" aria-label="Play {label}" aria-pressed="false">{PLAY_ICON}</button>
<span class="label">{label}</span>{key}</div>
<div class="facts">{details}{_download(sound)}</div>
<div class="screen"><img class="spectrogram" alt="Mel spectrogram of {label}" src="{data_uri("image/png", image)}">
<span class="hertz" aria-hidden="true">{marks}</span><span class="playhead" aria-hidden="true"></span></div>
<audio controls preload="auto" src="{data_uri("audio/flac", flac(level.audio, sound.sample_rate))}"></audio>
</li>"""


def _download(sound: Sound) -> str:
    if sound.file is None:
        return ""
    address = sound.file.replace("\\", "/")
    name = PurePosixPath(address).name
    # Quoting the colon too leaves no way to smuggle in a scheme.
    embedded = sound.file_bytes is not None
    target = data_uri("application/octet-stream", sound.file_bytes or b"") if embedded else quote(address)
    return f'<a class="download" href="{target}" download="{escaped(name)}">{escaped(name)}</a>'


def _time_axis(seconds: float) -> str:
    step = next(
        step
        for power in range(-3, 6)
        for step in (1 * 10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if seconds / step <= MOST_TIME_TICKS
    )
    ticks = [index * step for index in range(int(seconds / step + 1e-9) + 1)]
    decimals = max(0, -math.floor(math.log10(step)))
    labels = "".join(
        f'<span style="left:{percent(tick / seconds)}">{f"{tick:.{decimals}f}" if index else "0 s"}</span>'
        for index, tick in enumerate(ticks)
    )
    return f'<div class="time-axis" aria-hidden="true"><div>{labels}</div></div>'


def _distances_table(comparison: Comparison, identifier: str) -> str:
    shown = [sound for sound in comparison.sounds if sound.distances]
    if not shown:
        return ""
    names = tuple(dict.fromkeys(name for sound in shown for name in sound.distances))
    table = Table(
        title="Distance to the target",
        columns=("Sound", *names),
        rows=tuple((sound.label, *(sound.distances.get(name, math.nan) for name in names)) for sound in shown),
        best={name: "lowest" for name in names if name != "Sound"},
    )
    several = "; the closest of each column is marked" if len(shown) > 1 else ""
    return (
        f'<div class="distances"><h4 id="{identifier}-distances">Distance to the target</h4>'
        f'{_table_markup(table, f"{identifier}-distances")}\n<p class="caption">'
        f"At matched level; lower is closer{several}.</p></div>"
    )


def _titled_table(table: Table, identifier: str) -> str:
    caption = f'<p class="caption">{escaped(table.caption)}</p>' if table.caption else ""
    return (
        f'<section class="card" aria-labelledby="{identifier}"><h3 id="{identifier}">{escaped(table.title)}</h3>\n'
        f"{_table_markup(table, identifier)}{caption}</section>"
    )


def _table_markup(table: Table, labelled_by: str) -> str:
    numeric = numeric_columns(table)
    marked = best_cells(table)
    header = "".join(
        f'<th scope="col"{class_attribute("number" if is_number else "")}>{escaped(name)}</th>'
        for name, is_number in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for index, (values, texts) in enumerate(zip(table.rows, formatted_rows(table), strict=True)):
        cells = []
        for column, (value, text) in enumerate(zip(values, texts, strict=True)):
            best = (index, column) in marked
            kind = class_attribute(" ".join(["number"] * numeric[column] + ["best"] * best))
            shown = f"{escaped(text.replace('-', '−'))}" if numeric[column] else escaped(text)
            shown += '<span class="unseen"> (best)</span>' if best else ""
            order = f' data-value="{float(value)!r}"' if numeric[column] and is_finite(value) else ""
            cells.append(
                f'<th scope="row"{kind}>{shown}</th>'
                if column == 0 and not numeric[0]
                else f"<td{kind}{order}>{shown}</td>"
            )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{labelled_by}">'
        f'<table class="sortable" aria-labelledby="{labelled_by}"><thead><tr>{header}</tr></thead>\n'
        f"<tbody>{lines(rows)}</tbody></table></div>"
    )


def _figure_markup(figure: Figure, identifier: str) -> str:
    caption = f"<figcaption>{escaped(figure.caption)}</figcaption>" if figure.caption else ""
    dark = ""
    if figure.dark_png is not None:
        address = data_uri("image/png", figure.dark_png)
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{address}">'
    return (
        f'<section class="card" aria-labelledby="{identifier}"><h3 id="{identifier}">{escaped(figure.title)}</h3>\n'
        f'<figure><picture>{dark}<img alt="{escaped(figure.alternative_text)}" '
        f'src="{data_uri("image/png", figure.png)}"></picture>{caption}</figure></section>'
    )
