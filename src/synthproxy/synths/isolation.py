"""How well a plug-in repeats, and the cheapest way to keep its renders apart so that it does.

A reused plug-in remembers: phases run on, tails ring, filters smooth. Measured is what that does to a preset's sound
after others have been played, for each *isolation*:

===========  ============================================================================================
``reuse``    nothing between renders but the parameters
``reload``   the graph is loaded again, which resets most plug-ins
``flush``    two seconds of silence before each
``fork``     each render happens in a copy of a process that has loaded the plug-in and never played it
``fresh``    a new engine and a new instance of the plug-in for each render
===========  ============================================================================================
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths.base import EXACT_ERROR, Mode, Note, Repeatability
from synthproxy.synths.plugin_process import PluginFailedError, PluginProcess

ISOLATIONS = ("reuse", "reload", "flush", *(("fork",) if hasattr(os, "fork") else ()), "fresh")

PROBE_NOTE = Note(60, 100, 0.5)
PROBE_SECONDS = 1.0
_PROBES = 5
_OTHERS = 6

Start = Callable[[], PluginProcess]


@dataclass(frozen=True)
class Measured:
    """One isolation as measured.

    Args:
        error: mean :func:`repeat_error` of presets played after others, against the same presets in processes of their
            own; infinite where the plug-in does not survive it.
        seconds: mean time of a render of the probe's clip.
    """

    isolation: str
    error: float
    seconds: float


def repeat_error(sound: NDArray[np.float32], again: NDArray[np.float32]) -> float:
    """How far a sound is from itself: 0 if equal to the bit, else spectral convergence + mean log-spectral difference.

    These are the two terms of the published STFT distance (frames of 1024, every 256 samples).
    """
    if np.array_equal(sound, again):
        return 0.0
    first, second = _magnitudes(sound), _magnitudes(again)
    convergence = np.linalg.norm(second - first) / max(float(np.linalg.norm(first)), 1e-6)
    return float(convergence + np.abs(np.log(first) - np.log(second)).mean())


def _magnitudes(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (0, 1024)), 1024)[::256]
    return np.maximum(np.abs(np.fft.rfft(frames * np.hanning(1024))), 1e-4)


def measure(start: Start, indices: list[int], draws: NDArray[np.float64]) -> list[Measured]:
    """Measure every isolation of a plug-in that ``start`` loads in a new process.

    Args:
        draws: values of many presets to play, (n, parameters); the first audible ones are judged.
    """

    def play(process: PluginProcess, values: NDArray[np.float64], isolation: str) -> NDArray[np.float32]:
        return process.play(indices, values, PROBE_NOTE, PROBE_SECONDS, isolation)

    probes, references = [], []
    for values in draws:
        process = start()
        try:
            sound = play(process, values, "reuse")
        except PluginFailedError:
            continue
        finally:
            process.close()
        if np.abs(sound).max() > 1e-3:
            probes.append(values)
            references.append(sound)
        if len(probes) == _PROBES:
            break
    others = list(draws[-_OTHERS:])
    return [_measure_one(isolation, start, play, probes, references, others) for isolation in ISOLATIONS]


def _measure_one(
    isolation: str,
    start: Start,
    play: Callable[[PluginProcess, NDArray[np.float64], str], NDArray[np.float32]],
    probes: Sequence[NDArray[np.float64]],
    references: Sequence[NDArray[np.float32]],
    others: Sequence[NDArray[np.float64]],
) -> Measured:
    process = start()
    try:
        for values in others:
            play(process, values, isolation)
        begun = time.perf_counter()
        # Backwards, so that nothing is played after what was played before it in another process.
        sounds = [play(process, values, isolation) for values in reversed(probes)][::-1]
        seconds = (time.perf_counter() - begun) / max(1, len(probes))
    except PluginFailedError:
        return Measured(isolation, float("inf"), float("inf"))
    finally:
        process.close()
    errors = [repeat_error(a, b) for a, b in zip(references, sounds, strict=True)]
    return Measured(isolation, float(np.mean(errors)) if errors else float("inf"), seconds)


def choose(measured: Sequence[Measured], mode: Mode) -> Repeatability:
    """The isolation for a mode; see :class:`Repeatability`."""
    working = [m for m in measured if np.isfinite(m.error)]
    repeating = [m for m in working if m.error <= EXACT_ERROR]
    if not working:
        return Repeatability(mode, ISOLATIONS[0] if mode == "fast" else ISOLATIONS[-1], None)
    if mode == "fast":
        best = working[0]
    elif repeating:
        best = min(repeating, key=lambda m: m.seconds)
    else:
        best = min(working, key=lambda m: m.error)
    return Repeatability(mode, best.isolation, best.error)
