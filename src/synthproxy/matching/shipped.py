"""What comes with this package for matches, by synth: networks and presets; ``shipped/README.md`` tells of them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from synthproxy.synths import Note, Synth
from synthproxy.synths.space import Floats

FOLDER: Final = Path(str(resources.files("synthproxy"))) / "shipped"
_PROPOSERS: Final = {"dexed": "dexed-proposer.safetensors", "dexed-paper": "dexed-proposer.safetensors"}
_PRESETS: Final = {"dexed": "dexed-bank.syx", "dexed-paper": "dexed-bank.syx"}


def shipped_proposer(synth: Synth) -> Path | None:
    """Checkpoint of the proposer for a synth, if there is one."""
    name = _PROPOSERS.get(synth.name)
    return FOLDER / name if name else None


def shipped_presets(synth: Synth) -> Floats:
    """Presets of a synth that are our own, (n, free); none of most synths."""
    name = _PRESETS.get(synth.name)
    presets = synth.read_presets(FOLDER / name, Note()) if name else []
    return np.asarray([preset.vector for preset in presets], dtype=np.float32).reshape(-1, synth.space.size)
