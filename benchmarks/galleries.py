"""Looking up presets in galleries of up to 131,072 sounds, in little memory.

    python benchmarks/galleries.py CHECKPOINT FOLDER [--size 131072]

Makes a corpus of that size in FOLDER for the checkpoint's synth, note and audio model, ranks all of it against all of
it, and prints MRR by gallery size and the most memory that the ranking took beyond the corpus itself. Resumable but for
the ranking.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.files import replace_file
from synthproxy.progress import counting
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.galleries import GALLERY_SIZES, by_gallery_size
from synthproxy.report.evaluation import gallery_curve, gallery_table
from synthproxy.report.tables import to_markdown
from synthproxy.synths import get_synth


def gigabytes() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=GALLERY_SIZES[-1])
    arguments = parser.parse_args()
    proxy, info = load_checkpoint(arguments.checkpoint)
    setting = info.setting
    synth, model = get_synth(setting.synth), get_audio_model(setting.audio_model)
    rendering = Rendering(note=setting.note, seconds=setting.seconds)
    with counting("presets", arguments.size) as progress:
        generate(arguments.folder, synth, model, size=arguments.size, seed=7, rendering=rendering, progress=progress)
    examples = Examples.from_corpus(Corpus.open(arguments.folder))
    setting.require_same(examples.setting, str(arguments.checkpoint))
    predicted = proxy.embed(examples.presets)
    before = gigabytes()
    points = by_gallery_size(predicted, examples.embeddings)
    print(to_markdown(gallery_table(points)))
    replace_file(arguments.folder.with_suffix(".png"), gallery_curve(points))
    print(f"most memory {gigabytes():.2f} GB, before ranking {before:.2f} GB")
    print(describe_machine())


if __name__ == "__main__":
    main()
