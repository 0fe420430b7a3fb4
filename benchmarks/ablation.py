"""What each idea in the transformer on groups is worth, and those that were tried and left out.

    python benchmarks/ablation.py CORPORA FOLDER [NAME …] [--seen 51200] [--seeds 2]

CORPORA holds the corpora ``train`` and ``validation`` (`synthproxy generate`), and may hold ``near``, presets drawn
near hand-crafted ones (`synthproxy generate --near`), and ``handcrafted``, others of these. Every variant sees as many
presets, by one cosine, on one thread; results are kept in FOLDER, and not made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from machine import describe_machine
from torch import Tensor

from synthproxy.corpus import Corpus
from synthproxy.proxies import groups as architecture
from synthproxy.proxies import make_proxy
from synthproxy.proxies.evaluation import Protocol, mean_absolute_error, validation_score
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.galleries import ranks_in_galleries
from synthproxy.proxies.groups import Family
from synthproxy.proxies.losses import ranking_loss
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.ranking import mean_reciprocal_rank
from synthproxy.proxies.tokens import to_soft
from synthproxy.proxies.wiring import WIRED_GROUPS, Wires
from synthproxy.report.tables import Table, to_markdown
from synthproxy.synths.dx7_algorithms import symmetries
from synthproxy.synths.space import Floats, PresetSpace
from synthproxy.training.batches import BatchesInMemory
from synthproxy.training.schedule import CosineSchedule


@dataclass(frozen=True)
class Variant:
    """A change of the proxy or of its training.

    Args:
        what: in words.
        batch, rate: batch size and peak learning rate.
        sizes: sizes of the architecture.
        wired, shared, standardised: whether operators are wired, equal groups share a network, and outputs are
            standardised.
        swaps: operators that can change places do so at random in training.
        ranking: weight of the ranking loss.
        even: each value of the embedding counts by its own deviation.
        near: share of the presets that are drawn near hand-crafted ones.
    """

    what: str
    batch: int = 64
    rate: float = 3e-3
    sizes: tuple[tuple[str, int], ...] = ()
    wired: bool = True
    shared: bool = True
    standardised: bool = True
    swaps: bool = False
    ranking: float = 0.01
    even: bool = False
    near: float = 0.0


VARIANTS = {
    "gtf": Variant("as it is"),
    "batch-256": Variant("batches of 256", batch=256),
    "batch-32": Variant("batches of 32, lower rate", batch=32, rate=1.5e-3),
    "slower": Variant("half the learning rate", rate=1.5e-3),
    "raw-outputs": Variant("outputs not standardised", standardised=False),
    "unwired": Variant("operators not wired, but told apart by place", wired=False),
    "unwired-swaps": Variant("not wired, operators swapped at random", wired=False, swaps=True),
    "unshared": Variant("a network for each group, not wired", wired=False, shared=False),
    "one-piece": Variant("numbers as they are, no ramps", sizes=(("pieces", 1),)),
    "8-pieces": Variant("8 ramps instead of 16", sizes=(("pieces", 8),)),
    "4-layers": Variant("4 layers instead of 3", sizes=(("layers", 4),)),
    "wider": Variant("width 192 instead of 128", sizes=(("width", 192), ("feed_forward", 512), ("hidden", 256))),
    "no-ranking": Variant("no ranking loss", ranking=0.0),
    "ranking-third": Variant("a third of the weight of the ranking loss", ranking=0.0033),
    "ranking-triple": Variant("three times the weight", ranking=0.03),
    "even": Variant("every value counts alike", even=True),
    "near": Variant("half of the presets near hand-crafted ones", near=0.5),
}


@contextmanager
def built_as(variant: Variant) -> Iterator[None]:
    """Let networks be built with parts left out."""
    families = architecture.families

    def alone(space: PresetSpace) -> list[Family]:
        found = families(space)
        return [
            Family((name,), (columns,), (numbers,), (others,))
            for family in found
            for name, columns, numbers, others in zip(
                family.names, family.columns, family.numerical, family.others, strict=True
            )
        ]

    with mock.patch.object(architecture, "families", families if variant.shared else alone):
        if variant.wired:
            yield
        else:
            with mock.patch.object(Wires, "of", return_value=None):
                yield


def swap_operators(space: PresetSpace, presets: Floats, generator: np.random.Generator) -> Floats:
    """Presets that sound the same, their operators in another order where that can be."""
    groups = np.asarray([parameter.group for parameter in space.free])
    columns = np.stack([np.flatnonzero(groups == name) for name in WIRED_GROUPS])
    algorithms = presets[:, [parameter.name for parameter in space.free].index("algorithm")].astype(int)
    orders = np.stack([generator.choice(symmetries(algorithm)) for algorithm in algorithms])
    swapped = presets.copy()
    swapped[:, columns.ravel()] = np.take_along_axis(presets, columns[orders].reshape(len(presets), -1), axis=1)
    return swapped


def loss_of(variant: Variant, predicted: Tensor, true: Tensor, deviation: Tensor) -> Tensor:
    difference = (predicted - true).abs()
    loss = (difference / deviation).mean() * deviation.mean() if variant.even else difference.mean()
    return loss + variant.ranking * ranking_loss(predicted, true) if variant.ranking else loss


def train(variant: Variant, training: Examples, near: Examples | None, seen: int, seed: int) -> Proxy:
    """Learn from so many presets."""
    torch.manual_seed(seed)
    space, generator = training.setting.space, np.random.default_rng(seed)
    with built_as(variant):
        proxy = make_proxy("gtf", space, training.dimension, **dict(variant.sizes))
    shown = training.embeddings[:16_384]
    if variant.standardised:
        proxy.fit_output(shown)
    deviation = torch.from_numpy(shown.std(axis=0)).clamp(min=1e-3)
    optimiser = torch.optim.AdamW(
        proxy.parameters(), lr=variant.rate, betas=(0.93, 0.987), eps=2e-7, weight_decay=0.0, fused=True
    )
    batches = [BatchesInMemory(examples, variant.batch, seed) for examples in (training, near or training)]
    steps = seen // variant.batch
    schedule = CosineSchedule(kind="cosine", warmup_steps=min(200, steps // 10))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate(step, variant.rate, steps, steps, [])
        source = batches[int(generator.random() < variant.near)]
        presets, embeddings = source.batch(*divmod(step, len(source.examples) // variant.batch))
        if variant.swaps:
            presets = swap_operators(space, presets, generator)
        predicted = proxy(to_soft(space, torch.from_numpy(presets)))
        loss_of(variant, predicted, torch.from_numpy(embeddings), deviation).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
    return proxy


def mrr_of_galleries(predicted: Floats, examples: Examples) -> float:
    ranks = ranks_in_galleries(predicted, examples.embeddings, gallery=4_096, runs=5, metric="l1", seed=42)
    return mean_reciprocal_rank(ranks.presets)


def judge(proxy: Proxy, validation: Examples, voices: Examples | None) -> dict[str, float]:
    predicted = proxy.embed(validation.presets)
    judged = {
        "MRR": validation_score(predicted, validation.embeddings, Protocol()).mrr,
        "MRR of 4,096": mrr_of_galleries(predicted, validation),
        "L1": mean_absolute_error(predicted, validation.embeddings),
    }
    if voices is not None:
        predicted = proxy.embed(voices.presets)
        judged["voices MRR"] = mrr_of_galleries(predicted, voices)
        judged["voices L1"] = mean_absolute_error(predicted, voices.embeddings)
    return judged


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seen", type=int, default=51_200)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)

    def read(name: str) -> Examples | None:
        path = arguments.corpora / name
        return Examples.from_corpus(Corpus.open(path)) if path.exists() else None

    training, validation, near, voices = (read(name) for name in ("train", "validation", "near", "handcrafted"))
    assert training is not None
    assert validation is not None
    possible = [name for name, variant in VARIANTS.items() if near or not variant.near]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in arguments.names or possible:
        runs = []
        for seed in range(arguments.seeds):
            file = arguments.folder / f"{name}-{arguments.seen}-{seed}.json"
            if not file.exists():
                judged = judge(train(VARIANTS[name], training, near, arguments.seen, seed), validation, voices)
                file.write_text(json.dumps(judged), encoding="utf8")
                print(name, seed, judged, flush=True)
            runs.append(json.loads(file.read_text(encoding="utf8")))
        means = [float(np.mean([one[key] for one in runs])) for key in runs[0]]
        spread = max(one["MRR"] for one in runs) - min(one["MRR"] for one in runs)
        rows.append((VARIANTS[name].what, *means, spread))
    title = f"{training.setting.space.name}, {arguments.seen:,} presets seen, {arguments.seeds} seeds"
    print(to_markdown(Table(title, ("", *runs[0], "seeds apart (MRR)"), tuple(rows))))
    print(describe_machine())


if __name__ == "__main__":
    main()
