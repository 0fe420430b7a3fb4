"""Commands that list what is here, and what is missing to use the rest."""

from __future__ import annotations

import re
from dataclasses import asdict

from synthproxy.cli.options import Json
from synthproxy.errors import InvalidInputError
from synthproxy.report.printing import print_json, print_rows


def synths(*, json: Json = False) -> None:
    """What makes sound here, and what is missing to use the rest."""
    from synthproxy.synths import describe_synths

    print_rows("Synths", [asdict(info) for info in describe_synths()], json)


def audio_models(name: str = "*", /, *, json: Json = False) -> None:
    """What hears here, and what is missing to use the rest.

    Parameters
    ----------
    name:
        An audio model, or a pattern such as 'mn04*': of these, it is told too how to get what is not here.
    """
    from synthproxy.audio.registry import audio_model_names, describe_audio_models

    found = describe_audio_models(name)
    if not found:
        raise InvalidInputError(f"no audio model is called {name!r}; there are: {', '.join(audio_model_names())}")
    rows = [asdict(info) for info in found]
    ways = {info.how_to_get for info in found if not info.available}
    if json:
        print_json(rows)
        return
    shown = [{**row, "licence": re.sub(r" \([^)]*\)", "", row["licence"])} for row in rows]
    print_rows("Audio models", [{key: row[key] for key in row if key != "how_to_get"} for row in shown], as_json=False)
    if name == "*":
        print("synthproxy audio-models NAME tells how to get one that is not available.")
        return
    for way in sorted(ways):
        print(f"{', '.join(info.name for info in found if info.how_to_get == way)}: {way}")


def proxies(*, synth: str = "dexed-paper", audio_model: str = "mn04", json: Json = False) -> None:
    """The architectures that learn, with their trainable parameters for a synth and an audio model.

    Parameters
    ----------
    synth:
        Synth whose presets they take.
    audio_model:
        Audio model whose embeddings they give.
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
