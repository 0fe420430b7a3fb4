"""Commands that find presets for sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synthproxy.cli.options import Fast, Json, Output
from synthproxy.report.printing import print_json, print_rows


def demo(*, out: Output = Path("demo"), seconds_per_match: float = 20.0) -> None:
    """The whole story in minutes: corpus, proxy, score, matches, and a page to listen to.

    Parameters
    ----------
    out:
        Folder of everything it makes; an interrupted demo continues there.
    seconds_per_match:
        Time spent on each target sound.
    """
    from synthproxy.demo import run_demo

    print(f"\nListen: {run_demo(out, seconds_per_match=seconds_per_match).resolve()}")


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
    fast: Fast = False,
    json: Json = False,
) -> None:
    """Find presets that make a sound; Ctrl-C keeps the best so far, and the same command continues.

    Parameters
    ----------
    target:
        A sound file with one note.
    synth:
        Synth to find presets of, or a definition file (.toml).
    seconds:
        Time to spend; 60 by default.
    renders:
        Sounds to render instead, which makes the result reproducible.
    out:
        Folder for the best preset, best.wav, matches.json, index.html and the others.
    top:
        Number of presets returned.
    corpus:
        Corpora to retrieve candidates from.
    proxy:
        Checkpoint of a trained proxy to look through made-up presets with.
    pitch:
        MIDI pitch of the target, if it should not be estimated.
    duration:
        Seconds its key was held, if they should not be estimated.
    velocity:
        MIDI velocity to play.
    seed:
        Seed of the search.
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
        fast=fast,
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
