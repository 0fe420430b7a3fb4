"""Drawing audible presets. Item i depends on nothing but the seed and i."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthproxy.corpus.rendering import Rendering, is_audible, may_be_audible, render_clip
from synthproxy.corpus.sources import PresetSource, UniformSource
from synthproxy.corpus.store import Failure
from synthproxy.errors import FailedRenderError, InvalidInputError
from synthproxy.synths import Synth
from synthproxy.synths.space import Floats

DRAWS_AT_ONCE = 16
MAXIMUM_DRAWS = 4096


@dataclass(frozen=True)
class Draws:
    """Audible presets: vectors (n, free), clips (n, samples), how many draws each took (n,), and what failed."""

    presets: Floats
    audio: NDArray[np.float32]
    attempts: NDArray[np.uint16]
    failures: tuple[Failure, ...] = ()


def draw_audible(
    synth: Synth,
    rendering: Rendering,
    sample_rate: int,
    seed: int,
    items: Sequence[int],
    source: PresetSource | None = None,
) -> Draws:
    """Draw one audible preset per item number: the first of the item's own random sequence that passes the gate.

    Presets that are certain to be too quiet are passed over without rendering them; that changes no result. A preset
    that the synth cannot play counts as not audible. Draws are uniform unless another source is given.

    Raises:
        InvalidInputError: none of ``MAXIMUM_DRAWS`` draws is audible.
    """
    space = synth.space
    source = source or UniformSource(space)
    presets = np.empty((len(items), space.size), dtype=np.float32)
    audio = np.empty((len(items), round(rendering.seconds * sample_rate)), dtype=np.float32)
    attempts = np.zeros(len(items), dtype=np.uint16)
    generators = [np.random.default_rng((seed, item)) for item in items]
    failures: list[Failure] = []
    waiting = list(range(len(items)))
    while waiting:
        drawn = source.draw([generators[i] for i in waiting], DRAWS_AT_ONCE)
        worth_rendering = may_be_audible(synth, drawn, rendering, sample_rate).reshape(-1, DRAWS_AT_ONCE)
        for i, candidates, worth in zip(
            waiting, drawn.reshape(-1, DRAWS_AT_ONCE, space.size), worth_rendering, strict=True
        ):
            for number in np.nonzero(worth)[0]:
                try:
                    clip = render_clip(synth, candidates[number], rendering, sample_rate)
                except FailedRenderError as error:
                    failures.append(Failure(items[i], str(error)))
                    continue
                if is_audible(clip, rendering):
                    presets[i], audio[i] = candidates[number], clip
                    attempts[i] += number + 1
                    break
            else:
                attempts[i] += DRAWS_AT_ONCE
                if attempts[i] >= MAXIMUM_DRAWS:
                    raise InvalidInputError(
                        f"{synth.name}: none of {MAXIMUM_DRAWS} presets drawn for item {items[i]} is audible; "
                        "check its output level, or lower the minimum RMS"
                    )
                continue
            generators[i] = _FINISHED
        waiting = [i for i in waiting if generators[i] is not _FINISHED]
    return Draws(presets, audio, attempts, tuple(failures))


_FINISHED = np.random.default_rng(0)
