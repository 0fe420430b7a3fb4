"""Item i depends on the seed and i alone, whoever makes it, in whatever company and order."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.base import AudioModel
from synthproxy.corpus import Corpus, Rendering, generate, merge_corpora, render_clip
from synthproxy.corpus.generate import BATCH, embed_batch
from synthproxy.corpus.rendering import may_be_audible
from synthproxy.corpus.sampling import draw_audible
from synthproxy.corpus.store import SHARD
from synthproxy.errors import InvalidInputError
from synthproxy.synths import NamedPreset, Note, PresetSpace, Synth, get_synth
from synthproxy.synths.base import BoundsLoudness
from synthproxy.synths.space import Floats

SEED = 7  # Of the fixture ``whole``.


def assert_equal(part: Corpus, whole: Corpus, first: int = 0) -> None:
    rows = slice(first, first + len(part))
    for column in ("presets", "embeddings", "attempts"):
        np.testing.assert_array_equal(getattr(part, column)(), getattr(whole, column)()[rows], strict=True)


def test_one_worker_and_another_size_make_the_same_items(
    tmp_path: Path, whole: Corpus, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    seen: list[tuple[int, int]] = []
    settings = {"size": 600, "seed": SEED, "rendering": rendering, "progress": lambda *count: seen.append(count)}
    result = generate(tmp_path / "one", synth, model, **settings, workers=1)  # type: ignore[arg-type]
    assert seen == [(512, 600), (600, 600)]
    one = Corpus.open(tmp_path / "one")
    assert (result.size, result.made, len(one)) == (600, 600, 600)
    assert result.draws_per_preset == one.attempts().mean()
    assert_equal(one, whole)
    assert generate(tmp_path / "one", synth, model, **settings).made == 0  # type: ignore[arg-type]
    assert len(seen) == 2
    assert (whole.embeddings() != 0).any(axis=1).all()
    assert len(np.unique(whole.presets(), axis=0)) == len(whole)


def test_ranges_made_apart_and_merged_are_the_whole(
    tmp_path: Path, whole: Corpus, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    paths = []
    for first, size in ((SHARD, 88), (0, SHARD)):
        path = tmp_path / f"from {first}"
        generate(path, synth, model, size=size, seed=SEED, first=first, rendering=rendering, workers=2)
        assert_equal(Corpus.open(path), whole, first)
        paths.append(path)
    merged = merge_corpora(paths, tmp_path / "merged")
    assert merged.info == replace(whole.info, size=600)
    assert len(merged) == 600
    assert_equal(merged, whole)


def test_another_seed_makes_other_items(synth: Synth, rendering: Rendering, whole: Corpus) -> None:
    same = draw_audible(synth, rendering, 32_000, SEED, range(5))
    np.testing.assert_array_equal(same.presets, whole.presets()[:5])
    other = draw_audible(synth, rendering, 32_000, SEED + 1, range(5))
    assert not (other.presets == same.presets).all(axis=1).any()


def test_items_are_drawn_alike_in_any_order_and_company(synth: Synth, rendering: Rendering, whole: Corpus) -> None:
    items = [900, 3, 77, 511]
    draws = draw_audible(synth, rendering, 32_000, SEED, items)
    np.testing.assert_array_equal(draws.presets, whole.presets()[items])
    np.testing.assert_array_equal(draws.attempts, whole.attempts()[items])


def test_an_item_is_the_first_audible_draw_of_its_own_generator(
    synth: Synth, rendering: Rendering, whole: Corpus
) -> None:
    for item in (0, 42, 1299):
        generator = np.random.default_rng((SEED, item))
        attempt, loudness = 0, 0.0
        while not 0.01 < loudness < 1.0:
            attempt += 1
            preset = synth.space.sample(generator, 1)[0]
            clip = render_clip(synth, preset, rendering, 32_000)
            loudness = np.sqrt(np.mean(np.square(clip, dtype=np.float64)))
        np.testing.assert_array_equal(whole.presets()[item], preset)
        assert whole.attempts()[item] == attempt


class Unscreened:
    """Dexed without its loudness bound: every draw is rendered."""

    def __init__(self, synth: Synth) -> None:
        self.name, self.space, self.suffix = synth.name, synth.space, synth.suffix
        self.rendered = 0
        self._synth = synth

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> Floats:
        self.rendered += 1
        return self._synth.render(preset, note, seconds, sample_rate)

    def read_presets(self, path: Path, note: Note) -> list[NamedPreset]:
        return self._synth.read_presets(path, note)

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        self._synth.write_presets(path, presets)


@pytest.mark.parametrize("name", ["dexed", "dexed-paper"])
def test_screening_by_the_loudness_bound_changes_no_item(name: str, rendering: Rendering) -> None:
    synth = get_synth(name)
    everything = Unscreened(synth)
    assert isinstance(everything, Synth)
    assert isinstance(synth, BoundsLoudness)
    assert not isinstance(everything, BoundsLoudness)
    items = range(24)
    screened, heard = (draw_audible(s, rendering, 32_000, 3, items) for s in (synth, everything))
    np.testing.assert_array_equal(screened.presets, heard.presets)
    np.testing.assert_array_equal(screened.audio, heard.audio)
    np.testing.assert_array_equal(screened.attempts, heard.attempts)
    assert everything.rendered == heard.attempts.sum()
    assert may_be_audible(synth, synth.space.sample(np.random.default_rng(0), 500), rendering, 32_000).mean() < 0.5


def test_a_space_without_audible_presets_ends_in_words(rendering: Rendering) -> None:
    silent: PresetSpace = get_synth("dexed").space.hold(
        ["op?_output_level"], {f"op{i}_output_level": 0 for i in range(1, 7)}
    )
    synth = get_synth("dexed").with_space(silent)  # type: ignore[attr-defined]
    with pytest.raises(InvalidInputError, match="none of 4096 presets drawn for item 5 is audible"):
        draw_audible(synth, rendering, 32_000, 0, [5])


def test_embedding_does_not_depend_on_its_company(model: AudioModel) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, (BATCH, 6400)).astype(np.float32)
    full = embed_batch(model, audio)
    for count in (1, 5, 31):
        np.testing.assert_array_equal(embed_batch(model, audio[:count]), full[:count])
    others = audio.copy()
    others[5:] = 0.7
    np.testing.assert_array_equal(embed_batch(model, others)[:5], full[:5])


def test_kept_audio_is_the_clip_of_the_preset(tmp_path: Path, model: AudioModel, rendering: Rendering) -> None:
    path = tmp_path / "loud"
    generate(path, get_synth("dexed"), model, size=40, seed=1, rendering=rendering, keep_audio=True, workers=2)
    corpus = Corpus.open(path)
    fresh = get_synth("dexed")
    clips = np.stack([corpus.audio(i) for i in range(40)])
    for preset, clip in zip(corpus.presets(), clips, strict=True):
        np.testing.assert_array_equal(render_clip(fresh, preset, rendering, 32_000), clip)
    np.testing.assert_array_equal(embed_batch(model, clips[:BATCH]), corpus.embeddings()[:BATCH])


def test_corpus_without_audio_says_how_to_keep_it(whole: Corpus) -> None:
    with pytest.raises(InvalidInputError, match="--keep-audio"):
        whole.audio(0)


def test_clips_fade_out_linearly_to_silence(synth: Synth, whole: Corpus, rendering: Rendering) -> None:
    preset = whole.presets()[0]
    clip = render_clip(synth, preset, rendering, 32_000)
    plain = synth.render(preset, rendering.note, rendering.seconds, 32_000)
    faded = 3200
    np.testing.assert_array_equal(clip[:-faded], plain[:-faded])
    np.testing.assert_allclose(clip[-faded:], plain[-faded:] * np.linspace(1, 0, faded), atol=1e-7)
    np.testing.assert_array_equal(render_clip(synth, preset, replace(rendering, fade=0.0), 32_000), plain)


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0.01}, {"seconds": 61}, {"seconds": float("nan")}, {"fade": -0.1}, {"fade": 0.3}], ids=str
)
def test_impossible_clip_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=str(next(iter(wrong.values())))):
        Rendering(**{"seconds": 0.2, **wrong})  # type: ignore[arg-type]
