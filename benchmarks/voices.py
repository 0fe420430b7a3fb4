"""The hand-crafted DX7 voices as benchmarks hear them, and how some of them are held out by sound."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from synthproxy.audio.features import MelSpectrogram, decibels
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, import_presets
from synthproxy.corpus.splitting import alike
from synthproxy.matching.distances import rms
from synthproxy.progress import counting
from synthproxy.proxies.examples import Examples
from synthproxy.synths import get_synth

SYNTH, AUDIO_MODEL, CHANNELS, BANDS = "dexed", "mel@16", 256, 128
"""``mel@16`` has the means of 128 bands and their deviations, in each of sixteen parts of the clip."""
DECIBEL = 1 / (4.343 * 5.0)
"""One decibel in units of the audio model."""
MOST_ALIKE = 100
"""Sounds that belong together; larger kinds are never held out, as they would fill that side alone."""

LEVEL = 0.05
"""RMS that sounds are brought to before they are compared."""


def level_spectrum(audio: NDArray[np.float32], mel: MelSpectrogram) -> NDArray[np.float32]:
    """Log-mel spectrogram in dB at a fixed level, (128, frames)."""
    with torch.inference_mode():
        levelled = torch.from_numpy(audio * np.float32(LEVEL / max(float(rms(audio)), 1e-9)))[None]
        return np.asarray(decibels(mel(levelled), floor=1e-8)[0].numpy())


def file_of_voices() -> Path:
    """``dx7_voices.npz``."""
    shared = os.environ.get("SYNTHPROXY_SHARED")
    if not shared:
        raise SystemExit("set SYNTHPROXY_SHARED to the folder that has data/dx7_voices.npz")
    return Path(shared) / "data" / "dx7_voices.npz"


def voices_of(folder: Path) -> Examples:
    """All voices that are heard at middle C, as a corpus in ``folder/voices``."""
    with counting("voices") as progress:
        import_presets(
            folder / "voices", [file_of_voices()], get_synth(SYNTH), get_audio_model(AUDIO_MODEL), progress=progress
        )
    return Examples.from_corpus(Corpus.open(folder / "voices"))


def sounds_alike(voices: Examples) -> np.ndarray:
    """A label for each voice: those within 1 dB share it, also by way of others.

    What is compared is the mean difference of log-mel levels in sixteen parts of the clip.
    """
    levels = voices.embeddings.reshape(len(voices), -1, CHANNELS)[:, :, :BANDS].reshape(len(voices), -1)
    return alike(levels, DECIBEL)


def held_out_together(labels: np.ndarray, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and ``count`` others; those of one label go to one side together."""
    kinds, sizes = np.unique(labels, return_counts=True)
    order = generator.permutation(np.flatnonzero(sizes <= MOST_ALIKE))
    full = int(np.searchsorted(np.cumsum(sizes[order]), count))
    is_held = np.isin(labels, kinds[order[: full + 1]])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)[:count]
