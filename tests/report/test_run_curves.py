"""Learning curves of several runs."""

import io

import numpy as np
import pytest
from PIL import Image

from synthproxy.errors import InvalidInputError
from synthproxy.report.plots import ON_DARK, ON_LIGHT
from synthproxy.report.run_curves import run_curves


def run(steps: int, pace: float = 1.0) -> list[dict[str, float]]:
    return [
        {"presets": 1000.0 * k, "seconds": 30 * k / pace, "mrr": 1 - 0.8**k, "l1": 0.3 * 0.9**k}
        for k in range(1, steps + 1)
    ]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def has(colour: str, png: bytes) -> bool:
    rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    picture = pixels(png)
    return bool(((picture[..., :3] == rgb).all(-1) & (picture[..., 3] == 255)).any())


def test_every_run_has_a_colour_of_its_own():
    picture = run_curves({"a": run(9), "b": run(12, 2.0)})
    assert [has(colour, picture) for colour in ON_LIGHT.series[:3]] == [True, True, False]
    assert has(ON_DARK.series[1], run_curves({"a": run(9), "b": run(12, 2.0)}, palette=ON_DARK))


def test_many_runs_with_long_names_make_the_picture_higher_not_the_panels_smaller():
    few = pixels(run_curves({"a": run(5)}))
    many = pixels(run_curves({f"a run with quite a long name, {i}": run(5 + i) for i in range(20)}))
    assert many.shape[1] == few.shape[1]
    assert many.shape[0] > few.shape[0] + 200


def test_gaps_and_single_points_are_drawn():
    picture = run_curves({"one": run(1), "without time": [{"presets": 10, "mrr": 0.2}], "empty": []})
    assert has(ON_LIGHT.series[0], picture)
    assert not has(ON_LIGHT.series[2], picture)


def test_names_are_drawn_as_they_are_and_the_bytes_repeat():
    runs = {"_hidden": run(3), "$x$": run(4), "p" * 200: run(5)}
    assert run_curves(runs) == run_curves(runs)


def test_runs_without_validations_are_refused():
    with pytest.raises(InvalidInputError, match="none of 2 runs"):
        run_curves({"a": [], "b": [{"step": 1}]})
