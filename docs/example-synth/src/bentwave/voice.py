"""What a voice sounds like: arithmetic on whole arrays, without any state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths import Note

Signal = NDArray[np.floating]


def sawtooth(phase: Signal, width: Signal) -> Signal:
    """Down in half of the width, up in the rest of the period."""
    return _cosine(np.minimum(phase / width, 1 - (1 - phase) / (2 - width)))


def square(phase: Signal, width: Signal) -> Signal:
    """Half of the period down, half up; of each half, the width is spent on the way."""
    half = np.floor(2 * phase)
    return _cosine((half + np.minimum((2 * phase - half) / width, 1)) / 2)


def pulse(phase: Signal, width: Signal) -> Signal:
    """All of the cosine in the width, then rest; without the constant part that the rest has."""
    return _cosine(np.minimum(phase / width, 1)) - (1 - width)


def formant(phase: Signal, width: Signal) -> Signal:
    """A burst of cosines in each period, one more than the width goes into it, faded in and out."""
    return (1 - _cosine(phase)) / 2 * _cosine(phase + phase / width)


WAVES = (sawtooth, square, pulse, formant)
"""In the order of the labels of the parameter ``wave``. At a width of 1 the first three are the cosine itself."""

BLOCK = 16_384
"""Samples computed at once: few enough that all arrays stay in the processor's cache."""


def play(knobs: Mapping[str, float], note: Note, samples: int, sample_rate: int) -> NDArray[np.float32]:
    """One note, (samples,), of the parameters' values by name."""
    starts = range(0, samples, BLOCK)
    blocks = (np.arange(start, min(start + BLOCK, samples), dtype=np.uint32) for start in starts)
    return np.concatenate([_block(knobs, note, block, sample_rate) for block in blocks])


def _block(knobs: Mapping[str, float], note: Note, samples: NDArray[np.uint32], sample_rate: int) -> Signal:
    """The samples of these numbers."""
    time = samples.astype(np.float32) / np.float32(sample_rate)
    step = 440 * 2 ** ((note.pitch - 69) / 12) / sample_rate  # Periods per sample.
    other = step * 2 ** (knobs["interval"] + knobs["detune"] / 40)
    wave, width = WAVES[round(knobs["wave"])], _width(knobs, time, other)
    first, phase = wave(_phase(step, samples), width), _phase(other, samples)
    second = _cosine(phase) if knobs["plain"] else wave(phase, width)
    sound = first + np.float32(knobs["mix"]) * (second - first)
    return sound * _loudness(knobs, time, note.duration) * np.float32(knobs["level"] * note.velocity / 127)


def _phase(step: float, samples: NDArray[np.uint32]) -> Signal:
    """Position in the period, 0 to 1, counted in whole numbers of 32 bits, which begin again by themselves."""
    counted = samples * np.uint32(round(step * 2**32))
    return np.asarray(counted.astype(np.float32) / np.float32(2**32))


def _width(knobs: Mapping[str, float], time: Signal, step: float) -> Signal:
    """Part of the period that is bent: 1 down to 1/16, but never so short that it would alias."""
    fading = np.exp(-time / _seconds(knobs["sweep_time"], 0.02, 3))
    depth = np.float32(knobs["bend"]) + np.float32(knobs["sweep"]) * fading
    return np.asarray(np.clip(np.exp2(-4 * depth), max(1 / 16, min(4 * step, 1)), 1))


def _loudness(knobs: Mapping[str, float], time: Signal, duration: float) -> Signal:
    """Linear attack, exponential decay to the sustained level; all of it stands still from the release on."""
    attack = _seconds(knobs["attack"], 0.002, 1)
    held = np.minimum(time, np.float32(duration))
    sustain = np.float32(knobs["sustain"])
    fall = np.exp(-np.maximum(held - attack, 0) / _seconds(knobs["decay"], 0.05, 5))
    tail = np.exp((held - time) / _seconds(knobs["release"], 0.02, 2))
    return np.asarray(np.minimum(held / attack, 1) * (sustain + (1 - sustain) * fall) * tail)


def _seconds(knob: float, shortest: float, longest: float) -> np.float32:
    return np.float32(shortest * (longest / shortest) ** knob)


def _cosine(phase: Signal) -> Signal:
    return np.asarray(np.cos(np.float32(2 * np.pi) * phase))
