"""Batches repeat whenever they are asked for, and lose no preset, in memory and read in blocks."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch

from synthproxy.corpus import Corpus
from synthproxy.corpus.store import SHARD
from synthproxy.errors import InvalidInputError
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.streaming import StreamedExamples

SIZE = 4 * SHARD + 52  # the last shard is short


@pytest.fixture(scope="module")
def examples(small_space, make_examples):
    """Their first value is the number of the row."""
    drawn = make_examples(small_space, SIZE, 4, 1)
    drawn.embeddings[:, 0] = np.arange(SIZE)
    return drawn


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, examples, store_examples) -> Corpus:
    return store_examples(tmp_path_factory.mktemp("corpus") / "whole", examples)


@pytest.fixture(scope="module")
def imported(tmp_path_factory, examples, store_examples) -> Corpus:
    """A corpus with a silent row in three, and nothing else in its second shard."""
    silent = [row for row in range(SIZE) if row % 3 == 0 or row // SHARD == 1]
    return store_examples(tmp_path_factory.mktemp("imported") / "silent", examples, silent)


def rows_of(batch):
    return batch[1][:, 0].astype(int).tolist()


def epoch_of(examples, epoch, *, size=100, seed=3):
    """The rows of all full batches of an epoch, one batch after the other."""
    with examples.batches(size, seed) as batches:
        return [rows_of(batches.batch(epoch, place)) for place in range(len(examples) // size)]


def test_batches_in_memory_follow_one_permutation_of_torch(examples):
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(3 * 1_000_003 + 2))
    with examples.batches(100, 3) as batches:
        for place in (0, 7, 19):
            presets, embeddings = batches.batch(2, place)
            rows = order[100 * place : 100 * (place + 1)]
            assert torch.equal(torch.from_numpy(presets), torch.from_numpy(examples.presets)[rows])
            assert torch.equal(torch.from_numpy(embeddings), torch.from_numpy(examples.embeddings)[rows])


@pytest.mark.parametrize("block", [1, SHARD, 700, 1_100, 10**9])
@pytest.mark.parametrize("size", [100, 1_200])
def test_every_preset_is_read_once_an_epoch(examples, corpus, block, size):
    rows = epoch_of(StreamedExamples.from_corpus(corpus, block), 5, size=size)
    assert {len(batch) for batch in rows} == {size}
    seen = [row for batch in rows for row in batch]
    assert len(set(seen)) == len(seen) == SIZE - SIZE % size
    with StreamedExamples.from_corpus(corpus, block).batches(size, 3) as batches:
        presets, embeddings = batches.batch(5, 0)
    np.testing.assert_array_equal(presets, examples.presets[rows[0]])
    np.testing.assert_array_equal(embeddings, examples.embeddings[rows[0]])


def test_silent_rows_of_imported_corpora_are_never_read(imported):
    streamed = StreamedExamples.from_corpus(imported, 600)
    assert len(streamed) == len(imported) < SIZE
    rows = [row for batch in epoch_of(streamed, 0, size=1) for row in batch]
    assert sorted(rows) == Examples.from_corpus(imported).embeddings[:, 0].tolist()


def test_shards_and_presets_are_in_another_order_in_every_epoch_and_for_every_seed(corpus):
    streamed = StreamedExamples.from_corpus(corpus, 600)
    orders = [
        [row for batch in epoch_of(streamed, epoch, seed=seed) for row in batch]
        for epoch, seed in ((0, 1), (1, 1), (0, 2), (2, 1))
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert len({frozenset(row // SHARD for row in order[:564]) for order in orders}) > 1  # other shards come first
    for order in orders:
        first = [row // SHARD for row in order[: 2 * SHARD - 200]]
        assert sum(one != other for one, other in pairwise(first)) > 100  # the shards of a block are mixed
        rises = sum(one < other for one, other in pairwise(order))
        assert 0.4 < rises / len(order) < 0.6


def test_a_batch_is_the_same_whenever_it_is_asked_for(corpus):
    streamed = StreamedExamples.from_corpus(corpus, 600)
    whole = epoch_of(streamed, 1)
    with streamed.batches(100, 3) as batches:
        for epoch, place in ((0, 3), (1, 20), (1, 4), (1, 5), (7, 0), (1, 11)):
            rows = rows_of(batches.batch(epoch, place))
            assert epoch != 1 or rows == whole[place]
    with streamed.batches(100, 3) as batches:
        assert rows_of(batches.batch(1, 12)) == whole[12]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_processes_share_a_batch_without_rest(examples, corpus, is_streamed):
    source = StreamedExamples.from_corpus(corpus, 600) if is_streamed else examples
    with source.batches(90, 3) as batches:
        for place in range(SIZE // 90):
            whole = batches.batch(0, place)
            for part in range(3):
                share = batches.batch(0, place, slice(part, None, 3))
                assert all(np.array_equal(values[part::3], some) for values, some in zip(whole, share, strict=True))


def test_both_forms_say_the_same_of_a_corpus(imported):
    memory, streamed = Examples.from_corpus(imported), StreamedExamples.from_corpus(imported, 600)
    assert (len(streamed), streamed.dimension) == (len(memory), memory.dimension)
    assert streamed.setting == memory.setting
    for count in (1, 512, 700, 10**6):
        some, same = streamed.first(count), memory.first(count)
        np.testing.assert_array_equal(some.presets, same.presets)
        np.testing.assert_array_equal(some.embeddings, same.embeddings)
    assert streamed.identity() == StreamedExamples.from_corpus(Corpus.open(imported.path), 9_000).identity()


def peak(streamed: StreamedExamples) -> int:
    """Most bytes at once while two epochs of batches are drawn."""
    tracemalloc.start()
    try:
        with streamed.batches(128, 1) as batches:
            for epoch in range(2):
                for place in range(len(streamed) // 128):
                    batches.batch(epoch, place)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_corpus(tmp_path, small_space, make_examples, store_examples):
    peaks = []
    for shards in (12, 36):
        corpus = store_examples(tmp_path / str(shards), make_examples(small_space, shards * SHARD, 100, 1))
        peaks.append(peak(StreamedExamples.from_corpus(corpus, 4 * SHARD)))
    block = 4 * SHARD * (100 + small_space.size) * 4  # bytes: a third of the smaller corpus, a ninth of the larger
    print(peaks, block)
    assert peaks[1] < 1.25 * peaks[0]
    assert peaks[1] < 4 * block


def test_a_value_that_is_not_finite_is_met_when_its_block_is(tmp_path, examples, store_examples):
    corpus = store_examples(tmp_path / "x", examples.first(2 * SHARD))
    with StreamedExamples.from_corpus(corpus, SHARD).batches(SHARD, 3) as batches:
        second = rows_of(batches.batch(0, 1))[0] // SHARD
    damaged = corpus.read_shard(second, corpus.counting())[1]
    damaged[5, 1] = np.nan
    Corpus._open(corpus.path, "r+")._array("embeddings")[second * SHARD : (second + 1) * SHARD] = damaged
    with StreamedExamples.from_corpus(corpus, SHARD).batches(SHARD, 3) as batches:
        batches.batch(0, 0)
        with pytest.raises(InvalidInputError, match="embeddings by bands hold a value that is not finite"):
            batches.batch(0, 1)
