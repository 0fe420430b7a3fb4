"""Corpora on disk: what belongs together, what does not, and what is said where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from synthproxy.audio.base import AudioModel
from synthproxy.corpus import Corpus, CorpusInfo, Rendering, generate, merge_corpora
from synthproxy.corpus.store import SHARD, Shard
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.synths import Kind, Note, Parameter, PresetSpace, Synth, get_synth

SPACE = PresetSpace("three", (Parameter("a"), Parameter("b", Kind.BINARY), Parameter("c", held=True)))
INFO = CorpusInfo("three", SPACE, "ears", "ears:1", 4, 8000, SHARD, Rendering(seconds=0.2))


def items(seed: int, first: int, size: int, *, audio: int = 0) -> Shard:
    """What item numbers and seed say, so that a wrong row shows."""
    numbers = np.arange(first, first + size, dtype=np.float32)[:, None] + seed / 8
    clips = np.tile(numbers, (1, audio)) if audio else None
    return Shard(np.tile(numbers, (1, 2)), np.tile(-numbers, (1, 4)), np.full(size, seed + 1, np.uint16), clips)


def store(path: Path, info: CorpusInfo) -> Path:
    corpus = Corpus.create(path, info)
    for number in range(info.shards):
        rows = info.rows(number)
        audio = round(info.seconds * info.sample_rate) if info.keeps_audio else 0
        corpus.write_shard(number, items(info.seed, info.first + rows.start, len(rows), audio=audio))
    return path


def part(folder: Path, first: int, size: int, **changes: object) -> Path:
    return store(
        folder / f"part {first} {len(list(folder.iterdir()))}", replace(INFO, first=first, size=size, **changes)
    )


# Reading what was written


def test_info_survives_the_disk(tmp_path: Path) -> None:
    info = replace(
        INFO, seed=5, first=2 * SHARD, size=700, keeps_audio=True, rendering=Rendering(Note(40, 90, 0.1), 0.3)
    )
    store(tmp_path / "x", info)
    assert Corpus.open(tmp_path / "x").info == info
    assert CorpusInfo.from_dict(info.to_dict()) == info


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    corpus = Corpus.open(store(tmp_path / "x", replace(INFO, size=SHARD + 70, keeps_audio=True)))
    expected = np.arange(SHARD + 70, dtype=np.float32)
    assert len(corpus) == SHARD + 70
    np.testing.assert_array_equal(corpus.presets()[:, 1], expected)
    np.testing.assert_array_equal(corpus.embeddings()[:, 3], -expected)
    assert corpus.audio(SHARD + 3).tolist() == [SHARD + 3.0] * 1600
    assert corpus.names() == corpus.origins() == []


def test_only_finished_shards_count(tmp_path: Path) -> None:
    info = replace(INFO, size=3 * SHARD - 100)
    corpus = Corpus.create(tmp_path / "x", info)
    assert len(corpus) == 0
    corpus.write_shard(2, items(0, 2 * SHARD, SHARD - 100))
    assert corpus.missing_shards() == [0, 1]
    assert Corpus.open(tmp_path / "x", partial=True).presets()[:, 0].tolist() == list(range(2 * SHARD, 3 * SHARD - 100))
    assert [number for number, _ in corpus.shards()] == [2]


def test_shards_one_by_one_are_the_whole_without_the_silent_rows(tmp_path: Path) -> None:
    corpus = Corpus.create(tmp_path / "x", replace(INFO, size=2 * SHARD + 70, kind="hand-crafted"))
    for number in range(3):
        rows = corpus.info.rows(number)
        shard = items(0, rows.start, len(rows))
        shard.attempts[number :: number + 2] = 0  # every second row of the first shard, and so on
        corpus.write_shard(number, shard)
    counting = corpus.counting()
    assert np.flatnonzero(~counting)[[0, 1, 256, 257]].tolist() == [0, 2, SHARD + 1, SHARD + 4]
    read = [corpus.read_shard(number, counting) for number in range(3)]
    assert [len(presets) for presets, _ in read] == [256, 341, 53]
    np.testing.assert_array_equal(np.concatenate([presets for presets, _ in read]), corpus.presets())
    np.testing.assert_array_equal(np.concatenate([embeddings for _, embeddings in read]), corpus.embeddings())


def test_shard_that_was_cut_short_is_named(tmp_path: Path) -> None:
    corpus = Corpus.open(store(tmp_path / "x", replace(INFO, size=2 * SHARD)))
    file = tmp_path / "x" / "embeddings" / "c" / "1" / "0"
    file.write_bytes(file.read_bytes()[:-100])
    assert len(corpus.read_shard(0, corpus.counting())[0]) == SHARD
    with pytest.raises(InvalidInputError, match=r"x: shard 1 cannot be read .*; make the corpus again"):
        corpus.read_shard(1, corpus.counting())


@pytest.mark.parametrize("array", ["presets", "embeddings", "attempts"])
def test_shard_that_cannot_be_written_whole_is_not_marked(tmp_path: Path, array: str) -> None:
    corpus = Corpus.create(tmp_path / "x", replace(INFO, size=2 * SHARD))
    (tmp_path / "x" / array / "c").write_bytes(b"where the folder of chunks should be")
    with pytest.raises(InvalidInputError, match="x: cannot be written"):
        corpus.write_shard(1, items(0, SHARD, SHARD))
    assert corpus.missing_shards() == [0, 1]


def test_unfinished_corpus_is_refused_with_what_to_do(tmp_path: Path) -> None:
    corpus = Corpus.create(tmp_path / "x", replace(INFO, size=2 * SHARD))
    corpus.write_shard(0, items(0, 0, SHARD))
    with pytest.raises(InvalidInputError, match=r"x: unfinished, 1 of 2 shards are missing; run the command .* again"):
        Corpus.open(tmp_path / "x")


# Nothing, or something else, where a corpus should be


def test_no_corpus_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"sea")
    (tmp_path / "file").write_bytes(b"text")
    for name in ("missing", "empty", "holiday", "file"):
        with pytest.raises(InvalidInputError, match=f"{name}: ") as caught:
            Corpus.open(tmp_path / name)
        assert "corpus" in str(caught.value)


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"sea")
    (tmp_path / "file").write_bytes(b"text")
    for name in ("holiday", "file"):
        with pytest.raises(InvalidInputError, match=name):
            Corpus.create(tmp_path / name, INFO)
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"sea"
    assert (tmp_path / "file").read_bytes() == b"text"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "holiday", "photo.jpg"]


def test_folders_on_the_way_are_made_but_not_through_a_file(tmp_path: Path) -> None:
    Corpus.create(tmp_path / "a" / "b" / "c", INFO)
    assert Corpus.open(tmp_path / "a" / "b" / "c", partial=True).info == INFO
    (tmp_path / "file").write_bytes(b"text")
    with pytest.raises(InvalidInputError, match="file"):
        Corpus.create(tmp_path / "file" / "corpus", INFO)


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff\xfe"], ids=str)
def test_damaged_corpus_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = store(tmp_path / "x", INFO)
    (path / "zarr.json").write_bytes(damage)
    with pytest.raises(InvalidInputError, match="x: "):
        Corpus.open(path)


# Settings


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("seed", {"seed": 1}),
        ("size", {"size": 3}),
        ("first", {"first": SHARD}),
        ("rendering", {"rendering": Rendering(seconds=0.2, note=Note(61, 100, 0.1))}),
        ("rendering", {"rendering": Rendering(seconds=0.3, note=Note(60, 100, 0.1))}),
        ("keeps_audio", {"keep_audio": True}),
    ],
    ids=str,
)
def test_other_settings_at_the_same_folder_are_refused_by_name(
    tmp_path: Path, synth: Synth, model: AudioModel, rendering: Rendering, field: str, change: dict[str, object]
) -> None:
    settings = {"size": 2, "seed": 0, "rendering": rendering}
    generate(tmp_path / "x", synth, model, **settings)  # type: ignore[arg-type]
    with pytest.raises(IncompatibleError, match=f"another {field};"):
        generate(tmp_path / "x", synth, model, **{**settings, **change})  # type: ignore[arg-type]
    assert len(Corpus.open(tmp_path / "x")) == 2


def test_other_synth_and_space_are_refused_by_name(
    tmp_path: Path, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    generate(tmp_path / "x", synth, model, size=2, rendering=rendering)
    with pytest.raises(IncompatibleError, match="another synth, space;"):
        generate(tmp_path / "x", get_synth("dexed"), model, size=2, rendering=rendering)
    held = synth.with_space(synth.space.hold(["feedback"]))  # type: ignore[attr-defined]
    with pytest.raises(IncompatibleError, match="another space;"):
        generate(tmp_path / "x", held, model, size=2, rendering=rendering)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"first": 5}, {"first": -SHARD}, {"seed": -1}], ids=str)
def test_impossible_settings_are_refused_before_anything_is_made(
    tmp_path: Path, synth: Synth, model: AudioModel, wrong: dict[str, int]
) -> None:
    with pytest.raises(InvalidInputError, match=f"got .*{next(iter(wrong.values()))}"):
        generate(tmp_path / "x", synth, model, **{"size": 4, **wrong})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# Merging


def test_merged_parts_are_the_whole_in_any_order(tmp_path: Path) -> None:
    sizes = [(0, SHARD), (SHARD, 2 * SHARD), (3 * SHARD, 40)]
    parts = [part(tmp_path, first, size, keeps_audio=True) for first, size in sizes]
    whole = merge_corpora([parts[1], parts[2], parts[0]], tmp_path / "whole")
    alone = Corpus.open(store(tmp_path / "alone", replace(INFO, size=3 * SHARD + 40, keeps_audio=True)))
    assert whole.info == alone.info
    np.testing.assert_array_equal(whole.presets(), alone.presets())
    np.testing.assert_array_equal(whole.embeddings(), alone.embeddings())
    np.testing.assert_array_equal(whole.audio(3 * SHARD + 39), alone.audio(3 * SHARD + 39))
    zarr.open_group(tmp_path / "whole")["done"][3] = 0
    assert len(Corpus.open(tmp_path / "whole", partial=True)) == 3 * SHARD
    assert len(merge_corpora(parts, tmp_path / "whole")) == len(whole) == 3 * SHARD + 40


def test_merged_range_need_not_start_at_the_beginning(tmp_path: Path) -> None:
    whole = merge_corpora([part(tmp_path, 2 * SHARD, 9), part(tmp_path, SHARD, SHARD)], tmp_path / "whole")
    assert (whole.info.first, whole.info.size) == (SHARD, SHARD + 9)
    assert whole.presets()[:, 0].tolist() == list(range(SHARD, 2 * SHARD + 9))


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ([(0, SHARD), (2 * SHARD, 8)], f"starts at item {2 * SHARD}, expected {SHARD}"),
        ([(0, 2 * SHARD), (SHARD, SHARD)], f"starts at item {SHARD}, expected {2 * SHARD}"),
        ([(0, SHARD), (0, SHARD)], f"starts at item 0, expected {SHARD}"),
        ([(0, 100), (SHARD, SHARD)], f"starts at item {SHARD}, expected 100"),
    ],
    ids=["gap", "overlap", "twice", "short part inside"],
)
def test_ranges_that_do_not_follow_each_other_are_refused(
    tmp_path: Path, ranges: list[tuple[int, int]], said: str
) -> None:
    parts = [part(tmp_path, first, size) for first, size in ranges]
    with pytest.raises(IncompatibleError, match=said):
        merge_corpora(parts, tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"audio_model_identity": "ears:2"}, {"rendering": Rendering(seconds=0.3)}, {"keeps_audio": True}],
    ids=lambda change: next(iter(change)),
)
def test_parts_of_another_corpus_are_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    parts = [part(tmp_path, 0, SHARD), part(tmp_path, SHARD, 8, **change)]
    with pytest.raises(IncompatibleError, match=next(iter(change))):
        merge_corpora(parts, tmp_path / "whole")


def test_nothing_and_unfinished_parts_cannot_be_merged(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no corpora"):
        merge_corpora([], tmp_path / "whole")
    Corpus.create(tmp_path / "begun", INFO)
    with pytest.raises(InvalidInputError, match="unfinished"):
        merge_corpora([tmp_path / "begun"], tmp_path / "whole")


def test_hand_crafted_corpora_are_not_merged(tmp_path: Path) -> None:
    info = replace(INFO, size=2, kind="hand-crafted")
    corpus = Corpus.create(tmp_path / "hand", info)
    corpus.write_shard(0, replace(items(0, 0, 2), names=["a", "b"], origins=["x:1", "x:2"]))
    with pytest.raises(IncompatibleError, match="hand"):
        merge_corpora([tmp_path / "hand"], tmp_path / "whole")


# Texts


def test_names_are_kept_in_any_script_and_cut_between_characters(tmp_path: Path) -> None:
    texts = ["E.PIANO 1", "Flöte", "琴", "", "ab\udcf6c", "ü" * 60, "x" + "ü" * 60, "🎹" * 30, " spaced "]
    corpus = Corpus.create(tmp_path / "x", replace(INFO, size=len(texts), kind="hand-crafted"))
    corpus.write_shard(0, replace(items(0, 0, len(texts)), names=texts, origins=texts[::-1]))
    kept = ["E.PIANO 1", "Flöte", "琴", "", "ab?c", "ü" * 48, "x" + "ü" * 47, "🎹" * 24, " spaced "]
    assert Corpus.open(tmp_path / "x").names() == kept
    assert Corpus.open(tmp_path / "x").origins() == kept[::-1]
