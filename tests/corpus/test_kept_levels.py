"""Corpora keep levels of mel bands beside embeddings, the same however they are made."""

from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.levels import clip_levels, levels_shape
from synthproxy.corpus import Corpus, generate, import_presets, merge_corpora
from synthproxy.corpus.store import SHARD
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.synths import NamedPreset, Note, Synth

SIZE = SHARD + 40


def levels_of(corpus: Corpus) -> np.ndarray:
    """All levels, (n, bands, frames)."""
    counting = corpus.counting()
    return np.concatenate([corpus.read_columns(n, counting, ("levels",))[0] for n in range(corpus.info.shards)])


@pytest.fixture(scope="module")
def heard(tmp_path_factory, synth: Synth, model, rendering) -> Corpus:
    """Drawn presets with clips and levels, made by two workers."""
    path = tmp_path_factory.mktemp("heard") / "corpus"
    generate(path, synth, model, size=SIZE, seed=5, rendering=rendering, keep_audio=True, keep_levels=True, workers=2)
    return Corpus.open(path)


def test_levels_are_those_of_the_clips(heard):
    levels, info = levels_of(heard), heard.info
    assert levels.dtype == np.float16
    assert levels.shape == (SIZE, *levels_shape(info.seconds))
    for item in (0, 33, SIZE - 1):
        expected = clip_levels(heard.audio(item)[None], info.sample_rate, info.seconds)[0]
        np.testing.assert_allclose(levels[item], expected, atol=0.07)


def test_levels_are_the_same_in_ranges_that_are_merged(tmp_path: Path, heard, synth, model, rendering):
    for first, size in ((0, SHARD), (SHARD, SIZE - SHARD)):
        options = {"size": size, "first": first, "seed": 5, "rendering": rendering}
        generate(tmp_path / str(first), synth, model, **options, keep_audio=True, keep_levels=True, workers=1)
    merged = merge_corpora([tmp_path / str(SHARD), tmp_path / "0"], tmp_path / "whole")
    np.testing.assert_array_equal(levels_of(merged), levels_of(heard))


def test_corpora_with_and_without_levels_do_not_mix(heard, synth, model, rendering):
    with pytest.raises(IncompatibleError, match="another keeps_levels"):
        generate(heard.path, synth, model, size=SIZE, seed=5, rendering=rendering, keep_audio=True)


def test_imported_presets_have_levels_without_those_of_silent_ones(tmp_path: Path, heard, synth, model, rendering):
    presets = [*heard.presets()[:20], *synth.space.sample(np.random.default_rng(0), 12)]
    named = [NamedPreset(vector, f"P{number}", f"bank:{number}") for number, vector in enumerate(presets)]
    synth.write_presets(tmp_path / "bank.syx", named)
    import_presets(
        tmp_path / "corpus", [tmp_path / "bank.syx"], synth, model, rendering=rendering, keep_levels=True, workers=1
    )
    corpus = Corpus.open(tmp_path / "corpus")
    assert 20 <= len(corpus) < 32
    assert len(levels_of(corpus)) == len(corpus)
    sound = synth.render(corpus.presets()[0], Note(60, 100, 0.1), rendering.seconds, corpus.info.sample_rate)
    faded = round(rendering.fade * corpus.info.sample_rate)
    sound[-faded:] *= np.linspace(1, 0, faded, dtype=np.float32)
    expected = clip_levels(sound[None], corpus.info.sample_rate, rendering.seconds)[0]
    np.testing.assert_allclose(levels_of(corpus)[0], expected, atol=0.07)


def test_a_corpus_without_levels_says_how_to_get_them(whole):
    with pytest.raises(InvalidInputError, match="holds no levels; make it with --keep-levels"):
        whole.read_columns(0, whole.counting(), ("presets", "levels"))
