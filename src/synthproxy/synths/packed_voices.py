"""Collections of packed DX7 voices in one NumPy archive: ``packed`` (n, 128) bytes and ``source`` (n,) text."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.dx7_voice import PACKED_SIZE


def read_packed_voices(path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """The packed voices, (n, 128), and where each is from.

    Raises:
        InvalidInputError: the file is missing, damaged, or has no such arrays. Nothing pickled is loaded.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            packed = np.asarray(archive["packed"])
            sources = archive["source"].tolist() if "source" in archive else [path.stem] * len(packed)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidInputError(f"{path}: no archive of packed DX7 voices ({error})") from error
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != PACKED_SIZE or len(sources) != len(packed):
        raise InvalidInputError(
            f"{path}: expected bytes of shape (n, {PACKED_SIZE}), got {packed.dtype} {packed.shape}"
        )
    return packed, sources
