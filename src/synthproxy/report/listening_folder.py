"""A listening page with many sounds: a folder that opens from disk and that any static host serves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from synthproxy.errors import InvalidInputError
from synthproxy.files import folder_for_results, replace_file, replacing_together
from synthproxy.progress import counting
from synthproxy.report.content import Page, SoundTable, Take
from synthproxy.report.page import page_html

SOUNDS: Final = "sounds"
_OURS: Final = re.compile(r".+-[0-9a-f]{12}\.(flac|png)")


def write_listening_page(folder: str | Path, page: Page) -> Path:
    """Write a page as ``index.html``, with the sounds of its tables and their pictures in ``sounds/`` beside it.

    Sounds become FLAC files of 16 bits at matched level; the page knows the way back to the level they were given at.
    A file's name tells its content, so an older page in the folder stays whole until the new one takes its place; then
    files that only the older one used are removed.

    Args:
        folder: made if missing; what else is in it stays.
        page: what to show.

    Returns:
        The path of ``index.html``.

    Raises:
        InvalidInputError: a sound file is missing or cannot be read, or the folder cannot be written. What was there
            stays as it was.
    """
    folder = Path(folder)
    takes = list(_takes(page))
    _require_files(takes)
    attached: set[str] = set()
    with folder_for_results(folder), folder_for_results(folder / SOUNDS):
        with replacing_together(folder / SOUNDS) as beside, counting("sounds", len(takes)) as progress:

            def attach(name: str, content: bytes) -> str:
                path = PurePosixPath(name)
                called = f"{path.stem}-{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
                (beside / called).write_bytes(content)
                attached.add(called)
                progress(len(attached) // 2, len(takes))
                return f"{SOUNDS}/{called}"

            text = page_html(page, attach)
        replace_file(folder / "index.html", text)
    for path in (folder / SOUNDS).iterdir():
        if _OURS.fullmatch(path.name) and path.name not in attached:
            path.unlink()
    return folder / "index.html"


def _takes(page: Page) -> Iterator[Take]:
    for section in page.sections:
        for content in section.contents:
            if isinstance(content, SoundTable):
                for example in content.examples:
                    yield from example.takes.values()


def _require_files(takes: list[Take]) -> None:
    """Refuse now what would fail after minutes."""
    missing = [take.audio for take in takes if isinstance(take.audio, Path) and not take.audio.is_file()]
    if missing:
        raise InvalidInputError(f"{len(missing)} of {len(takes)} sounds are missing, such as {missing[0]}")
