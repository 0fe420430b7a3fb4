"""Matching hand-crafted DX7 voices that are in no corpus, 60 seconds each.

    SYNTHPROXY_SHARED=… python benchmarks/match_voices.py FOLDER [--voices 20] [--seconds 60] [--bank synthetic]

Targets are voices drawn from ``dx7_voices.npz``. Every other voice whose sound is within 1 dB of a target's (mean
absolute difference of log-mel spectra at matched level) is left out of the bank; so is every voice of the bank made of
drawn presets. Beside each match stands the best of 100 random audible presets. Resumable: finished targets are kept.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rich
from machine import describe_machine
from numpy.typing import NDArray
from voices import level_spectrum

from synthproxy.audio.features import ESTIMATOR_MEL, MelSpectrogram
from synthproxy.audio.io import read_audio, write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Rendering, generate, import_presets
from synthproxy.corpus.rendering import is_audible
from synthproxy.corpus.sampling import draw_audible
from synthproxy.files import make_folder, replace_file
from synthproxy.matching.distances import SAMPLE_RATE, distances
from synthproxy.report.match_folder import MatchOrder, run_match
from synthproxy.report.tables import Table, to_terminal
from synthproxy.synths import Note, get_synth
from synthproxy.synths.dx7_voice import Voice, read_voices, unpack_parameters
from synthproxy.synths.packed_voices import read_packed_voices
from synthproxy.workers import independent_workers

SECONDS = 5.0
NOTE = Note()
NEAR_DECIBELS = 1.0
RANDOM = 100

Audio = NDArray[np.float32]


def choose_targets(packed: NDArray[np.uint8], count: int) -> list[int]:
    """Voices drawn at random, the audible ones of them."""
    synth = get_synth("dexed")
    chosen: list[int] = []
    for row in np.random.default_rng(2026).permutation(len(packed)):
        preset = synth.presets(unpack_parameters(packed[row : row + 1]), NOTE)[0]  # type: ignore[attr-defined]
        if is_audible(synth.render(preset, NOTE, SECONDS, SAMPLE_RATE), Rendering()):
            chosen.append(int(row))
        if len(chosen) == count:
            break
    return chosen


def far_from(packed: NDArray[np.uint8], targets: Sequence[int]) -> NDArray[np.bool_]:
    """Which voices sound at least 1 dB different from every target, (n,); targets themselves do not."""
    synth, mel = get_synth("dexed"), MelSpectrogram(ESTIMATOR_MEL)
    presets = synth.presets(unpack_parameters(packed), NOTE)  # type: ignore[attr-defined]

    def heard(row: int) -> NDArray[np.float32]:
        return level_spectrum(synth.render(presets[row], NOTE, SECONDS, SAMPLE_RATE), mel)

    references = [heard(row) for row in targets]

    def differs(row: int) -> bool:
        own = heard(row)
        return all(float(np.abs(own - other).mean()) >= NEAR_DECIBELS for other in references)

    with independent_workers(), ThreadPoolExecutor(os.cpu_count()) as pool:
        far = np.asarray(list(pool.map(differs, range(len(packed)))))
    far[list(targets)] = False
    return far


def best_of_random(target: Audio) -> float:
    """Level-matched a_mean of the nearest of 100 random audible presets."""
    drawn = draw_audible(get_synth("dexed"), Rendering(), SAMPLE_RATE, 99, range(RANDOM))
    return min(distances(audio, target, level_matched=True).a_mean for audio in drawn.audio)


def renders_as_written(folder: Path) -> float:
    """Largest difference between best.wav and best.syx played by dexed-py alone."""
    from dexed import DexedSynth, Patch

    found = json.loads((folder / "matches.json").read_text())["candidates"][0]
    wav = read_audio(folder / "best.wav").samples
    engine = DexedSynth(SAMPLE_RATE)
    engine.load_patch(Patch.from_sysex(read_voices(folder / "best.syx")[0].unpacked))
    note = found["note"]
    audio = engine.render(note["pitch"], note["velocity"], note["seconds"], len(wav) / SAMPLE_RATE)
    return float(np.abs(audio * 0.132 * found["gain"] - wav).max())


def make_bank(
    folder: Path, kind: str, packed: NDArray[np.uint8], sources: Sequence[str], targets: Sequence[int]
) -> Path:
    """The corpus that candidates are retrieved from."""
    model = get_audio_model("mel")
    bank = folder / f"bank-{kind}"
    if kind == "synthetic":
        generate(bank, get_synth("dexed"), model, size=16_384, seed=7)
        return bank
    others = folder / "others.npz"
    if not others.exists():
        far = far_from(packed, targets)
        print(f"{len(packed) - int(far.sum()):,} of {len(packed):,} voices are targets or within 1 dB of one: left out")
        np.savez(folder / "others.part.npz", packed=packed[far], source=np.asarray(sources)[far])
        (folder / "others.part.npz").replace(others)
    print(import_presets(bank, [others], get_synth("dexed"), model))
    return bank


def main() -> None:
    """Match every target and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voices", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--bank", choices=("voices", "synthetic"), default="voices")
    options = parser.parse_args()
    folder = make_folder(options.folder)
    packed, sources = read_packed_voices(Path(os.environ["SYNTHPROXY_SHARED"]) / "data" / "dx7_voices.npz")
    targets = choose_targets(packed, options.voices)
    bank = make_bank(folder, options.bank, packed, sources, targets)
    synth = get_synth("dexed")
    rows = []
    for row in targets:
        place = make_folder(folder / f"{options.bank}-{row}")
        finished = place / "row.json"
        if not finished.exists():
            preset = synth.presets(unpack_parameters(packed[row : row + 1]), NOTE)[0]  # type: ignore[attr-defined]
            audio = synth.render(preset, NOTE, SECONDS, SAMPLE_RATE)
            write_audio(place / "target.wav", audio, SAMPLE_RATE)
            order = MatchOrder(place / "target.wav", seconds=options.seconds, corpora=(bank,))
            content = run_match(order, place / "match")
            found = content["candidates"][0]["distances"]
            values = (
                best_of_random(audio),
                content["nearest_proposal"]["a_mean"],
                found["level_matched"]["a_mean"],
                found["raw"]["a_mean"],
                content["renders"],
                renders_as_written(place / "match"),
            )
            replace_file(finished, json.dumps((Voice(packed[row].tobytes()).name, *values)))
        rows.append(tuple(json.loads(finished.read_text())))
        print(*rows[-1], flush=True)
    report(rows, options.bank, options.seconds)


def report(rows: Sequence[tuple[str, float, float, float, float, int, float]], bank: str, seconds: float) -> None:
    """Print the table and what it comes to."""
    columns = ("voice", "best of 100 random", "nearest proposal", "match", "match, raw", "renders", ".syx against .wav")
    values = np.asarray([row[1:] for row in rows], dtype=float)
    ratio = values[:, 2] / values[:, 0]
    generator = np.random.default_rng(0)
    medians = [float(np.median(generator.choice(ratio, len(ratio)))) for _ in range(2000)]
    summary = [("median", *np.median(values, axis=0).tolist()), ("mean", *values.mean(axis=0).tolist())]
    caption = (
        f"Level-matched a_mean, {len(rows)} voices, {seconds:.0f} s each, bank: {bank}. Match over best of 100 random: "
        f"median {np.median(ratio):.3f}, 95 % interval {np.quantile(medians, 0.025):.3f} to "
        f"{np.quantile(medians, 0.975):.3f}. {describe_machine()}"
    )
    rich.print(to_terminal(Table("Matches of held-out voices", columns, (*rows, *summary), caption)))


if __name__ == "__main__":
    main()
