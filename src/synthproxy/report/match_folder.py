"""A match from a file into a folder: preset files, their sounds, ``matches.json``, and a page to listen to.

It can be interrupted at any moment: Ctrl-C writes the best so far, and the same call continues.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthproxy.audio.io import write_audio
from synthproxy.corpus import Corpus
from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.files import folder_for_results, make_folder, replace_file, replacing_together
from synthproxy.interruption import stop_on_signals
from synthproxy.matching.budget import Budget
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.match import Match, MatchResult, MatchSettings, Progress, State, match
from synthproxy.matching.proxy_bank import ProxyBank
from synthproxy.matching.saved_state import forget_state, load_state, save_state, task_identity
from synthproxy.matching.target import Target, read_target
from synthproxy.progress import progress_bar
from synthproxy.report.content import Comparison, Page, Section, Sound
from synthproxy.report.page import write_page
from synthproxy.synths import NamedPreset, Synth, get_synth
from synthproxy.synths.readable import save_presets

SAVE_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class MatchRun:
    """How a match was made: time spent in seconds, and sounds rendered."""

    seconds: float
    renders: int


@dataclass(frozen=True)
class MatchOrder:
    """What is to be matched and how; see the command line for the meaning of each.

    Exactly one of ``seconds`` and ``renders`` is set.
    """

    target: Path
    synth: str = "dexed"
    seconds: float | None = None
    renders: int | None = None
    top: int = 5
    corpora: Sequence[Path] = ()
    proxy: Path | None = None
    pitch: int | None = None
    duration: float | None = None
    velocity: int = 100
    seed: int = 0
    fast: bool = False

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InvalidInputError(f"--top: at least one preset must be wanted, got {self.top}")
        if self.seed < 0:
            raise InvalidInputError(f"--seed: give 0 or a larger number, got {self.seed}")


def run_match(order: MatchOrder, folder: Path, *, workers: int | None = None) -> dict[str, Any]:
    """Match a sound file and write the results into a folder.

    Ctrl-C or SIGTERM end the match early: the best so far is written and the state kept, so that the same order in the
    same folder continues; one that was killed loses at most the last seconds.

    Returns:
        The content of ``matches.json``.
    """
    target = read_target(order.target, pitch=order.pitch, duration=order.duration, velocity=order.velocity)
    synth = get_synth(order.synth, "fast" if order.fast else "exact")
    corpora = [Corpus.open(path) for path in order.corpora]
    proxy = ProxyBank.load(order.proxy) if order.proxy else None
    settings = MatchSettings(top=order.top, seed=order.seed)
    sources = [str(path) for path in (*order.corpora, order.proxy)]
    limits = {"seconds": order.seconds, "renders": order.renders, "seed": order.seed}
    task = task_identity(synth, target, sources=sources, **limits)
    start = load_state(folder, task)
    budget = Budget(order.seconds, order.renders, start.used if start else 0.0)
    saved = time.monotonic()
    latest = State((), 0.0)

    with stop_on_signals() as request, folder_for_results(folder):
        with progress_bar("{task.fields[best]}") as bar:
            line = bar.add_task("propose", total=1.0, best="")

            def report(progress: Progress, state: State) -> None:
                nonlocal saved, latest
                latest = state
                bar.update(line, description=progress.stage, completed=progress.used, best=f"{progress.distance:.3f}")
                stopping = bool(request.by) and progress.used < 1
                if state.population and (stopping or time.monotonic() - saved > SAVE_EVERY_SECONDS):
                    save_state(folder, task, state)
                    saved = time.monotonic()

            found = match(
                synth,
                target,
                budget,
                corpora=corpora,
                settings=settings,
                start=start,
                report=report,
                stop=lambda: bool(request.by),
                proxy=proxy,
                workers=workers,
            )
            interrupted = bool(request.by) and latest.used < 1
        run = MatchRun(latest.seconds, latest.renders)
        content = write_match(folder, synth, target, found, run)
        if not interrupted:
            forget_state(folder)
    return content


def write_match(folder: Path, synth: Synth, target: Target, result: MatchResult, run: MatchRun) -> dict[str, Any]:
    """Write all files of a match and return the content of ``matches.json``, which is written last.

    ``best`` is the nearest candidate; the others are called ``match-2`` and so on. Sounds have the target's level,
    length and rate.
    """
    matches = result.matches
    if not matches:
        raise UnavailableError("nothing audible was found within this budget; give it more seconds or renders")
    make_folder(folder)
    rows = [_row(found, _stem(number), synth) for number, found in enumerate(matches, 1)]
    content = {
        "target": str(target.path),
        "target_seconds": target.seconds,
        "target_start": target.start,
        "synth": synth.name,
        "seconds": run.seconds,
        "renders": run.renders,
        "nearest_proposal": result.proposal.level_matched.to_dict() if result.proposal else None,
        "candidates": rows,
    }
    section = Section("Target and matches", "", (comparison(target, matches, synth),))
    introduction = (
        f"Presets of {synth.name} that sound like this file, found by rendering {run.renders:,} sounds "
        f"in {run.seconds:.0f} seconds. Distances are taken at matched level; lower is closer."
    )
    with replacing_together(folder) as beside:
        for number, found in enumerate(matches, 1):
            preset = NamedPreset(found.candidate.preset, target.path.stem[:10], str(target.path))
            save_presets(synth, beside / f"{_stem(number)}{synth.suffix}", [preset])
            write_audio(beside / f"{_stem(number)}.wav", found.audio, SAMPLE_RATE)
        write_page(beside / "index.html", Page(target.path.name, introduction, (section,)))
    replace_file(folder / "matches.json", json.dumps(content, indent=1) + "\n")
    return content


def _stem(number: int) -> str:
    return "best" if number == 1 else f"match-{number}"


def _row(found: Match, stem: str, synth: Synth) -> dict[str, Any]:
    note = found.candidate.note
    return {
        "preset": f"{stem}{synth.suffix}",
        "wav": f"{stem}.wav",
        "note": {"pitch": note.pitch, "velocity": note.velocity, "seconds": note.duration},
        "gain": found.candidate.gain,
        "distances": {
            "raw": found.raw.to_dict(),
            "level_matched": found.level_matched.to_dict(),
            "search": found.candidate.distance,
        },
        "origin": found.candidate.origin,
        "parameters": synth.space.to_names(found.candidate.preset),
    }


def comparison(target: Target, matches: Sequence[Match], synth: Synth, title: str = "") -> Comparison:
    """Players of a target and its matches, with the preset files to download."""
    sounds = []
    for number, found in enumerate(matches, 1):
        note = found.candidate.note
        details = (
            f"play MIDI note {note.pitch} at velocity {note.velocity} for {note.duration:.2f} s",
            f"from {found.candidate.origin}",
        )
        sounds.append(
            Sound(
                "best match" if number == 1 else f"match {number}",
                found.audio,
                SAMPLE_RATE,
                details,
                found.level_matched.to_dict(),
                f"{_stem(number)}{synth.suffix}",
            )
        )
    return Comparison(title or target.path.name, Sound("target", target.audio, SAMPLE_RATE), tuple(sounds))
