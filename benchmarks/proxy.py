"""HN-OH on 50,000 drawn presets: does it know which preset makes a sound?

    SYNTHPROXY_SHARED=… python benchmarks/proxy.py FOLDER [section.key=value …]

Makes the corpora in FOLDER, trains by ``recipes/dexed-paper/hn-oh-laptop.toml`` and judges the last checkpoint,
which was chosen by nothing, on 16,384 presets that it has not met: 256 sounds, each with its own preset and 511 others.
All of it can be resumed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import rich
from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, generate
from synthproxy.progress import counting
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.evaluation import evaluate
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.recipe import read_recipe
from synthproxy.proxies.training import train
from synthproxy.report.scores import score_table
from synthproxy.report.tables import to_terminal
from synthproxy.synths import get_synth

RECIPE = Path(__file__).parent.parent / "recipes" / "dexed-paper" / "hn-oh-laptop.toml"
SIZES = {"train": (50_000, 1), "validation": (16_384, 2)}


def main() -> None:
    """Make, train, judge."""
    folder = Path(sys.argv[1])
    synth, model = get_synth("dexed-paper"), get_audio_model("mn04-clip")
    for name, (size, seed) in SIZES.items():
        with counting(name, size) as progress:
            generate(folder / name, synth, model, size=size, seed=seed, progress=progress)
    corpora = [*sys.argv[2:], f'corpus.train="{folder}/train"', f'corpus.validation="{folder}/validation"']
    result = train(read_recipe(RECIPE, corpora), folder / "hn-oh")
    print(result.message)
    if result.status == "stopped":
        return
    training = Examples.from_corpus(Corpus.open(folder / "train"))
    examples = Examples.from_corpus(Corpus.open(folder / "validation"))
    proxy, _ = load_checkpoint(folder / "hn-oh" / "last.safetensors")
    title = f"HN-OH after {result.seconds / 60:.0f} minutes of training on {len(training):,} presets"
    rich.print(to_terminal(score_table(evaluate(proxy, examples, training=training), title)))
    print(describe_machine())


if __name__ == "__main__":
    main()
