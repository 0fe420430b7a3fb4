"""All proxies at equal wall time, and at equal presets seen.

    python benchmarks/proxies.py CORPORA FOLDER [NAME …] [--minutes 10] [--seen 51200] [--seeds 1] [--only time|seen]

CORPORA holds the corpora ``train`` and ``validation`` (`synthproxy generate`) and, if there is one, ``handcrafted``
(`synthproxy import`), which nothing is trained on. Each proxy has its published batch size, learning rate and betas,
and one cosine that ends with its run; the transformer of the paper is tried with small batches too, as ours has them.
At equal time a proxy is first measured for some seconds, and then given as many presets as it can learn from in so many
minutes on this machine: over and over where that is more than there are, a part of the corpus where it is less. The
last checkpoint is judged, which was chosen by nothing. Runs that are finished are not repeated: the same command goes
on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from machine import describe_machine

from synthproxy.corpus import Corpus
from synthproxy.proxies import count_parameters, make_proxy
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.evaluation import Protocol, mean_absolute_error, validation_score
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.losses import embedding_loss
from synthproxy.proxies.ranking import Embeddings, mean_reciprocal_rank, ranks_against_all, recall
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.tokens import to_soft
from synthproxy.proxies.training import train_on_examples
from synthproxy.report.tables import Cell, Table, to_markdown

Comparison = Literal["time", "seen"]
TRIALS, SECONDS_OF_TRIAL = 3, 8.0
GALLERY, GALLERIES = 4_096, 5


@dataclass(frozen=True)
class Settings:
    """How a proxy is trained: its architecture, batch size, peak learning rate, betas, epsilon."""

    proxy: str
    batch: int
    rate: float
    betas: tuple[float, float]
    epsilon: float = 2e-7
    ranking: float = 0.0


SETTINGS = {
    "gtf": Settings("gtf", 64, 3e-3, (0.93, 0.987), ranking=0.01),
    "gtf-by-distance": Settings("gtf", 64, 3e-3, (0.93, 0.987)),
    "hn-oh": Settings("hn-oh", 512, 4e-3, (0.93, 0.987)),
    "hn-oh-ranking": Settings("hn-oh", 512, 4e-3, (0.93, 0.987), ranking=0.01),
    "hn-pt": Settings("hn-pt", 512, 7e-3, (0.78, 0.97), 3e-7),
    "hn-ptgru": Settings("hn-ptgru", 512, 1.5e-3, (0.775, 0.978), 3e-7),
    "mlp-oh": Settings("mlp-oh", 512, 1.2e-2, (0.78, 0.998), 8e-6),
    "mlp-raw": Settings("mlp-raw", 512, 4e-3, (0.9, 0.99)),
    "rn-oh": Settings("rn-oh", 512, 2e-3, (0.9, 0.99)),
    "gru-oh": Settings("gru-oh", 256, 1e-3, (0.9, 0.99)),
    "tfm": Settings("tfm", 256, 1e-3, (0.91, 0.987), 2e-8),
    "tfm-64": Settings("tfm", 64, 5e-4, (0.91, 0.987), 2e-8),
}
PUBLISHED = {
    "dexed-paper": {
        "mlp-oh": (0.4685, 0.0951),
        "hn-pt": (0.7542, 0.0663),
        "hn-oh": (0.8065, 0.0603),
        "hn-ptgru": (0.8899, 0.0506),
        "tfm": (0.9537, 0.0433),
    }
}
"""MRR and L1 after 30 epochs of 10,240,000 presets, by windowed ``mn04``."""


def presets_per_second(name: str, training: Examples, seconds: float = SECONDS_OF_TRIAL) -> tuple[float, float]:
    """Presets learned from, and embedded, a second."""
    settings, space = SETTINGS[name], training.setting.space
    torch.manual_seed(0)
    proxy = make_proxy(settings.proxy, space, training.dimension)
    optimiser = torch.optim.AdamW(proxy.parameters(), lr=settings.rate, fused=True)
    rows = np.arange(settings.batch) % len(training)
    presets, wanted = torch.from_numpy(training.presets[rows]), torch.from_numpy(training.embeddings[rows])
    rates = []
    for learns in (True, False):
        proxy.train(learns)
        done, begun = 0, 0.0
        while done < 2 * settings.batch or time.monotonic() - begun < seconds / 2:
            if done == settings.batch:  # The first batch warms up.
                begun = time.monotonic()
            with torch.set_grad_enabled(learns):
                predicted = proxy(to_soft(space, presets))
                if learns:
                    embedding_loss(predicted, wanted, "l1", settings.ranking).backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
                    optimiser.zero_grad()
            done += settings.batch
        rates.append((done - settings.batch) / (time.monotonic() - begun))
    return rates[0], rates[1]


def recipe_of(name: str, epochs: int, steps: int, seed: int) -> TrainingRecipe:
    settings = SETTINGS[name]
    data: dict[str, Any] = {
        "proxy": {"name": settings.proxy},
        "corpus": {"train": "train", "validation": "validation"},
        "training": {
            "batch_size": settings.batch,
            "epochs": epochs,
            "learning_rate": settings.rate,
            "betas": settings.betas,
            "epsilon": settings.epsilon,
            "ranking": settings.ranking,
            "validations_per_epoch": 1,
            "seed": seed,
        },
        "schedule": {"kind": "cosine", "warmup_steps": min(200, steps // 10)},
    }
    return TrainingRecipe.model_validate(data)


@dataclass(frozen=True)
class Corpora:
    """What is learned from, and what it is judged by."""

    training: Examples
    validation: Examples
    handcrafted: Examples | None

    @classmethod
    def of(cls, folder: Path) -> Corpora:
        read = [Examples.from_corpus(Corpus.open(folder / name)) for name in ("train", "validation")]
        voices = folder / "handcrafted"
        return cls(read[0], read[1], Examples.from_corpus(Corpus.open(voices)) if voices.exists() else None)


def run(name: str, corpora: Corpora, seen: int, seed: int, folder: Path) -> dict[str, float]:
    """Train on about so many presets, and judge."""
    file, training = folder / "judged.json", corpora.training
    if not file.exists():
        epochs = max(1, round(seen / len(training)))
        part = training.first(min(len(training), round(seen / epochs)))
        steps = epochs * (len(part) // SETTINGS[name].batch)
        result = train_on_examples(recipe_of(name, epochs, steps, seed), part, corpora.validation, folder)
        if result.status == "stopped":
            raise SystemExit(result.message)
        judged = judge(folder / "last.safetensors", corpora)
        judged |= {"seen": result.step * SETTINGS[name].batch, "minutes": result.seconds / 60}
        file.write_text(json.dumps(judged), encoding="utf8")
    found: dict[str, float] = json.loads(file.read_text(encoding="utf8"))
    return found


def judge(checkpoint: Path, corpora: Corpora) -> dict[str, float]:
    proxy, _ = load_checkpoint(checkpoint)
    predicted, true = proxy.embed(corpora.validation.presets), corpora.validation.embeddings
    ranked = validation_score(predicted, true, Protocol())
    judged = {
        "mrr": ranked.mrr,
        "mrr_interval": (ranked.interval.high - ranked.interval.low) / 2,
        "l1": mean_absolute_error(predicted, true),
        **in_galleries(predicted, true, ""),
    }
    if corpora.handcrafted is not None:
        predicted, true = proxy.embed(corpora.handcrafted.presets), corpora.handcrafted.embeddings
        judged |= {"voices_l1": mean_absolute_error(predicted, true), **in_galleries(predicted, true, "voices_")}
    return judged


def in_galleries(predicted: Embeddings, true: Embeddings, prefix: str) -> dict[str, float]:
    """Presets looked up among the sounds of random galleries."""
    found = []
    for run in range(GALLERIES):
        rows = np.random.default_rng(42 + run).permutation(len(true))[:GALLERY]
        found.append(ranks_against_all(predicted[rows], true[rows]))
    scores = [mean_reciprocal_rank(ranks) for ranks in found]
    return {
        f"{prefix}mrr_of_all": float(np.mean(scores)),
        f"{prefix}deviation": float(np.std(scores)),
        f"{prefix}recall_1": float(np.mean([recall(ranks, 1) for ranks in found])),
    }


def rates_of(name: str, training: Examples, folder: Path) -> tuple[float, float]:
    """Speeds, measured once: a run that goes on must not change its mind about its length.

    The best of some trials, since whatever else the machine does only makes it slower.
    """
    file = folder / f"{name}-speed.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        trials = [presets_per_second(name, training) for _ in range(TRIALS)]
        file.write_text(json.dumps([max(rates) for rates in zip(*trials, strict=True)]), encoding="utf8")
    learned, embedded = json.loads(file.read_text(encoding="utf8"))
    return learned, embedded


def compare(kind: Comparison, arguments: argparse.Namespace, corpora: Corpora) -> dict[str, list[dict[str, float]]]:
    """What is known of each proxy's runs."""
    found = {}
    for name in arguments.names:
        learned, embedded = rates_of(name, corpora.training, arguments.folder)
        seen = round(60 * arguments.minutes * learned) if kind == "time" else arguments.seen
        seeds = range(arguments.seeds)
        runs = [run(name, corpora, seen, 42 + seed, arguments.folder / kind / f"{name}-{seed}") for seed in seeds]
        setting, proxy = corpora.training.setting, SETTINGS[name].proxy
        known = {
            "parameters": count_parameters(proxy, setting.space, corpora.training.dimension),
            "learned": learned,
            "embedded": embedded,
        }
        found[name] = [{**one, **known} for one in runs]
    return found


def mean_of(runs: Sequence[Mapping[str, float]], key: str) -> float:
    return float(np.mean([one[key] for one in runs]))


def deviation_of(runs: Sequence[Mapping[str, float]], key: str) -> float:
    return float(np.std([one[key] for one in runs], ddof=1)) if len(runs) > 1 else math.nan


def score_table(title: str, found: Mapping[str, list[dict[str, float]]], corpora: Corpora) -> Table:
    published = PUBLISHED.get(corpora.training.setting.space.name, {})
    rows = []
    for name, runs in found.items():
        scores = (mean_of(runs, "mrr"), f"±{mean_of(runs, 'mrr_interval'):.3f}", deviation_of(runs, "mrr"))
        others = (mean_of(runs, "mrr_of_all"), mean_of(runs, "recall_1"), mean_of(runs, "l1"), deviation_of(runs, "l1"))
        rows.append((name, len(runs), *scores, *others, *published.get(name, (math.nan, math.nan))))
    gallery = min(4096, len(corpora.validation))
    columns = ["proxy", "seeds", "MRR", "95 %", "SD of seeds", f"MRR of {gallery:,}", "recall@1", "L1", "SD of L1"]
    columns += ["published MRR", "published L1"]
    return Table(title, tuple(columns), tuple(rows), best={"MRR": "highest", "L1": "lowest"})


def cost_table(title: str, found: Mapping[str, list[dict[str, float]]]) -> Table:
    keys = ("parameters", "seen", "minutes", "learned", "embedded")
    rows = tuple(row_of(name, (_whole(mean_of(runs, key)) for key in keys)) for name, runs in found.items())
    return Table(f"{title}: cost", ("proxy", "parameters", "presets seen", "minutes", "learned/s", "embedded/s"), rows)


def row_of(name: str, values: Iterable[float]) -> tuple[Cell, ...]:
    return (name, *values)


def _whole(value: float) -> float:
    return round(value) if value >= 10 else value


def voices_table(title: str, found: Mapping[str, list[dict[str, float]]]) -> Table:
    keys = ("voices_mrr_of_all", "voices_deviation", "voices_recall_1", "voices_l1")
    rows = tuple(row_of(name, (mean_of(runs, key) for key in keys)) for name, runs in found.items())
    columns = ("proxy", "MRR", "SD of galleries", "recall@1", "L1")
    return Table(f"{title}: hand-crafted presets", columns, rows, best={"MRR": "highest", "L1": "lowest"})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(SETTINGS))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seen", type=int, default=51_200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=("time", "seen"))
    arguments = parser.parse_intermixed_args()
    corpora = Corpora.of(arguments.corpora)
    space = corpora.training.setting.space.name
    for kind in ("time", "seen"):
        if arguments.only in (None, kind):
            found = compare(kind, arguments, corpora)
            what = f"{arguments.minutes:g} minutes each" if kind == "time" else f"{arguments.seen:,} presets seen each"
            title = f"Proxies of {space}, {what}"
            tables = [score_table(title, found, corpora), cost_table(title, found)]
            tables += [voices_table(title, found)] if corpora.handcrafted is not None else []
            text = "\n".join(to_markdown(table) for table in tables)
            print(text)
            (arguments.folder / f"{kind}.md").write_text(text, encoding="utf8")
    print(describe_machine())


if __name__ == "__main__":
    main()
