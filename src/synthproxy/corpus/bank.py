"""Banks: presets that people made as corpora at several notes, for matches to retrieve from.

A preset sounds different in other octaves, and a synth may read it differently for them, so that a low sound is looked
up among low ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from synthproxy.corpus.handcrafted import ImportResult, import_presets
from synthproxy.corpus.rendering import Rendering
from synthproxy.corpus.store import Corpus
from synthproxy.errors import InvalidInputError
from synthproxy.files import folder_for_results, replace_file
from synthproxy.synths import Note, Synth

if TYPE_CHECKING:
    from synthproxy.audio.base import AudioModel

PITCHES = (36, 60, 84)
"""MIDI pitches of a bank, unless others are asked for: no note of six octaves is more than one away."""

_CONTENTS = "bank.json"


@dataclass(frozen=True, eq=False)
class Bank:
    """Corpora of the same presets at several notes. A corpus that is none of a bank is one at a single note.

    Args:
        corpora: at least one, each at another pitch.
    """

    corpora: tuple[Corpus, ...]

    @classmethod
    def open(cls, path: Path) -> Bank:
        """A bank by :func:`make_bank`, or any corpus.

        Raises:
            InvalidInputError: there is neither, or it is unfinished or damaged.
        """
        contents = path / _CONTENTS
        if not contents.exists():
            if any(path.glob(_place("*"))):
                raise InvalidInputError(f"{path}: unfinished; run the command that makes it again")
            return cls((Corpus.open(path),))
        try:
            names = [_place(int(pitch)) for pitch in json.loads(contents.read_text(encoding="utf8"))["pitches"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InvalidInputError(f"{contents}: not the contents of a bank ({error}); make the bank again") from error
        if not names:
            raise InvalidInputError(f"{contents}: names no pitch; make the bank again")
        return cls(tuple(Corpus.open(path / name) for name in names))

    def nearest(self, pitch: float) -> Corpus:
        """The corpus whose note is nearest to a MIDI pitch."""
        return min(self.corpora, key=lambda corpus: abs(corpus.info.note.pitch - pitch))


def make_bank(
    path: Path,
    files: Sequence[Path],
    synth: Synth,
    audio_model: AudioModel,
    *,
    pitches: Sequence[int] = PITCHES,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, ImportResult]:
    """Make a bank of preset files, or complete the one that was begun at ``path``.

    Args:
        files: preset files, or folders of them.
        pitches: MIDI pitches that every preset is heard at.
        progress: called with the sounds made so far, and all there will be.

    Returns:
        For each pitch, how many presets were found and kept.

    Raises:
        InvalidInputError: no pitch or one twice, or a file that cannot be read.
        IncompatibleError: there is a bank of other presets.
    """
    if not pitches or len(set(pitches)) < len(pitches):
        raise InvalidInputError(f"--pitch: give different pitches, at least one, got {list(pitches)}")
    renderings = {pitch: replace(Rendering(), note=Note(pitch)) for pitch in sorted(pitches)}
    if path.is_dir() and any(path.iterdir()) and not (path / _CONTENTS).exists() and not any(path.glob(_place("*"))):
        raise InvalidInputError(f"{path}: holds something else; give another folder for the bank")
    results = {}
    with folder_for_results(path):
        for number, (pitch, rendering) in enumerate(renderings.items()):

            def told(done: int, of: int, before: int = number) -> None:
                if progress:
                    progress(before * of + done, len(renderings) * of)

            place = path / _place(pitch)
            results[pitch] = import_presets(
                place, files, synth, audio_model, rendering=rendering, workers=workers, progress=told
            )
        replace_file(path / _CONTENTS, json.dumps({"pitches": list(renderings)}) + "\n")
    return results


def _place(pitch: object) -> str:
    return f"note-{pitch}"
