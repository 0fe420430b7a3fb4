"""Sounds and presets of an estimator's matches as files, for the examples that the published rule chooses.

Files of one target have one name in every folder, so that folders of several estimators can be set side by side.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from synthproxy.audio.io import write_audio
from synthproxy.files import make_folder, replacing_together
from synthproxy.matching.distances import SAMPLE_RATE
from synthproxy.matching.estimators.evaluation import ESTIMATOR, NEAREST, MatchEvaluation, Targets
from synthproxy.matching.playing import Player
from synthproxy.report.example_choice import choose_examples, choose_in_domain
from synthproxy.synths import NamedPreset, Synth
from synthproxy.synths.readable import save_presets
from synthproxy.synths.space import Floats

TARGET: Final = "target"
KEPT_WAYS: Final = (ESTIMATOR, NEAREST)
"""Ways to match whose sounds are kept; the others are there to tell how good a score is."""
SOUND_SUFFIX: Final = ".wav"
LONGEST_NAME: Final = 60
LONGEST_PRESET_NAME: Final = 10


def write_match_sounds(folder: Path, evaluation: MatchEvaluation, player: Player) -> dict[str, Path]:
    """Write the sounds of chosen targets and of their matches, and the presets of these in the synth's own form.

    Sounds are as they were judged, of 32-bit floats, so none is clipped. What an earlier evaluation has left is
    removed; other files stay.

    Args:
        folder: takes a folder for the targets and one for each way to match them.
        evaluation: what was judged.
        player: what played it.

    Returns:
        The folders by what they hold, the targets first: see
        :func:`~synthproxy.report.sound_folders.sound_table_from_folders`.

    Raises:
        InvalidInputError: a folder cannot be written.
    """
    targets = evaluation.targets
    chosen = choose_examples(targets.recorded) if targets.recorded else choose_in_domain(len(targets))
    all_names = target_names(targets)
    names = [all_names[index] for index in chosen]
    notes = [targets.notes[index] for index in chosen] if targets.notes else None
    found = {TARGET: folder / TARGET}
    _write(found[TARGET], names, targets.audio[chosen], player.synth)
    for way in KEPT_WAYS:
        if way in evaluation.presets:
            presets = evaluation.presets[way][chosen]
            found[way] = folder / way
            _write(found[way], names, player.play(presets, notes)[0], player.synth, presets)
        else:
            _remove_others(folder / way, set(), player.synth)
            with suppress(OSError):
                (folder / way).rmdir()
    return found


def target_names(targets: Targets) -> list[str]:
    """Names for files of targets, each its own, without an ending.

    That of a recorded sound is its own as far as file systems allow. Presets share names, in one corpus and between
    corpora, so that theirs also tells the preset.
    """
    if targets.presets is not None:
        pairs = zip(targets.names, targets.presets, strict=True)
        return [f"{_file_name(name)}-{_digest(preset.tobytes())}" for name, preset in pairs]
    names = [_file_name(name) for name in [sound.stem for sound in targets.recorded] or targets.names]
    # Some file systems do not tell capitals from small letters.
    count = Counter(name.casefold() for name in names)
    return [
        name if count[name.casefold()] == 1 else f"{name}-{_digest(whole.encode())}"
        for name, whole in zip(names, targets.names, strict=True)
    ]


def _file_name(text: str) -> str:
    plain = re.sub(r"[^\w.+() -]+", "-", text).strip(" .-")
    return plain[:LONGEST_NAME].rstrip(" .-") or "sound"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _write(folder: Path, names: Sequence[str], sounds: Floats, synth: Synth, presets: Floats | None = None) -> None:
    make_folder(folder)
    with replacing_together(folder) as beside:
        for name, sound in zip(names, sounds, strict=True):
            write_audio(beside / f"{name}{SOUND_SUFFIX}", sound, SAMPLE_RATE)
        for name, preset in zip(names, () if presets is None else presets, strict=presets is not None):
            save_presets(synth, beside / f"{name}{synth.suffix}", [NamedPreset(preset, name[:LONGEST_PRESET_NAME], "")])
        written = {file.name for file in beside.iterdir()}
    _remove_others(folder, written, synth)


def _remove_others(folder: Path, kept: set[str], synth: Synth) -> None:
    """Remove sounds and presets of targets that are not shown any more."""
    for suffix in (SOUND_SUFFIX, synth.suffix):
        for file in folder.glob(f"*{suffix}"):
            if file.name not in kept:
                file.unlink()
