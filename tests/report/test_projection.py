"""Embeddings in the plane: what is near stays near, labels are shown, and what is missing is said."""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.report import projection
from synthproxy.report.plots import ON_DARK, ON_LIGHT
from synthproxy.report.projection import labels_by, project, some_rows, write_projections
from synthproxy.report.scatter import scatter
from synthproxy.synths import Kind, Parameter, PresetSpace

SPACE = PresetSpace(
    "small",
    (
        Parameter("level"),
        Parameter("shape", Kind.CATEGORICAL, labels=("sine", "saw", "noise")),
        Parameter("ratio", Kind.CATEGORICAL, values=(0.25, 0.5)),
        Parameter("sync", Kind.BINARY),
        Parameter("mode", Kind.CATEGORICAL, labels=("a", "b"), held=True),
    ),
)


needs_umap = pytest.mark.skipif(
    find_spec("umap") is None, reason="umap-learn is not installed: pip install 'synthproxy[plots]'"
)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)


def inked(png: bytes, colour: str) -> float:
    """Share of pixels that are about this colour, however transparent."""
    rgb = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
    picture = pixels(png)
    return float(((np.abs(picture[..., :3] - rgb).max(-1) < 12) & (picture[..., 3] > 100)).mean())


def clusters(count: int = 60) -> np.ndarray:
    """Two clouds far from each other, half of the embeddings in each."""
    embeddings = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    embeddings[count // 2 :] += 20
    return embeddings


@needs_umap
def test_what_is_near_stays_near_and_the_seed_decides():
    embeddings = clusters()
    points = project(embeddings, seed=3)
    assert points.shape == (60, 2)
    assert np.isfinite(points).all()
    centres = points[:30].mean(axis=0), points[30:].mean(axis=0)
    spread = max(np.linalg.norm(points[:30] - centres[0], axis=1).max(), 1e-9)
    assert np.linalg.norm(centres[0] - centres[1]) > spread
    assert np.array_equal(project(embeddings, seed=3), points)
    assert not np.array_equal(project(embeddings, seed=4), points)


@needs_umap
def test_pictures_of_every_labelling_are_written_for_light_and_dark(tmp_path):
    kinds = ["synthetic"] * 30 + ["hand-crafted"] * 30
    written = write_projections(clusters(), {"kind": kinds, "osc 1/wave": ["saw"] * 60}, tmp_path / "new")
    assert [path.name for path in written] == ["umap-kind.png", "umap-osc-1-wave.png"]
    light, dark = (Path(tmp_path / "new" / f"umap-kind{end}.png").read_bytes() for end in ("", "-dark"))
    assert inked(light, ON_LIGHT.series[0]) > 0.0005
    assert inked(dark, ON_DARK.series[1]) > 0.0005
    assert pixels(light)[0, 0, 3] == 0


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(projection, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match=r"umap-learn: pip install 'synthproxy\[plots\]'"):
        project(clusters())


@needs_umap
def test_too_few_embeddings_are_refused():
    assert project(clusters(4)).shape == (4, 2)
    with pytest.raises(InvalidInputError, match="at least 4 embeddings, got 3"):
        project(clusters(4)[:3])


def test_labels_are_what_a_parameter_is_set_to():
    presets = np.array([[0.3, 2, 0, 1], [0.1, 0, 1, 0]], dtype=np.float32)
    assert labels_by(SPACE, presets, "shape") == ["noise", "sine"]
    assert labels_by(SPACE, presets, "ratio") == ["0.25", "0.5"]
    assert labels_by(SPACE, presets, "sync") == ["1", "0"]
    for name in ("level", "mode", "wave"):
        with pytest.raises(InvalidInputError, match=f"'{name}' is no categorical.*there are: shape, ratio, sync"):
            labels_by(SPACE, presets, name)


def test_rows_are_drawn_without_repeats_and_repeat_by_seed():
    assert some_rows(5, most=10).tolist() == [0, 1, 2, 3, 4]
    rows = some_rows(1000, most=20)
    assert len(set(rows)) == 20
    assert rows.tolist() == sorted(rows) == some_rows(1000, most=20).tolist()


POINTS = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)


def test_few_labels_have_a_colour_each_and_none_covers_another():
    same_place = np.zeros((400, 2), dtype=np.float32) + np.arange(400)[:, None] % 20
    picture = scatter(same_place, ["a", "b"] * 200)
    shares = [inked(picture, colour) for colour in ON_LIGHT.series[:3]]
    assert shares[2] == 0
    both = scatter(POINTS, ["a", "b"] * 200)
    ratio = inked(both, ON_LIGHT.series[0]) / inked(both, ON_LIGHT.series[1])
    assert 0.7 < ratio < 1.4


def test_many_labels_have_a_panel_each_in_natural_order():
    few = pixels(scatter(POINTS, [str(i % 8) for i in range(400)]))
    many = pixels(scatter(POINTS, [str(i % 32) for i in range(400)]))
    assert few.shape[1] == many.shape[1]
    assert many.shape[0] > 2.5 * few.shape[0]
    assert inked(scatter(POINTS, [str(i % 8) for i in range(400)]), ON_LIGHT.accent) > 0.001


def test_labels_are_drawn_as_they_are_and_the_same_points_give_the_same_bytes():
    labels = ["_hidden", "$x^2$", "50 %", "a_b"] * 100
    assert scatter(POINTS, labels, title="$5") == scatter(POINTS, labels, title="$5")


def test_points_without_labels_are_refused():
    with pytest.raises(InvalidInputError, match=r"400, 2.*and 3 labels"):
        scatter(POINTS, ["a"] * 3)
    with pytest.raises(InvalidInputError, match="a picture needs points"):
        scatter(POINTS[:0], [])
