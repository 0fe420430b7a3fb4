"""Commands that find presets for sounds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synthproxy.cli.options import Fast, Files, Json, Output
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
    target: Files,
    *,
    synth: str = "dexed",
    seconds: float | None = None,
    renders: int | None = None,
    out: Output,
    top: int = 5,
    corpus: Annotated[list[Path] | None, Parameter(name=["--corpus", "--bank"], negative="")] = None,
    proxy: Path | None = None,
    estimator: Path | None = None,
    proposer: Path | None = None,
    unaided: Annotated[bool, Parameter(negative="")] = False,
    lock: Annotated[list[str] | None, Parameter(negative="")] = None,
    start: Path | None = None,
    start_number: int = 1,
    near: float = 1.0,
    pitch: Annotated[list[int] | None, Parameter(negative="")] = None,
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
        A sound file with one note; several are notes of one instrument, and one preset is found for all.
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
        Banks, or other corpora, to retrieve candidates from.
    proxy:
        Checkpoint of a trained proxy to look through made-up presets with.
    estimator:
        Checkpoint of a trained estimator, whose preset is a candidate too.
    proposer:
        Checkpoint of a trained proposer to draw candidates from; by default the one that comes with the package, which
        has one for Dexed and one for amsynth.
    unaided:
        Use nothing that comes with the package: no proposer and none of its presets.
    lock:
        A parameter or a group of them that keeps its value of the preset in --start, or the synth's default: lfo,
        operators.3, 'op?_detune'.
    start:
        A preset file to begin from.
    start_number:
        Which preset of that file, from 1.
    near:
        How far from it numerical parameters may move, as a part of their range up to 1; below 1, switches and
        categories stay as they are. Anywhere by default.
    pitch:
        MIDI pitch of the target, if it should not be estimated; for several sounds, one for each.
    duration:
        Seconds its key was held, if they should not be estimated.
    velocity:
        MIDI velocity to play.
    seed:
        Seed of the search.
    """
    from synthproxy.report.match_folder import MatchOrder, run_match

    pitches = pitch or []
    order = MatchOrder(
        target[0],
        synth,
        seconds=60.0 if seconds is None and renders is None else seconds,
        renders=renders,
        top=top,
        corpora=corpus or (),
        proxy=proxy,
        estimator=estimator,
        proposer=proposer,
        unaided=unaided,
        pitch=pitches[0] if pitches else None,
        duration=duration,
        velocity=velocity,
        seed=seed,
        fast=fast,
        others=target[1:],
        other_pitches=pitches[1:],
        lock=lock or (),
        start=start,
        start_number=start_number,
        near=near,
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
    print_rows(f"Matches of {', '.join(path.name for path in target)}", rows, False)
    if content["mattered"] and content["mattered"]["words"]:
        print(f"What makes the sound of the best: {content['mattered']['words']}")
    print(f"Listen: {(out / 'index.html').resolve()}")


def collect(matches: Files, *, out: Output, synth: str | None = None, json: Json = False) -> None:
    """Put the best presets of up to 32 matches into one bank file.

    Parameters
    ----------
    matches:
        Folders of matches, or folders of such folders.
    out:
        The bank (.syx for Dexed); its ending says in which form.
    synth:
        Synth they are for, or a definition file (.toml), if the matches do not tell.
    """
    from synthproxy.report.match_bank import collect_matches

    rows = [{"number": number, **asdict(one)} for number, one in enumerate(collect_matches(matches, out, synth), 1)]
    print_rows(f"{out}: {len(rows)} presets", rows, json)
