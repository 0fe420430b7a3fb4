"""Small figures as PNG bytes: drawn on a canvas of their own, so that no global matplotlib state is touched."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from synthproxy.errors import InvalidInputError
from synthproxy.report.tables import format_number

DOTS_PER_INCH: Final = 160
FONT_SIZE: Final = 9.0
WIDE_SPREAD: Final = 30
"""Largest over smallest number of presets from which the axis is logarithmic."""


@dataclass(frozen=True)
class Palette:
    """Colours of a figure; its background is transparent. ``series`` tell things of equal standing apart."""

    ink: str
    soft: str
    line: str
    accent: str
    other: str
    series: tuple[str, ...]


ON_LIGHT: Final = Palette(
    ink="#1c1a20",
    soft="#625d69",
    line="#e5e2de",
    accent="#a52a63",
    other="#b9b3c0",
    series=("#a52a63", "#2b74b8", "#c76a12", "#2f8a5b", "#6b51b5", "#12838c", "#8a7a10", "#5c6470"),
)
ON_DARK: Final = Palette(
    ink="#eceaef",
    soft="#a39eab",
    line="#2f2d35",
    accent="#f5809f",
    other="#5d5866",
    series=("#f5809f", "#79b5f0", "#f2a65e", "#73cc99", "#b8a2f4", "#5fc9d3", "#d6c75c", "#b3b9c3"),
)


def learning_curve(
    points: Sequence[Mapping[str, float]],
    *,
    seen: str = "presets",
    scores: Mapping[str, str] | None = None,
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    below: str = "presets seen",
    palette: Palette = ON_LIGHT,
) -> bytes:
    """Scores against the number of presets seen in training, one panel per score.

    Args:
        points: one mapping per evaluation, such as ``{"presets": 4096, "mrr": 0.61, "l1": 0.043}``; a panel leaves out
            the points that lack its score.
        seen: key of the number of presets seen.
        scores: key to panel title; None shows ``mrr`` and ``l1``.
        baselines: key to (name to value), drawn as dashed lines: ``{"mrr": {"nearest neighbour": 0.2}}``.
        below: what the axis counts.
        palette: colours.

    Returns:
        PNG.

    Raises:
        InvalidInputError: no point has the first axis and a score.
    """
    scores = scores if scores is not None else {"mrr": "MRR (higher is better)", "l1": "L1 (lower is better)"}
    lines = {key: [(point[seen], point[key]) for point in points if seen in point and key in point] for key in scores}
    lines = {key: sorted(line) for key, line in lines.items() if line}
    if not lines:
        raise InvalidInputError(
            f"a learning curve needs points with {seen!r} and {' or '.join(map(repr, scores))}, got {len(points)} "
            "points without them"
        )
    figure = Figure(figsize=(3.6 * len(lines), 2.5), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(1, len(lines), squeeze=False)[0]
    for panel, (key, line) in zip(panels, lines.items(), strict=True):
        _draw_curve(panel, line, (baselines or {}).get(key, {}), palette)
        dress(panel, palette, title=scores[key], below=below)
    return to_png(figure)


def bar_comparison(
    labels: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]] | None = None,
    *,
    title: str = "",
    below: str = "",
    highlighted: str | None = None,
    palette: Palette = ON_LIGHT,
) -> bytes:
    """Horizontal bars with their values written out, first label on top.

    Args:
        labels: one per bar.
        values: length of each bar.
        intervals: (low, high) of each value, such as a 95 % confidence interval.
        title: above the bars.
        below: what the axis measures, with its unit.
        highlighted: label of the bar in the accent colour; None paints all bars so.
        palette: colours.

    Returns:
        PNG.

    Raises:
        InvalidInputError: no bars, or labels, values and intervals of different number.
    """
    counts = {len(labels), len(values), len(values if intervals is None else intervals)}
    if len(counts) > 1 or not labels:
        raise InvalidInputError(
            f"bars need one value (and interval) per label, got {len(labels)} labels, {len(values)} values"
            + ("" if intervals is None else f", {len(intervals)} intervals")
        )
    figure = Figure(figsize=(7.2, 0.75 + 0.34 * len(labels)), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    places = range(len(labels))
    colours = [palette.accent if highlighted in (None, label) else palette.other for label in labels]
    panel.barh(places, values, height=0.62, color=colours)
    ends = list(values)
    if intervals is not None:
        panel.hlines(places, *zip(*intervals, strict=True), color=palette.ink, linewidth=1.3)
        ends = [max(value, high) for value, (_, high) in zip(values, intervals, strict=True)]
    for place, value, end in zip(places, values, ends, strict=True):
        panel.annotate(
            format_number(value),
            (max(end, 0), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=palette.ink,
            fontsize=FONT_SIZE,
        )
    panel.set_yticks(places, labels)
    panel.invert_yaxis()
    panel.margins(x=0.12)
    dress(panel, palette, title=title, below=below)
    panel.spines["bottom"].set_visible(False)
    panel.spines["left"].set_visible(True)
    panel.tick_params(axis="y", labelcolor=palette.ink)
    panel.grid(axis="x", color=palette.line, linewidth=0.8)
    return to_png(figure)


def _draw_curve(
    panel: Axes, line: Sequence[tuple[float, float]], baselines: Mapping[str, float], palette: Palette
) -> None:
    across, up = zip(*line, strict=True)
    panel.plot(across, up, color=palette.accent, linewidth=1.8, marker="o", markersize=3.2)
    for name, value in baselines.items():
        panel.axhline(value, color=palette.soft, linewidth=1, linestyle=(0, (4, 3)))
        panel.annotate(
            name,
            (1, value),
            xycoords=panel.get_yaxis_transform(),
            xytext=(0, 2.5),
            textcoords="offset points",
            ha="right",
            color=palette.soft,
            fontsize=FONT_SIZE - 1.5,
        )
    if min(across) > 0 and max(across) / min(across) >= WIDE_SPREAD:
        panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(short_number))
    panel.grid(axis="y", color=palette.line, linewidth=0.8)


def dress(panel: Axes, palette: Palette, *, title: str = "", below: str = "") -> None:
    """Give a panel the look of all figures: no frame but the axis below, soft numbers."""
    panel.set_axisbelow(True)
    panel.set_facecolor("none")
    for side, spine in panel.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(palette.other)
    panel.tick_params(which="both", colors=palette.soft, labelsize=FONT_SIZE, length=0)
    if title:
        panel.set_title(title, loc="left", fontsize=FONT_SIZE + 1, color=palette.ink)
    if below:
        panel.set_xlabel(below, fontsize=FONT_SIZE, color=palette.soft)


def legend(figure: Figure, handles: Sequence[Line2D], palette: Palette) -> int:
    """Say below all panels what labelled lines stand for, as many in a row as fit; returns the number of rows."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    most = int(figure.get_figwidth() / (0.75 + 0.075 * longest))  # Inches of a line and its gap, and of a letter.
    across = min(max(most, 1), len(handles))
    figure.legend(
        handles=list(handles),
        loc="outside lower left",
        ncols=across,
        frameon=False,
        fontsize=FONT_SIZE,
        labelcolor=palette.ink,
    )
    return -(-len(handles) // across)


def plain(text: str) -> str:
    """Text that is drawn as it is: matplotlib takes dollars for formulas, and hides names that begin with a line."""
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")


def short_number(number: float, _place: object = None) -> str:
    """``12 k`` for 12,000; for an axis."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:g} {letter}"
    return f"{number:g}"


def to_png(figure: Figure) -> bytes:
    """Draw a figure on a canvas of its own, with a transparent background."""
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="png", transparent=True, metadata={"Software": None})
    return content.getvalue()
