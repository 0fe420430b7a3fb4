"""A bank: a user's own presets at several notes."""

import numpy as np
import pytest

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Bank, Corpus, make_bank
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.synths import NamedPreset, get_synth

RATE = 32_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    synth = get_synth("dexed")
    drawn = synth.space.sample(np.random.default_rng(3), 24)
    synth.write_presets(folder / "own.syx", [NamedPreset(x, f"own {i}", "") for i, x in enumerate(drawn)])
    told: list[tuple[int, int]] = []
    results = make_bank(
        folder / "bank", [folder / "own.syx"], synth, get_audio_model("mel"), pitches=(48, 72), workers=1,
        progress=lambda done, of: told.append((done, of)),
    )  # fmt: skip
    return folder, results, told


def test_it_has_a_corpus_for_each_note_and_opens(made):
    folder, results, told = made
    bank = Bank.open(folder / "bank")
    assert [corpus.info.note.pitch for corpus in bank.corpora] == [48, 72]
    assert [len(corpus) for corpus in bank.corpora] == [results[48].kept, results[72].kept]
    assert results[48].found == 32
    # The rest of the file is the same initial voice.
    assert results[48].duplicates == 7
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize(("pitch", "nearest"), [(0, 48), (59, 48), (61, 72), (127, 72)])
def test_the_corpus_at_the_nearest_note_is_looked_in(made, pitch, nearest):
    assert Bank.open(made[0] / "bank").nearest(pitch).info.note.pitch == nearest


def test_any_corpus_is_a_bank_of_one_note(made):
    corpus = Corpus.open(made[0] / "bank" / "note-48")
    (only,) = Bank.open(corpus.path).corpora
    assert only.info == corpus.info


def test_the_same_files_again_change_nothing_and_others_are_refused(made):
    folder, results, _ = made
    synth, model = get_synth("dexed"), get_audio_model("mel")
    assert make_bank(folder / "bank", [folder / "own.syx"], synth, model, pitches=(72, 48)) == results
    synth.write_presets(
        folder / "other.syx", [NamedPreset(synth.space.sample(np.random.default_rng(1), 1)[0], "x", "")]
    )
    with pytest.raises(IncompatibleError, match="choose another folder"):
        make_bank(folder / "bank", [folder / "other.syx"], synth, model, pitches=(48, 72))


def test_an_unfinished_bank_says_so(made, tmp_path):
    bank = tmp_path / "bank"
    bank.mkdir()
    (bank / "note-48").symlink_to(made[0] / "bank" / "note-48")
    with pytest.raises(InvalidInputError, match="unfinished"):
        Bank.open(bank)


def test_a_damaged_table_of_contents_is_told(tmp_path):
    (tmp_path / "bank.json").write_text("[]")
    with pytest.raises(InvalidInputError, match="make the bank again"):
        Bank.open(tmp_path)


def test_mistakes_leave_no_folder_behind(tmp_path):
    synth, model = get_synth("dexed"), get_audio_model("mel")
    with pytest.raises(InvalidInputError, match=r"missing\.syx"):
        make_bank(tmp_path / "bank", [tmp_path / "missing.syx"], synth, model)
    assert not (tmp_path / "bank").exists()
    with pytest.raises(InvalidInputError, match="different pitches"):
        make_bank(tmp_path / "bank", [], synth, model, pitches=(60, 60))
    (tmp_path / "else.txt").write_text("x")
    with pytest.raises(InvalidInputError, match="holds something else"):
        make_bank(tmp_path, [tmp_path / "missing.syx"], synth, model)
