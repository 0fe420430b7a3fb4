"""Commands that make corpora."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synthproxy.cli.options import Clip, Fast, Files, Json, Kept, Output, Weights, synth_called
from synthproxy.report.printing import print_json, print_result


def generate(
    *,
    synth: str = "dexed-paper",
    audio_model: str = "mel",
    size: int,
    seed: int = 0,
    first: int = 0,
    near: Annotated[list[Path] | None, Parameter(negative="", consume_multiple=True)] = None,
    exchange: Annotated[bool, Parameter(negative="")] = False,
    out: Output,
    clip: Clip = Clip(),  # noqa: B008
    kept: Kept = Kept(),  # noqa: B008
    workers: int | None = None,
    weights: Weights = None,
    fast: Fast = False,
    json: Json = False,
) -> None:
    """Make a corpus of drawn presets with their embeddings; the same command continues one that was interrupted.

    Parameters
    ----------
    synth:
        Synth to draw presets of, or a definition file (.toml).
    audio_model:
        Audio model that embeds their sounds.
    size:
        Number of presets.
    seed:
        Seed; item i depends on the seed and i only.
    first:
        Number of the first item, a multiple of 512: a range of a corpus, to be merged with others.
    near:
        Preset files, or folders of them, to draw near to: each preset crosses two of them and moves some values.
    exchange:
        With ``--near``, take those values from others of these presets instead of moving them.
    out:
        Folder of the corpus.
    workers:
        Threads; all cores by default.
    """
    from synthproxy.audio.registry import get_audio_model
    from synthproxy.corpus import generate as make
    from synthproxy.corpus.handcrafted import preset_vectors
    from synthproxy.progress import counting

    source, model = synth_called(synth, fast), get_audio_model(audio_model, weights=weights)
    with counting("presets", size) as progress:
        result = make(
            out,
            source,
            model,
            size=size,
            seed=seed,
            first=first,
            near=preset_vectors(near, source, clip.rendering.note) if near else None,
            exchange=exchange,
            rendering=clip.rendering,
            **vars(kept),
            workers=workers,
            progress=progress,
        )
    print_result(out, asdict(result), json)


def import_(
    files: Files,
    *,
    synth: str = "dexed",
    audio_model: str = "mel",
    out: Output,
    clip: Clip = Clip(),  # noqa: B008
    kept: Kept = Kept(),  # noqa: B008
    workers: int | None = None,
    weights: Weights = None,
    fast: Fast = False,
    json: Json = False,
) -> None:
    """Make a corpus of presets that people made.

    Parameters
    ----------
    files:
        Preset files, folders of them, or an archive of packed DX7 voices (.npz).
    synth:
        Synth they are for, or a definition file (.toml).
    audio_model:
        Audio model that embeds their sounds.
    out:
        Folder of the corpus.
    workers:
        Threads; all cores by default.
    """
    from synthproxy.audio.registry import get_audio_model
    from synthproxy.corpus import import_presets
    from synthproxy.progress import counting

    source, model = synth_called(synth, fast), get_audio_model(audio_model, weights=weights)
    with counting("presets") as progress:
        result = import_presets(
            out,
            files,
            source,
            model,
            rendering=clip.rendering,
            **vars(kept),
            workers=workers,
            progress=progress,
        )
    print_result(out, asdict(result), json)


def bank(
    files: Files,
    *,
    synth: str = "dexed",
    out: Output,
    pitch: Annotated[list[int] | None, Parameter(negative="")] = None,
    workers: int | None = None,
    fast: Fast = False,
    json: Json = False,
) -> None:
    """Make a bank of your own presets, for matches to start from.

    Parameters
    ----------
    files:
        Preset files, or folders of them.
    synth:
        Synth they are for, or a definition file (.toml).
    out:
        Folder of the bank, for match --bank.
    pitch:
        MIDI pitches that presets are heard at; 36, 60 and 84 by default.
    workers:
        Threads; all cores by default.
    """
    from synthproxy.audio.registry import get_audio_model
    from synthproxy.corpus.bank import PITCHES, make_bank
    from synthproxy.progress import counting

    source, model = synth_called(synth, fast), get_audio_model("mel")
    with counting("sounds") as progress:
        made = make_bank(out, files, source, model, pitches=pitch or PITCHES, workers=workers, progress=progress)
    if json:
        print_json({str(at): asdict(result) for at, result in made.items()})
        return
    found = next(iter(made.values())).found
    sounds = ", ".join(f"{result.kept:,} heard at pitch {at}" for at, result in made.items())
    print(f"{out}: {found:,} presets, of these {sounds}")


def merge(parts: Files, *, out: Output) -> None:
    """Join ranges of one corpus that were made apart.

    Parameters
    ----------
    parts:
        Folders of the ranges, in any order.
    out:
        Folder of the whole.
    """
    from synthproxy.corpus import merge_corpora

    print(f"{out}: {len(merge_corpora(parts, out)):,} presets")
