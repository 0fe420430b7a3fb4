"""Hold presets of amsynth out by sound: folders of banks to learn from, and audited sounds to be matched.

    python benchmarks/amsynth_targets.py FOLDER [--targets 20] [--seed 1] [--banks /usr/share/amsynth/banks]

Links the banks that amsynth comes with into ``FOLDER/learned`` and, one to validate by, ``FOLDER/validation``; the
proposer that ships has learned from these. Targets are drawn from one more bank and written to ``FOLDER/targets``, at
middle C, held for 2 s of 5 s. Taken are only those whose mean log-mel spectrum, at matched level, is not within 1 dB of
that of any preset of the other banks. They are for ``match.py --synth amsynth``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from torch import from_numpy

from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, import_presets
from synthproxy.files import make_folder
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.progress import counting
from synthproxy.synths import Note, get_synth

VALIDATION, HELD_OUT = "BriansBank22", "PatriksBank05"
SECONDS = 5.0
BANDS, NEAR = 128, 0.046
"""Values of ``mel-matched`` that are mean levels; they are ln(power) / 5, so that 1 dB is 0.046."""
AUDIBLE = 0.01


def link_banks(banks: Path, folder: Path) -> Path:
    """Links to all banks, by what they are for; the one that targets are drawn from."""
    held = None
    for bank in sorted(banks.glob("*.bank")):
        if bank.name.startswith(HELD_OUT):
            held = bank
            continue
        place = make_folder(folder / ("validation" if bank.name.startswith(VALIDATION) else "learned")) / bank.name
        if not place.is_symlink():
            place.symlink_to(bank.resolve())
    if held is None:
        raise SystemExit(f"{banks}: no {HELD_OUT} here")
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--banks", type=Path, default=Path("/usr/share/amsynth/banks"))
    arguments = parser.parse_args()
    synth, model = get_synth("amsynth"), get_audio_model("mel-matched")
    folder = make_folder(arguments.folder)
    presets = synth.read_presets(link_banks(arguments.banks, folder), Note())
    with counting("presets") as progress:
        import_presets(folder / "audit", [folder / "learned", folder / "validation"], synth, model, progress=progress)
    known = Corpus.open(folder / "audit").embeddings()[:, :BANDS].astype(np.float32)
    written, targets = 0, make_folder(folder / "targets")
    for place in np.random.default_rng(arguments.seed).permutation(len(presets)):
        sound = synth.render(presets[place].vector, Note(), SECONDS, SAMPLE_RATE)
        heard = model.embed(from_numpy(sound[None])).numpy()[0, :BANDS]
        if np.sqrt(np.mean(sound**2)) > AUDIBLE and np.abs(known - heard).mean(axis=1).min() > NEAR:
            write_audio(targets / f"{presets[place].name.replace('/', ' ')}.wav", sound, SAMPLE_RATE)
            written += 1
        if written == arguments.targets:
            break
    print(f"{targets}: {written} sounds that none of {len(known):,} presets sounds like")


if __name__ == "__main__":
    main()
