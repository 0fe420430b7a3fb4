"""Notes of General MIDI instruments as sound files: sounds that no synth of ours made, to match.

    python benchmarks/general_midi.py SOUNDFONT FOLDER [--notes 64] [--pitch 60]

SOUNDFONT is a file such as /usr/share/sounds/sf2/TimGM6mb.sf2 (`apt-get install timgm6mb-soundfont`); it is played by
`pip install tinysoundfont`. Instruments are spread evenly over the 128 programs: one note of each, velocity 100, held
for 2 s of 5 s, as the presets of the published experiments are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.audio.io import write_audio

SAMPLE_RATE = 32_000
HELD, RINGING = 2.0, 3.0
VELOCITY = 100


def play(soundfont: Path, program: int, pitch: int) -> NDArray[np.float32]:
    """One note of an instrument, mono, (samples,)."""
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE)
    synth.program_select(0, synth.sfload(str(soundfont)), 0, program)
    synth.noteon(0, pitch, VELOCITY)
    held = bytes(synth.generate(round(HELD * SAMPLE_RATE)))
    synth.noteoff(0, pitch)
    ringing = bytes(synth.generate(round(RINGING * SAMPLE_RATE)))
    stereo = np.frombuffer(held + ringing, dtype=np.float32).reshape(-1, 2)
    return np.asarray(stereo.mean(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("soundfont", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--notes", type=int, default=64)
    parser.add_argument("--pitch", type=int, default=60, help="MIDI pitch")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    programs = np.linspace(0, 127, arguments.notes).round().astype(int)
    for program in programs.tolist():
        note = play(arguments.soundfont, program, arguments.pitch)
        write_audio(arguments.folder / f"program-{program:03d}.wav", note, SAMPLE_RATE)
    print(f"{arguments.folder}: {len(programs)} notes")


if __name__ == "__main__":
    main()
