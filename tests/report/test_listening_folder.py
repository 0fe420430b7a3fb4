"""A folder of a listening page: complete, relative, replaced as a whole."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synthproxy.audio.io import write_audio
from synthproxy.errors import InvalidInputError
from synthproxy.report.content import Example, Page, Section, SoundTable, System, Take
from synthproxy.report.listening_folder import write_listening_page

SAMPLE_RATE = 16_000


def noise(seed: int, seconds: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(SAMPLE_RATE * seconds)).astype(np.float32)


def page(*takes: Take, title: str = "Stimmen, höhere") -> Page:
    """One table: a target, and what one system made of it, for each pair of takes."""
    pairs = zip(takes[::2], takes[1::2], strict=True)
    examples = tuple(Example(f"sound {n}", {"target": a, "ours / 2": b}) for n, (a, b) in enumerate(pairs))
    table = SoundTable(title, (System("target"), System("ours / 2")), examples)
    return Page("Sounds", "", (Section("All", "", (table,)),))


def takes(*seeds: int) -> list[Take]:
    return [Take(noise(seed), SAMPLE_RATE) for seed in seeds]


def addresses(folder: Path) -> list[str]:
    return re.findall(r'src="([^"]+)"', (folder / "index.html").read_text(encoding="utf8"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_that_the_page_refers_to_lies_beside_it_and_nothing_else(tmp_path):
    index = write_listening_page(tmp_path / "new" / "page", page(*takes(1, 2, 3, 4)))
    folder = index.parent
    assert {"index.html", *addresses(folder)} == set(contents(folder))
    sounds = [address for address in addresses(folder) if address.endswith(".flac")]
    assert [re.sub(r"-[0-9a-f]{12}\.", ".", address) for address in sounds] == [
        f"sounds/stimmen-hohere-{column}-{row}.flac" for row in ("target", "ours-2") for column in ("01", "02")
    ]
    for address in sounds:
        info = soundfile.info(folder / address)
        assert (info.format, info.subtype, info.samplerate, info.frames) == ("FLAC", "PCM_16", SAMPLE_RATE, 4800)


def test_the_same_page_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        write_listening_page(tmp_path / name, page(*takes(1, 2)))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_new_page_takes_the_place_of_the_old_and_other_files_stay(tmp_path):
    write_listening_page(tmp_path, page(*takes(1, 2, 3, 4)))
    others = {tmp_path / "scores.json": b"{}", tmp_path / "sounds" / "mine.flac": b"f"}
    for path, content in others.items():
        path.write_bytes(content)
    write_listening_page(tmp_path, page(*takes(1, 5)))
    expected = {"index.html", "scores.json", "sounds/mine.flac", *addresses(tmp_path)}
    assert set(contents(tmp_path)) == expected
    assert len(addresses(tmp_path)) == 4


@pytest.mark.parametrize("broken", ["missing.wav", "words.wav"])
def test_a_page_that_cannot_be_written_leaves_the_old_one_whole(tmp_path, broken):
    (tmp_path / "words.wav").write_text("no sound")
    folder = tmp_path / "page"
    new = page(*takes(7, 8, 9), Take(tmp_path / broken))
    with pytest.raises(InvalidInputError, match=broken):
        write_listening_page(folder, new)
    assert not folder.exists()
    write_listening_page(folder, page(*takes(1, 2)))
    before = contents(folder)
    with pytest.raises(InvalidInputError, match=broken):
        write_listening_page(folder, new)
    assert contents(folder) == before


def test_sound_files_are_read_when_the_page_is_written(tmp_path):
    write_audio(tmp_path / "target.wav", noise(1), SAMPLE_RATE)
    write_listening_page(tmp_path / "page", page(Take(tmp_path / "target.wav"), *takes(2)))
    sound = next((tmp_path / "page" / "sounds").glob("*target*.flac"))
    audio, _ = soundfile.read(sound, dtype="float32")
    assert np.corrcoef(audio, noise(1))[0, 1] > 0.999


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be made"):
        write_listening_page(tmp_path / "file" / "page", page(*takes(1, 2)))
