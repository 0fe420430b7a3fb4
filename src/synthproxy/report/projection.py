"""Embeddings in the plane, by UMAP, as pictures: which presets sound alike, and what the labels have to do with it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.files import make_folder, replace_file
from synthproxy.proxies.ranking import Embeddings
from synthproxy.report.plots import ON_DARK, ON_LIGHT
from synthproxy.report.scatter import scatter
from synthproxy.synths import Kind, PresetSpace
from synthproxy.synths.space import Floats

MOST_POINTS = 5_000
"""Presets of each kind that are shown by default."""
NEIGHBOURS = 75
LEAST_DISTANCE = 0.99
EPOCHS = 200
FEWEST = 4


def require_umap() -> None:
    """Raise :class:`UnavailableError` unless the package that projects is installed."""
    if find_spec("umap") is None:
        raise UnavailableError("pictures of embeddings need the package umap-learn: pip install 'synthproxy[plots]'")


def project(embeddings: Embeddings, *, seed: int = 42) -> NDArray[np.float32]:
    """Places in the plane, near to each other where embeddings are: (n, dimension) to (n, 2); repeats by seed.

    UMAP (McInnes, Healy and Melville 2018) with the published settings: 75 neighbours, Euclidean distance, a minimal
    distance of .99, 200 epochs from principal components.

    Raises:
        UnavailableError: umap-learn is not installed.
        InvalidInputError: fewer than four embeddings.
    """
    require_umap()
    if len(embeddings) < FEWEST:
        raise InvalidInputError(f"a projection needs at least {FEWEST} embeddings, got {len(embeddings)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It tells of the absence of TensorFlow, which is not needed.
        from umap import UMAP
    mapper = UMAP(
        n_neighbors=min(NEIGHBOURS, len(embeddings) - 1),
        min_dist=LEAST_DISTANCE,
        n_epochs=EPOCHS,
        metric="euclidean",
        init="pca",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(mapper.fit_transform(embeddings), dtype=np.float32)


def some_rows(size: int, most: int = MOST_POINTS, seed: int = 42) -> NDArray[np.int64]:
    """At most so many rows, drawn at random, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(size)[:most])


def labels_by(space: PresetSpace, presets: Floats, parameter: str) -> list[str]:
    """What a categorical or binary parameter is set to in each preset, (n, free), as text.

    Raises:
        InvalidInputError: there is no such free parameter, or it is numerical; the message names those that there are.
    """
    known = {p.name: (column, p) for column, p in enumerate(space.free) if p.kind is not Kind.NUMERICAL}
    if parameter not in known:
        raise InvalidInputError(
            f"{parameter!r} is no categorical or binary parameter of {space.name!r} that is free; there are: "
            f"{', '.join(known) or 'none'}"
        )
    column, p = known[parameter]
    names = p.labels or [f"{value:g}" for value in (p.values or range(p.cardinality))]
    return [names[round(float(value))] for value in presets[:, column]]


def write_projections(
    embeddings: Embeddings,
    labellings: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    title: str = "Embeddings",
    seed: int = 42,
) -> list[Path]:
    """Project once and draw a picture for each way to label the points, for light and for dark pages.

    Args:
        embeddings: (n, dimension).
        labellings: what the labels are, to a label for each embedding: kinds of presets, a parameter's categories, or
            whatever else is known of the presets.
        folder: made if need be; ``umap-NAME.png`` and ``umap-NAME-dark.png`` are written into it.
        title: begins the title of every picture.
        seed: of the projection.

    Returns:
        The pictures for light pages.

    Raises:
        UnavailableError: umap-learn is not installed.
        InvalidInputError: too few embeddings, or labels that do not pair up with them.
    """
    points = project(embeddings, seed=seed)
    make_folder(folder)
    written = []
    for name, labels in labellings.items():
        stem = "umap-" + re.sub(r"[^\w.-]+", "-", name)
        for ending, palette in (("", ON_LIGHT), ("-dark", ON_DARK)):
            picture = scatter(points, labels, title=f"{title}, by {name}", palette=palette)
            replace_file(folder / f"{stem}{ending}.png", picture)
        written.append(folder / f"{stem}.png")
    return written
