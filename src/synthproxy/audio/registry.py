"""Audio models by name: the built-in ones and those that installed packages add.

A package adds a model by an entry point in the group ``synthproxy.audio_models``. The entry point's name is the model's
name; it resolves to a callable without arguments that returns an :class:`~synthproxy.audio.base.AudioModel`. If the
callable has an attribute ``info`` (:class:`~synthproxy.audio.base.AudioModelInfo`), the model is listed without being
built.
"""

import difflib
import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from synthproxy.audio import sizes
from synthproxy.audio.base import AudioModel, AudioModelInfo
from synthproxy.audio.families import build_published, describe_published, published_names
from synthproxy.audio.reductions import NAMED, FrameModel, ReducedModel, check_reduction, segments_kept
from synthproxy.audio.sizes import SIZES, EfficientATSize
from synthproxy.audio.weights import (
    WeightLocations,
    find_weights,
    how_to_get,
    load_network,
    obtain_weights,
    weight_locations,
)
from synthproxy.errors import InvalidInputError, UnavailableError

ENTRY_POINT_GROUP: Final = "synthproxy.audio_models"
OWN_LICENCE: Final = "GPL-3.0-or-later"
EFFICIENTAT_LICENCE: Final = "MIT (EfficientAT, Schmid et al.)"
MOST_SUGGESTIONS: Final = 3

HANDMADE: Final = {
    "mel": (256, 32_000),
    "mel128": (128, 44_100),
    "mfcc40": (40, 44_100),
    "mstft": (4071, 44_100),
    "transport": (401, 32_000),
    "mel-matched": (256, 32_000),
}
"""Dimension and sample rate of the models without weights."""


@dataclass(frozen=True)
class Variant:
    """One way to use a published network."""

    size: EfficientATSize
    with_mel: bool
    whole_clip: bool

    @property
    def name(self) -> str:
        """Registered name, such as ``mn04_mel-clip``."""
        return self.size.model_name(with_mel=self.with_mel, whole_clip=self.whole_clip)


def _variants() -> Iterator[Variant]:
    for size in SIZES:
        for whole_clip in (False, True):
            for with_mel in (False, True):
                yield Variant(size, with_mel, whole_clip)


def audio_model_names(pattern: str = "*") -> list[str]:
    """Names of all audio models that match a shell pattern, such as ``mn04*``: built-in ones first, then plug-ins."""
    names = [*HANDMADE, *(variant.name for variant in _variants()), *published_names(), *_plugins()]
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def get_audio_model(name: str, *, weights: Path | None = None) -> AudioModel:
    """Build an audio model.

    Args:
        name: a registered name (:func:`audio_model_names`), or one with another reduction over time: ``mn04_mel@8``
            (:mod:`synthproxy.audio.reductions`).
        weights: file or folder of a published network's weights; None searches the cache and the shared folder and
            then downloads.

    Raises:
        InvalidInputError: unknown name, or weights that are missing at the given path, damaged or of another network.
        UnavailableError: weights that are not here and cannot be fetched, or a plug-in that fails.
    """
    if "@" in name:
        plain, reduction = name.split("@", 1)
        check_reduction(reduction)
        model = get_audio_model(plain, weights=weights)
        hearing = model.model if isinstance(model, ReducedModel) else model
        if not isinstance(hearing, FrameModel):
            raise InvalidInputError(f"{plain} hears a clip as a whole: it has no frames to reduce by @{reduction}")
        return ReducedModel(hearing, reduction)
    variant = next((variant for variant in _variants() if variant.name == name), None)
    if variant is not None:
        return _build_variant(variant, weight_locations(), weights)
    if name in published_names():
        return build_published(name, weight_locations(), weights)
    if weights is not None and name in audio_model_names():
        raise InvalidInputError(f"audio model {name} takes no weights, got {weights}: leave them out")
    if name in HANDMADE:
        from synthproxy.audio import handmade, transport

        room = transport if name == "transport" else handmade
        build: Callable[[], AudioModel] = getattr(room, name.replace("-", "_"))
        return build()
    plugin = _plugins().get(name)
    if plugin is not None:
        return _build_plugin(plugin)
    raise InvalidInputError(f"no audio model is called {name!r}: {_suggestions(name)}")


def describe_audio_models(pattern: str = "*") -> list[AudioModelInfo]:
    """What is known of each audio model, and how to get what it misses; builds no network.

    A plug-in that fails is listed as not available, with the reason in ``how_to_get``.
    """
    if "@" in pattern:
        return [
            _describe_reduced(info, pattern.rsplit("@", 1)[1])
            for info in describe_audio_models(pattern.rsplit("@", 1)[0])
        ]
    locations = weight_locations()
    describers: dict[str, Callable[[], AudioModelInfo]] = {
        name: partial(AudioModelInfo, name, dimension, rate, 0, True, "", OWN_LICENCE)
        for name, (dimension, rate) in HANDMADE.items()
    }
    describers |= {variant.name: partial(_describe_variant, variant, locations) for variant in _variants()}
    describers |= {name: partial(describe_published, name, locations) for name in published_names()}
    describers |= {name: partial(_describe_plugin, plugin) for name, plugin in _plugins().items()}
    return [describe() for name, describe in describers.items() if fnmatch.fnmatchcase(name, pattern)]


def _describe_reduced(info: AudioModelInfo, reduction: str) -> AudioModelInfo:
    check_reduction(reduction)
    if reduction in ("mean", "max"):
        dimension = info.dimension
    elif reduction in NAMED:
        dimension = get_audio_model(f"{info.name}@{reduction}").dimension
    else:
        dimension = info.dimension * segments_kept(reduction)
    return replace(info, name=f"{info.name}@{reduction}", dimension=dimension)


def _build_variant(variant: Variant, locations: WeightLocations, weights: Path | None) -> AudioModel:
    from synthproxy.audio.efficientat import EfficientAT

    path = obtain_weights(variant.size, locations, weights)
    network, digest = load_network(variant.size, path)
    return EfficientAT(variant.size, network, digest, with_mel=variant.with_mel, whole_clip=variant.whole_clip)


def _describe_variant(variant: Variant, locations: WeightLocations) -> AudioModelInfo:
    available = find_weights(variant.size, locations) is not None
    return AudioModelInfo(
        name=variant.name,
        dimension=variant.size.embedding_dimension(with_mel=variant.with_mel),
        sample_rate=sizes.SAMPLE_RATE,
        parameters=variant.size.parameters,
        available=available,
        how_to_get="" if available else how_to_get(variant.size, locations),
        licence=EFFICIENTAT_LICENCE,
    )


def _plugins() -> dict[str, EntryPoint]:
    """Entry points by model name; a built-in name cannot be taken over."""
    built_in = {*HANDMADE, *(variant.name for variant in _variants()), *published_names()}
    return {plugin.name: plugin for plugin in entry_points(group=ENTRY_POINT_GROUP) if plugin.name not in built_in}


def _package_of(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist is not None else plugin.module


def _load_plugin(plugin: EntryPoint) -> Callable[[], AudioModel]:
    try:
        factory: Callable[[], AudioModel] = plugin.load()
    except Exception as error:  # whatever a foreign package raises on import
        raise _plugin_failure(plugin, error) from error
    return factory


def _build_plugin(plugin: EntryPoint) -> AudioModel:
    factory = _load_plugin(plugin)
    try:
        model = factory()
    except Exception as error:
        raise _plugin_failure(plugin, error) from error
    if not isinstance(model, AudioModel):
        raise UnavailableError(
            f"audio model {plugin.name} of the package {_package_of(plugin)} gives a {type(model).__name__}, not an "
            "audio model: it needs name, sample_rate, dimension, parameters, identity and embed"
        )
    return model


def _plugin_failure(plugin: EntryPoint, error: Exception) -> UnavailableError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UnavailableError(
        f"audio model {plugin.name} of the package {_package_of(plugin)} cannot be used ({reason}): "
        "update or uninstall that package"
    )


def _describe_plugin(plugin: EntryPoint) -> AudioModelInfo:
    try:
        info = getattr(_load_plugin(plugin), "info", None)
        if isinstance(info, AudioModelInfo):
            return info
        model = _build_plugin(plugin)
    except UnavailableError as error:
        return AudioModelInfo(plugin.name, 0, 0, 0, False, str(error), "")
    return AudioModelInfo(plugin.name, model.dimension, model.sample_rate, model.parameters, True, "", "")


def _suggestions(name: str) -> str:
    names = audio_model_names()
    close = difflib.get_close_matches(name, names, n=MOST_SUGGESTIONS, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"the audio models are {', '.join(names)}"
