"""Networks that come with this package, by the synth that they are for; ``networks/README.md`` tells what they are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from synthproxy.synths import Synth

FOLDER: Final = Path(str(resources.files("synthproxy"))) / "networks"
_PROPOSERS: Final = {"dexed": "dexed-proposer.safetensors", "dexed-paper": "dexed-proposer.safetensors"}


def shipped_proposer(synth: Synth) -> Path | None:
    """Checkpoint of the proposer for a synth, if there is one."""
    name = _PROPOSERS.get(synth.name)
    return FOLDER / name if name else None
