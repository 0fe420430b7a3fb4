"""Points in the plane, coloured by a label where these are few, else a panel for each label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.report.plots import DOTS_PER_INCH, FONT_SIZE, ON_LIGHT, Palette, legend, plain, to_png

MOST_COLOURS: Final = 6
MOST_PANELS: Final = 48
PANELS_PER_ROW: Final = 6
WIDTH: Final = 7.2
"""Inches."""

Points = NDArray[np.float32]


def scatter(points: Points, labels: Sequence[str], *, title: str = "", palette: Palette = ON_LIGHT) -> bytes:
    """Draw labelled points; their places have no unit, only nearness counts.

    Up to six labels are told apart by colour in one picture, the points in random order so that none covers another.
    More get a panel each, with the points of all others in grey behind; beyond 48 the rarest are left out.

    Args:
        points: (n, 2).
        labels: one for each point.
        title: above the picture.
        palette: colours.

    Returns:
        PNG.

    Raises:
        InvalidInputError: no points, or not one label for each.
    """
    if not len(points) or points.shape != (len(labels), 2):
        raise InvalidInputError(
            f"a picture needs points (n, 2) with a label each, got {points.shape} and {len(labels)} labels"
        )
    counts = Counter(labels)
    names = sorted(sorted(counts, key=lambda name: (-counts[name], name))[:MOST_PANELS], key=_in_natural_order)
    draw = _in_colours if len(names) <= MOST_COLOURS else _in_panels
    figure = draw(points, np.asarray(labels), names, counts, palette)
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize=FONT_SIZE + 1, color=palette.ink)
    return to_png(figure)


def _in_natural_order(name: str) -> list[tuple[int, str]]:
    """``2`` before ``10``."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", name)]


def _in_colours(
    points: Points, labels: NDArray[np.str_], names: Sequence[str], counts: Counter[str], palette: Palette
) -> Figure:
    height = WIDTH * _shape(points)
    figure = Figure(figsize=(WIDTH, height + 0.6), dpi=DOTS_PER_INCH, layout="constrained")
    panel = figure.subplots()
    colour_of = dict(zip(names, palette.series, strict=False))
    order = np.random.default_rng(0).permutation(len(points))
    colours = [colour_of[label] for label in labels[order]]
    _dots(panel, points[order], colours, size=_dot_size(len(points), WIDTH * height), alpha=0.65)
    dot = partial(Line2D, [], [], linestyle="", marker="o", markersize=5)
    handles = [dot(color=colour_of[name], label=plain(f"{name} ({counts[name]:,})")) for name in names]
    legend(figure, handles, palette)
    return figure


def _in_panels(
    points: Points, labels: NDArray[np.str_], names: Sequence[str], counts: Counter[str], palette: Palette
) -> Figure:
    across = min(PANELS_PER_ROW, len(names))
    down = -(-len(names) // across)
    side = WIDTH / across
    area = side**2 * _shape(points)
    figure = Figure(figsize=(WIDTH, (area / side + 0.25) * down + 0.3), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    for panel, name in zip(panels, names, strict=False):
        own = labels == name
        _dots(panel, points[~own], palette.other, size=0.4 * _dot_size(len(points), area), alpha=0.3)
        _dots(panel, points[own], palette.accent, size=_dot_size(len(points), area), alpha=0.9)
        panel.set_title(plain(f"{name} ({counts[name]:,})"), fontsize=FONT_SIZE - 2, color=palette.soft, pad=2)
    return figure


def _shape(points: Points) -> float:
    """Height over width of the points, within reason."""
    width, height = np.ptp(points, axis=0)
    return float(np.clip(height / max(width, 1e-9), 0.5, 1.2))


def _dot_size(count: int, area: float) -> float:
    """Square points of a dot, as a part of what each has for itself in an area of square inches, within reason."""
    return float(np.clip(0.22 * 72**2 * area / count, 1.2, 16.0))


def _dots(panel: Axes, points: Points, colours: str | Sequence[str], *, size: float, alpha: float) -> None:
    panel.scatter(points[:, 0], points[:, 1], s=size, c=colours, alpha=alpha, linewidths=0)
    panel.set_axis_off()
    panel.set_aspect("equal", adjustable="datalim")
