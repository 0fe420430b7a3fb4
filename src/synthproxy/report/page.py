"""The listening page: one HTML file with its sounds, pictures, tables, style and script inside, and no network."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from synthproxy.files import replace_file
from synthproxy.report.content import (
    Comparison,
    Example,
    Figure,
    Page,
    Section,
    Sound,
    SoundTable,
    System,
    Take,
)
from synthproxy.report.elements import Attach, embedded, escaped, paragraphs
from synthproxy.report.markup import section_markup
from synthproxy.report.sound_table_markup import deck_markup
from synthproxy.report.tables import Table

__all__ = [
    "Comparison",
    "Example",
    "Figure",
    "Page",
    "Section",
    "Sound",
    "SoundTable",
    "System",
    "Table",
    "Take",
    "page_html",
    "write_page",
]

# The browser itself then refuses to fetch anything: what is not inside the file cannot be shown.
CONTENT_POLICY: Final = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
# Sounds beside the page are fetched from where it lies, and from nowhere else.
FOLDER_POLICY: Final = (
    "default-src 'none'; img-src 'self' file: data:; media-src 'self' file: blob: data:; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


def write_page(path: str | Path, page: Page) -> None:
    """Write a page as one file that opens from disk in any browser, offline.

    Args:
        path: the ``.html`` file; what is there is replaced, whole or not at all.
        page: what to show.

    Raises:
        InvalidInputError: the folder is missing or cannot be written.
    """
    replace_file(Path(path), page_html(page))


def page_html(page: Page, attach: Attach = embedded) -> str:
    """The document that :func:`write_page` writes, as text.

    Args:
        page: what to show.
        attach: where the files of sound tables go; inside the document unless told otherwise.
    """
    sections = "\n".join(
        section_markup(section, number, attach) for number, section in enumerate(page.sections, start=1)
    )
    footer = f'<footer class="colophon">{paragraphs(page.footer)}</footer>' if page.footer else ""
    has_table = any(isinstance(content, SoundTable) for section in page.sections for content in section.contents)
    assets = ("page", "sound_table") if has_table else ("page",)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY if attach is embedded else FOLDER_POLICY}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escaped(page.title)}</title>
<style>
{"".join(_asset(f"{name}.css") for name in assets)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="masthead">
<h1>{escaped(page.title)}</h1>
<div class="introduction">{paragraphs(page.introduction)}</div>
{_contents_list(page)}
</header>
<main id="content">
{sections}
</main>
{footer}
{deck_markup() if has_table else ""}
<script>
{"".join(_asset(f"{name}.js") for name in assets)}</script>
</body>
</html>
"""


def _contents_list(page: Page) -> str:
    if len(page.sections) < 2:
        return ""
    links = "".join(
        f'<li><a href="#section-{number}">{escaped(section.heading)}</a></li>'
        for number, section in enumerate(page.sections, start=1)
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _asset(name: str) -> str:
    return (resources.files("synthproxy.report") / "assets" / name).read_text(encoding="utf8")
