"""The state of an interrupted match, kept in its folder so that the same command continues."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from synthproxy.files import replace_file
from synthproxy.matching.candidates import Candidate
from synthproxy.matching.match import State
from synthproxy.matching.target import Target
from synthproxy.synths import Note, Synth

FILE_NAME = ".unfinished-match.npz"
_NO_ISLAND = -1


def task_identity(synth: Synth, target: Target, **options: object) -> str:
    """Hash of what is being matched and how; a state is only taken up by the same task."""
    digest = hashlib.sha256(json.dumps([synth.name, synth.space.digest, options]).encode())
    for sound in target.sounds:
        digest.update(sound.audio.tobytes())
        digest.update(json.dumps([sound.pitches, sound.durations]).encode())
    return digest.hexdigest()


def save_state(folder: Path, task: str, state: State) -> None:
    """Write the state, whole or not at all."""
    content = io.BytesIO()
    rows = [*([state.proposal] if state.proposal else []), *state.apart, *state.population]
    np.savez(
        content,
        task=np.array(task),
        used=np.array(state.used),
        spent=np.array((state.renders, state.seconds)),
        has_proposal=np.array(state.proposal is not None),
        apart=np.array(len(state.apart)),
        presets=np.stack([c.preset for c in rows]),
        notes=np.array([(c.note.pitch, c.note.velocity, c.note.duration) for c in rows]),
        scores=np.array([(c.distance, c.gain, c.beginning) for c in rows]),
        origins=np.array([c.origin for c in rows]),
        islands=np.array([_NO_ISLAND if c.island is None else c.island for c in rows]),
    )
    replace_file(folder / FILE_NAME, content.getvalue())


def load_state(folder: Path, task: str) -> State | None:
    """The state of this task, if one is there and whole."""
    try:
        with np.load(folder / FILE_NAME, allow_pickle=False) as saved:
            if str(saved["task"]) != task:
                return None
            origins, islands = saved["origins"].tolist(), saved["islands"].tolist()
            columns = zip(saved["presets"], saved["notes"], saved["scores"], origins, islands, strict=True)
            rows = tuple(
                Candidate(
                    preset,
                    Note(int(note[0]), int(note[1]), float(note[2])),
                    origin,
                    float(distance),
                    float(gain),
                    None if island == _NO_ISLAND else island,
                    float(beginning),
                )
                for preset, note, (distance, gain, beginning), origin, island in columns
            )
            first, apart = int(saved["has_proposal"]), int(saved["apart"])
            proposal = rows[0] if first else None
            renders, seconds = saved["spent"].tolist()
            return State(
                rows[first + apart :],
                float(saved["used"]),
                proposal,
                rows[first : first + apart],
                int(renders),
                float(seconds),
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None


def forget_state(folder: Path) -> None:
    """Remove the state of a match that has ended."""
    # A killed process may have left one that was being written.
    for file in (folder / FILE_NAME, *folder.glob(f".{Path(FILE_NAME).stem}.*")):
        file.unlink(missing_ok=True)
