"""How well a plug-in repeats here: measured once for each plug-in file, and remembered in the user's cache."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthproxy import __version__
from synthproxy.errors import SynthProxyError
from synthproxy.files import cache_folder, make_folder, replace_file
from synthproxy.synths.base import Mode, Repeatability
from synthproxy.synths.isolation import Measured, choose, measure

if TYPE_CHECKING:
    from synthproxy.synths.plugin import PluginSynth

_RATE = 32_000
_DRAWS = 24


def known_repeatability(synth: PluginSynth, mode: Mode) -> Repeatability:
    """The isolation for a mode, from the cache or measured now, which takes some seconds."""
    file = cache_folder() / "repeatability" / f"{_identity(synth)}.json"
    measured = remembered(file)
    if measured is None:
        measured = measure_repeatability(synth)
        with suppress(SynthProxyError):  # A cache that cannot be written is no reason to stop.
            make_folder(file.parent)
            replace_file(file, json.dumps([asdict(m) for m in measured]))
    return choose(measured, mode)


def measure_repeatability(synth: PluginSynth) -> list[Measured]:
    """Measure every isolation with presets drawn from the synth's space."""
    # The first instance shows where the parameters are.
    synth.start(_RATE).close()
    draws = synth.definition.to_plugin(synth.space.sample(np.random.default_rng(0), _DRAWS))
    return measure(lambda: synth.start(_RATE), synth.indices, draws)


def _identity(synth: PluginSynth) -> str:
    """Changes with the plug-in's file, with what is set on it, and with this package."""
    path = Path(synth.plugin)
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else ()
    known = json.dumps([synth.plugin, stamp, synth.space.digest, asdict(synth.settings), __version__])
    return hashlib.sha256(known.encode()).hexdigest()[:24]


def remembered(file: Path) -> list[Measured] | None:
    """What a file of the cache says, or None if it is not there or damaged."""
    try:
        rows = json.loads(file.read_text(encoding="utf8"))
        return [Measured(str(r["isolation"]), float(r["error"]), float(r["seconds"])) for r in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None
