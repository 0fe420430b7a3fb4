"""A sound table from files: a folder of targets, and for each system a folder of what it made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from synthproxy.audio.io import read_audio
from synthproxy.corpus.sounds import RecordedSound, find_sounds
from synthproxy.errors import InvalidInputError
from synthproxy.progress import counting
from synthproxy.report.content import Example, SoundTable, System, Take
from synthproxy.report.example_choice import choose_examples
from synthproxy.report.tables import Direction

SCORES: Final[Mapping[str, Direction]] = dict.fromkeys(("a_mean", "stft", "mstft", "mel", "mfccd"), "lowest")


def sound_table_from_folders(title: str, folders: Mapping[str, Path], note: str = "") -> SoundTable:
    """Set systems side by side that keep their sounds in folders, scored by the published distances at matched level.

    Args:
        title: of the table.
        folders: by the name of the system, in the order of the rows; the first holds the targets, and may be NSynth.
            A system's sound has the file name of its target, whatever the format. Where it has none, the cell is empty.
            Of many targets, examples are chosen by the published rule.
        note: shown above the table.

    Raises:
        InvalidInputError: fewer than two folders, one without sounds or with none of a chosen target, or a sound that
            cannot be read.
    """
    if len(folders) < 2:
        raise InvalidInputError(
            f"a sound table needs the folder of the targets and that of at least one system, got {len(folders)}"
        )
    found = {name: find_sounds(folder) for name, folder in folders.items()}
    (_, targets), *others = found.items()
    chosen = [targets[index] for index in choose_examples(targets)]
    made = {name: {_stem(sound): sound.path for sound in sounds} for name, sounds in others}
    for name, paths in made.items():
        if not any(_stem(target) in paths for target in chosen):
            raise InvalidInputError(
                f"{folders[name]}: no sound of any of the {len(chosen)} targets; "
                f"files must be named as those in {next(iter(folders.values()))}, such as {_stem(chosen[0])}.wav"
            )
    examples = []
    with counting("examples", len(chosen)) as progress:
        for number, target in enumerate(chosen, 1):
            paths = {name: paths[_stem(target)] for name, paths in made.items() if _stem(target) in paths}
            examples.append(_example(next(iter(folders)), target, paths))
            progress(number, len(chosen))
    return SoundTable(title, tuple(System(name) for name in folders), tuple(examples), SCORES, note)


def _example(target_name: str, target: RecordedSound, paths: Mapping[str, Path]) -> Example:
    from synthproxy.matching.distances import SAMPLE_RATE, distances

    audio = read_audio(target.path, SAMPLE_RATE).samples
    takes = {target_name: Take(target.path)}
    for name, path in paths.items():
        found = distances(read_audio(path, SAMPLE_RATE).samples, audio, level_matched=True)
        takes[name] = Take(path, scores=found.to_dict())
    note = f"pitch {target.note.pitch}, velocity {target.note.velocity}" if target.note else ""
    return Example(_stem(target), takes, note)


def _stem(sound: RecordedSound) -> str:
    return sound.name.removesuffix(sound.path.suffix)
