"""A corpus falls into parts that are a function of the split alone, and divides nothing that belongs together."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from synthproxy.corpus import Corpus, CorpusInfo, Rendering
from synthproxy.corpus.parts import PARTS, Split, rows_of_parts
from synthproxy.corpus.store import SHARD, Shard
from synthproxy.errors import InvalidInputError
from synthproxy.synths import Parameter, PresetSpace

SPACE = PresetSpace("two", (Parameter("a"), Parameter("b")))
SIZE = 900


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Corpus]:
    """A corpus with these embeddings and, if hand-crafted, origins; rows that are silent are no items."""

    def store(embeddings: np.ndarray, origins: Sequence[str] = (), silent: Sequence[int] = ()) -> Corpus:
        size, dimension = embeddings.shape
        info = CorpusInfo("two", SPACE, "ears", "ears:1", dimension, 8_000, size, Rendering(seconds=0.2))
        if origins:
            info = CorpusInfo.from_dict({**info.to_dict(), "kind": "hand-crafted"})
        corpus = Corpus.create(tmp_path / "corpus", info)
        attempts = np.ones(size, dtype=np.uint16)
        attempts[list(silent)] = 0
        presets = np.random.default_rng(0).random((size, 2)).astype(np.float32)
        for number in range(info.shards):
            rows = slice(number * SHARD, (number + 1) * SHARD)
            shard = Shard(presets[rows], embeddings[rows], attempts[rows], names=origins[rows], origins=origins[rows])
            corpus.write_shard(number, shard)
        return Corpus.open(tmp_path / "corpus")

    return store


@pytest.fixture
def families() -> np.ndarray:
    """300 sounds, three presets of each that are alike."""
    centres = np.random.default_rng(1).normal(size=(300, 16))
    return (np.repeat(centres, 3, axis=0) + np.random.default_rng(2).normal(scale=1e-3, size=(SIZE, 16))).astype("f4")


def counts(rows) -> list[int]:
    return [int(rows[part].sum()) for part in PARTS]


def test_parts_are_a_function_of_the_split(store, families):
    corpus = store(families)
    rows = rows_of_parts(corpus, Split())
    assert counts(rows) == pytest.approx([720, 90, 90], abs=5)
    assert (np.sum([rows[part] for part in PARTS], axis=0) == 1).all()
    again, other = rows_of_parts(corpus, Split()), rows_of_parts(corpus, Split(seed=1))
    assert all((rows[part] == again[part]).all() for part in PARTS)
    assert (rows["test"] != other["test"]).any()


def test_presets_that_sound_alike_stay_together_unless_nothing_shall(store, families):
    corpus = store(families)
    apart = {}
    for together in ("sound", "preset"):
        rows = rows_of_parts(corpus, Split(together=together))
        apart[together] = sum(0 < rows["train"][3 * family : 3 * family + 3].sum() < 3 for family in range(300))
    assert apart["sound"] == 0
    assert apart["preset"] > 50


def test_presets_of_one_source_stay_together(store, families):
    sources = [f"folder/bank {row // 45}.syx" for row in range(SIZE)]
    origins = [f"{source}:{row % 45}" for row, source in enumerate(sources)]
    rows = rows_of_parts(store(families, origins), Split(together="source"))
    assert counts(rows) == [720, 90, 90]
    for part in PARTS:
        inside = {sources[row] for row in np.flatnonzero(rows[part])}
        assert not inside & {sources[row] for row in np.flatnonzero(~rows[part])}


def test_silent_presets_are_in_no_part(store, families):
    silent = list(range(0, SIZE, 7))
    rows = rows_of_parts(store(families, ["bank:1"] * SIZE, silent), Split(together="preset"))
    assert sum(counts(rows)) == SIZE - len(silent)
    assert not any(rows[part][silent].any() for part in PARTS)


def test_fewer_presets_to_learn_from_leave_the_other_parts_alone(store, families):
    corpus = store(families)
    rows, fewer = rows_of_parts(corpus, Split()), rows_of_parts(corpus, Split(most=100))
    assert counts(fewer) == [100, *counts(rows)[1:]]
    assert (fewer["test"] == rows["test"]).all()
    assert not (fewer["train"] & ~rows["train"]).any()


def test_what_cannot_be_split_so_is_refused(store, families):
    corpus = store(families)
    with pytest.raises(InvalidInputError, match="drawn presets have no source"):
        rows_of_parts(corpus, Split(together="source"))
    with pytest.raises(InvalidInputError, match=r"no preset is left for validation .* split by sound"):
        rows_of_parts(corpus, Split(within=100.0))


def test_one_large_source_is_refused(store, families):
    corpus = store(families, [f"{'large' if row < 800 else 'small'}:{row}" for row in range(SIZE)])
    with pytest.raises(InvalidInputError, match="800 of 900 presets are from one source, large; split by 'sound'"):
        rows_of_parts(corpus, Split(together="source"))


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (0.5, 0.5)])
def test_shares_that_are_none(shares):
    with pytest.raises(ValidationError):
        Split(shares=shares)
