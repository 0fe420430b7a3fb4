"""Each step of the demo, with what it has to say. Every number is computed in the run that shows it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
from rich.markup import escape

from synthproxy.audio.io import read_audio, write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, generate
from synthproxy.demo.targets import TARGETS
from synthproxy.files import make_folder
from synthproxy.matching.budget import Budget
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.progress import counting
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.evaluation import Evaluation, Protocol, evaluate
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.recipe import CorpusChoice, Optimisation, ProxyChoice, TrainingRecipe
from synthproxy.proxies.training import train
from synthproxy.report.content import Comparison, Figure, Page, Section, Sound
from synthproxy.report.match_folder import MatchOrder, run_match
from synthproxy.report.page import write_page
from synthproxy.report.plots import ON_DARK, learning_curve
from synthproxy.report.scores import score_table
from synthproxy.report.tables import Table, to_terminal
from synthproxy.synths import get_synth
from synthproxy.training.options import Machine
from synthproxy.training.schedule import CosineSchedule

SYNTH, AUDIO_MODEL, PROXY = "dexed-paper", "mel", "gtf"


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does; the defaults take some minutes on two cores."""

    training: int = 8192
    validation: int = 1024
    epochs: int = 16
    training_minutes: float = 1.5
    targets: Sequence[str] = tuple(TARGETS)


def run_demo(folder: Path, *, seconds_per_match: float = 20.0, size: DemoSize | None = None) -> Path:
    """Run the demo in a folder, or continue it there, and return the path of its page."""
    size = size or DemoSize()
    Budget(seconds=seconds_per_match)  # Refused now, not after minutes.
    begun = time.monotonic()
    make_folder(folder)
    training, validation = _make_corpora(folder, size)
    run_folder, evaluation = _train(folder, size, training, validation)
    comparisons, table = _match(folder, size, run_folder, seconds_per_match)
    minutes = (time.monotonic() - begun) / 60
    page = folder / "index.html"
    write_page(page, _page(training, evaluation, run_folder, comparisons, table, minutes))
    return page


def _say(text: str) -> None:
    rich.print(f"\n[bold]{escape(text)}[/bold]")


def _make_corpora(folder: Path, size: DemoSize) -> tuple[Corpus, Corpus]:
    count = size.training + size.validation
    _say(f"1  Presets: {count:,} of {SYNTH}, drawn, rendered by the Dexed engine, heard by {AUDIO_MODEL}")
    synth, model = get_synth(SYNTH), get_audio_model(AUDIO_MODEL)
    made = []
    for seed, (name, count) in enumerate((("training", size.training), ("validation", size.validation)), 1):
        path = folder / "corpora" / name
        begun = time.monotonic()
        with counting(name, count) as progress:
            result = generate(path, synth, model, size=count, seed=seed, progress=progress)
        speed = f" at {result.made / (time.monotonic() - begun):.0f}/s" if result.made else ""
        print(f"   {name}: {count:,} presets{speed}, one in {result.draws_per_preset:.1f} draws is audible")
        made.append(Corpus.open(path))
    return made[0], made[1]


def _train(folder: Path, size: DemoSize, training: Corpus, validation: Corpus) -> tuple[Path, Evaluation]:
    _say(f"2  A proxy: {PROXY} learns to tell from a preset what {AUDIO_MODEL} would hear")
    recipe = TrainingRecipe(
        proxy=ProxyChoice(name=PROXY),
        corpus=CorpusChoice(train=training.path, validation=validation.path),
        training=Optimisation(
            batch_size=64, epochs=size.epochs, learning_rate=3e-3, betas=(0.93, 0.987), validations_per_epoch=1
        ),
        schedule=CosineSchedule(kind="cosine"),
        machine=Machine(max_minutes=size.training_minutes),
    )
    run_folder = folder / "proxy"
    print(f"   {train(recipe, run_folder).message}")
    proxy, _ = load_checkpoint(run_folder / "best_mrr.safetensors")
    examples = Examples.from_corpus(validation)
    protocol = Protocol(gallery=len(examples), runs=1)
    evaluation = evaluate(proxy, examples, training=Examples.from_corpus(training), protocol=protocol)
    rich.print(to_terminal(score_table(evaluation)))
    return run_folder, evaluation


def _match(folder: Path, size: DemoSize, run_folder: Path, seconds: float) -> tuple[tuple[Comparison, ...], Table]:
    _say(f"3  Matches: {len(size.targets)} sounds, {seconds:.0f} seconds each, on the real engine")
    comparisons, rows = [], []
    for name in size.targets:
        stem = name.replace(" ", "-")
        target = folder / "targets" / f"{stem}.wav"
        make_folder(target.parent)
        write_audio(target, TARGETS[name](SAMPLE_RATE), SAMPLE_RATE)
        order = MatchOrder(
            target,
            seconds=seconds,
            top=3,
            corpora=(folder / "corpora" / "training",),
            proxy=run_folder / "best_mrr.safetensors",
        )
        result = run_match(order, folder / "matches" / stem)
        comparisons.append(_listen(folder, name, target, result))
        best, first = result["candidates"][0], result["nearest_proposal"]
        values = best["distances"]["level_matched"]
        rows.append((name, first["a_mean"], values["a_mean"], values["mel"], values["mfccd"], result["renders"]))
        print(f"   {name}: a_mean {first['a_mean']:.2f} → {values['a_mean']:.2f}")
    columns = ("target", "nearest proposal, a_mean", "match, a_mean", "match, mel", "match, mfccd", "sounds rendered")
    caption = (
        "Published distances, at matched level; lower is closer. The search minimises a quicker relative of a_mean."
    )
    return tuple(comparisons), Table("Distances", columns, tuple(rows), caption)


def _listen(folder: Path, name: str, target: Path, result: dict[str, Any]) -> Comparison:
    place = folder / "matches" / target.stem
    sounds = []
    for number, row in enumerate(result["candidates"], 1):
        note = row["note"]
        preset = place / row["preset"]
        sounds.append(
            Sound(
                "best match" if number == 1 else f"match {number}",
                read_audio(place / row["wav"]).samples,
                SAMPLE_RATE,
                (f"play note {note['pitch']} for {note['seconds']:.2f} s", f"from {row['origin']}"),
                row["distances"]["level_matched"],
                f"{target.stem}-{number}.syx",
                preset.read_bytes(),
            )
        )
    return Comparison(name, Sound("target", read_audio(target).samples, SAMPLE_RATE), tuple(sounds))


def _page(
    training: Corpus,
    evaluation: Evaluation,
    run_folder: Path,
    comparisons: tuple[Comparison, ...],
    table: Table,
    minutes: float,
) -> Page:
    space = training.info.space
    learned = Section(
        "What the proxy learned",
        f"{len(training):,} presets of {SYNTH} ({space.size} free parameters) were drawn, rendered by the Dexed engine "
        f"and embedded by the audio model {AUDIO_MODEL}. The proxy, {PROXY}, maps a preset to that embedding without "
        "rendering it. Here it is asked which of many presets made a sound it has never met.",
        (score_table(evaluation), _curve(evaluation, run_folder)),
    )
    found = Section(
        "Sounds and the presets that make them",
        "Five targets that belong to no corpus: two DX7 voices, and three sounds that no DX7 made. Each match is a "
        ".syx file that opens in a DX7 or in Dexed. Candidates come from the corpus, from the proxy, and from the "
        "proposer and the presets that come with the package; they are rendered, bred and refined on the real engine "
        "until the time is up.",
        (table, *comparisons),
    )
    introduction = (
        f"Everything on this page was made in this run, in {minutes:.1f} minutes: presets, sounds, network, scores "
        "and matches.\n\nPress space to play, and the number keys to switch between a target and its matches at the "
        "same moment."
    )
    return Page("synthproxy demo", introduction, (found, learned))


def _curve(evaluation: Evaluation, run_folder: Path) -> Figure:
    points = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    baselines = {
        "mrr": {name: score.validation.mrr for name, score in evaluation.baselines.items()},
        "l1": {name: score.l1 for name, score in evaluation.baselines.items()},
    }
    light = learning_curve(points, baselines=baselines)
    dark = learning_curve(points, baselines=baselines, palette=ON_DARK)
    first, last = points[0], points[-1]
    text = (
        f"Two curves against presets seen: MRR goes from {first['mrr']:.3f} to {last['mrr']:.3f}, "
        f"L1 from {first['l1']:.3f} to {last['l1']:.3f}."
    )
    return Figure("Learning", light, text, "Validation during training; dashed lines are the baselines.", dark)
