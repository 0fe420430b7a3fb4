"""What is listened to: base presets, and an attribute moved step by step on each of them.

A preset is a *base* if, by itself, it passes the loudness gate of corpora and is pitched. An attribute can be judged on
it if the clip of every step passes the gate too, the ends differ audibly, and at least half of the steps change the
sound. Steps that do not are left out: nobody, and no model, can tell their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from synthproxy.audio.features import MelSpectrogram, decibels
from synthproxy.audio.handmade import BASELINE_MEL, BASELINE_RATE
from synthproxy.corpus.rendering import Rendering, is_audible, render_clip
from synthproxy.errors import FailedRenderError
from synthproxy.matching.pitch import estimate_pitch
from synthproxy.ranking.attributes import Attribute
from synthproxy.ranking.plan import Plan
from synthproxy.synths import Synth
from synthproxy.synths.space import Floats

SAMPLE_RATE = BASELINE_RATE
RENDERING = Rendering(seconds=4.0)

PITCHED = 0.9
"""Least periodicity of a base preset."""

AUDIBLE = 3.0
"""Least :func:`level_difference` between the ends of a move, in dB: some times what people notice in a loudness."""

RANGE = 60.0
"""Bands that are further below the loudest one than this, in dB, count as silent."""

UNCHANGED = 0.01
"""Greatest :func:`level_difference`, in dB, between steps that count as one; more where the synth does not repeat."""

LEAST_CHANGING = 0.5
"""Least share of the steps of a move that change the sound."""

MOST_TRIED = 20
"""Presets that are tried for every one that is wanted, before an attribute makes do with fewer."""


CANNOT_BE_PLAYED = "cannot be played"


@dataclass(frozen=True)
class Sweep:
    """An attribute moved on one base preset.

    Args:
        candidate: place of the base preset among the candidates of the plan.
        changing: numbers of the steps that change the sound, from 0, ascending.
    """

    candidate: int
    changing: tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """The base presets of one attribute.

    Args:
        attribute: its name.
        sweeps: one for each of them.
        tried: how many presets were tried.
        refused: why the others could not be used, and how many.
    """

    attribute: str
    sweeps: tuple[Sweep, ...]
    tried: int
    refused: Mapping[str, int]


class UnfitError(Exception):
    """A preset that an attribute cannot be judged on; the message says why."""


def conditions() -> dict[str, Any]:
    """All the numbers of this module, as plain data: other ones choose other presets."""
    return {
        "rendering": asdict(RENDERING),
        "sample_rate": SAMPLE_RATE,
        "pitched": PITCHED,
        "audible": AUDIBLE,
        "range": RANGE,
        "unchanged": UNCHANGED,
        "least_changing": LEAST_CHANGING,
        "most_tried": MOST_TRIED,
    }


def play(synth: Synth, presets: Floats) -> Floats:
    """The clips of presets: (n, free) to (n, samples), at :data:`SAMPLE_RATE`."""
    return np.stack([render_clip(synth, preset, RENDERING, SAMPLE_RATE) for preset in presets])


def unfit_as_base(synth: Synth, preset: Floats) -> str:
    """What keeps a preset from being a base preset; empty if nothing does."""
    try:
        clip = render_clip(synth, preset, RENDERING, SAMPLE_RATE)
    except FailedRenderError:
        return CANNOT_BE_PLAYED
    if not is_audible(clip, RENDERING):
        return "too quiet or too loud"
    return "" if estimate_pitch(clip, SAMPLE_RATE)[1] >= PITCHED else "not pitched"


def changing_steps(synth: Synth, steps: Floats) -> tuple[int, ...]:
    """Which steps of a move change the sound, ascending, the first one always among them.

    Args:
        steps: presets of the synth, (steps, free).

    Raises:
        UnfitError: the order of these clips says nothing.
    """
    if len(steps) < 2:
        raise UnfitError("nothing to move")
    try:
        # The ends first: they settle most cases.
        clips = play(synth, steps[[0, -1]])
        if not all(is_audible(clip, RENDERING) for clip in clips):
            raise UnfitError("too quiet or too loud at an end")
        if level_difference(*clips) < AUDIBLE:
            raise UnfitError("ends sound alike")
        clips = np.insert(clips, 1, [render_clip(synth, x, RENDERING, SAMPLE_RATE) for x in steps[1:-1]], axis=0)
        # What the synth plays differently each time is no change.
        (again,) = play(synth, steps[:1])
    except FailedRenderError as error:
        raise UnfitError(CANNOT_BE_PLAYED) from error
    if not all(is_audible(clip, RENDERING) for clip in clips):
        raise UnfitError("too quiet or too loud in between")
    changing = _changing(clips, max(UNCHANGED, level_difference(clips[0], again)))
    if len(changing) < max(2, LEAST_CHANGING * len(steps)):
        raise UnfitError("most steps sound alike")
    return changing


def level_difference(sound: Floats, other: Floats) -> float:
    """How much two clips, (samples,) each, differ in the levels of their mel bands: a mean, in dB.

    Counted are the bands, at each moment, in which one of them is heard.
    """
    with torch.inference_mode():
        power = _mel_spectrogram()(torch.from_numpy(np.stack([sound, other])))
        floor = float(power.max()) * 10 ** (-RANGE / 10)
        first, second = decibels(power, floor=floor)
        heard = (power > floor).any(dim=0)
        return float((first - second).abs()[heard].mean())


def choose_sweeps(plan: Plan, attribute: Attribute, unfit: Callable[[int], str]) -> Choice:
    """The first presets of a plan that an attribute can be judged on, as many as it wants if there are.

    Args:
        unfit: what keeps the candidate at a place from being a base preset, as :func:`unfit_as_base` tells.
    """
    found: list[Sweep] = []
    refused: Counter[str] = Counter()
    tried = 0
    for candidate in range(min(len(plan.candidates), plan.wanted * MOST_TRIED)):
        if len(found) == plan.wanted:
            break
        tried += 1
        try:
            if reason := unfit(candidate):
                raise UnfitError(reason)
            found.append(Sweep(candidate, changing_steps(plan.synth, plan.move(attribute, candidate))))
        except UnfitError as error:
            refused[str(error)] += 1
    return Choice(attribute.name, tuple(found), tried, dict(refused))


@cache
def _mel_spectrogram() -> MelSpectrogram:
    return MelSpectrogram(BASELINE_MEL)


def _changing(clips: Floats, unchanged: float) -> tuple[int, ...]:
    """The first clip, and those that differ from the one kept before."""
    kept = [0]
    for i in range(1, len(clips)):
        if level_difference(clips[kept[-1]], clips[i]) > unchanged:
            kept.append(i)
    return tuple(kept)
