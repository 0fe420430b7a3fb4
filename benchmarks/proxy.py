"""A proxy on drawn presets: does it know which preset makes a sound?

    SYNTHPROXY_SHARED=… python benchmarks/proxy.py dexed-paper|amsynth hn-oh|gtf FOLDER [section.key=value …]

Makes the corpora in FOLDER (50,000 presets of Dexed, or 20,000 of amsynth), trains by the synth's recipe
``hn-oh-laptop.toml``, or that of another proxy, and judges the last checkpoint, which was chosen by nothing, on presets
that it has not met:
256 sounds, each with its own preset and 511 others for Dexed, 15 for amsynth, and presets among all or 4,096 sounds.
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
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.training import train
from synthproxy.report.scores import score_table
from synthproxy.report.tables import to_terminal
from synthproxy.synths import get_synth

RECIPES = Path(__file__).parent.parent / "recipes"
SIZES = {
    "dexed-paper": {"train": (50_000, 1), "validation": (16_384, 2)},
    "amsynth": {"train": (20_000, 1), "validation": (4_096, 2)},
}


def main() -> None:
    """Make, train, judge."""
    name_of_synth, proxy_name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    synth, model = get_synth(name_of_synth), get_audio_model("mn04-clip")
    for name, (size, seed) in SIZES[name_of_synth].items():
        with counting(name, size) as progress:
            generate(folder / name, synth, model, size=size, seed=seed, progress=progress)
    corpora = [*sys.argv[4:], f'corpus.train="{folder}/train"', f'corpus.validation="{folder}/validation"']
    result = train(
        TrainingRecipe.read(RECIPES / name_of_synth / f"{proxy_name}-laptop.toml", corpora), folder / proxy_name
    )
    print(result.message)
    if result.status == "stopped":
        return
    training = Examples.from_corpus(Corpus.open(folder / "train"))
    examples = Examples.from_corpus(Corpus.open(folder / "validation"))
    proxy, _ = load_checkpoint(folder / proxy_name / "last.safetensors")
    title = f"{proxy_name} after {result.seconds / 60:.0f} minutes of training on {len(training):,} presets"
    rich.print(to_terminal(score_table(evaluate(proxy, examples, training=training), title)))
    print(describe_machine())


if __name__ == "__main__":
    main()
