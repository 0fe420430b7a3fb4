"""One DX7 voice of all those that sound alike because of how the instrument is built.

Operators in like places of an algorithm can change them unheard, operators that are silent can be anything, algorithms
that differ only in these are the same, a frequency can be written in several ways, and a voice can be an octave lower
with twice the ratios. A network that is to tell a voice from its sound cannot tell which of these it was, and need not
if it only ever learns one of them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthproxy.synths.dx7_algorithms import ALGORITHMS, OPERATORS, Flags, every_order, wiring

_FIELDS = 21
_EG_LEVELS = slice(4, 8)
_LEFT_DEPTH, _RIGHT_DEPTH, _VELOCITY, _OUTPUT_LEVEL, _MODE, _COARSE, _FINE = 9, 10, 15, 16, 17, 18, 19
_DETUNE, _DETUNE_NONE, _DETUNE_MOST = 20, 7, 7
_FEEDBACK, _ALGORITHM, _TRANSPOSE = 135, 134, 144
_OCTAVE, _HOME = 12, 12
"""Semitones, and the lowest transposition of the octave to which voices are brought, one below that of a new voice.
Most people use one of these two; to leave the higher, ratios can nearly always be doubled, but often not halved."""
_DETUNE_GROWTH = 1.3
"""A step of detuning is that much larger, in cents, an octave below, about the middle of the keys."""
_SILENT = (99, 99, 99, 99, 99, 99, 99, 0, 39, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 7)
"""An operator as a new voice has it, at no level."""
_FIXED_DECADES = 4


def canonical(voices: ArrayLike) -> NDArray[np.int64]:
    """Voices that sound the same, and are the same wherever two sounded alike for one of the reasons above.

    Operators that are heard come first, as far as the algorithm lets them, in the order of their frequencies and then
    of their levels, loudest first; fixed frequencies come after ratios. Where a voice is brought to another octave, its
    detuning is as near as the steps of that allow.

    Args:
        voices: (n, 145) parameter bytes.
    """
    found = np.array(voices, dtype=np.int64)
    operators = found[:, : OPERATORS * _FIELDS].reshape(-1, OPERATORS, _FIELDS)[:, ::-1]  # From 1 to 6.
    algorithm = found[:, _ALGORITHM]
    sounding = _sounding(operators, algorithm)
    operators[~sounding] = _SILENT
    found[:, _TRANSPOSE] += _OCTAVE * _bring_home(operators, found[:, _TRANSPOSE], sounding)
    mode, coarse, fine = operators[..., _MODE], operators[..., _COARSE], operators[..., _FINE]
    operators[..., _COARSE], operators[..., _FINE] = np.moveaxis(_frequencies()[mode, coarse, fine], -1, 0)
    fed_back = wiring().feedback[algorithm] & sounding[:, :, None] & sounding[:, None, :]
    found[:, _FEEDBACK] *= fed_back.any((1, 2))

    rank = _rank(operators, sounding)
    kinds = np.column_stack([algorithm, sounding, found[:, _FEEDBACK] > 0])
    kinds, kind_of = np.unique(kinds, axis=0, return_inverse=True)
    for number, (before, *heard, feeds_back) in enumerate(kinds.tolist()):
        rows = np.flatnonzero(kind_of.ravel() == number)
        after, orders = _arrangements(before, tuple(map(bool, heard)), bool(feeds_back))
        places = rank[rows][:, orders] @ OPERATORS ** np.arange(OPERATORS)[::-1]
        best = orders[places.argmin(axis=1)]
        operators[rows] = operators[rows[:, None], best]
        found[rows, _ALGORITHM] = after
    return found


def _sounding(operators: NDArray[np.int64], algorithm: NDArray[np.int64]) -> Flags:
    """Which operators are heard, themselves or by what they modulate, (n, 6)."""
    scaled = operators[..., [_LEFT_DEPTH, _RIGHT_DEPTH, _VELOCITY, _OUTPUT_LEVEL]].any(axis=2)
    alive = scaled & operators[..., _EG_LEVELS].any(axis=2)
    heard, feeds = wiring().heard[algorithm], wiring().feeds[algorithm]
    sounding = alive & heard
    for _ in range(OPERATORS):
        sounding = alive & (heard | (feeds & sounding[:, :, None]).any(axis=1))
    return sounding


def _bring_home(operators: NDArray[np.int64], transpose: NDArray[np.int64], sounding: Flags) -> NDArray[np.int64]:
    """Give voices the ratios of another octave, in place, as near to the home octave as there are such ratios.

    Returns:
        By how many octaves each has to be transposed for that, (n,).
    """
    bound = sounding & (operators[..., _MODE] == 0)
    ratio = _hundredths(operators[..., _COARSE], operators[..., _FINE])
    octaves = np.zeros_like(transpose)
    coarse_of, fine_of = _writings()
    while True:
        far = (transpose + _OCTAVE * octaves - _HOME) // _OCTAVE
        down, up = far > 0, far < 0
        moved = np.where(down[:, None], 2 * ratio, ratio // 2)
        exists = (coarse_of[np.minimum(moved, len(coarse_of) - 1)] >= 0) & (down[:, None] | (ratio % 2 == 0))
        moves = (down | up) & (exists | ~bound).all(axis=1)
        if not moves.any():
            break
        octaves += np.where(moves, np.where(down, -1, 1), 0)
        ratio = np.where(moves[:, None] & bound, moved, ratio)
    rows = (octaves != 0)[:, None] & bound
    detuned = (operators[..., _DETUNE] - _DETUNE_NONE) * _DETUNE_GROWTH ** octaves[:, None].astype(float)
    detune = np.clip(np.rint(detuned), -_DETUNE_MOST, _DETUNE_MOST).astype(np.int64) + _DETUNE_NONE
    for column, values in ((_COARSE, coarse_of[ratio]), (_FINE, fine_of[ratio]), (_DETUNE, detune)):
        operators[..., column] = np.where(rows, values, operators[..., column])
    return octaves


def _rank(operators: NDArray[np.int64], sounding: Flags) -> NDArray[np.int64]:
    """Place of each operator of a voice in the order that is wanted, (n, 6)."""
    mode, coarse, fine = operators[..., _MODE], operators[..., _COARSE], operators[..., _FINE]
    frequency = np.where(mode == 1, coarse * 100 + fine, _hundredths(coarse, fine))
    first = (~sounding, mode, frequency >> 8, frequency & 255, 99 - operators[..., _OUTPUT_LEVEL])
    # Bytes in the order in which they decide; those of the operator itself last, so that only equal ones tie.
    keys = np.concatenate([np.stack(first, axis=-1), operators], axis=-1).astype(np.uint8)
    order = keys.view(f"S{keys.shape[-1]}")[..., 0].argsort(axis=1, kind="stable")
    return np.asarray(order.argsort(axis=1))


def _hundredths(coarse: NDArray[np.int64], fine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ratios in two hundredths: a coarse frequency of 0 is a half, and a fine one adds hundredths of the coarse."""
    return np.where(coarse == 0, 1, 2 * coarse) * (100 + fine)


@cache
def _writings() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Coarse and least fine frequency of every ratio in two hundredths, −1 where there is none; the last has none."""
    coarse, fine = (axis.ravel() for axis in np.mgrid[0:32, 0:100])
    ratio = _hundredths(coarse, fine)
    coarse_of, fine_of = np.full((2, ratio.max() + 2), -1)
    order = np.argsort(-fine, kind="stable")  # The least fine one is written last.
    coarse_of[ratio[order]], fine_of[ratio[order]] = coarse[order], fine[order]
    return coarse_of, fine_of


@cache
def _frequencies() -> NDArray[np.int64]:
    """Coarse and fine frequency with the least fine one that is the same: (mode, coarse, fine, 2)."""
    coarse, fine = np.mgrid[0:32, 0:100]
    coarse_of, fine_of = _writings()
    ratio = _hundredths(coarse, fine)
    fixed = np.stack([coarse % _FIXED_DECADES, fine], axis=-1)
    return np.stack([np.stack([coarse_of[ratio], fine_of[ratio]], axis=-1), fixed])


@cache
def _arrangements(algorithm: int, sounding: tuple[bool, ...], feeds_back: bool) -> tuple[int, NDArray[np.int64]]:
    """The first algorithm in which some operators sound as in another, and every order in which they do.

    Returns:
        It, and (orders, 6): where an order has j in place i, operator i is to become what operator j is.
    """
    graph, orders = wiring(), every_order()
    rows, columns = orders[:, :, None], orders[:, None, :]
    heard = np.asarray(sounding)[orders]
    both = heard[:, :, None] & heard[:, None, :]
    feeds, back = graph.feeds[algorithm][rows, columns], graph.feedback[algorithm][rows, columns]
    for other in range(ALGORITHMS):
        same = ((feeds == graph.feeds[other]) | ~both).all((1, 2))
        same &= ((graph.heard[algorithm][orders] == graph.heard[other]) | ~heard).all(1)
        if feeds_back:
            same &= ((back == graph.feedback[other]) | ~both).all((1, 2))
        if same.any():
            return other, orders[same]
    raise AssertionError  # An algorithm is like itself.
