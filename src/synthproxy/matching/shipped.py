"""What comes with this package for matches, by synth: networks and presets; ``shipped/README.md`` tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from synthproxy.synths import Note, Synth, get_synth
from synthproxy.synths.space import Floats

FOLDER: Final = Path(str(resources.files("synthproxy"))) / "shipped"
_PROPOSERS: Final = {
    "amsynth": "amsynth-proposer.safetensors",
    "dexed": "dexed-proposer.safetensors",
    "dexed-paper": "dexed-proposer.safetensors",
}
_PRESETS: Final = {"dexed": "dexed-bank.syx", "dexed-paper": "dexed-bank.syx"}


def shipped_proposer(synth: Synth) -> Path | None:
    """Checkpoint of the proposer for a synth, if there is one."""
    return _file_for(synth, _PROPOSERS)


def shipped_presets(synth: Synth) -> Floats:
    """Presets of a synth that are our own, (n, free); none of most synths."""
    file = _file_for(synth, _PRESETS)
    presets = synth.read_presets(file, Note()) if file else []
    return np.asarray([preset.vector for preset in presets], dtype=np.float32).reshape(-1, synth.space.size)


def _file_for(synth: Synth, names: Mapping[str, str]) -> Path | None:
    """That for the synth; none for a definition of the user's that has its name, and parameters of its own."""
    if synth.name not in names or synth.space != get_synth(synth.name).space:
        return None
    return FOLDER / names[synth.name]
