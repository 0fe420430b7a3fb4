"""How loud a DX7 voice can be at most, without rendering it.

The output is a sum of carriers, each a sine of at most its envelope's amplitude, whatever modulates its phase; and
amplitude modulation only lowers it. So the RMS of the clip is at most the sum of the RMS of the carriers' envelopes.
The envelopes are followed exactly, but by segments instead of block by block: between two events the level in
decibels is a straight line, whose energy is a geometric sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths.dx7_algorithms import wiring
from synthproxy.synths.dx7_scaling import Integers, output_level, rate_offset, scaled_level, sounding_pitch

BLOCK = 64
_OCTAVE = 1 << 24  # Level units of a doubling of the amplitude.
_FULL_SCALE = 15 * _OCTAVE  # Level of a carrier whose peak is 1.
_OUTPUT_STEP = 2.0**-12  # The engine rounds its output down to twelve bits of a carrier's full scale.
_ATTACK_START = 1716 << 16  # An attack jumps at least here.
_ATTACK_GOAL = 17 << 24  # An attack slows down as it nears this level.
# fmt: off
_STATIC_SAMPLES = np.asarray((
    1764000, 1764000, 1411200, 1411200, 1190700, 1014300, 992250, 882000, 705600, 705600, 584325, 507150, 502740,
    441000, 418950, 352800, 308700, 286650, 253575, 220500, 220500, 176400, 145530, 145530, 125685, 110250,
    110250, 88200, 88200, 74970, 61740, 61740, 55125, 48510, 44100, 37485, 31311, 30870, 27562, 27562, 22050,
    18522, 17640, 15435, 14112, 13230, 11025, 9261, 9261, 7717, 6615, 6615, 5512, 5512, 4410, 3969, 3969, 3439,
    2866, 2690, 2249, 1984, 1896, 1808, 1411, 1367, 1234, 1146, 926, 837, 837, 705, 573, 573, 529, 441, 441, *(20
    * (99 - rate) for rate in range(77, 100)),
))
# fmt: on
"""Samples at 44.1 kHz that a segment lasts which ends at the level it starts from, by rate 0–99."""

Numbers = NDArray[np.float64]


def rms_bound(
    voices: NDArray[np.uint8], pitch: int, velocity: int, duration: float, seconds: float, sample_rate: int
) -> Numbers:
    """Upper bound of the RMS of rendered voices, in units of one carrier's full scale.

    Args:
        voices: (n, 145) parameter bytes.
        pitch, velocity, duration: the note; duration in seconds.
        seconds, sample_rate: the clip.

    Returns:
        (n,) bounds.
    """
    parameters = np.asarray(voices, dtype=np.int64)
    operators = parameters[:, :126].reshape(len(parameters), 6, 21)
    row, column = np.nonzero(wiring().heard[parameters[:, 134], ::-1])
    sounding = sounding_pitch(pitch, parameters[row, 144])
    energy = _envelope_energy(operators[row, column], sounding, velocity, duration, seconds, sample_rate)
    amplitude = np.sqrt(energy * BLOCK / max(1, round(seconds * sample_rate)))
    return np.asarray(np.bincount(row, weights=amplitude, minlength=len(parameters)) + _OUTPUT_STEP)


class _Followers:
    """Envelopes of many operators, advanced segment by segment; counts blocks and the energy so far."""

    def __init__(self, operators: Integers, pitch: Integers, velocity: int, sample_rate: int) -> None:
        output = output_level(operators, pitch, velocity)
        self.multiplier = int(44100.0 / sample_rate * (1 << 24))
        self.rates = operators[:, 0:4]
        self.offset = rate_offset(pitch, operators[:, 13])
        goals = ((scaled_level(operators[:, 4:8]) >> 1) << 6) + output[:, None] - 4256
        self.goals = (np.maximum(goals, 16) << 16).astype(np.float64)
        quick = np.minimum((self.rates * 41 >> 6) + self.offset[:, None], 63)
        self.increments = (((4 + (quick & 3)) << (8 + (quick >> 2))) * self.multiplier >> 24).astype(np.float64)
        self.level = np.zeros(len(operators))
        self.block = np.zeros(len(operators))
        self.energy = np.zeros(len(operators))

    def segment(self, stage: int, end: float) -> None:
        """Run one segment of every envelope, to its goal or to block ``end``, whichever comes first."""
        goal = self.goals[:, stage]
        running = self.block < end
        rising, resting = running & (goal > self.level), running & (goal == self.level)
        self._rest(resting, stage, end)
        np.copyto(self.level, np.minimum(goal, np.maximum(self.level, _ATTACK_START)), where=rising)
        arrived = rising & (self.level == goal)
        self._hold(np.where(arrived, 1.0, 0.0))
        self._ramp(running & ~rising & ~resting, goal, -self.increments[:, stage], end)
        # While rising, the step is a whole number times the increment, and that number falls octave by octave.
        for steepness in range(int((_ATTACK_GOAL - _ATTACK_START) / _OCTAVE), 0, -1):
            here = rising & ~arrived & (np.floor((_ATTACK_GOAL - self.level) / _OCTAVE) == steepness)
            if here.any():
                edge = np.minimum(goal, _ATTACK_GOAL - steepness * _OCTAVE + 1)
                self._ramp(here & (self.level < goal), edge, steepness * self.increments[:, stage], end, goal)

    def hold_until(self, end: float) -> None:
        """Stay at the present level until block ``end``."""
        self._hold(np.maximum(0.0, end - self.block))

    def _rest(self, mask: NDArray[np.bool_], stage: int, end: float) -> None:
        rate = np.minimum(self.rates[:, stage] + self.offset, 99)
        samples = _STATIC_SAMPLES[rate] * self.multiplier >> 24
        blocks = np.where(samples > 0, np.ceil(samples / BLOCK) - 1, 1)
        self._hold(np.where(mask, np.clip(blocks, 0, np.maximum(0, end - self.block)), 0.0))

    def _hold(self, blocks: Numbers) -> None:
        self.energy += blocks * _energy(self.level)
        self.block += blocks

    def _ramp(
        self, mask: NDArray[np.bool_], edge: Numbers, step: Numbers, end: float, goal: Numbers | None = None
    ) -> None:
        """Move in steps until ``edge`` is reached or crossed; no further than ``goal`` if given, else than the edge."""
        blocks = np.ceil(np.maximum(0.0, (edge - self.level) / step))
        blocks = np.where(mask, np.minimum(blocks, np.maximum(0.0, end - self.block)), 0.0)
        whole = np.maximum(blocks - 1, 0)  # The last step may overshoot, and is counted where it ends.
        last = self.level + blocks * step
        stop = edge if goal is None else goal
        moved = np.where(step < 0, np.maximum(last, stop), np.minimum(last, stop))
        ratio = np.exp2(np.minimum(2 * step / _OCTAVE, 100.0))
        self.energy += _energy(self.level) * ratio * (1 - ratio**whole) / (1 - ratio)
        self.energy += np.where(blocks > 0, _energy(moved), 0.0)
        self.level = np.where(blocks > 0, moved, self.level)
        self.block += blocks


def _energy(level: Numbers) -> Numbers:
    return np.asarray(np.exp2(2 * (level - _FULL_SCALE) / _OCTAVE))


def _envelope_energy(
    operators: Integers, pitch: Integers, velocity: int, duration: float, seconds: float, sample_rate: int
) -> Numbers:
    """Sum over blocks of the squared amplitude at the end of each block, (n,)."""
    followers = _Followers(operators, pitch, velocity, sample_rate)
    total = np.ceil(seconds * sample_rate / BLOCK)
    released = min(np.ceil(duration * sample_rate / BLOCK), total)
    for stage in range(3):
        followers.segment(stage, released)
    followers.hold_until(released)
    followers.segment(3, total)
    followers.hold_until(total)
    return followers.energy
