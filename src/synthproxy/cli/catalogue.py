"""Commands that list what is here, and what is missing to use the rest."""

from __future__ import annotations

from dataclasses import asdict

from synthproxy.cli.options import Json
from synthproxy.errors import InvalidInputError
from synthproxy.report.printing import print_rows


def synths(*, json: Json = False) -> None:
    """What makes sound here, and what is missing to use the rest."""
    from synthproxy.synths import describe_synths

    print_rows("Synths", [asdict(info) for info in describe_synths()], json)


def audio_models(*, json: Json = False) -> None:
    """What hears here, and what is missing to use the rest."""
    from synthproxy.audio.registry import describe_audio_models

    print_rows("Audio models", [asdict(info) for info in describe_audio_models()], json)


def proxies(*, synth: str = "dexed-paper", audio_model: str = "mn04", json: Json = False) -> None:
    """The architectures that learn, with their trainable parameters for a synth and an audio model.

    Parameters
    ----------
    synth: Synth whose presets they take.
    audio_model: Audio model whose embeddings they give.
    """
    from synthproxy.audio.registry import audio_model_names, describe_audio_models
    from synthproxy.proxies.zoo import count_parameters, proxy_names
    from synthproxy.synths import get_synth

    found = describe_audio_models(audio_model)
    if len(found) != 1 or found[0].name != audio_model:
        raise InvalidInputError(f"unknown audio model {audio_model!r}; there are: {', '.join(audio_model_names())}")
    space = get_synth(synth).space
    rows = [{"name": n, "parameters": count_parameters(n, space, found[0].dimension)} for n in proxy_names()]
    print_rows(f"Proxies for {synth} and {audio_model}", rows, json)
