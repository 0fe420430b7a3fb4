"""Published networks beside EfficientAT, by name: which family each is of, what is known of it, and how it is built."""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from synthproxy.audio.base import AudioModelInfo
from synthproxy.audio.published import PublishedModel, describe
from synthproxy.audio.reductions import ReducedModel
from synthproxy.audio.weights import WeightLocations
from synthproxy.errors import UnavailableError

FAMILIES: Final = ("passt", "audiomae", "dymn", "openl3", "music2latent", "transformers_models")
"""Modules with a table ``MODELS`` and a function ``build``; importing them imports no torch."""


@cache
def _rows() -> dict[str, tuple[ModuleType, PublishedModel]]:
    modules = [import_module(f"synthproxy.audio.{family}") for family in FAMILIES]
    return {row.name: (module, row) for module in modules for row in module.MODELS}


def published_names() -> list[str]:
    """Names of all of them."""
    return list(_rows())


def describe_published(name: str, locations: WeightLocations) -> AudioModelInfo:
    """What is known of one, and how to get what it misses."""
    return describe(_rows()[name][1], locations)


def build_published(name: str, locations: WeightLocations, weights: Path | None = None) -> ReducedModel:
    """Build one, with its published reduction over time.

    Args:
        weights: the weight file, or a folder that holds it; by default the folders of ``locations`` are searched.

    Raises:
        InvalidInputError: the weights are missing at the given path, damaged or of another network.
        UnavailableError: they, or a package that it needs, are not on this machine.
    """
    module, row = _rows()[name]
    if weights is None:
        weights = row.folder_among(locations.folders)
    if weights is None:
        raise UnavailableError(f"{name} is not complete here: {describe_published(name, locations).how_to_get}")
    return ReducedModel(module.build(row, weights), row.reduction)
