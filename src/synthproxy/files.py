"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from synthproxy.errors import InvalidInputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it over ``path`` when the block ends well.

    Raises:
        InvalidInputError: the folder is missing or cannot be written, or the disk is full. Nothing is left behind.
    """
    temporary = path.with_name(f".{path.stem}.{uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a whole file at once, replacing what was there."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf8") if isinstance(content, str) else content)


def make_folder(path: Path) -> Path:
    """Create a folder and its parents; an :class:`InvalidInputError` where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"{path}: the folder cannot be made ({error.strerror})") from error
    return path
