"""How a DX7 operator's level and envelope rates depend on the key: integer arithmetic of the Dexed engine.

Used to bound loudness without rendering, and to fold keyboard scaling into plain levels and rates for one note. All
functions take integer arrays of any shape and work element by element.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LEVEL_STEPS = 127
"""Largest scaled output level; one step is 0.75 dB."""

_LOW_LEVELS = np.asarray((0, 5, 9, 13, 17, 20, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 42, 43, 45, 46))
# fmt: off
_VELOCITY_LEVELS = np.asarray((
    0, 70, 86, 97, 106, 114, 121, 126, 132, 138, 142, 148, 152, 156, 160, 163, 166, 170, 173, 174, 178, 181, 184, 186,
    189, 190, 194, 196, 198, 200, 202, 205, 206, 209, 211, 214, 216, 218, 220, 222, 224, 225, 227, 229, 230, 232, 233,
    235, 237, 238, 240, 241, 242, 243, 244, 246, 246, 248, 249, 250, 251, 252, 253, 254,
))
_EXPONENTIAL = np.asarray((
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 16, 19, 23, 27, 33, 39, 47, 56, 66, 80, 94, 110, 126, 142, 158, 174, 190,
    206, 222, 238, 250,
))
# fmt: on


def scaled_level(level: Integers) -> Integers:
    """Level 0–99 in steps of 0.75 dB, 0–127."""
    return np.where(level >= 20, level + 28, _LOW_LEVELS[np.minimum(level, 19)])


def level_of(scaled: Integers) -> Integers:
    """The level 0–99 whose scaled level is nearest, the inverse of :func:`scaled_level`."""
    table = scaled_level(np.arange(100))
    return np.asarray(np.abs(np.asarray(scaled)[..., None] - table).argmin(axis=-1))


def velocity_offset(velocity: int, sensitivity: Integers) -> Integers:
    """Change of the output level by velocity, in 1/32 of a level step."""
    return np.asarray((sensitivity * (_VELOCITY_LEVELS[velocity >> 1] - 239) + 7 >> 3) << 4)


def sounding_pitch(note_pitch: int, transpose: Integers) -> Integers:
    """The MIDI pitch that scaling by the key sees: transposed (0–48, 24 for none), and kept within 0–127."""
    return np.asarray(np.clip(note_pitch + transpose - 24, 0, 127))


def keyboard_offset(
    pitch: Integers, break_point: Integers, left: tuple[Integers, Integers], right: tuple[Integers, Integers]
) -> Integers:
    """Change of the output level by the key, in level steps.

    Args:
        pitch: sounding pitch.
        break_point: 0–99.
        left, right: depth (0–99) and curve (0–3) on either side of it.
    """
    distance = pitch - break_point - 17
    # C division truncates towards zero.
    groups = np.where(distance >= 0, (distance + 1) // 3, (1 - distance) // 3)
    depth = np.where(distance >= 0, right[0], left[0])
    curve = np.where(distance >= 0, right[1], left[1])
    linear = groups * depth * 329 >> 12
    exponential = _EXPONENTIAL[np.minimum(groups, len(_EXPONENTIAL) - 1)] * depth * 329 >> 15
    amount = np.where((curve == 0) | (curve == 3), linear, exponential)
    return np.where(curve < 2, -amount, amount)


def rate_offset(pitch: Integers, rate_scaling: Integers) -> Integers:
    """Change of the envelope rates (0–63) by the key."""
    return np.asarray(rate_scaling * np.clip(pitch // 3 - 7, 0, 31) >> 3)


def output_level(operators: Integers, pitch: Integers, velocity: int) -> Integers:
    """Output level of operators for one note, in 1/32 of a level step (0–4064).

    Args:
        operators: (..., 21) operator bytes in the unpacked order.
        pitch: sounding pitch of each, (...).
    """
    o = operators
    key = keyboard_offset(pitch, o[..., 8], (o[..., 9], o[..., 11]), (o[..., 10], o[..., 12]))
    steps = np.minimum(LEVEL_STEPS, scaled_level(o[..., 16]) + key)
    return np.asarray(np.maximum(0, (steps << 5) + velocity_offset(velocity, o[..., 15])))
