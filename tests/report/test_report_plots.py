"""Plots: PNG that shows the data, and no trace in matplotlib's global state."""

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from synthproxy.errors import InvalidInputError
from synthproxy.report.plots import ON_DARK, ON_LIGHT, bar_comparison, learning_curve

POINTS = [{"presets": 1000 * 2**k, "mrr": 0.1 * k, "l1": 0.2 / (k + 1)} for k in range(7)]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def share_of(colour: str, png: bytes) -> float:
    rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    picture = pixels(png)
    return float(((picture[..., :3] == rgb).all(-1) & (picture[..., 3] == 255)).mean())


def test_a_learning_curve_has_one_panel_per_score_present():
    both = learning_curve(POINTS, baselines={"mrr": {"chance": 0.01}})
    one = learning_curve([{"presets": p["presets"], "mrr": p["mrr"]} for p in POINTS])
    assert pixels(both).shape[1] == 2 * pixels(one).shape[1]
    assert share_of(ON_LIGHT.accent, both) > 0.001


def test_a_longer_bar_has_more_of_the_accent_colour():
    long, short = (bar_comparison(["a", "b"], [v, 1.0], [(v, v), (1, 1)], highlighted="a") for v in (1.0, 0.25))
    assert share_of(ON_LIGHT.accent, long) > 3 * share_of(ON_LIGHT.accent, short) > 0


def test_the_background_is_transparent_and_the_palette_is_used():
    picture = bar_comparison(["a"], [1.0], palette=ON_DARK)
    assert pixels(picture)[0, 0, 3] == 0
    assert share_of(ON_DARK.accent, picture) > share_of(ON_LIGHT.accent, picture) == 0


def test_the_same_numbers_give_the_same_bytes_and_leave_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    assert learning_curve(POINTS) == learning_curve(POINTS)
    assert dict(matplotlib.rcParams) == before


def test_drawing_never_imports_pyplot():
    # In a process of its own: test plug-ins import it too.
    program = (
        "import sys; from synthproxy.report.plots import bar_comparison; bar_comparison(['a'], [1.0]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_figures_without_data_are_refused_in_words():
    with pytest.raises(InvalidInputError, match="'presets' and 'mrr' or 'l1', got 1 points"):
        learning_curve([{"epoch": 1, "mrr": 0.1}])
    with pytest.raises(InvalidInputError, match="2 labels, 1 values"):
        bar_comparison(["a", "b"], [1.0])
