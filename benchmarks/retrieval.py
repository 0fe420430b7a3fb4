"""Does a sound find its preset? Hand-crafted DX7 voices that were held out, in a joint embedding.

    SYNTHPROXY_SHARED=… python benchmarks/retrieval.py FOLDER [--split random|sound|algorithms] [--near 60000]
        [--epochs 12] [--seed 0]

Imports the voices into FOLDER, holds some out, draws presets near the others, learns from both, and looks every
held-out sound up among the held-out presets. ``random`` holds out 3,144 voices as the published work does, ``sound`` as
many, with all that sound like them (within 1 dB, the mean difference of log-mel levels in sixteen parts of the clip,
also by way of others), ``algorithms`` all voices with one of six algorithms, 4,096 of which are looked up. Corpora and
results are kept, and not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from voices import AUDIO_MODEL, CHANNELS, SYNTH, held_out_together, sounds_alike, voices_of

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, generate
from synthproxy.errors import SynthProxyError
from synthproxy.matching.joint import JointEmbedding
from synthproxy.progress import counting
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.ranking import bootstrap_interval, mean_reciprocal_rank, rank_of_match, recall
from synthproxy.proxies.tokens import to_soft
from synthproxy.report.tables import Table, to_markdown
from synthproxy.synths import get_synth
from synthproxy.training.schedule import CosineSchedule

HELD_OUT, GALLERY, HELD_ALGORITHMS = 3_144, 4_096, 6
BATCH, RATE, DECAY = 512, 1e-3, 0.05
PUBLISHED = {
    "random": (0.861, 0.995, 0.917),
    "sound": (0.861, 0.995, 0.917),
    "algorithms": (0.522, float("nan"), 0.652),
}


def held_out(voices: Examples, split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and to look up."""
    generator = np.random.default_rng(seed)
    if split == "algorithms":
        algorithms = voices.presets[:, algorithm_column(voices)]
        is_held = np.isin(algorithms, generator.permutation(32)[:HELD_ALGORITHMS])
        return np.flatnonzero(~is_held), generator.permutation(np.flatnonzero(is_held))[:GALLERY]
    labels = sounds_alike(voices) if split == "sound" else np.arange(len(voices))
    return held_out_together(labels, HELD_OUT, generator)


def algorithm_column(voices: Examples) -> int:
    return [parameter.name for parameter in voices.setting.space.free].index("algorithm")


def near(voices: Examples, rows: np.ndarray, folder: Path, size: int, seed: int) -> Examples:
    with counting("near", size) as progress:
        generate(
            folder,
            get_synth(SYNTH),
            get_audio_model(AUDIO_MODEL),
            size=size,
            seed=seed,
            near=voices.presets[rows],
            progress=progress,
        )
    return Examples.from_corpus(Corpus.open(folder))


def train(presets: np.ndarray, sounds: np.ndarray, voices: Examples, epochs: int, seed: int) -> JointEmbedding:
    torch.manual_seed(seed)
    generator, space = np.random.default_rng(seed), voices.setting.space
    joint = JointEmbedding(space, sounds.shape[1], CHANNELS)
    joint.fit_inputs(sounds[:4096])
    optimiser = torch.optim.AdamW(joint.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    steps_per_epoch = len(presets) // BATCH
    schedule, steps = CosineSchedule(kind="cosine", warmup_steps=100), epochs * steps_per_epoch
    begun, step = time.monotonic(), 0
    for epoch in range(epochs):
        order, total = generator.permutation(len(presets)), 0.0
        for place in range(steps_per_epoch):
            rows = order[place * BATCH : (place + 1) * BATCH]
            for group in optimiser.param_groups:
                group["lr"] = schedule.learning_rate(step, RATE, steps_per_epoch, steps, [])
            loss = joint.loss(to_soft(space, torch.from_numpy(presets[rows])), torch.from_numpy(sounds[rows]))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()
            total += float(loss.detach())
            step += 1
        minutes = (time.monotonic() - begun) / 60
        print(f"epoch {epoch + 1}: loss {total / steps_per_epoch:.3f}, {minutes:.0f} minutes", flush=True)
    return joint


def judge(joint: JointEmbedding, voices: Examples, rows: np.ndarray) -> dict[str, float]:
    sounds = torch.from_numpy(joint.embed_sounds(voices.embeddings[rows]))
    presets = torch.from_numpy(joint.embed_presets(voices.presets[rows]))
    ranks = rank_of_match(1.0 - sounds @ presets.T, torch.arange(len(rows))).numpy()
    interval = bootstrap_interval(ranks)
    scores = {"recall@1": recall(ranks, 1), "recall@10": recall(ranks, 10), "MRR": mean_reciprocal_rank(ranks)}
    return {**scores, "low": interval.low, "high": interval.high, "gallery": len(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=tuple(PUBLISHED), default="random")
    parser.add_argument("--near", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        voices = voices_of(arguments.folder)
        learned, asked = held_out(voices, arguments.split, arguments.seed)
        name = f"{arguments.split}-{arguments.seed}"
        presets, sounds = voices.presets[learned], voices.embeddings[learned]
        if arguments.near:
            more = near(voices, learned, arguments.folder / f"near-{name}", arguments.near, arguments.seed)
            known = np.unique(presets[:, algorithm_column(voices)])
            kept = np.isin(more.presets[:, algorithm_column(voices)], known)
            presets = np.concatenate([presets, more.presets[kept]])
            sounds = np.concatenate([sounds, more.embeddings[kept]])
    except SynthProxyError as error:
        raise SystemExit(str(error)) from error
    file = arguments.folder / f"{name}-{arguments.near}-{arguments.epochs}.json"
    if not file.exists():
        file.write_text(
            json.dumps(judge(train(presets, sounds, voices, arguments.epochs, arguments.seed), voices, asked))
        )
    found = json.loads(file.read_text())
    rows = (
        ("ours", found["recall@1"], found["recall@10"], found["MRR"], f"{found['low']:.3f}–{found['high']:.3f}"),
        ("published", *PUBLISHED[arguments.split], ""),
        ("chance", 1 / len(asked), 10 / len(asked), float((1 / np.arange(1, len(asked) + 1)).mean()), ""),
    )
    title = f"{len(asked):,} held-out voices, split by {arguments.split}; learned from {len(presets):,} presets"
    print(to_markdown(Table(title, ("", "recall@1", "recall@10", "MRR", "95 %"), rows)))
    print(describe_machine())


if __name__ == "__main__":
    main()
