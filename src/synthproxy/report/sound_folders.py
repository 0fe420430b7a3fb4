"""A sound table from files: a folder of targets, and for each system a folder of what it made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from synthproxy.audio.io import read_audio
from synthproxy.corpus.sounds import RecordedSound, find_sounds
from synthproxy.errors import InvalidInputError
from synthproxy.progress import counting
from synthproxy.report.content import Example, SoundTable, System, Take
from synthproxy.report.example_choice import choose_examples
from synthproxy.report.tables import Direction

MATCHES: Final = "matches.json"
BEST_SOUND: Final = "best.wav"
SCORES: Final[Mapping[str, Direction]] = dict.fromkeys(("a_mean", "stft", "mstft", "mel", "mfccd"), "lowest")


def sound_table_from_folders(title: str, folders: Mapping[str, Path], note: str = "") -> SoundTable:
    """Set systems side by side that keep their sounds in folders, scored by the published distances at matched level.

    Args:
        title: of the table.
        folders: by the name of the system, in the order of the rows; the first holds the targets, and may be NSynth.
            A system's sound has the file name of its target, whatever the format; or its folder holds a folder of a
            match of this name, and its sound is that of the best. Where it has none, the cell is empty.
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
    (target_name, target_folder), *others = folders.items()
    targets = find_sounds(target_folder)
    chosen = [targets[index] for index in choose_examples(targets)]
    found = {name: _best_matches(folder) or find_sounds(folder) for name, folder in others}
    made = {name: {sound.stem: sound.path for sound in sounds} for name, sounds in found.items()}
    for name, paths in made.items():
        if not any(target.stem in paths for target in chosen):
            raise InvalidInputError(
                f"{folders[name]}: no sound of any of the {len(chosen)} targets; "
                f"files must be named as those in {target_folder}, such as {chosen[0].stem}.wav"
            )
    examples = []
    with counting("examples", len(chosen)) as progress:
        for number, target in enumerate(chosen, 1):
            paths = {name: paths[target.stem] for name, paths in made.items() if target.stem in paths}
            examples.append(_example(target_name, target, paths))
            progress(number, len(chosen))
    return SoundTable(title, tuple(System(name) for name in folders), tuple(examples), SCORES, note)


def mean_scores(table: SoundTable) -> list[dict[str, Any]]:
    """For each system of a table but the targets the number of its sounds and the means of their scores."""
    rows = []
    for system in table.systems[1:]:
        takes = [example.takes[system.name] for example in table.examples if system.name in example.takes]
        means = {name: float(np.mean([take.scores[name] for take in takes])) for name in table.scores}
        rows.append({"system": system.name, "sounds": len(takes), **means})
    return rows


def _example(target_name: str, target: RecordedSound, paths: Mapping[str, Path]) -> Example:
    from synthproxy.matching.distances import SAMPLE_RATE, distances

    audio = read_audio(target.path, SAMPLE_RATE).samples
    takes = {target_name: Take(target.path)}
    for name, path in paths.items():
        found = distances(read_audio(path, SAMPLE_RATE).samples, audio, level_matched=True)
        takes[name] = Take(path, scores=found.to_dict())
    note = f"pitch {target.note.pitch}, velocity {target.note.velocity}" if target.note else ""
    return Example(target.stem, takes, note)


def _best_matches(folder: Path) -> list[RecordedSound]:
    """The best sound of every match inside a folder, by the name of the match's folder."""
    found = [contents.with_name(BEST_SOUND) for contents in sorted(folder.rglob(MATCHES))]
    return [RecordedSound(path.parent.relative_to(folder).as_posix(), path) for path in found if path.is_file()]
