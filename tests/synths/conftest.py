"""The engine of dexed-py by itself, and voices to play on it."""

import numpy as np
import pytest
from dexed._dexed import DexedSynth
from numpy.typing import NDArray

from synthproxy.synths import Note
from synthproxy.synths.dx7_voice import MAXIMA


class Engine:
    """dexed-py without anything of ours around it."""

    def play(self, voice: NDArray[np.integer], note: Note, seconds: float, sample_rate: int = 32_000) -> np.ndarray:
        """Audio of 145 parameter bytes, at the engine's own level, from a fresh engine."""
        engine = DexedSynth(sample_rate, 0)
        engine.load_sysex(np.asarray(voice, dtype=np.uint8).tobytes() + b" " * 10 + b"\x3f")
        return np.asarray(engine.render(note.pitch, note.velocity, note.duration, seconds), dtype=np.float64)

    def any_voices(self, seed: int, count: int) -> NDArray[np.uint8]:
        """Voices with every parameter anywhere in its range: (count, 145)."""
        uniform = np.random.default_rng(seed).random((count, len(MAXIMA)))
        return (uniform * (MAXIMA.astype(np.int64) + 1)).astype(np.uint8)


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()
