"""What commands print: JSON for machines, tables and sentences for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthproxy.report.tables import Table


def print_json(data: Any) -> None:
    """Plain data as JSON on standard output."""
    print(json.dumps(data, indent=1))


def print_result(out: Path, result: dict[str, Any], as_json: bool) -> None:
    """What was made, and facts about it by name."""
    if as_json:
        print_json(result)
    else:
        facts = (f"{name.replace('_', ' ')} {_short(value)}" for name, value in result.items())
        print(f"{out}: {', '.join(facts)}")


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def print_rows(title: str, rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    """Rows of equal keys as a table; columns that hold nothing are left out."""
    found = list(rows)
    if as_json:
        print_json(found)
        return
    from synthproxy.report import tables

    columns = [name for name in (found[0] if found else ()) if any(row[name] not in ("", None) for row in found)]
    shown = tuple(tuple(_cell(row[name]) for name in columns) for row in found)
    print_table(tables.Table(title, tuple(name.replace("_", " ") for name in columns), shown))


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value


def print_table(table: Table) -> None:
    """A table on the terminal."""
    import rich

    from synthproxy.report.tables import to_terminal

    rich.print(to_terminal(table))
