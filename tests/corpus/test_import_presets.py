"""Presets that people made become a corpus: nothing twice, nothing silent, and each with its name and origin."""

import os
from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.base import AudioModel
from synthproxy.corpus import Corpus, Rendering, import_presets, render_clip
from synthproxy.corpus.generate import embed_batch
from synthproxy.corpus.handcrafted import ImportResult
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.synths import NamedPreset
from synthproxy.synths.dexed import VOICE_ORDER, Dexed
from synthproxy.synths.dx7_voice import INITIAL_VOICE, Voice, write_voices

RATE = 32_000


@pytest.fixture(scope="module")
def dexed() -> Dexed:
    return Dexed()


def voice(name: str, **changes: int) -> Voice:
    row = INITIAL_VOICE.parameters.copy()
    for parameter, value in changes.items():
        row[VOICE_ORDER.index(parameter)] = value
    return Voice.from_parameters(row, name)


def loud(name: str, number: int) -> Voice:
    return voice(name, op1_f_fine=number, op2_output_level=50 + number)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five different voices of six, one of them silent, in files at several depths."""
    place = tmp_path / "presets"
    (place / "bass").mkdir(parents=True)
    write_voices(place / "one.syx", [loud("ONE", 1)])
    write_voices(place / "TWO.SYX", [loud("TWO", 2)])
    write_voices(place / "bass" / "größe 琴.syx", [loud("THREE", 3)])
    write_voices(place / "bass" / "again.syx", [loud("ONE AGAIN", 1)])
    write_voices(place / "silent.syx", [voice("SILENT", op1_output_level=0)])
    write_voices(place / "init.syx", [INITIAL_VOICE])
    (place / "read me.txt").write_text("not a voice", encoding="utf8")
    return place


def test_duplicates_and_silent_ones_are_dropped_and_counted(
    tmp_path: Path, folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    result = import_presets(tmp_path / "x", [folder], dexed, model, rendering=rendering)
    assert result == ImportResult(found=6, duplicates=1, silent=1, kept=4)
    corpus = Corpus.open(tmp_path / "x")
    assert len(corpus) == 4
    named = dict(zip(corpus.origins(), corpus.names(), strict=True))
    assert named == {
        "TWO.SYX:1": "TWO",
        "again.syx:1": "ONE AGAIN",
        "größe 琴.syx:1": "THREE",
        "init.syx:1": "INIT VOICE",
    }
    assert corpus.info.kind == "hand-crafted"
    assert (corpus.attempts() == 1).all()


def test_stored_presets_sound_as_their_embeddings_say(
    tmp_path: Path, folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    import_presets(tmp_path / "x", [folder], dexed, model, rendering=rendering, keep_audio=True)
    corpus = Corpus.open(tmp_path / "x")
    for i, (name, preset) in enumerate(zip(corpus.names(), corpus.presets(), strict=True)):
        dexed.space.validate(preset)
        clip = render_clip(Dexed(), preset, rendering, RATE)
        np.testing.assert_array_equal(corpus.audio(i), clip, err_msg=name)
        np.testing.assert_array_equal(embed_batch(model, clip[None])[0], corpus.embeddings()[i])


def test_files_are_taken_in_the_given_order_and_a_folder_in_a_fixed_one(
    tmp_path: Path, folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    files = [folder / "init.syx", folder / "TWO.SYX", folder / "one.syx"]
    import_presets(tmp_path / "x", files, dexed, model, rendering=rendering)
    assert Corpus.open(tmp_path / "x").names() == ["INIT VOICE", "TWO", "ONE"]
    for again in ("y", "z"):
        import_presets(tmp_path / again, [folder], dexed, model, rendering=rendering)
    assert Corpus.open(tmp_path / "y").origins() == Corpus.open(tmp_path / "z").origins()


def test_origin_with_bytes_that_are_no_text_is_kept_readable(
    tmp_path: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xf6\xdfe.syx"))
    try:
        write_voices(path, [loud("LATIN", 1)])
    except InvalidInputError:
        pytest.skip("this file system takes no such names; a Linux one does")
    import_presets(tmp_path / "x", [path], dexed, model, rendering=rendering)
    assert Corpus.open(tmp_path / "x").origins() == ["gr??e.syx:1"]


def test_import_that_is_interrupted_continues_to_the_same_corpus(
    tmp_path: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    drawn = dexed.space.sample(np.random.default_rng(0), 640)
    dexed.write_presets(tmp_path / "banks.syx", [NamedPreset(x, f"P{i}", "") for i, x in enumerate(drawn)])
    files = [tmp_path / "banks.syx"]

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_presets(tmp_path / "x", files, dexed, model, rendering=rendering, workers=1, progress=interrupt)
    with pytest.raises(InvalidInputError, match="unfinished"):
        Corpus.open(tmp_path / "x")
    seen: list[tuple[int, int]] = []
    resumed = import_presets(
        tmp_path / "x", files, dexed, model, rendering=rendering, progress=lambda *count: seen.append(count)
    )
    assert seen == [(640, 640)]
    assert resumed == import_presets(tmp_path / "y", files, dexed, model, rendering=rendering, workers=1)
    assert (resumed.found, resumed.duplicates) == (640, 0)
    clips = np.stack([render_clip(dexed, preset, rendering, RATE) for preset in drawn])
    loudness = np.sqrt(np.mean(np.square(clips, dtype=np.float64), axis=1))
    bounds = dexed.loudness_bound(drawn, rendering.note, rendering.seconds, RATE)
    assert ((bounds > 0.01) & (loudness <= 0.01)).any()  # Not every silent one is found without rendering it.
    assert resumed.kept == (loudness > 0.01).sum()
    x, y = Corpus.open(tmp_path / "x"), Corpus.open(tmp_path / "y")
    np.testing.assert_array_equal(x.presets(), y.presets())
    np.testing.assert_array_equal(x.embeddings(), y.embeddings())
    assert x.names() == y.names()


def test_other_files_at_the_same_folder_are_refused(
    tmp_path: Path, folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    import_presets(tmp_path / "x", [folder / "one.syx"], dexed, model, rendering=rendering)
    with pytest.raises(IncompatibleError, match="another source_digest"):
        import_presets(tmp_path / "x", [folder / "TWO.SYX"], dexed, model, rendering=rendering)


def test_nothing_to_import_is_said_and_leaves_nothing_behind(
    tmp_path: Path, folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    (tmp_path / "empty").mkdir()
    for files, said in (
        ([tmp_path / "empty"], r"empty: no \.syx file in this folder"),
        ([folder, tmp_path / "missing.syx"], r"missing\.syx: cannot be read"),
        ([folder / "read me.txt"], r"read me\.txt: not a DX7 file"),
        ([], "at least one"),
    ):
        with pytest.raises(InvalidInputError, match=said):
            import_presets(tmp_path / "x", files, dexed, model, rendering=rendering)
        assert not (tmp_path / "x").exists()


def test_silent_presets_alone_make_an_empty_corpus(
    tmp_path: Path, folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    result = import_presets(tmp_path / "x", [folder / "silent.syx"], dexed, model, rendering=rendering)
    assert (result.silent, result.kept) == (1, 0)
    assert Corpus.open(tmp_path / "x").embeddings().shape == (0, model.dimension)


def test_real_voices_of_an_archive_are_imported(
    tmp_path: Path, shared_folder: Path, dexed: Dexed, model: AudioModel, rendering: Rendering
) -> None:
    with np.load(shared_folder / "data" / "dx7_voices.npz") as archive:
        rows = np.random.default_rng(0).permutation(len(archive["packed"]))[:200]
        packed, sources = archive["packed"][rows], archive["source"][rows]
    path = tmp_path / "real.npz"
    np.savez(path, packed=np.concatenate([packed, packed[:20]]), source=np.concatenate([sources, sources[:20]]))
    result = import_presets(tmp_path / "x", [path], dexed, model, rendering=rendering)
    corpus = Corpus.open(tmp_path / "x")
    assert result.found == 220
    assert result.duplicates >= 20
    assert result.kept == len(corpus) == 220 - result.duplicates - result.silent
    assert result.kept > 100
    dexed.space.validate(corpus.presets())
    for name, origin in zip(corpus.names(), corpus.origins(), strict=True):
        source, number = origin.rsplit(":", 1)
        assert source == sources[int(number)]
        assert name == Voice(packed[int(number)].tobytes()).name
