"""Learning curves of several runs in one figure: at equal presets seen, and at equal time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from synthproxy.errors import InvalidInputError
from synthproxy.report.plots import (
    DOTS_PER_INCH,
    ON_LIGHT,
    WIDE_SPREAD,
    Palette,
    dress,
    legend,
    plain,
    short_number,
    to_png,
)

SCORES: Final = {"mrr": "MRR (higher is better)", "l1": "L1 (lower is better)"}
AXES: Final = {"presets": "presets seen", "minutes": "minutes of training"}
DASHES: Final = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
LONGEST_NAME: Final = 60
INCHES_PER_LEGEND_ROW: Final = 0.22

Points = Sequence[Mapping[str, float]]


def run_curves(runs: Mapping[str, Points], *, palette: Palette = ON_LIGHT) -> bytes:
    """MRR and L1 of every run, above against the presets seen, below against the time spent.

    Args:
        runs: name of a run to its validations, each with ``presets``, ``seconds``, ``mrr`` and ``l1``; what lacks one
            of them is left out where it is needed.
        palette: colours; where there are more runs than colours, they come again with other dashes.

    Returns:
        PNG.

    Raises:
        InvalidInputError: no run has anything to draw.
    """
    shown = {name: [_with_minutes(point) for point in points] for name, points in runs.items()}
    lines = {
        (axis, score): {name: line for name, points in shown.items() if (line := _line(points, axis, score))}
        for axis in AXES
        for score in SCORES
    }
    drawn = [name for name in shown if any(name in panel for panel in lines.values())]
    if not drawn:
        raise InvalidInputError(f"learning curves need validations; none of {len(runs)} runs has any")
    figure = Figure(figsize=(7.2, 4.8), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(len(AXES), len(SCORES), sharey="col", squeeze=False)
    looks: dict[str, dict[str, Any]] = {
        name: {"color": colour, "linestyle": dashes}
        for name, (dashes, colour) in zip(drawn, cycle(product(DASHES, palette.series)), strict=False)
    }
    for row, axis in zip(panels, AXES, strict=True):
        for panel, score in zip(row, SCORES, strict=True):
            _draw(panel, lines[axis, score], looks, palette)
            first = axis == next(iter(AXES))
            dress(panel, palette, title=SCORES[score] if first else "", below=AXES[axis])
    handles = [Line2D([], [], linewidth=1.8, label=plain(_short(name)), **looks[name]) for name in drawn]
    rows = legend(figure, handles, palette)
    figure.set_figheight(figure.get_figheight() + INCHES_PER_LEGEND_ROW * rows)
    return to_png(figure)


def _short(name: str) -> str:
    """The end of a name that is too long for the picture."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"


def _with_minutes(point: Mapping[str, float]) -> Mapping[str, float]:
    return {**point, "minutes": point["seconds"] / 60} if "seconds" in point else point


def _line(points: Points, axis: str, score: str) -> list[tuple[float, float]]:
    return sorted((point[axis], point[score]) for point in points if axis in point and score in point)


def _draw(
    panel: Axes,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    looks: Mapping[str, Mapping[str, Any]],
    palette: Palette,
) -> None:
    for name, line in lines.items():
        across, up = zip(*line, strict=True)
        panel.plot(across, up, linewidth=1.6, marker="o" if len(line) == 1 else "", markersize=3.2, **looks[name])
    ends = [place for line in lines.values() for place, _ in line]
    if ends and min(ends) > 0 and max(ends) / min(ends) >= WIDE_SPREAD:
        panel.set_xscale("log")
    panel.xaxis.set_major_formatter(FuncFormatter(short_number))
    panel.grid(axis="y", color=palette.line, linewidth=0.8)
