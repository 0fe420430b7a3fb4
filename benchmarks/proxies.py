"""All proxies at equal wall time, and at equal presets seen.

    python benchmarks/proxies.py CORPORA FOLDER [NAME …] [--minutes 10] [--seen 51200] [--seeds 1] [--only time|seen]

CORPORA holds the corpora ``train`` and ``validation`` (`synthproxy generate`). Each proxy has its published learning
rate and betas, and one cosine that ends with its run. At equal time a proxy is first measured for some seconds, and
then given as many presets as it can learn from in so many minutes on this machine: over and over where that is more
than there are, a part of the corpus where it is less. The last checkpoint is judged, which was chosen by nothing. Runs
that are finished are not repeated: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from machine import describe_machine

from synthproxy.corpus import Corpus
from synthproxy.proxies import count_parameters, make_proxy
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.evaluation import evaluate
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.tokens import to_soft
from synthproxy.proxies.training import train_on_examples
from synthproxy.report.tables import Table, to_markdown

Comparison = Literal["time", "seen"]
SECONDS_OF_TRIAL = 15.0


@dataclass(frozen=True)
class Settings:
    """How a proxy is trained: batch size, peak learning rate, betas, epsilon."""

    batch: int
    rate: float
    betas: tuple[float, float]
    epsilon: float = 2e-7


SETTINGS = {
    "gtf": Settings(256, 2e-3, (0.93, 0.987)),
    "hn-oh": Settings(512, 4e-3, (0.93, 0.987)),
    "hn-pt": Settings(512, 7e-3, (0.78, 0.97), 3e-7),
    "hn-ptgru": Settings(512, 1.5e-3, (0.775, 0.978), 3e-7),
    "mlp-oh": Settings(512, 1.2e-2, (0.78, 0.998), 8e-6),
    "mlp-raw": Settings(512, 4e-3, (0.9, 0.99)),
    "rn-oh": Settings(512, 2e-3, (0.9, 0.99)),
    "gru-oh": Settings(256, 1e-3, (0.9, 0.99)),
    "tfm": Settings(256, 1e-3, (0.91, 0.987), 2e-8),
}


def presets_per_second(name: str, training: Examples, seconds: float = SECONDS_OF_TRIAL) -> tuple[float, float]:
    """Presets learned from, and embedded, a second."""
    settings, space = SETTINGS[name], training.setting.space
    torch.manual_seed(0)
    proxy = make_proxy(name, space, training.dimension)
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
                    (predicted - wanted).abs().mean().backward()
                    optimiser.step()
                    optimiser.zero_grad()
            done += settings.batch
        rates.append((done - settings.batch) / (time.monotonic() - begun))
    return rates[0], rates[1]


def recipe_of(name: str, epochs: int, steps: int, seed: int) -> TrainingRecipe:
    settings = SETTINGS[name]
    data: dict[str, Any] = {
        "proxy": {"name": name},
        "corpus": {"train": "train", "validation": "validation"},
        "training": {
            "batch_size": settings.batch,
            "epochs": epochs,
            "learning_rate": settings.rate,
            "betas": settings.betas,
            "epsilon": settings.epsilon,
            "validations_per_epoch": 1,
            "seed": seed,
        },
        "schedule": {"kind": "cosine", "warmup_steps": min(200, steps // 10)},
    }
    return TrainingRecipe.model_validate(data)


def run(name: str, training: Examples, validation: Examples, seen: int, seed: int, folder: Path) -> dict[str, float]:
    """Train on about so many presets, and judge."""
    file = folder / "judged.json"
    if not file.exists():
        epochs = max(1, round(seen / len(training)))
        part = training.first(min(len(training), round(seen / epochs)))
        steps = epochs * (len(part) // SETTINGS[name].batch)
        result = train_on_examples(recipe_of(name, epochs, steps, seed), part, validation, folder)
        if result.status == "stopped":
            raise SystemExit(result.message)
        proxy, _ = load_checkpoint(folder / "last.safetensors")
        score = evaluate(proxy, validation).score
        judged = {
            "mrr": score.validation.mrr,
            "mrr_interval": (score.validation.interval.high - score.validation.interval.low) / 2,
            "mrr_of_all": score.one_against_all.mrr,
            "recall_1": score.one_against_all.recall_at[1],
            "l1": score.l1,
            "seen": result.step * SETTINGS[name].batch,
            "minutes": result.seconds / 60,
        }
        file.write_text(json.dumps(judged), encoding="utf8")
    found: dict[str, float] = json.loads(file.read_text(encoding="utf8"))
    return found


def rates_of(name: str, training: Examples, folder: Path) -> tuple[float, float]:
    """Speeds, measured once: a run that goes on must not change its mind about its length."""
    file = folder / f"{name}-speed.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(presets_per_second(name, training)), encoding="utf8")
    learned, embedded = json.loads(file.read_text(encoding="utf8"))
    return learned, embedded


def compare(kind: Comparison, arguments: argparse.Namespace, training: Examples, validation: Examples) -> Table:
    rows = []
    for name in arguments.names:
        learned, embedded = rates_of(name, training, arguments.folder)
        seen = round(60 * arguments.minutes * learned) if kind == "time" else arguments.seen
        runs = [
            run(name, training, validation, seen, 42 + seed, arguments.folder / kind / f"{name}-{seed}")
            for seed in range(arguments.seeds)
        ]
        mean = {key: float(np.mean([one[key] for one in runs])) for key in runs[0]}
        spread = f"{np.std([one['mrr'] for one in runs], ddof=1):.3f}" if len(runs) > 1 else ""
        size = count_parameters(name, training.setting.space, training.dimension)
        rows.append(
            (
                *(name, mean["mrr"], f"±{mean['mrr_interval']:.3f}", spread, mean["mrr_of_all"], mean["recall_1"]),
                *(mean["l1"], size, round(mean["seen"]), mean["minutes"], round(learned), round(embedded)),
            )
        )
    columns = (
        *("proxy", "MRR", "95 %", "SD of seeds", f"MRR of {min(4096, len(validation)):,}", "recall@1", "L1"),
        *("parameters", "presets seen", "minutes", "learned/s", "embedded/s"),
    )
    what = f"{arguments.minutes:g} minutes each" if kind == "time" else f"{arguments.seen:,} presets seen each"
    title = f"Proxies of {training.setting.space.name}, {what}, {arguments.seeds} seed(s)"
    return Table(title, columns, tuple(rows), best={"MRR": "highest", "L1": "lowest"})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(SETTINGS))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seen", type=int, default=51_200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=("time", "seen"))
    arguments = parser.parse_args()
    training, validation = (
        Examples.from_corpus(Corpus.open(arguments.corpora / name)) for name in ("train", "validation")
    )
    for kind in ("time", "seen"):
        if arguments.only in (None, kind):
            table = compare(kind, arguments, training, validation)  # type: ignore[arg-type]
            print(to_markdown(table))
            (arguments.folder / f"{kind}.md").write_text(to_markdown(table), encoding="utf8")
    print(describe_machine())


if __name__ == "__main__":
    main()
