"""Hold hand-crafted DX7 voices out by sound: two files of voices, to learn from and to be asked about.

    SYNTHPROXY_SHARED=… python benchmarks/split_voices.py FOLDER [--held 3144] [--seed 0]

Writes ``FOLDER/learned/voices.npz`` and ``FOLDER/held-out/voices.npz``. No voice of one sounds within 1 dB of one of
the other at middle C; see voices.py. Voices that are silent there are in neither.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from voices import SYNTH, file_of_voices, held_out_together, sounds_alike, voices_of

from synthproxy.files import make_folder, replacing
from synthproxy.synths import Note, get_synth
from synthproxy.synths.dx7_voice import unpack_parameters
from synthproxy.synths.packed_voices import read_packed_voices


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--held", type=int, default=3_144)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    voices = voices_of(arguments.folder)
    sides = held_out_together(sounds_alike(voices), arguments.held, np.random.default_rng(arguments.seed))
    packed, sources = read_packed_voices(file_of_voices())
    presets = get_synth(SYNTH).presets(unpack_parameters(packed), Note())  # type: ignore[attr-defined]
    rows: dict[bytes, list[int]] = {}
    for row, preset in enumerate(presets):
        rows.setdefault(preset.tobytes(), []).append(row)
    for name, side in zip(("learned", "held-out"), sides, strict=True):
        chosen = sorted(row for item in side for row in rows[voices.presets[item].tobytes()])
        with replacing(make_folder(arguments.folder / name) / "voices.npz") as part, part.open("wb") as file:
            np.savez(file, packed=packed[chosen], source=np.asarray(sources)[chosen])
        print(f"{name}: {len(side):,} different presets, {len(chosen):,} voices")


if __name__ == "__main__":
    main()
