"""Presets of several corpora are learned from together, each with its own note, in an order that can be told again."""

from collections import Counter

import numpy as np
import pytest

from synthproxy.corpus import Corpus, CorpusInfo, Rendering
from synthproxy.corpus.store import SHARD, Shard
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.matching.proposers.codes import PresetCode
from synthproxy.matching.proposers.network import note_values
from synthproxy.matching.proposers.noted import NotedPresets
from synthproxy.synths import Note, PresetSpace, get_synth

SIZES = (1_300, 520)
NOTES = (Note(48, 100, 0.5), Note(72, 60, 2.0))


def store(path, space, size, note, seed, scale=1.0, **changes) -> Corpus:
    """A corpus of hand-crafted presets, the first of every nine of them silent, with embeddings of 6 values."""
    about = {
        "synth": "made", "space": space, "audio_model": "mel@2", "audio_model_identity": "1", "dimension": 6,
        "sample_rate": 32_000, "size": size, "rendering": Rendering(note=note), "seed": seed, "kind": "hand-crafted",
    }  # fmt: skip
    corpus = Corpus.create(path, CorpusInfo(**{**about, **changes}))
    generator = np.random.default_rng(seed)
    for number in range(corpus.info.shards):
        rows = corpus.info.rows(number)
        embeddings = scale * generator.standard_normal((len(rows), 6)).astype(np.float32)
        attempts = np.array([row % 9 > 0 for row in rows], dtype=np.uint16)
        presets = space.sample(generator, len(rows))
        corpus.write_shard(number, Shard(presets, embeddings, attempts, None, ["x"] * len(rows), ["x"] * len(rows)))
    return Corpus.open(path)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory, mixed_space) -> tuple[Corpus, ...]:
    folder = tmp_path_factory.mktemp("noted")
    parts = zip(SIZES, NOTES, strict=True)
    return tuple(store(folder / str(i), mixed_space, size, note, i) for i, (size, note) in enumerate(parts))


@pytest.mark.parametrize("block", [None, 1, 600, 10_000])
def test_every_preset_comes_once_an_epoch_with_its_own_sound_and_note(corpora, block):
    noted = NotedPresets(corpora, block)
    assert len(noted) == sum(len(corpus) for corpus in corpora)
    with noted.batches(32, 3) as batches:
        drawn = [batches.batch(1, place) for place in range(len(noted) // 32)]
        again, share = batches.batch(1, 4), batches.batch(1, 4, slice(1, None, 2))
        other = batches.batch(2, 4)
    presets, embeddings, notes, classes, known = (np.concatenate(column) for column in zip(*drawn, strict=True))
    true = {
        embedding.astype(np.float16).tobytes(): (preset, note_values([corpus.info.note])[0].numpy())
        for corpus in corpora
        for preset, embedding in zip(corpus.presets(), corpus.embeddings(), strict=True)
    }
    assert embeddings.dtype == np.float16
    assert len({row.tobytes() for row in embeddings}) == len(embeddings)
    for preset, embedding, note in zip(presets, embeddings, notes, strict=True):
        np.testing.assert_array_equal(preset, true[embedding.tobytes()][0])
        np.testing.assert_array_equal(note, true[embedding.tobytes()][1])
    np.testing.assert_array_equal(classes, PresetCode(noted.setting.space).classes(presets))
    assert known.dtype == bool
    for column, one, part in zip(drawn[4], again, share, strict=True):
        np.testing.assert_array_equal(column, one)
        np.testing.assert_array_equal(column[1::2], part)
    assert (drawn[4][0] != other[0]).any()
    assert (drawn[4][-1] != other[-1]).any()
    assert (drawn[4][-1] != drawn[5][-1]).any()


def test_batches_hold_presets_of_all_corpora_in_proportion_to_their_sizes(corpora):
    noted = NotedPresets(corpora)
    with noted.batches(64, 0) as batches:
        pitches = [Counter(batches.batch(0, place)[2][:, 0].tolist()) for place in range(len(noted) // 64)]
    share = len(corpora[0]) / len(noted)
    assert all(0.5 < max(count.values()) / 64 < 0.95 for count in pitches)
    assert np.mean([max(count.values()) / 64 for count in pitches]) == pytest.approx(share, abs=0.03)


def test_some_presets_are_whole_shards_of_every_corpus(corpora):
    noted = NotedPresets(corpora)
    assert len(noted.some(10_000)[0]) == len(noted)
    some = noted.some(SHARD + 1)[1]
    expected = np.concatenate([corpora[0].embeddings()[: SHARD - 57], corpora[1].embeddings()[-7:]])
    np.testing.assert_array_equal(some, expected.astype(np.float16))


def test_a_single_corpus_is_enough_and_has_its_own_identity(corpora):
    alone, both = NotedPresets(corpora[:1]), NotedPresets(corpora)
    assert both.identity()["corpora"][0] == alone.identity()["corpora"][0]
    assert [one["rendering"]["note"]["pitch"] for one in both.identity()["corpora"]] == [48, 72]
    assert "setting" not in both.identity()["corpora"][1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rendering": Rendering(note=NOTES[0], seconds=2.0)}, "seconds differs"),
        ({"audio_model": "mel@3"}, "audio model differs"),
        ({"audio_model_identity": "2"}, "audio model identity differs"),
        ({"synth": "another"}, "synth differs"),
    ],
)
def test_corpora_that_differ_in_more_than_their_note_are_refused(tmp_path, corpora, mixed_space, changes, words):
    store(tmp_path / "other", mixed_space, 10, NOTES[0], 5, **changes)
    with pytest.raises(IncompatibleError, match=words):
        NotedPresets.open([corpora[0].path, tmp_path / "other"])


def test_corpora_of_other_spaces_are_refused(tmp_path, corpora, mixed_space):
    other = PresetSpace("other", mixed_space.parameters[:-1])
    store(tmp_path / "other", other, 10, NOTES[0], 5)
    with pytest.raises(IncompatibleError, match="preset spaces differ"):
        NotedPresets.open([corpora[0].path, tmp_path / "other"])


def test_embeddings_too_large_for_half_precision_are_refused(tmp_path, mixed_space):
    corpus = store(tmp_path / "large", mixed_space, 20, NOTES[0], 5, scale=1e5)
    with pytest.raises(InvalidInputError, match=r"half precision cannot.*mel@16"):
        NotedPresets((corpus,)).everything()


def test_presets_that_sound_alike_are_shown_as_one(tmp_path):
    synth = get_synth("dexed")
    corpus = store(tmp_path / "dexed", synth.space, 300, NOTES[0], 1, synth="dexed")
    presets, embeddings, _ = NotedPresets((corpus,)).everything()
    np.testing.assert_array_equal(presets, synth.canonical(corpus.presets()))
    np.testing.assert_array_equal(embeddings, corpus.embeddings().astype(np.float16))
    assert (presets != corpus.presets()).any()
