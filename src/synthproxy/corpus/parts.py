"""One corpus as three: presets to learn from, to validate by and to test by, told apart by a seed alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from synthproxy.corpus.splitting import Rows, alike, split
from synthproxy.corpus.store import Corpus, CorpusInfo
from synthproxy.errors import InvalidInputError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)

LARGEST_SOURCE = 0.5
"""Share of the presets above which a source is too large to be dealt out whole."""

RowsOfParts = Mapping[Part, NDArray[np.bool_]]
"""Which rows of a corpus's arrays belong to each part, (size,)."""


class Split(BaseModel):
    """How a corpus falls into parts: a function of these values and of the corpus.

    Args:
        shares: of the parts for training, validation and test.
        seed: of the order in which presets are dealt out.
        together: what is never divided: presets that sound nearly alike (``sound``), that are from the same file
            (``source``), or nothing but the preset itself (``preset``), as published.
        within: mean absolute difference of embeddings up to which two presets sound nearly alike; so do those that
            others in between link.
        most: presets to learn from at most; the others of that part are left aside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = Field(default=42, ge=0)
    together: Literal["sound", "source", "preset"] = "sound"
    within: float = Field(default=0.02, ge=0)
    most: int | None = Field(default=None, ge=1)

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("shares must be above 0 and 1 in all")
        return shares


@dataclass(frozen=True)
class LearnedFrom:
    """A corpus that a network has learned from, and the part of it.

    Args:
        kind, seed, first, size, source_digest: what tells the corpus from others, as in its
            :class:`~synthproxy.corpus.store.CorpusInfo`.
        split: how it fell into parts; None if all of it was learned from.
    """

    kind: str
    seed: int
    first: int
    size: int
    source_digest: str
    split: Split | None = None

    @classmethod
    def of(cls, info: CorpusInfo, split: Split | None) -> LearnedFrom:
        """That of a corpus."""
        return cls(info.kind, info.seed, info.first, info.size, info.source_digest, split)

    def is_of(self, corpus: Corpus) -> bool:
        """Whether this is the corpus, or one of the same presets."""
        return LearnedFrom.of(corpus.info, self.split) == self

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "split": self.split.model_dump(mode="json") if self.split else None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LearnedFrom:
        """The inverse of :meth:`to_dict`."""
        split = Split.model_validate(data["split"]) if data["split"] else None
        return cls(**{**data, "split": split})


def rows_of_parts(corpus: Corpus, how: Split) -> RowsOfParts:
    """The rows of each part. Rows that are no items, as their presets are silent, are in none.

    Raises:
        InvalidInputError: a part would be empty, or one source is most of the corpus.
    """
    items = np.flatnonzero(corpus.counting())
    dealt = split(_labels(corpus, how, len(items)), how.shares, how.seed)
    rows = {part: np.zeros(corpus.info.size, dtype=np.bool_) for part in PARTS}
    for part, chosen in zip(PARTS, dealt, strict=True):
        if not len(chosen):
            raise InvalidInputError(
                f"{corpus.path}: no preset is left for {part} when {len(items)} are split by {how.together}; "
                "give other shares, another seed, or more presets"
            )
        rows[part][items[_some(chosen, how) if part == "train" else chosen]] = True
    return MappingProxyType(rows)


def _some(rows: Rows, how: Split) -> Rows:
    """At most as many as are wanted."""
    if how.most is None or how.most >= len(rows):
        return rows
    return np.random.default_rng(how.seed).permutation(rows)[: how.most]


def _labels(corpus: Corpus, how: Split, count: int) -> Rows:
    """What belongs together, (items,)."""
    if how.together == "preset":
        return np.arange(count)
    if how.together == "sound":
        return alike(corpus.embeddings(), how.within)
    origins = corpus.origins()
    if not origins:
        raise InvalidInputError(
            f"{corpus.path}: drawn presets have no source; split by 'sound' or by 'preset', or give imported ones"
        )
    names, labels, sizes = np.unique([_source(origin) for origin in origins], return_inverse=True, return_counts=True)
    largest = int(sizes.argmax())
    if sizes[largest] > LARGEST_SOURCE * count:
        raise InvalidInputError(
            f"{corpus.path}: {sizes[largest]} of {count} presets are from one source, {names[largest]}; "
            "split by 'sound' instead"
        )
    return np.asarray(labels, dtype=np.int64)


def _source(origin: str) -> str:
    """The file of an origin, which is followed by a place in it if the file holds several presets."""
    source, colon, place = origin.rpartition(":")
    return source if colon and place.strip().isdigit() else origin
