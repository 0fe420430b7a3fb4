"""Estimators: the published loss schedules, gradients that reach categories, and what that is worth.

    python benchmarks/estimators.py CORPUS PROXY FOLDER [NAME …] [--voices 10000] [--epochs 40] [--seeds 3] [--most 256]
        [--sounds FOLDER …] [--audio-model NAME] [--threads N]

CORPUS holds hand-crafted presets with levels (`synthproxy import … --keep-levels`), PROXY is a checkpoint of a proxy of
the same synth and audio model. Best is one that was fine-tuned on the same split (`corpus.split` of its recipe: seed
42, by sound), so that nothing has learned from the presets of the test part, which all is judged by. Each estimator
learns from so many voices for so many epochs, with the published optimiser; of its checkpoints the one with the best
a_mean on validation presets is judged. So are the baselines. ``--sounds`` names folders of recorded sounds, for example
NSynth and what general_midi.py makes. Seeds are for ``mix`` and ``mix-soft``; the others have one.

Runs that are finished are not repeated: the same command goes on. With `--voices 1000 --epochs 12 --seeds 1 --most 64`
all of it takes a quarter of an hour on two cores, at its defaults a night.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from synthproxy.audio.base import AudioModel
from synthproxy.audio.io import resample
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus
from synthproxy.corpus.generate import BATCH, embed_batch
from synthproxy.corpus.parts import Split, rows_of_parts
from synthproxy.files import replace_file
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.estimators.baselines import mean_preset, nearest_by_levels, random_presets
from synthproxy.matching.estimators.checkpoint import load_estimator
from synthproxy.matching.estimators.decoding import GradientMode
from synthproxy.matching.estimators.evaluation import (
    AGAIN,
    MEAN,
    NEAREST,
    RANDOM,
    MatchScores,
    Targets,
    levels_of,
    score_matches,
    targets_of_corpus,
    targets_of_folder,
)
from synthproxy.matching.estimators.heard import HeardPresets
from synthproxy.matching.estimators.recipe import EstimatorRecipe
from synthproxy.matching.estimators.training import player_of, train_estimator
from synthproxy.matching.playing import Player, in_chunks
from synthproxy.matching.scores import mean_with_interval
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.report.tables import Cell, Table, to_markdown
from synthproxy.synths.space import Floats

IN_DOMAIN = "in domain"


@dataclass(frozen=True)
class Variant:
    """An estimator: the schedule of its losses, and how the perceptual one reaches its outputs."""

    schedule: str
    gradient: GradientMode = "published"
    snap: bool = False


VARIANTS = {
    "ploss": Variant("ploss"),
    "mix": Variant("mix"),
    "switch": Variant("switch"),
    "mix-soft": Variant("mix", "soft", snap=True),
    "switch-soft": Variant("switch", "soft", snap=True),
    "mix-snap": Variant("mix", "published", snap=True),
    "mix-soft-off-grid": Variant("mix", "soft"),
    "switch-soft-off-grid": Variant("switch", "soft"),
    "mix-straight-through-off-grid": Variant("mix", "straight-through"),
    "mix-straight-through": Variant("mix", "straight-through", snap=True),
    "mix-gumbel": Variant("mix", "gumbel", snap=True),
}
WITH_SEEDS = ("mix", "mix-soft")
PAIRS = (
    ("mix-soft", "mix"),
    ("mix-soft-off-grid", "mix"),
    ("mix-snap", "mix"),
    ("switch-soft", "switch"),
    ("mix-soft", "mix-snap"),
    ("mix-straight-through", "mix-snap"),
    ("mix-gumbel", "mix-snap"),
    ("mix-soft", "mix-soft-off-grid"),
    ("mix", "ploss"),
    ("mix-soft", "ploss"),
)
"""What is compared in the ablation: the first with the second."""
PUBLISHED = {
    "dexed-paper": {"ploss": 1.765, "mix": 1.625, "switch": 1.636},
    "diva": {"ploss": 2.096, "mix": 1.808, "switch": 1.717},
}
"""Best validation a_mean in the form that takes batches of 64, after 600 epochs of 22,000 and 7,700 presets."""


@dataclass(frozen=True)
class Optimiser:
    """Learning rate, betas, weight decay and label smoothing."""

    rate: float
    betas: tuple[float, float]
    decay: float
    smoothing: float


OPTIMISERS = {
    "dexed-paper": Optimiser(7e-3, (0.86, 0.98), 0.01, 0.02),
    "diva": Optimiser(3e-4, (0.91, 0.98), 0.3, 0.01),
}
OTHER = Optimiser(3e-3, (0.9, 0.98), 0.05, 0.01)


def recipe_of(variant: Variant, corpus: Corpus, seed: int, arguments: argparse.Namespace) -> EstimatorRecipe:
    optimiser = OPTIMISERS.get(corpus.info.synth, OTHER)
    steps = arguments.voices * arguments.epochs // 64
    losses = {"gradient": variant.gradient, "snap": variant.snap, "label_smoothing": optimiser.smoothing}
    data: dict[str, Any] = {
        "corpus": {"train": corpus.path, "split": Split(most=arguments.voices), "block": 4_096},
        "loss": {"schedule": variant.schedule, **losses},
        "proxy": {"checkpoint": arguments.proxy},
        "training": {
            "epochs": arguments.epochs,
            "learning_rate": optimiser.rate,
            "betas": optimiser.betas,
            "weight_decay": optimiser.decay,
            "epochs_per_validation": max(1, arguments.epochs // 20),
            "rendered": min(128, arguments.most),
            "seed": seed,
        },
        "schedule": {"kind": "plateau", "warmup_steps": min(500, steps // 10), "factor": 0.5, "patience": 3},
        "machine": {"threads": arguments.threads},
    }
    return EstimatorRecipe.model_validate(data)


@dataclass(frozen=True)
class Bench:
    """What everything is judged by: targets by the name of their kind, and what plays matches."""

    corpus: Corpus
    learned: HeardPresets
    player: Player
    targets: Mapping[str, Targets]
    arguments: argparse.Namespace

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Bench:
        corpus = Corpus.open(arguments.corpus)
        rows = rows_of_parts(corpus, Split(most=arguments.voices))
        learned = HeardPresets(corpus, rows["train"])
        player = player_of(learned)
        targets = {IN_DOMAIN: targets_of_corpus(corpus, rows["test"], player, arguments.most)}
        targets |= {folder.name: targets_of_folder(folder, player, arguments.most) for folder in arguments.sounds}
        return cls(corpus, learned, player, targets, arguments)

    def judged(self, presets: np.ndarray, targets: Targets) -> dict[str, Any]:
        """Scores of matches as plain data: of every clip, in batches, and of parameters."""
        name = self.arguments.audio_model
        scores = score_matches(presets, targets, self.player, get_audio_model(name) if name else None)
        return plain(scores)


def plain(scores: MatchScores) -> dict[str, Any]:
    return {
        "by_clip": {name: values.tolist() for name, values in scores.sounds.by_clip.items()},
        "in_batches": scores.sounds.in_batches.a_mean,
        "parameters": scores.parameters.to_dict() if scores.parameters else None,
    }


Judged = dict[str, dict[str, Any]]
"""What is known of one way to match, by kind of target."""


def keep_settings(arguments: argparse.Namespace) -> None:
    """Note what the results in the folder are of; end if they are of something else."""
    names = ("voices", "epochs", "most", "sounds", "audio_model")
    file, settings = arguments.folder / "settings.json", {name: str(getattr(arguments, name)) for name in names}
    if file.exists() and json.loads(file.read_text(encoding="utf8")) != settings:
        raise SystemExit(f"{arguments.folder} holds results with other settings; choose another folder")
    replace_file(file, json.dumps(settings))


def baselines(bench: Bench) -> dict[str, Judged]:
    file = bench.arguments.folder / "baselines.json"
    if not file.exists():
        known, found = bench.learned.presets(), dict[str, Judged]()
        mean = mean_preset(bench.corpus.info.space, known)
        for kind, targets in bench.targets.items():
            matches = {
                NEAREST: nearest_by_levels(levels_of(targets.audio), bench.learned),
                MEAN: np.tile(mean, (len(targets), 1)),
                RANDOM: random_presets(known, len(targets), seed=42),
            }
            if targets.presets is not None:
                matches[AGAIN] = targets.presets
            for name, presets in matches.items():
                found.setdefault(name, {})[kind] = bench.judged(presets, targets)
        replace_file(file, json.dumps(found))
    read: dict[str, Judged] = json.loads(file.read_text(encoding="utf8"))
    return read


def run(name: str, seed: int, bench: Bench) -> Judged:
    """Train one estimator, and judge it."""
    folder = bench.arguments.folder / f"{name}-{seed}"
    file = folder / "judged.json"
    if not file.exists():
        result = train_estimator(recipe_of(VARIANTS[name], bench.corpus, 42 + seed, bench.arguments), folder)
        if result.status == "stopped":
            raise SystemExit(result.message)
        estimator, _ = load_estimator(folder / "best_a_mean.safetensors")
        found = {
            kind: bench.judged(estimator.estimate(targets.audio), targets) for kind, targets in bench.targets.items()
        }
        replace_file(file, json.dumps(found))
        print(
            f"{name}-{seed}: {result.seconds / 60:.1f} min, best validation a_mean {result.best['a_mean']:.3f}",
            flush=True,
        )
    read: Judged = json.loads(file.read_text(encoding="utf8"))
    return read


def beliefs(name: str, seed: int, bench: Bench) -> dict[str, list[float]]:
    """Of matches in domain: how near the proxy believes they are, how near they are, and how wrong it is of each."""
    folder = bench.arguments.folder / f"{name}-{seed}"
    file = folder / "beliefs.json"
    if not file.exists():
        targets = bench.targets[IN_DOMAIN]
        estimator, _ = load_estimator(folder / "best_a_mean.safetensors")
        replace_file(file, json.dumps(believed(estimator.estimate(targets.audio), targets, bench)))
    read: dict[str, list[float]] = json.loads(file.read_text(encoding="utf8"))
    return read


def believed(presets: Floats, targets: Targets, bench: Bench) -> dict[str, list[float]]:
    """See :func:`beliefs`; distances are those of embeddings by the proxy's audio model, one of each clip."""
    proxy, info = load_checkpoint(bench.arguments.proxy)
    model = get_audio_model(info.setting.audio_model)
    sounds, _ = bench.player.play(presets)
    wanted, heard = (embedded(model, audio) for audio in (targets.audio, sounds))
    thought = proxy.embed(presets)
    pairs = {"believed": (thought, wanted), "true": (heard, wanted), "error": (thought, heard)}
    return {name: np.abs(one - other).mean(axis=1).tolist() for name, (one, other) in pairs.items()}


def embedded(model: AudioModel, audio: Floats) -> Floats:
    at_rate = resample(audio, SAMPLE_RATE, model.sample_rate)
    return np.concatenate([embed_batch(model, at_rate[part]) for part in in_chunks(len(audio), BATCH)])


def belief_table(runs: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, of_seeds in runs.items():
        means = [float(np.mean([found[key] for found in of_seeds])) for key in ("believed", "true", "error")]
        rows.append((name, *means))
    columns = ("", "believed by the proxy", "true", "error of the proxy")
    return Table("Embedding distance of matches in domain", columns, tuple(rows))


def clips(runs: Sequence[Judged], kind: str, score: str) -> np.ndarray:
    """A score of every clip, the mean over seeds: (clips,)."""
    return np.asarray(np.mean([one[kind]["by_clip"][score] for one in runs], axis=0))


def interval(values: np.ndarray) -> str:
    found = mean_with_interval(values).interval
    return f"{found.low:.3f} to {found.high:.3f}"


def sound_table(kind: str, found: Mapping[str, Sequence[Judged]], bench: Bench) -> Table:
    shown = ["a_mean_level_matched", "stft", "mstft", "mel", "mfccd", "envelope_correlation", "transport"]
    shown += ["embedding"] if bench.arguments.audio_model else []
    published = PUBLISHED.get(bench.corpus.info.synth, {}) if kind == IN_DOMAIN else {}
    rows: list[tuple[Cell, ...]] = []
    for name, runs in found.items():
        if kind not in runs[0]:
            continue  # Who made a recorded sound is not known.
        values = clips(runs, kind, "a_mean")
        of_seeds = float(np.std([np.mean(one[kind]["by_clip"]["a_mean"]) for one in runs], ddof=1)) if runs[1:] else ""
        others = [float(clips(runs, kind, score).mean()) for score in shown]
        in_batches = float(np.mean([one[kind]["in_batches"] for one in runs]))
        row = (name, float(values.mean()), interval(values), of_seeds, *others, in_batches, published.get(name, ""))
        rows.append(row if published else row[:-1])
    columns = ["", "a_mean", "95 %", "SD of seeds", "level-matched", "STFT", "mSTFT", "mel", "MFCCD", "envelope"]
    columns += ["transport", *(["embedding"] if bench.arguments.audio_model else []), "a_mean of 64"]
    columns += ["published, validation"] if published else []
    title = f"Estimators of {bench.corpus.info.synth}, {kind}: {len(bench.targets[kind])} sounds"
    return Table(title, tuple(columns), tuple(rows), best={"a_mean": "lowest"})


def parameter_table(found: Mapping[str, Sequence[Judged]]) -> Table:
    keys = ("numerical_error", "binary_accuracy", "categorical_accuracy", "pooled_accuracy")
    rows = []
    for name, runs in found.items():
        all_of = [[one[IN_DOMAIN]["parameters"][key] for one in runs] for key in keys]
        rows.append((name, *("" if None in values else float(np.mean(values)) for values in all_of)))
    columns = ("", "numerical MAE", "binary accuracy", "categorical accuracy", "pooled")
    return Table("Parameters, in domain", columns, tuple(rows))


def ablation_table(found: Mapping[str, Sequence[Judged]], bench: Bench) -> Table:
    """Differences of the same clips, with intervals over clips: negative where the first is nearer."""
    rows: list[tuple[Cell, ...]] = []
    for one, other in PAIRS:
        if one not in found or other not in found:
            continue
        cells: list[Cell] = [f"{one} − {other}"]
        for kind in bench.targets:
            # As many seeds of each, so that neither gains from being averaged over more.
            seeds = min(len(found[one]), len(found[other]))
            first, second = (clips(found[name][:seeds], kind, "a_mean") for name in (one, other))
            cells += [float((first - second).mean()), interval(first - second)]
        right = [
            np.mean([run[IN_DOMAIN]["parameters"]["categorical_accuracy"] for run in found[name]])
            for name in (one, other)
            if found[name][0][IN_DOMAIN]["parameters"]["categorical_accuracy"] is not None
        ]
        rows.append((*cells, float(right[0] - right[1]) if right else ""))
    columns = [""]
    for kind in bench.targets:
        columns += [f"a_mean, {kind}", f"95 %, {kind}"]
    return Table("What it is worth", (*columns, "categorical accuracy"), tuple(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("proxy", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--voices", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=256)
    parser.add_argument("--sounds", type=Path, nargs="*", default=[])
    parser.add_argument("--audio-model")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    keep_settings(arguments)
    bench = Bench.of(arguments)
    found: dict[str, list[Judged]] = {name: [judged] for name, judged in baselines(bench).items()}
    for name in arguments.names:
        seeds = arguments.seeds if name in WITH_SEEDS else 1
        found[name] = [run(name, seed, bench) for seed in range(seeds)]
    tables = [sound_table(kind, found, bench) for kind in bench.targets]
    known = {name: [beliefs(name, seed, bench) for seed in range(len(found[name]))] for name in arguments.names}
    in_domain = bench.targets[IN_DOMAIN]
    if in_domain.presets is not None:
        known[AGAIN] = [believed(in_domain.presets, in_domain, bench)]
    tables += [parameter_table(found), ablation_table(found, bench), belief_table(known)]
    text = "\n".join(to_markdown(table) for table in tables)
    print(text)
    replace_file(arguments.folder / "estimators.md", text)
    print(describe_machine())


if __name__ == "__main__":
    main()
