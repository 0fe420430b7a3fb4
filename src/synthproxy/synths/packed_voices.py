"""Collections of packed DX7 voices in one NumPy archive: ``packed`` (n, 128) bytes and ``source`` (n,) text."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import InvalidInputError
from synthproxy.synths.dx7_voice import PACKED_SIZE

# What zipfile, zlib and NumPy raise for an archive that is damaged or something else.
_DAMAGE = (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


def read_packed_voices(path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    """The packed voices, (n, 128), and where each is from.

    Raises:
        InvalidInputError: the file is missing, damaged, or has no such arrays. Nothing pickled is loaded.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            packed = np.asarray(archive["packed"])
            sources = np.asarray(archive["source"] if "source" in archive else np.full(packed.shape[:1], path.stem))
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except _DAMAGE as error:
        raise InvalidInputError(f"{path}: no archive of packed DX7 voices ({error})") from error
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != PACKED_SIZE:
        raise InvalidInputError(
            f"{path}: expected bytes of shape (n, {PACKED_SIZE}), got {packed.dtype} {packed.shape}"
        )
    if sources.shape != packed.shape[:1]:
        raise InvalidInputError(f"{path}: {len(packed)} voices, but sources of shape {sources.shape}")
    return packed, [str(source) for source in sources.tolist()]
