"""A match from a file into a folder: preset files, their sounds, ``matches.json``, and a page to listen to.

It can be interrupted at any moment: Ctrl-C writes the best so far, and the same call continues.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthproxy.audio.io import write_audio
from synthproxy.corpus import Bank
from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.files import folder_for_results, make_folder, replace_file, replacing_together
from synthproxy.interruption import stop_on_signals
from synthproxy.matching.bounds import ANYWHERE, Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.estimators.proposing import TrainedEstimator
from synthproxy.matching.influence import Influences, influences
from synthproxy.matching.match import Match, MatchedNote, MatchResult, Progress, State, match
from synthproxy.matching.propose import Sources
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.proxy_bank import ProxyBank
from synthproxy.matching.saved_state import forget_state, load_state, save_state, task_identity
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.shipped import shipped_presets, shipped_proposer
from synthproxy.matching.target import Target, read_targets
from synthproxy.progress import progress_bar
from synthproxy.report.content import Comparison, Page, Section, Sound
from synthproxy.report.page import write_page
from synthproxy.synths import NamedPreset, Synth, get_synth
from synthproxy.synths.readable import load_preset, save_presets

SAVE_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class MatchRun:
    """How a match was made: time spent in seconds, and sounds rendered."""

    seconds: float
    renders: int


@dataclass(frozen=True)
class MatchOrder:
    """What is to be matched and how; see the command line for the meaning of each.

    Exactly one of ``seconds`` and ``renders`` is set. Without a ``proposer`` the one that is shipped for the synth is
    used, if there is one, and shipped presets are tried too, unless the match is to be ``unaided``. ``others`` are
    further notes of the instrument that ``target`` is one of, and ``other_pitches`` theirs, if ``pitch`` is given.
    """

    target: Path
    synth: str = "dexed"
    seconds: float | None = None
    renders: int | None = None
    top: int = 5
    corpora: Sequence[Path] = ()
    proxy: Path | None = None
    estimator: Path | None = None
    proposer: Path | None = None
    unaided: bool = False
    pitch: int | None = None
    duration: float | None = None
    velocity: int = 100
    seed: int = 0
    fast: bool = False
    others: Sequence[Path] = ()
    other_pitches: Sequence[int] = ()
    lock: Sequence[str] = ()
    start: Path | None = None
    start_number: int = 1
    near: float = ANYWHERE

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InvalidInputError(f"--top: at least one preset must be wanted, got {self.top}")
        if self.seed < 0:
            raise InvalidInputError(f"--seed: give 0 or a larger number, got {self.seed}")
        if self.unaided and self.proposer is not None:
            raise InvalidInputError("--unaided: says to use no proposer; leave out --proposer")


def run_match(order: MatchOrder, folder: Path, *, workers: int | None = None) -> dict[str, Any]:
    """Match a sound file and write the results into a folder.

    Ctrl-C or SIGTERM end the match early: the best so far is written and the state kept, so that the same order in the
    same folder continues; one that was killed loses at most the last seconds.

    Returns:
        The content of ``matches.json``.
    """
    pitches = () if order.pitch is None else (order.pitch, *order.other_pitches)
    target = read_targets(
        (order.target, *order.others), pitches=pitches, duration=order.duration, velocity=order.velocity
    )
    synth = get_synth(order.synth, "fast" if order.fast else "exact")
    checkpoint = order.proposer or (None if order.unaided else shipped_proposer(synth))
    begin = load_preset(synth, order.start, target.note, order.start_number) if order.start else None
    sources = Sources(
        corpora=[Bank.open(path) for path in order.corpora],
        proxy=ProxyBank.load(order.proxy) if order.proxy else None,
        estimator=TrainedEstimator.load(order.estimator) if order.estimator else None,
        proposer=TrainedProposer.load(checkpoint) if checkpoint else None,
        presets=None if order.unaided else shipped_presets(synth),
        begin=begin.vector if begin else None,
    )
    bounds = Bounds.of(synth.space, begin.vector if begin else None, lock=order.lock, near=order.near)
    settings = MatchSettings(top=order.top, seed=order.seed)
    asked = [path for path in (order.estimator, checkpoint) if path]
    files = [str(path) for path in (*order.corpora, order.proxy, *asked)]
    limits = {"seconds": order.seconds, "renders": order.renders, "seed": order.seed}
    begun_from = [begin.vector.tolist() if begin else None, bounds.low.tolist(), bounds.high.tolist()]
    task = task_identity(synth, target, sources=files, begun_from=begun_from, **limits)
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
                sources=sources,
                settings=settings,
                bounds=bounds,
                start=start,
                report=report,
                stop=lambda: bool(request.by),
                workers=workers,
            )
            interrupted = bool(request.by) and latest.used < 1
        run = MatchRun(latest.seconds, latest.renders)
        mattered = influences(synth, target, found.matches[0], workers) if found.matches else None
        about = {"locked": bounds.locked, "start": _start(order, begin)}
        content = write_match(folder, synth, target, found, run, mattered, about)
        if not interrupted:
            forget_state(folder)
    return content


def _start(order: MatchOrder, begin: NamedPreset | None) -> dict[str, Any] | None:
    if begin is None:
        return None
    return {"preset": str(order.start), "number": order.start_number, "name": begin.name, "near": order.near}


def write_match(
    folder: Path,
    synth: Synth,
    target: Target,
    result: MatchResult,
    run: MatchRun,
    mattered: Influences | None = None,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write all files of a match and return the content of ``matches.json``, which is written last.

    ``best`` is the nearest candidate; the others are called ``match-2`` and so on. Sounds have the target's level,
    length and rate; those of a target's second note end in ``-note-2``, and so on.

    Args:
        mattered: what the best match depends on.
        about: what else ``matches.json`` says of how the match was made.
    """
    matches = result.matches
    if not matches:
        raise UnavailableError("nothing audible was found within this budget; give it more seconds or renders")
    make_folder(folder)
    rows = [_row(found, _stem(number), synth, target) for number, found in enumerate(matches, 1)]
    content = {
        "target": str(target.path),
        "target_seconds": target.seconds,
        "target_start": target.start,
        "synth": synth.name,
        "seconds": run.seconds,
        "renders": run.renders,
        **(about or {}),
        "nearest_proposal": result.proposal.level_matched.to_dict() if result.proposal else None,
        "mattered": mattered.to_dict() if mattered else None,
        "candidates": rows,
    }
    section = Section("Target and matches", _in_words(target, mattered), comparisons(target, matches, synth))
    introduction = (
        f"Presets of {synth.name} that sound like this file, found by rendering {run.renders:,} sounds "
        f"in {run.seconds:.0f} seconds. Distances are taken at matched level; lower is closer."
    )
    with replacing_together(folder) as beside:
        for number, found in enumerate(matches, 1):
            preset = NamedPreset(found.candidate.preset, target.path.stem[:10], str(target.path))
            save_presets(synth, beside / f"{_stem(number)}{synth.suffix}", [preset])
            for name, note in zip(_wav_names(_stem(number), found), found.notes, strict=True):
                write_audio(beside / name, note.audio, SAMPLE_RATE)
        write_page(beside / "index.html", Page(target.path.name, introduction, (section,)))
    replace_file(folder / "matches.json", json.dumps(content, indent=1) + "\n")
    return content


def _stem(number: int) -> str:
    return "best" if number == 1 else f"match-{number}"


def _wav_names(stem: str, found: Match) -> list[str]:
    return [f"{stem}.wav", *(f"{stem}-note-{number}.wav" for number in range(2, len(found.notes) + 1))]


def _in_words(target: Target, mattered: Influences | None) -> str:
    several = f"One preset for {len(target.sounds)} notes; distances of each are beside it." if target.others else ""
    depends = f"What makes the sound of the best match: {mattered.words}." if mattered and mattered.words else ""
    return "\n\n".join(text for text in (several, depends) if text)


def _row(found: Match, stem: str, synth: Synth, target: Target) -> dict[str, Any]:
    names = _wav_names(stem, found)
    notes = [
        {"target": str(sound.path), "wav": name, **_note_row(note)}
        for sound, name, note in zip(target.sounds, names, found.notes, strict=True)
    ]
    return {
        "preset": f"{stem}{synth.suffix}",
        "wav": names[0],
        "note": notes[0]["note"],
        "gain": notes[0]["gain"],
        "distances": {
            "raw": found.raw.to_dict(),
            "level_matched": found.level_matched.to_dict(),
            "search": found.candidate.distance,
        },
        "notes": notes,
        "origin": found.candidate.origin,
        "parameters": synth.space.to_names(found.candidate.preset),
    }


def _note_row(played: MatchedNote) -> dict[str, Any]:
    note = played.note
    return {
        "note": {"pitch": note.pitch, "velocity": note.velocity, "seconds": note.duration},
        "gain": played.gain,
        "distances": {"raw": played.raw.to_dict(), "level_matched": played.level_matched.to_dict()},
    }


def comparisons(target: Target, matches: Sequence[Match], synth: Synth) -> tuple[Comparison, ...]:
    """For each note of a target, players of it and of its matches, with the preset files to download."""
    return tuple(_comparison(sound, number, matches, synth) for number, sound in enumerate(target.sounds))


def _comparison(target: Target, place: int, matches: Sequence[Match], synth: Synth) -> Comparison:
    sounds = []
    for number, found in enumerate(matches, 1):
        played = found.notes[place]
        note = played.note
        details = (
            f"play MIDI note {note.pitch} at velocity {note.velocity} for {note.duration:.2f} s",
            f"from {found.candidate.origin}",
        )
        sounds.append(
            Sound(
                "best match" if number == 1 else f"match {number}",
                played.audio,
                SAMPLE_RATE,
                details,
                played.level_matched.to_dict(),
                f"{_stem(number)}{synth.suffix}",
            )
        )
    return Comparison(target.path.name, Sound("target", target.audio, SAMPLE_RATE), tuple(sounds))
