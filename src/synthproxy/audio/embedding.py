"""Embedding sound files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthproxy.audio.io import read_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.files import replace_file


def embed_files(paths: Sequence[Path], audio_model: str, out: Path, *, weights: Path | None = None) -> None:
    """Embed sound files, each in its own length, and write the rows to an ``.npz`` file.

    The file holds ``names``, (n,) fixed-width unicode, and ``embeddings``, float32 (n, dimension).
    """
    import torch

    model = get_audio_model(audio_model, weights=weights)
    rows = []
    for path in paths:
        audio = read_audio(path, model.sample_rate).samples
        with torch.inference_mode():
            rows.append(model.embed(torch.from_numpy(audio)[None])[0].numpy())
    content = io.BytesIO()
    np.savez(content, names=np.array([path.name for path in paths]), embeddings=np.stack(rows))
    replace_file(out, content.getvalue())
