"""Commands for single presets and sounds: a plug-in looked at, a preset played or converted, a sound embedded."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from synthproxy.cli.options import EXIT_DIFFERENT, Clip, Fast, Files, Json, Output, Weights, synth_called
from synthproxy.errors import InvalidInputError
from synthproxy.report.printing import print_json, print_rows


def inspect(
    plugin: str,
    *,
    out: Output | None = None,
    name: str | None = None,
    check: bool = False,
    definition: str | None = None,
    json: Json = False,
) -> None:
    """Find out what a plug-in's parameters are, as a definition to edit; or compare a definition with it.

    Parameters
    ----------
    plugin:
        A VST2 or VST3 file, the URI of an LV2 plug-in, or a synth that is a plug-in.
    out:
        The definition file (.toml) to write.
    name:
        Name of the synth in it.
    check:
        List everything in which the definition and the plug-in differ; exit code 1 if there is anything.
    definition:
        Synth or definition file to compare with, if the plug-in's name does not tell.
    """
    from synthproxy.synths.inspection import check_plugin, draft_definition

    if check or definition:
        differences = check_plugin(plugin, definition)
        if differences or json:
            print_rows(f"Differences of {plugin}", [asdict(one) for one in differences], json)
        else:
            print(f"{plugin}: every parameter is as the definition says")
        sys.exit(EXIT_DIFFERENT if differences else 0)
    found, text = draft_definition(plugin, name)
    if out:
        from synthproxy.files import replace_file

        replace_file(out, text)
        print(f"{out}: {len(found)} parameters")
        return
    rows = [
        {
            "index": one.index,
            "name": one.parameter.name,
            "kind": str(one.parameter.kind) if one.changes else "unchanging",
            "steps": one.steps or None,
            "default": one.parameter.default,
            "group": one.parameter.group,
            "shows": f"{one.shows[0]} to {one.shows[1]}",
        }
        for one in found
    ]
    print_rows(f"Parameters of {plugin}", rows, json)


def render(
    preset: Path,
    *,
    synth: str = "dexed",
    out: Output,
    number: int = 1,
    clip: Clip = Clip(),  # noqa: B008
    sample_rate: int = 32_000,
    ignore_checksum: bool = False,
    fast: Fast = False,
) -> None:
    """Play one note of a preset file into a WAV file.

    Parameters
    ----------
    preset:
        A preset file of the synth (.syx for Dexed), or a readable one (.json).
    synth:
        Synth that plays it, or a definition file (.toml).
    out:
        The WAV file.
    number:
        Which preset of the file, from 1.
    sample_rate:
        Samples per second.
    ignore_checksum:
        Read a .syx file whose checksum is wrong.
    """
    from synthproxy.audio.io import write_audio
    from synthproxy.synths import Note
    from synthproxy.synths.dexed import Dexed
    from synthproxy.synths.readable import load_presets

    player = synth_called(synth, fast)
    note = Note(clip.pitch, clip.velocity, clip.duration)
    if not 0 < clip.seconds <= 600 or not 8_000 <= sample_rate <= 192_000:
        raise InvalidInputError("give --seconds between 0 and 600 and --sample-rate between 8000 and 192000")
    if ignore_checksum and isinstance(player, Dexed):
        presets = player.read_presets(preset, note, ignore_checksum=True)
    else:
        presets = load_presets(player, preset, note)
    if not 1 <= number <= len(presets):
        raise InvalidInputError(f"{preset}: holds {len(presets)} presets, there is no number {number}")
    chosen = presets[number - 1]
    write_audio(out, player.render(chosen.vector, note, clip.seconds, sample_rate), sample_rate)
    print(f"{out}: {chosen.name or 'unnamed'}")


def convert(
    preset: Path, *, synth: str = "dexed", out: Output, number: int | None = None, pitch: int = 60, velocity: int = 100
) -> None:
    """Write presets in another form: one that the synth's host opens, or JSON with every parameter by name.

    Parameters
    ----------
    preset:
        A preset file of the synth.
    synth:
        Synth they are for.
    out:
        The file to write; its ending says in which form.
    number:
        Which preset of the file, from 1; all of them by default.
    pitch:
        MIDI pitch that a voice is to sound alike for, where the synth folds keyboard scaling into it.
    velocity:
        MIDI velocity, likewise.
    """
    from synthproxy.synths import Note, get_synth
    from synthproxy.synths.readable import load_presets, save_presets

    owner = get_synth(synth)
    presets = load_presets(owner, preset, Note(pitch, velocity))
    if number is not None:
        if not 1 <= number <= len(presets):
            raise InvalidInputError(f"{preset}: holds {len(presets)} presets, there is no number {number}")
        presets = presets[number - 1 : number]
    save_presets(owner, out, presets)
    print(f"{out}: {len(presets)} presets" if len(presets) > 1 else f"{out}: {presets[0].name or 'unnamed'}")


def embed(audio: Files, *, audio_model: str = "mel", out: Output, weights: Weights = None) -> None:
    """Embed sound files, one row per file.

    Parameters
    ----------
    audio:
        Sound files.
    audio_model:
        Name of the audio model.
    out:
        The .npz file, with the arrays names and embeddings.
    """
    from synthproxy.audio.embedding import embed_files

    embed_files(audio, audio_model, out, weights=weights)
    print(f"{out}: {len(audio)} embeddings")


def distance(sound: Path, target: Path, *, json: Json = False) -> None:
    """How far a sound is from a target, by the published distances.

    Parameters
    ----------
    sound:
        The sound to judge.
    target:
        What it should sound like.
    """
    from synthproxy.audio.io import read_audio
    from synthproxy.matching.distances import SAMPLE_RATE, distances

    x, y = (read_audio(path, SAMPLE_RATE).samples for path in (sound, target))
    results = {
        "raw": distances(x, y).to_dict(),
        "level_matched": distances(x, y, level_matched=True).to_dict(),
    }
    if json:
        print_json(results)
    else:
        print_rows("Distance", [{"": form, **values} for form, values in results.items()], False)
