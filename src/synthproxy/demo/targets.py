"""Sounds to match that are our own: three that no DX7 made, and two voices of ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths import Note
from synthproxy.synths.dexed import Dexed

Audio = NDArray[np.float32]

SECONDS = 3.0


def plucked_string(sample_rate: int, frequency: float = 196.0) -> Audio:
    """A string by Karplus and Strong (1983): noise that a short loop low-passes again and again."""
    period = round(sample_rate / frequency - 0.5)
    loop = np.random.default_rng(7).uniform(-1, 1, period)
    out = np.empty(round(SECONDS * sample_rate))
    for start in range(0, len(out), period):
        out[start : start + period] = loop[: len(out) - start]
        loop = 0.498 * (loop + np.roll(loop, -1))
    return _levelled(out)


def organ(sample_rate: int, frequency: float = 261.63) -> Audio:
    """Nine drawbars, a slow vibrato, held for two seconds."""
    t = np.arange(round(SECONDS * sample_rate)) / sample_rate
    phase = 2 * np.pi * frequency * t + 0.06 * np.sin(2 * np.pi * 5.8 * t)
    ratios = np.asarray([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])[:, None]
    levels = np.asarray([0.5, 0.3, 1.0, 0.7, 0.35, 0.3, 0.1, 0.1, 0.15])[:, None]
    tone = (levels * np.sin(ratios * phase)).sum(axis=0)
    return _levelled(tone * np.clip(t / 0.012, 0, 1) * np.clip((2.02 - t) / 0.02, 0, 1))


def bell(sample_rate: int, frequency: float = 440.0) -> Audio:
    """Inharmonic partials that die at their own pace, the higher the sooner (Risset, 1969)."""
    t = np.arange(round(SECONDS * sample_rate)) / sample_rate
    ratios = np.asarray([0.56, 0.92, 1.19, 1.7, 2.0, 2.74, 3.0, 3.76, 4.07])[:, None]
    levels = np.asarray([1.0, 0.8, 1.0, 0.9, 0.7, 0.6, 0.5, 0.4, 0.3])[:, None]
    lives = np.asarray([2.4, 1.9, 1.5, 1.2, 0.9, 0.7, 0.5, 0.35, 0.25])[:, None]
    return _levelled((levels * np.exp(-2.5 * t / lives) * np.sin(2 * np.pi * frequency * ratios * t)).sum(axis=0))


def _levelled(audio: NDArray[np.float64]) -> Audio:
    return np.asarray(0.5 * audio / np.abs(audio).max(), dtype=np.float32)


def _voice(**named: float | str) -> Callable[[int], Audio]:
    def play(sample_rate: int) -> Audio:
        synth = Dexed("dexed")
        return synth.render(synth.space.snap(synth.space.from_names(named)), Note(60, 100, 2.0), SECONDS, sample_rate)

    return play


def _operator(
    number: int, rates: tuple[int, ...], levels: tuple[int, ...], level: int, **other: float
) -> dict[str, float]:
    fields = {f"eg_rate_{i}": rate / 99 for i, rate in enumerate(rates, 1)}
    fields |= {f"eg_level_{i}": value / 99 for i, value in enumerate(levels, 1)}
    fields |= {"output_level": level / 99, "f_coarse": 1 / 31, "detune": 0.5, **other}
    return {f"op{number}_{name}": value for name, value in fields.items()}


tine_piano = _voice(
    algorithm="5",
    feedback=4 / 7,
    **_operator(1, (96, 28, 24, 62), (99, 72, 0, 0), 99),
    **_operator(2, (95, 48, 30, 70), (99, 70, 0, 0), 62, f_coarse=13 / 31),
    **_operator(3, (94, 25, 20, 60), (99, 78, 0, 0), 96, detune=9 / 14),
    **_operator(4, (93, 30, 22, 60), (99, 80, 0, 0), 66),
    **_operator(5, (95, 26, 20, 60), (99, 76, 0, 0), 92, detune=4 / 14),
    **_operator(6, (94, 35, 25, 60), (99, 75, 0, 0), 70),
)
"""A voice of ours: three detuned pairs, one with a bright short tine."""

slow_brass = _voice(
    algorithm="22",
    feedback=6 / 7,
    **_operator(1, (72, 60, 40, 64), (99, 88, 84, 0), 94),
    **_operator(2, (58, 45, 35, 60), (88, 78, 74, 0), 76),
    **_operator(3, (70, 55, 40, 62), (99, 86, 82, 0), 92, detune=9 / 14),
    **_operator(4, (70, 55, 40, 62), (99, 86, 82, 0), 90, detune=5 / 14),
    **_operator(5, (68, 55, 40, 62), (99, 84, 80, 0), 86, f_coarse=2 / 31),
    **_operator(6, (50, 42, 35, 60), (86, 74, 70, 0), 78),
)
"""A voice of ours: a swelling section, four carriers under two modulators."""

TARGETS: dict[str, Callable[[int], Audio]] = {
    "tine piano": tine_piano,
    "slow brass": slow_brass,
    "plucked string": plucked_string,
    "organ": organ,
    "bell": bell,
}
"""By name: what renders the target at a sample rate. The first two are voices of a DX7, the others are not."""
