"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from synthproxy.errors import InvalidInputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it over ``path`` when the block ends well.

    Raises:
        InvalidInputError: the folder is missing or cannot be written, or the disk is full. Nothing is left behind.
    """
    if path.is_dir():
        raise InvalidInputError(f"{path}: cannot be written, it is a folder; give the name of a file")
    temporary = path.with_name(f".{path.stem}.{uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        # Where it could not be made, it may not even be possible to look for it.
        with suppress(OSError):
            temporary.unlink()


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


@contextmanager
def replacing_together(folder: Path) -> Iterator[Path]:
    """Give a temporary folder inside ``folder`` and move its files up, over what was there, when the block ends well.

    Raises:
        InvalidInputError: they cannot be written. What was there stays as it was.
    """
    temporary = make_folder(folder / f".unfinished-{uuid4().hex[:12]}")
    try:
        yield temporary
        for file in temporary.iterdir():
            file.replace(folder / file.name)
    except OSError as error:
        raise InvalidInputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def folder_for_results(path: Path) -> Iterator[None]:
    """Create a folder and its parents; if the block fails, those that were made and are still empty are removed."""
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    make_folder(path)
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where this package keeps what it can make or fetch again: in ``XDG_CACHE_HOME``, else in ``~/.cache``."""
    environment = os.environ if environment is None else environment
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path(environment.get("HOME") or Path.home()) / ".cache") / "synthproxy"
