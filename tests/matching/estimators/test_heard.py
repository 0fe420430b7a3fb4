"""Presets with levels are read whole, in blocks and in order, and only those of the part."""

from itertools import product

import numpy as np
import pytest

from synthproxy.corpus import Corpus
from synthproxy.corpus.parts import Split, rows_of_parts
from synthproxy.errors import InvalidInputError
from synthproxy.matching.estimators.heard import COLUMNS, HeardPresets, PresetsInMemory


@pytest.fixture(scope="module")
def rows(heard_corpus) -> np.ndarray:
    return rows_of_parts(heard_corpus, Split(together="preset"))["train"]


@pytest.fixture(scope="module")
def expected(heard_corpus, rows) -> list[np.ndarray]:
    """The arrays of the part, read by another way."""
    everything = [heard_corpus.read_columns(shard, heard_corpus.counting(), COLUMNS) for shard in (0, 1)]
    return [np.concatenate(column)[rows] for column in zip(*everything, strict=True)]


def test_they_are_those_of_the_part(heard_corpus, rows, expected):
    heard = HeardPresets(heard_corpus, rows)
    assert len(heard) == len(expected[0]) == 480
    np.testing.assert_array_equal(heard.presets(), expected[0])
    for size, presets in product((7, 1_000), (heard, heard.in_memory())):
        assert len(presets) == 480
        parts = list(presets.in_order(size))
        assert max(len(part[0]) for part in parts) <= size
        for column, whole in zip(zip(*parts, strict=True), expected, strict=True):
            np.testing.assert_array_equal(np.concatenate(column), whole)


@pytest.mark.parametrize(("block", "kept"), [(None, True), (480, True), (479, False)])
def test_what_is_read_again_is_kept_unless_it_is_more_than_a_block(heard_corpus, rows, block, kept):
    assert isinstance(HeardPresets(heard_corpus, rows, block).to_reread(), PresetsInMemory) == kept


@pytest.mark.parametrize("block", [None, 1, 300, 10_000])
def test_every_preset_comes_once_an_epoch_with_its_own_levels(heard_corpus, rows, expected, block):
    with HeardPresets(heard_corpus, rows, block).batches(32, 3) as batches:
        drawn = [batches.batch(1, place) for place in range(15)]
        again = batches.batch(1, 4)
    presets, embeddings, levels = (np.concatenate(column) for column in zip(*drawn, strict=True))
    assert levels.dtype == np.float16
    place = {preset.tobytes(): row for row, preset in enumerate(expected[0])}
    order = [place[preset.tobytes()] for preset in presets]
    assert sorted(order) == list(range(480))
    np.testing.assert_array_equal(embeddings, expected[1][order])
    np.testing.assert_array_equal(levels, expected[2][order])
    assert all((one == other).all() for one, other in zip(again, drawn[4], strict=True))


def test_a_corpus_without_levels_is_refused(tmp_path, heard_corpus):
    info = {**heard_corpus.info.to_dict(), "keeps_levels": False}
    without = Corpus.create(tmp_path / "corpus", type(heard_corpus.info).from_dict(info))
    with pytest.raises(InvalidInputError, match="make it with --keep-levels"):
        HeardPresets.all_of(without)
