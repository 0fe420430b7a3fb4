"""How a match is made: what its stages do, and what part of the budget each has."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from synthproxy.matching.budget import Budget
from synthproxy.matching.search import SearchSettings

_EARLIER = 0.8
"""How much earlier moves of single parameters begin where evolution has no time."""


@dataclass(frozen=True)
class MatchSettings:
    """How a match is made. Stages end at a part of the budget, from 0 to 1.

    Args:
        retrieved: presets taken from each corpus.
        random: presets drawn from the space, beside those of the corpora.
        drawn: presets drawn by a proposer, if there is one: some at all notes that the target may be, most at two.
        temperatures: at which it draws them, an equal share each.
        propose_until: when proposing ends, unless everything has been tried before.
        apart_until: when islands begin to evolve as one.
        search_until: when refinement of the nearest takes over from evolution.
        refine_until: when refinement of the others takes over, if any are wanted.
        top: candidates returned.
        difference: least mean difference between two returned sounds, in dB of their mel spectra.
        seed: of everything random.
        search: settings of the evolution.
    """

    retrieved: int = 256
    random: int = 256
    drawn: int = 1024
    temperatures: tuple[float, ...] = (0.3, 0.5, 0.75)
    propose_until: float = 0.25
    apart_until: float = 0.6
    search_until: float = 0.8
    refine_until: float = 0.9
    top: int = 5
    difference: float = 1.0
    seed: int = 0
    search: SearchSettings = field(default_factory=SearchSettings)

    def within(self, budget: Budget) -> MatchSettings:
        """The same, but that no more is drawn than may be rendered."""
        if budget.renders is None:
            return self
        return replace(self, drawn=min(self.drawn, math.ceil(self.propose_until * budget.renders)))

    def for_renders(self, renders: float) -> MatchSettings:
        """The same for about so many renders in all.

        No more candidates are kept than these bring together; where they do not bring even the least number together,
        evolution ends earlier.
        """
        search = self.search.within(renders)
        if renders >= search.least * search.renders_each:
            return replace(self, search=search)
        early, end = _EARLIER * self.apart_until, _EARLIER * self.search_until
        return replace(self, search=search, apart_until=early, search_until=end)
