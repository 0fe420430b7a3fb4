"""How much a match may cost: seconds of wall time, or a number of renders (which makes it reproducible)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from synthproxy.errors import InvalidInputError


@dataclass
class Budget:
    """Counts down; exactly one of the limits is set.

    Args:
        seconds: wall time from the moment this object is made.
        renders: number of sounds rendered.
        spent: part of the budget, 0–1, that an earlier run has used.
    """

    seconds: float | None = None
    renders: int | None = None
    spent: float = 0.0
    _start: float = field(default_factory=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.renders is None):
            raise InvalidInputError("give either --seconds or --renders")
        limit = self.seconds if self.renders is None else self.renders
        if limit is None or not 0 < limit < float("inf"):
            name = "--seconds" if self.renders is None else "--renders"
            raise InvalidInputError(f"{name}: give a number above 0, got {limit}")

    def used(self, renders: int) -> float:
        """Part of the budget that is used up, given the renders so far; 1 when it is spent."""
        if self.renders is not None:
            now = renders / self.renders
        else:
            assert self.seconds is not None
            now = (time.monotonic() - self._start) / self.seconds
        return min(1.0, self.spent + now)

    def expected(self, renders: int) -> float:
        """Renders that there will be in all, as far as those so far tell, an earlier run's among them."""
        return self.renders if self.renders is not None else renders / max(self.used(renders), 1e-9)
