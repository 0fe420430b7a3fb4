"""What is asked of audio models: which attributes, moved on which presets of which synth, in how many steps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from synthproxy.corpus.rendering import repeatability
from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.ranking.attributes import Attribute, attributes_of, playing_space
from synthproxy.synths import NamedPreset, Synth
from synthproxy.synths.dexed import Dexed
from synthproxy.synths.plugin import PluginSynth
from synthproxy.synths.space import Floats, PresetSpace


@dataclass(frozen=True, eq=False)
class Plan:
    """A ranking before it has begun.

    Args:
        synth: what plays presets of the space.
        space: the synth's parameters; everything that attributes touch is free in it, over its whole range.
        attributes: what is moved.
        candidates: presets of the space, in the order in which they are tried as base presets.
        wanted: base presets of each attribute.
        steps: of each move.
        seed: of the order of the candidates.
    """

    synth: Synth
    space: PresetSpace
    attributes: tuple[Attribute, ...]
    candidates: tuple[NamedPreset, ...]
    wanted: int
    steps: int
    seed: int

    def __post_init__(self) -> None:
        if not self.attributes:
            raise InvalidInputError("there is no attribute to judge audio models by")
        names = [attribute.name for attribute in self.attributes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidInputError(f"the attribute {twice[0]!r} is given twice")
        if self.wanted < 1:
            raise InvalidInputError(f"at least one base preset per attribute is needed, got {self.wanted}")
        if self.steps < 2:
            raise InvalidInputError(f"a move has at least two steps, got {self.steps}")

    def move(self, attribute: Attribute, candidate: int) -> Floats:
        """The steps of an attribute on the candidate at this place: (steps or fewer, free)."""
        return attribute.presets(self.space, self.candidates[candidate].vector, self.steps)

    def settings(self) -> dict[str, Any]:
        """All that the clips depend on, as plain data."""
        vectors = b"".join(preset.vector.tobytes() for preset in self.candidates)
        repeats = repeatability(self.synth)
        return {
            "synth": self.synth.name,
            "space": self.space.digest,
            "mode": repeats.mode if repeats else None,
            "presets": hashlib.sha256(vectors).hexdigest(),
            "attributes": [asdict(attribute) for attribute in self.attributes],
            "presets_per_attribute": self.wanted,
            "steps": self.steps,
            "seed": self.seed,
        }


def make_plan(
    synth: Synth,
    presets: Sequence[NamedPreset],
    attributes: Sequence[Attribute] | None = None,
    *,
    wanted: int,
    steps: int,
    seed: int,
) -> Plan:
    """A plan for presets of a synth's own space, in an order drawn by the seed.

    Args:
        attributes: by default all that are known of this synth.

    Raises:
        InvalidInputError: the synth has not what an attribute needs, there are no presets, or numbers make no sense.
        UnavailableError: an attribute needs a parameter that is held, and this synth cannot let it go.
    """
    moved = tuple(attributes_of(synth.name) if attributes is None else attributes)
    if not presets:
        raise InvalidInputError("there are no presets to move sound attributes on: give preset files")
    if seed < 0:
        raise InvalidInputError(f"a seed must not be negative, got {seed}")
    space = playing_space(synth.space, moved)
    vectors = space.encode(synth.space.decode(np.stack([preset.vector for preset in presets])))
    order = np.random.default_rng(seed).permutation(len(presets))
    candidates = tuple(replace(presets[i], vector=vectors[i]) for i in order)
    return Plan(_playing(synth, space), space, moved, candidates, wanted, steps, seed)


def _playing(synth: Synth, space: PresetSpace) -> Synth:
    """The synth, taking presets of another space of its parameters."""
    if [p.name for p in space.free] == [p.name for p in synth.space.free]:
        return synth
    if isinstance(synth, Dexed):
        return synth.with_space(space)
    if isinstance(synth, PluginSynth):
        definition = replace(synth.definition, space=space)
        return PluginSynth(definition, mode=synth.mode, plugin=synth.plugin, repeatability=synth.repeatability)
    raise UnavailableError(
        f"held parameters of {synth.name!r} cannot be moved: leave out the attributes that need them"
    )
