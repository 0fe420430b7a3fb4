"""How near matches come to sounds, beside other ways to find a preset, and what each stage adds.

    python benchmarks/match.py SOUNDS FOLDER [METHOD …] [--seconds 60 | --renders N] [--bank BANK] [--proposer FILE]
        [--estimator NAME=FILE …] [--audio-model NAME] [--most 60] [--pitch 60 --duration 2]

SOUNDS is a folder of sound files, each a note: voices that split_voices.py held out, NSynth, what general_midi.py
makes. They are cut to 5 s. How near each method came to each is kept in ``FOLDER/METHOD.csv``, and not looked for
again; sounds of it lie in ``FOLDER/METHOD``, so that `synthproxy listen` can set them side by side. Without
``--proposer`` that which is shipped for the synth is asked. Every preset file is read again and played, those of Dexed
by ``dexed-py`` alone; the last column is the mean of the largest differences between that and the WAV.

The tables of RESULTS.md are of the files in ``benchmarks/measured``: copy a folder of these to FOLDER to go on from
there, or to see its table again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from cmaes import CMA
from dexed import DexedSynth, Patch
from machine import describe_machine
from numpy.typing import NDArray

from synthproxy.audio.base import AudioModel
from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Bank
from synthproxy.corpus.sounds import find_sounds, read_clip
from synthproxy.files import make_folder, replace_file
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate, nearest
from synthproxy.matching.distances import SAMPLE_RATE, distances, matching_gain
from synthproxy.matching.estimators.proposing import TrainedEstimator
from synthproxy.matching.match import match
from synthproxy.matching.propose import Sources
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.retrieval import retrieve
from synthproxy.matching.scores import embedding_distances, mean_with_interval, score_pair
from synthproxy.matching.search import SearchSettings, random_candidates
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.shipped import shipped_presets, shipped_proposer
from synthproxy.matching.target import Target, read_target
from synthproxy.report.tables import Cell, Table, to_csv, to_markdown
from synthproxy.synths import Note, Synth, get_synth
from synthproxy.synths.base import NamedPreset
from synthproxy.synths.dx7_voice import read_voices
from synthproxy.synths.readable import save_presets
from synthproxy.workers import independent_workers

SECONDS = 5.0
PLAYED = "preset against .wav"
SOUND = "sound"
CHILDREN = 32
COLD_STEP = 0.3
"""Standard deviation of CMA-ES that knows nothing: of parameters from 0 to 1, about the middle."""


@dataclass(frozen=True)
class Means:
    """What methods may use, and what they are judged by beside the distances."""

    synth: Synth
    proposer: TrainedProposer | None
    bank: Bank | None
    seed: int
    audio_model: AudioModel | None

    def banks(self) -> Sequence[Bank]:
        if self.bank is None:
            raise SystemExit("this method needs --bank")
        return (self.bank,)


Method = Callable[[Means, Target, Budget], Candidate]


def staged(*, proposed: bool = True, shipped: bool = True, bank: bool = False, **settings: Any) -> Method:
    """A match by :func:`synthproxy.matching.match.match`, some of its stages or sources left out."""

    def find(means: Means, target: Target, budget: Budget) -> Candidate:
        found = match(
            means.synth,
            target,
            budget,
            sources=Sources(
                means.banks() if bank else (),
                proposer=means.proposer if proposed else None,
                presets=shipped_presets(means.synth) if shipped else None,
            ),
            settings=replace(MatchSettings(seed=means.seed), **settings),
        )
        return found.matches[0].candidate

    return find


def by_chance(means: Means, target: Target, budget: Budget) -> Candidate:
    """The nearest of random presets."""
    generator, best = np.random.default_rng(means.seed), list[Candidate]()
    with independent_workers(), Bench(means.synth, target.audio) as bench:
        while not best or budget.used(bench.renders) < 1:
            drawn = random_candidates(means.synth.space, target.notes, CHILDREN, generator)
            best = nearest([*best, *bench.score(drawn)], 1)
    return best[0]


def by_looking_up(means: Means, target: Target, budget: Budget) -> Candidate:  # noqa: ARG001
    """The nearest presets of the bank by embedding, of which the nearest by sound."""
    with independent_workers(), Bench(means.synth, target.audio) as bench:
        return nearest(bench.score(retrieve(means.banks()[0], means.synth, target, CHILDREN)), 1)[0]


def by_cold_evolution_strategy(means: Means, target: Target, budget: Budget) -> Candidate:
    """CMA-ES over all parameters at once, from the middle; categories are the nearest to a number."""
    space, best = means.synth.space, list[Candidate]()
    most = np.asarray([max(p.cardinality - 1, 1) if p.kind.name == "CATEGORICAL" else 1.0 for p in space.free])
    with independent_workers(), Bench(means.synth, target.audio) as bench:
        while not best or budget.used(bench.renders) < 1:
            optimiser = CMA(
                mean=np.full(space.size, 0.5),
                sigma=COLD_STEP,
                bounds=np.tile([0.0, 1.0], (space.size, 1)),
                seed=means.seed + bench.renders,
                population_size=CHILDREN,
            )
            while budget.used(bench.renders) < 1 and not optimiser.should_stop():
                asked = [optimiser.ask() for _ in range(CHILDREN)]
                children = [Candidate(space.snap(values * most), target.notes[0], "cold") for values in asked]
                scored = bench.score(children)
                optimiser.tell([(x, min(c.distance, 1e6)) for x, c in zip(asked, scored, strict=True)])
                best = nearest([*best, *scored], 1)
    return best[0]


def by_estimator(checkpoint: Path) -> Method:
    """What an estimator says of the sound, at the nearest of the notes that it may be."""
    estimator = TrainedEstimator.load(checkpoint)

    def find(means: Means, target: Target, budget: Budget) -> Candidate:  # noqa: ARG001
        with independent_workers(), Bench(means.synth, target.audio) as bench:
            return nearest(bench.score(estimator.propose(means.synth, target)), 1)[0]

    return find


METHODS: Mapping[str, Method] = {
    "ours": staged(),
    "ours-and-bank": staged(bank=True),
    "without-runners-up": staged(top=1),
    "without-proposer": staged(proposed=False),
    "without-shipped-presets": staged(shipped=False),
    "without-both": staged(proposed=False, shipped=False),
    "without-islands": staged(apart_until=0.0),
    "with-64-candidates": staged(search=SearchSettings(population=64)),
    "without-rewiring": staged(search=SearchSettings(copy=0.0, shift=0.0, rewire=0.0)),
    "without-search": staged(search_until=0.25),
    "without-refinement": staged(search_until=1.0, refine_until=1.0),
    "all-proposals-first": staged(propose_until=1.0),
    "genetic": staged(proposed=False, shipped=False, bank=True, apart_until=0.0, search_until=1.0, refine_until=1.0),
    "nearest-in-bank": by_looking_up,
    "cold-cma-es": by_cold_evolution_strategy,
    "random": by_chance,
}


def played_again(synth: Synth, preset: Path, note: Note, sound: Path) -> float:
    """Largest difference between a WAV and its preset file, read again and played at the level of the WAV."""
    written = read_clip(sound, SAMPLE_RATE, SECONDS)
    seconds = len(written) / SAMPLE_RATE
    if preset.suffix == ".syx":
        engine = DexedSynth(SAMPLE_RATE)
        engine.load_patch(Patch.from_sysex(read_voices(preset)[0].unpacked))
        audio = engine.render(note.pitch, note.velocity, note.duration, seconds)
    else:
        audio = synth.render(synth.read_presets(preset, note)[0].vector, note, seconds, SAMPLE_RATE)
    return float(np.abs(audio * matching_gain(audio, written) - written).max())


def scores_of(means: Means, found: Candidate, target: Target) -> tuple[dict[str, float], Any]:
    """How near it is, and its sound at the target's level."""
    audio = means.synth.render(found.preset, found.note, target.seconds, SAMPLE_RATE)
    levelled = (audio * np.float32(matching_gain(audio, target.audio))).astype(np.float32)
    pair = dict(score_pair(levelled, target.audio).scores)
    scores = {**pair, "raw": distances(audio, target.audio).a_mean}
    if means.audio_model:
        scores["embedding"] = float(embedding_distances(means.audio_model, levelled[None], target.audio[None])[0])
    return scores, levelled


def find_all(name: str, method: Method, means: Means, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Scores of each sound, in the order of the sounds."""
    folder, table = make_folder(arguments.folder / name), arguments.folder / f"{name}.csv"
    known = read_scores(table) if table.exists() else {}
    targets = targets_of(arguments)
    for path in targets:
        if path.stem not in known:
            target = read_target(path, pitch=arguments.pitch, duration=arguments.duration)
            budget = Budget(None if arguments.renders else arguments.seconds, arguments.renders)
            found = method(means, target, budget)
            scores, audio = scores_of(means, found, target)
            write_audio(sound := folder / path.name, audio, SAMPLE_RATE)
            save_presets(
                means.synth,
                preset := sound.with_suffix(means.synth.suffix),
                [NamedPreset(found.preset, path.stem[:10], str(path))],
            )
            scores[PLAYED] = played_again(means.synth, preset, found.note, sound)
            known[path.stem] = {**scores, "pitch": found.note.pitch, "duration": found.note.duration}
            write_scores(table, known)
            print(f"{name}, {path.stem}: {scores['a_mean']:.3f}", flush=True)
    return [known[path.stem] for path in targets]


def read_scores(table: Path) -> dict[str, dict[str, float]]:
    """Scores by sound."""
    with table.open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row.pop(SOUND): {key: float(value) for key, value in row.items() if value} for row in rows}


def write_scores(table: Path, scores: Mapping[str, Mapping[str, float]]) -> None:
    keys = list(dict.fromkeys(chain(*scores.values())))
    rows: list[tuple[Cell, ...]] = []
    for sound, row in scores.items():
        rows.append((sound, *(float(f"{row[key]:.6g}") if key in row else "" for key in keys)))
    replace_file(table, to_csv(Table(table.stem, (SOUND, *keys), tuple(rows))))


def targets_of(arguments: argparse.Namespace) -> list[Path]:
    """The sounds, cut to 5 s, in ``FOLDER/target``."""
    folder = make_folder(arguments.folder / "target")
    chosen = find_sounds(arguments.sounds)[: arguments.most]
    paths = [folder / f"{sound.stem.replace('/', ' ')}.wav" for sound in chosen]
    for sound, path in zip(chosen, paths, strict=True):
        if not path.exists():
            write_audio(path, read_clip(sound.path, SAMPLE_RATE, SECONDS), SAMPLE_RATE)
    return paths


def column(rows: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    return np.asarray([row[key] for row in rows])


def score_table(found: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> Table:
    others = ("raw", "stft", "mstft", "mel", "mfccd", "transport", "envelope_correlation", "embedding", PLAYED)
    known = [key for key in others if all(key in row for rows in found.values() for row in rows)]
    rows: list[tuple[Cell, ...]] = []
    for name, scores in found.items():
        mean = mean_with_interval(column(scores, "a_mean"))
        interval = f"{mean.interval.low:.3f} to {mean.interval.high:.3f}"
        means = [float(column(scores, key).mean()) for key in known]
        rows.append((name, mean.mean, interval, float(np.median(column(scores, "a_mean"))), *means))
    columns = ("", "a_mean", "95 %", "median", *(key.replace("_", " ") for key in known))
    return Table(title, columns, tuple(rows), best={"a_mean": "lowest"})


def difference_table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """What the others lack of the first, for the same sounds."""
    (first, best), *others = found.items()
    rows = []
    for name, scores in others:
        mean = mean_with_interval(column(scores, "a_mean") - column(best, "a_mean"))
        nearer = float((column(best, "a_mean") < column(scores, "a_mean")).mean())
        rows.append((name, mean.mean, f"{mean.interval.low:+.3f} to {mean.interval.high:+.3f}", f"{nearer:.0%}"))
    return Table(f"Farther than {first} by", ("", "a_mean", "95 %", f"{first} is nearer"), tuple(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("methods", nargs="*", metavar="METHOD")
    parser.add_argument("--synth", default="dexed")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--renders", type=int)
    parser.add_argument("--proposer", type=Path)
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--estimator", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--audio-model")
    parser.add_argument("--most", type=int, default=60)
    parser.add_argument("--pitch", type=int)
    parser.add_argument("--duration", type=float)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_intermixed_args()
    synth = get_synth(arguments.synth)
    proposer = arguments.proposer or shipped_proposer(synth)
    means = Means(
        synth,
        TrainedProposer.load(proposer) if proposer else None,
        Bank.open(arguments.bank) if arguments.bank else None,
        arguments.seed,
        get_audio_model(arguments.audio_model) if arguments.audio_model else None,
    )
    estimators = dict(entry.split("=", 1) for entry in arguments.estimator)
    methods = {**METHODS, **{name: by_estimator(Path(file)) for name, file in estimators.items()}}
    names = arguments.methods or ["ours", *estimators]
    found = {name: find_all(name, methods[name], means, arguments) for name in names}
    limit = f"{arguments.renders:,} renders" if arguments.renders else f"{arguments.seconds:g} s"
    title = f"{len(next(iter(found.values())))} sounds of {arguments.sounds.name}, {limit} each, at matched level"
    print(to_markdown(score_table(found, title)))
    if len(found) > 1:
        print(to_markdown(difference_table(found)))
    print(describe_machine())


if __name__ == "__main__":
    main()
