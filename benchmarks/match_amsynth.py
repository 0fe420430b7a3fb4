"""Factory presets of amsynth that are in no corpus, matched on the plug-in, exported and read again.

    python benchmarks/match_amsynth.py FOLDER [TARGETS]

One bank is held out; the corpus is all the others. Targets are drawn from it, without those whose mean log-mel spectrum
lies within 1 dB of a preset's of the corpus. Each match has 60 s; note and length are estimated. Distances are
level-matched a_mean.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rich
from machine import describe_machine
from torch import from_numpy

from synthproxy.audio.io import read_audio, write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, import_presets
from synthproxy.matching.distances import distances
from synthproxy.progress import counting
from synthproxy.report.match_folder import MatchOrder, run_match
from synthproxy.report.tables import Table, to_terminal
from synthproxy.synths import NamedPreset, Note, Synth, get_synth

BANKS = Path("/usr/share/amsynth/banks")
HELD_OUT = "PatriksBank05.bank"
RATE, NOTE, SECONDS, BUDGET = 32_000, Note(), 5.0, 60.0
RANDOM = 100


def choose_targets(synth: Synth, corpus: Corpus, count: int) -> list[NamedPreset]:
    """Audible presets of the held-out bank, drawn at random, whose embedding is not next to one of the corpus."""
    presets = synth.read_presets(BANKS / HELD_OUT, NOTE)
    model = get_audio_model("mel")
    known = corpus.embeddings()
    chosen: list[NamedPreset] = []
    for i in np.random.default_rng(1).permutation(len(presets)):
        sound = synth.render(presets[i].vector, NOTE, SECONDS, RATE)
        if np.sqrt(np.mean(sound**2)) < 0.01:
            continue
        embedding = model.embed(from_numpy(sound[None])).numpy()[0]
        # Levels are ln(power) / 5: 1 dB is 0.046.
        if np.abs(known - embedding)[:, :128].mean(axis=1).min() > 0.046:
            chosen.append(presets[i])
        if len(chosen) == count:
            break
    return chosen


def main() -> None:
    """Import, match, export, read again."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    synth = get_synth("amsynth")
    banks = sorted(path for path in BANKS.glob("*.bank") if path.name != HELD_OUT)
    with counting("presets") as progress:
        print(import_presets(folder / "corpus", banks, synth, get_audio_model("mel"), progress=progress))
    generator = np.random.default_rng(2)
    rows = []
    for target in choose_targets(synth, Corpus.open(folder / "corpus"), count):
        place = folder / target.name.replace("/", "-")
        wav = folder / f"{place.name}.wav"
        sound = synth.render(target.vector, NOTE, SECONDS, RATE)
        write_audio(wav, sound, RATE)
        order = MatchOrder(wav, "amsynth", seconds=BUDGET, corpora=[folder / "corpus"])
        content = run_match(order, place)
        best = content["candidates"][0]
        note = Note(best["note"]["pitch"], best["note"]["velocity"], best["note"]["seconds"])
        written = read_audio(place / "best.wav", RATE).samples
        (found,) = synth.read_presets(place / best["preset"], note)
        synth.write_presets(place / "best.fxp", [found])
        (again,) = synth.read_presets(place / "best.fxp", note)
        replayed = synth.render(again.vector, note, len(written) / RATE, RATE) * np.float32(best["gain"])
        drawn = [synth.render(x, note, SECONDS, RATE) for x in synth.space.sample(generator, RANDOM)]
        nearest = min(distances(x, sound, level_matched=True).a_mean for x in drawn if np.abs(x).max() > 1e-3)
        rows.append(
            (
                target.name,
                nearest,
                content["nearest_proposal"]["a_mean"],
                best["distances"]["level_matched"]["a_mean"],
                distances(replayed, written).a_mean,
                content["renders"],
            )
        )
    columns = ("target", f"best of {RANDOM} random", "nearest of corpus", "match", ".fxp read again", "renders")
    rich.print(to_terminal(Table(f"Matches of {HELD_OUT} in {BUDGET:.0f} s", columns, tuple(rows))))
    print(describe_machine())


if __name__ == "__main__":
    main()
