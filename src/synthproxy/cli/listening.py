"""Commands that make pages to listen to."""

from __future__ import annotations

from pathlib import Path

from synthproxy.cli.options import Json, Output
from synthproxy.errors import InvalidInputError
from synthproxy.report.printing import print_rows


def listen(folders: list[str], *, out: Output, title: str = "Sounds to compare", json: Json = False) -> None:
    """Set folders of sounds side by side on a page to listen to, with their distances from the targets.

    Parameters
    ----------
    folders:
        NAME=FOLDER, the targets first (NSynth, or any folder of sounds), then each system: sounds called as their
        targets are, or results of `match` in folders called so.
    out:
        Folder for the page, index.html, and its sounds.
    title:
        Heading of the page.
    """
    from synthproxy.report.content import Page, Section
    from synthproxy.report.listening_folder import write_listening_page
    from synthproxy.report.sound_folders import mean_scores, sound_table_from_folders

    table = sound_table_from_folders(title, folders_by_name(folders))
    introduction = "Targets, and what systems made of them. Distances are taken at matched level; lower is closer."
    page = write_listening_page(out, Page(title, introduction, (Section("Side by side", "", (table,)),)))
    print_rows(title, mean_scores(table), json)
    if not json:
        print(f"Listen: {page.resolve()}")


def folders_by_name(texts: list[str]) -> dict[str, Path]:
    """What NAME=FOLDER names.

    Raises:
        InvalidInputError: a text has another form, or two have one name.
    """
    named: dict[str, Path] = {}
    for text in texts:
        name, _, folder = text.partition("=")
        if not name or not folder:
            raise InvalidInputError(f"{text!r}: give a name and a folder, as in target=sounds")
        if name in named:
            raise InvalidInputError(f"{text!r}: {name} is {named[name]} already; give each folder a name of its own")
        named[name] = Path(folder).expanduser()
    return named
