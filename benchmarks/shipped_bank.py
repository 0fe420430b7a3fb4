"""Make the bank of DX7 presets that comes with the package: matches of a sound font's instruments, so nobody's voices.

    python benchmarks/shipped_bank.py SOUNDFONT FOLDER [--renders 1500] [--pitch 60] [--programs 0 128]

Every program of General MIDI is matched by the shipped proposer and the search alone, into FOLDER; what is there is not
matched again, so that several processes may share the programs. ``FOLDER/dexed-bank.syx`` holds those that are there by
the end and sound different from each other. Made with /usr/share/sounds/sf2/FluidR3_GM.sf2
(`apt-get install fluid-soundfont-gm`, MIT licence).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from general_midi import play
from numpy.typing import NDArray
from voices import level_spectrum

from synthproxy.audio.features import ESTIMATOR_MEL, MelSpectrogram
from synthproxy.audio.io import write_audio
from synthproxy.files import make_folder
from synthproxy.matching.budget import Budget
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.match import match
from synthproxy.matching.propose import Sources
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.shipped import shipped_proposer
from synthproxy.matching.target import read_target
from synthproxy.synths import NamedPreset, Note, get_synth
from synthproxy.synths.readable import load_preset, save_presets

PROGRAMS = 128
SILENT = 1e-3
HELD, SECONDS = 2.0, 5.0
DIFFERENT = 1.0
"""Least mean difference between two presets of the bank, in dB of their mel spectra at matched level."""


def matched(soundfont: Path, program: int, pitch: int, renders: int, folder: Path) -> None:
    synth, sound, file = get_synth("dexed"), folder / f"{program:03d}.wav", folder / f"{program:03d}.syx"
    if file.exists():
        return
    checkpoint = shipped_proposer(synth)
    assert checkpoint
    # The samples of the double bass end below middle C.
    octaves = ((own, play(soundfont, program, own)) for own in range(pitch, -1, -12))
    pitch, audio = next((own, heard) for own, heard in octaves if np.abs(heard).max() > SILENT)
    write_audio(sound, audio, SAMPLE_RATE)
    target = read_target(sound, pitch=pitch, duration=HELD)
    sources, settings = Sources(proposer=TrainedProposer.load(checkpoint)), replace(MatchSettings(), top=1)
    found = match(synth, target, Budget(None, renders), sources=sources, settings=settings, workers=1).matches[0]
    save_presets(synth, file, [NamedPreset(found.candidate.preset, f"SP GM {program + 1:03d}", str(soundfont))])
    print(f"program {program}: {found.level_matched.a_mean:.3f}", flush=True)


def write_bank(folder: Path, note: Note) -> None:
    """Write the presets that sound different at this note into one file."""
    synth, mel = get_synth("dexed"), MelSpectrogram(ESTIMATOR_MEL)
    kept: list[NamedPreset] = []
    heard: list[NDArray[np.float32]] = []
    for file in sorted(folder.glob("[0-9]*.syx")):
        preset = load_preset(synth, file, note, 1)
        own = level_spectrum(synth.render(preset.vector, note, SECONDS, SAMPLE_RATE), mel)
        if all(float(np.abs(own - other).mean()) >= DIFFERENT for other in heard):
            kept.append(preset)
            heard.append(own)
    save_presets(synth, folder / "dexed-bank.syx", kept)
    print(f"{folder / 'dexed-bank.syx'}: {len(kept)} presets")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("soundfont", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--renders", type=int, default=1500)
    parser.add_argument("--pitch", type=int, default=60)
    parser.add_argument("--programs", type=int, nargs=2, default=(0, PROGRAMS), metavar=("FIRST", "END"))
    arguments = parser.parse_args()
    make_folder(arguments.folder)
    for program in range(*arguments.programs):
        matched(arguments.soundfont, program, arguments.pitch, arguments.renders, arguments.folder)
    write_bank(arguments.folder, Note(arguments.pitch, duration=HELD))


if __name__ == "__main__":
    main()
