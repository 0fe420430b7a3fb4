"""The command line: one thin command per use. Everything it does is a public function of the package."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from synthproxy import __version__
from synthproxy.errors import InvalidInputError, SynthProxyError
from synthproxy.report.printing import print_json, print_result, print_rows, print_table

if TYPE_CHECKING:
    from synthproxy.corpus import Rendering

app = App(
    name="synthproxy",
    help="Neural proxies for software synthesizers: learn what presets sound like, and find the preset for a sound.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]
Output = Annotated[Path, Parameter(name=["--out", "-o"])]
Weights = Annotated[Path | None, Parameter(help="Weights of the audio model, if they are not where they usually are.")]

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake ends in one line on standard error and exit code 2."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except (SynthProxyError, CycloptsError) as error:
        print(f"synthproxy: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    except KeyboardInterrupt:
        print("synthproxy: interrupted; what is finished is kept, the same command continues", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()


@app.command
def demo(*, out: Output = Path("demo"), seconds_per_match: float = 20.0) -> None:
    """The whole story in minutes: corpus, proxy, score, matches, and a page to listen to.

    Parameters
    ----------
    out: Folder of everything it makes; an interrupted demo continues there.
    seconds_per_match: Time spent on each target sound.
    """
    from synthproxy.demo import run_demo

    print(f"\nListen: {run_demo(out, seconds_per_match=seconds_per_match).resolve()}")


@app.command
def synths(*, json: Json = False) -> None:
    """What makes sound here, and what is missing to use the rest."""
    from synthproxy.synths import describe_synths

    print_rows("Synths", [asdict(info) for info in describe_synths()], json)


@app.command
def audio_models(*, json: Json = False) -> None:
    """What hears here, and what is missing to use the rest."""
    from synthproxy.audio.registry import describe_audio_models

    print_rows("Audio models", [asdict(info) for info in describe_audio_models()], json)


@app.command
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


@app.command
def render(
    preset: Path,
    *,
    synth: str = "dexed",
    out: Output,
    number: int = 1,
    pitch: int = 60,
    velocity: int = 100,
    duration: float = 2.0,
    seconds: float = 5.0,
    sample_rate: int = 32_000,
    ignore_checksum: bool = False,
) -> None:
    """Play one note of a preset file into a WAV file.

    Parameters
    ----------
    preset: A preset file of the synth (.syx for Dexed).
    out: The WAV file.
    number: Which preset of the file, from 1.
    pitch: MIDI pitch.
    velocity: MIDI velocity.
    duration: How long the key is held, in seconds.
    seconds: Length of the file.
    sample_rate: Samples per second.
    ignore_checksum: Read a .syx file whose checksum is wrong.
    """
    from synthproxy.audio.io import write_audio
    from synthproxy.synths import Note, get_synth
    from synthproxy.synths.dexed import Dexed

    player = get_synth(synth)
    note = Note(pitch, velocity, duration)
    if not 0 < seconds <= 600 or not 8_000 <= sample_rate <= 192_000:
        raise InvalidInputError("give --seconds between 0 and 600 and --sample-rate between 8000 and 192000")
    options = {"ignore_checksum": True} if ignore_checksum and isinstance(player, Dexed) else {}
    presets = player.read_presets(preset, note, **options)
    if not 1 <= number <= len(presets):
        raise InvalidInputError(f"{preset}: holds {len(presets)} presets, there is no number {number}")
    chosen = presets[number - 1]
    write_audio(out, player.render(chosen.vector, note, seconds, sample_rate), sample_rate)
    print(f"{out}: {chosen.name or 'unnamed'}")


@app.command
def embed(
    audio: Annotated[list[Path], Parameter(negative="")],
    *,
    audio_model: str = "mel",
    out: Output,
    weights: Weights = None,
) -> None:
    """Embed sound files, one row per file.

    Parameters
    ----------
    audio: Sound files.
    audio_model: Name of the audio model.
    out: The .npz file, with the arrays names and embeddings.
    """
    from synthproxy.audio.embedding import embed_files

    embed_files(audio, audio_model, out, weights=weights)
    print(f"{out}: {len(audio)} embeddings")


@app.command
def distance(sound: Path, target: Path, *, json: Json = False) -> None:
    """How far a sound is from a target, by the published distances.

    Parameters
    ----------
    sound: The sound to judge.
    target: What it should sound like.
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


@app.command
def generate(
    *,
    synth: str = "dexed-paper",
    audio_model: str = "mel",
    size: int,
    seed: int = 0,
    first: int = 0,
    out: Output,
    pitch: int = 60,
    velocity: int = 100,
    duration: float = 2.0,
    seconds: float = 5.0,
    keep_audio: bool = False,
    workers: int | None = None,
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Make a corpus of drawn presets with their embeddings; the same command continues one that was interrupted.

    Parameters
    ----------
    synth: Synth to draw presets of.
    audio_model: Audio model that embeds their sounds.
    size: Number of presets.
    seed: Seed; item i depends on the seed and i only.
    first: Number of the first item, a multiple of 512: a range of a corpus, to be merged with others.
    out: Folder of the corpus.
    pitch: MIDI pitch of the note.
    velocity: MIDI velocity of the note.
    duration: How long the key is held, in seconds.
    seconds: Length of the clips.
    keep_audio: Store the clips as well.
    workers: Threads; all cores by default.
    """
    from synthproxy.audio.registry import get_audio_model
    from synthproxy.corpus import generate as make
    from synthproxy.progress import counting
    from synthproxy.synths import get_synth

    source, model = get_synth(synth), get_audio_model(audio_model, weights=weights)
    with counting("presets", size) as progress:
        result = make(
            out,
            source,
            model,
            size=size,
            seed=seed,
            first=first,
            rendering=_rendering(pitch, velocity, duration, seconds),
            keep_audio=keep_audio,
            workers=workers,
            progress=progress,
        )
    print_result(out, asdict(result), json)


@app.command(name="import")
def import_(
    files: Annotated[list[Path], Parameter(negative="")],
    *,
    synth: str = "dexed",
    audio_model: str = "mel",
    out: Output,
    pitch: int = 60,
    velocity: int = 100,
    duration: float = 2.0,
    seconds: float = 5.0,
    keep_audio: bool = False,
    workers: int | None = None,
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Make a corpus of presets that people made.

    Parameters
    ----------
    files: Preset files, folders of them, or an archive of packed DX7 voices (.npz).
    synth: Synth they are for.
    audio_model: Audio model that embeds their sounds.
    out: Folder of the corpus.
    pitch: MIDI pitch of the note.
    velocity: MIDI velocity of the note.
    duration: How long the key is held, in seconds.
    seconds: Length of the clips.
    keep_audio: Store the clips as well.
    workers: Threads; all cores by default.
    """
    from synthproxy.audio.registry import get_audio_model
    from synthproxy.corpus import import_presets
    from synthproxy.progress import counting
    from synthproxy.synths import get_synth

    source, model = get_synth(synth), get_audio_model(audio_model, weights=weights)
    with counting("presets") as progress:
        result = import_presets(
            out,
            files,
            source,
            model,
            rendering=_rendering(pitch, velocity, duration, seconds),
            keep_audio=keep_audio,
            workers=workers,
            progress=progress,
        )
    print_result(out, asdict(result), json)


@app.command
def merge(parts: Annotated[list[Path], Parameter(negative="")], *, out: Output) -> None:
    """Join ranges of one corpus that were made apart.

    Parameters
    ----------
    parts: Folders of the ranges, in any order.
    out: Folder of the whole.
    """
    from synthproxy.corpus import merge_corpora

    print(f"{out}: {len(merge_corpora(parts, out)):,} presets")


@app.command
def train(
    recipe: Path,
    *,
    out: Output | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", help="section.key=value")] = None,
    json: Json = False,
) -> None:
    """Train a proxy by a recipe; the same command continues one that was interrupted.

    Parameters
    ----------
    recipe: A TOML file.
    out: Run folder; runs/ and the recipe's name by default.
    """
    from synthproxy.proxies.recipe import read_recipe
    from synthproxy.proxies.training import train as run

    result = run(read_recipe(recipe, set_ or ()), out or Path("runs") / recipe.stem)
    if json:
        print_json({**asdict(result), "run_folder": str(result.run_folder)})
    else:
        print(result.message)
    if result.status == "stopped":
        sys.exit(EXIT_INTERRUPTED)


@app.command
def evaluate(checkpoint: Path, *, corpus: Path, training_corpus: Path | None = None, json: Json = False) -> None:
    """Judge a trained proxy, beside what trivial predictors reach.

    Parameters
    ----------
    checkpoint: A .safetensors file of a run folder.
    corpus: Corpus to judge by.
    training_corpus: Corpus it has learned from, for the nearest-preset baseline.
    """
    from synthproxy.corpus import Corpus
    from synthproxy.proxies.checkpoint import load_checkpoint
    from synthproxy.proxies.evaluation import evaluate as judge
    from synthproxy.proxies.examples import Examples
    from synthproxy.report.scores import score_table

    proxy, info = load_checkpoint(checkpoint)
    examples = Examples.from_corpus(Corpus.open(corpus))
    info.setting.require_same(examples.setting, str(checkpoint))
    training = Examples.from_corpus(Corpus.open(training_corpus)) if training_corpus else None
    evaluation = judge(proxy, examples, training=training)
    if json:
        print_json(evaluation.to_dict())
    else:
        print_table(score_table(evaluation))


@app.command
def match(
    target: Path,
    *,
    synth: str = "dexed",
    seconds: float | None = None,
    renders: int | None = None,
    out: Output,
    top: int = 5,
    corpus: Annotated[list[Path] | None, Parameter(negative="")] = None,
    proxy: Path | None = None,
    pitch: int | None = None,
    duration: float | None = None,
    velocity: int = 100,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Find presets that make a sound; Ctrl-C keeps the best so far, and the same command continues.

    Parameters
    ----------
    target: A sound file with one note.
    synth: Synth to find presets of.
    seconds: Time to spend; 60 by default.
    renders: Sounds to render instead, which makes the result reproducible.
    out: Folder for best.syx, best.wav, matches.json, index.html and the others.
    top: Number of presets returned.
    corpus: Corpora to retrieve candidates from.
    proxy: Checkpoint of a trained proxy to look through made-up presets with.
    pitch: MIDI pitch of the target, if it should not be estimated.
    duration: Seconds its key was held, if they should not be estimated.
    velocity: MIDI velocity to play.
    seed: Seed of the search.
    """
    from synthproxy.report.match_folder import MatchOrder, run_match

    order = MatchOrder(
        target,
        synth,
        seconds=60.0 if seconds is None and renders is None else seconds,
        renders=renders,
        top=top,
        corpora=corpus or (),
        proxy=proxy,
        pitch=pitch,
        duration=duration,
        velocity=velocity,
        seed=seed,
    )
    content = run_match(order, out)
    if json:
        print_json(content)
        return
    rows = [
        {
            "preset": str(out / row["preset"]),
            "a_mean": row["distances"]["level_matched"]["a_mean"],
            "play": f"note {row['note']['pitch']}, {row['note']['seconds']:.2f} s",
            "from": row["origin"],
        }
        for row in content["candidates"]
    ]
    print_rows(f"Matches of {target.name}", rows, False)
    print(f"Listen: {(out / 'index.html').resolve()}")


def _rendering(pitch: int, velocity: int, duration: float, seconds: float) -> Rendering:
    from synthproxy.corpus import Rendering
    from synthproxy.synths import Note

    published = Rendering.fade
    return Rendering(note=Note(pitch, velocity, duration), seconds=seconds, fade=min(published, abs(seconds) / 2))


if __name__ == "__main__":
    main()
