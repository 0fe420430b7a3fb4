"""A sound table from folders of sounds that a real engine rendered."""

from pathlib import Path

import pytest

from synthproxy.audio.io import read_audio, write_audio
from synthproxy.demo.targets import bell, slow_brass, tine_piano
from synthproxy.errors import InvalidInputError
from synthproxy.matching.distances import SAMPLE_RATE, distances
from synthproxy.report.content import Page, Section
from synthproxy.report.listening_folder import write_listening_page
from synthproxy.report.sound_folders import sound_table_from_folders

VOICES = {"piano": tine_piano, "brass": slow_brass, "bell": bell}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three targets; of two systems one has missed the bell, and the other is exact but for its level."""
    for folder in ("voices", "a", "b"):
        (tmp_path / folder / "more").mkdir(parents=True)
    for name, voice in VOICES.items():
        audio = voice(SAMPLE_RATE)
        file = f"more/{name}.wav" if name == "bell" else f"{name}.wav"
        write_audio(tmp_path / "voices" / file, audio, SAMPLE_RATE)
        write_audio(tmp_path / "b" / file, 0.5 * audio, SAMPLE_RATE)
        if name != "bell":
            write_audio(tmp_path / "a" / file, tine_piano(SAMPLE_RATE), SAMPLE_RATE)
    return {"target": tmp_path / "voices", "PLoss": tmp_path / "a", "ours": tmp_path / "b"}


def test_sounds_of_one_name_share_a_column_and_are_scored_at_matched_level(folders, tmp_path):
    table = sound_table_from_folders("Voices", folders)
    assert [system.name for system in table.systems] == ["target", "PLoss", "ours"]
    by_title = {example.title: example for example in table.examples}
    assert set(by_title) == {"piano", "brass", "more/bell"}
    assert set(by_title["more/bell"].takes) == {"target", "ours"}
    brass = by_title["brass"].takes
    target, found = (read_audio(folders[name] / "brass.wav").samples for name in ("target", "PLoss"))
    assert brass["PLoss"].scores == distances(found, target, level_matched=True).to_dict()
    assert brass["PLoss"].scores["a_mean"] > 1
    assert brass["ours"].scores["a_mean"] == pytest.approx(0, abs=1e-3)
    assert next(iter(table.scores)) == "a_mean"
    index = write_listening_page(tmp_path / "page", Page("Voices", "", (Section("Voices", "", (table,)),)))
    assert len(list(index.parent.glob("sounds/*.flac"))) == 8


def test_folders_that_do_not_fit_are_refused(folders, tmp_path):
    with pytest.raises(InvalidInputError, match="at least one system, got 1"):
        sound_table_from_folders("Voices", {"target": folders["target"]})
    (tmp_path / "c").mkdir()
    write_audio(tmp_path / "c" / "other.wav", bell(SAMPLE_RATE), SAMPLE_RATE)
    with pytest.raises(InvalidInputError, match="no sound of any of the 3 targets; files must be named as those"):
        sound_table_from_folders("Voices", {**folders, "Mix": tmp_path / "c"})
