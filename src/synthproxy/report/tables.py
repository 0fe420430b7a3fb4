"""One table for every reader: Markdown, CSV, LaTeX and the terminal. How a number is printed is decided here only."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Final, Literal, TypeGuard

import rich.box
import rich.table
from rich.text import Text

from synthproxy.errors import InvalidInputError
from synthproxy.files import replace_file

Cell = str | float | int
Direction = Literal["lowest", "highest"]

MISSING: Final = "–"
MOST_DECIMALS: Final = 4
COARSEST_ROUNDING: Final = 0.05
"""Share of a value that may be rounded away: two significant digits survive."""
GROUPED_FROM: Final = 10_000
"""Smaller whole numbers are read at a glance without a separator."""


@dataclass(frozen=True)
class Table:
    """A titled grid of words and numbers.

    ``rows`` hold one cell per column; ``""`` and NaN mean "no value". ``best`` names the columns whose best value is
    marked, and which end is the better one: ``{"MRR": "highest", "L1": "lowest"}``.

    Raises:
        InvalidInputError: a row of another length than ``columns``, or a column in ``best`` that is not there.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    best: Mapping[str, Direction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise InvalidInputError(
                    f"table {self.title!r}: row {number} has {len(row)} cells, expected {len(self.columns)}, "
                    "one per column"
                )
        for name in self.best:
            if name not in self.columns:
                raise InvalidInputError(
                    f"table {self.title!r}: best names column {name!r}, which is not one of {', '.join(self.columns)}"
                )


def format_number(value: float, decimals: int | None = None) -> str:
    """Print one number for people.

    Args:
        value: whole numbers stay whole; NaN gives a dash.
        decimals: digits after the point; None shows three significant digits.

    Returns:
        For example ``"0.123"``, ``"12,500"``, ``"3.1e-06"`` (what would be rounded away), ``"∞"``.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if _is_whole(value):
        return f"{value:,}" if abs(value) >= GROUPED_FROM else str(value)
    if decimals is None:
        decimals = _decimals([value])
    shown = f"{value:,.{decimals}f}" if abs(value) >= GROUPED_FROM else f"{value:.{decimals}f}"
    if value == 0:
        return shown.removeprefix("-")
    rounding = abs(float(shown.replace(",", "")) - value) / abs(value)
    return shown if rounding <= COARSEST_ROUNDING else f"{value:.1e}"


def formatted_rows(table: Table) -> tuple[tuple[str, ...], ...]:
    """Every cell as text; the numbers of a column share their decimals, so that they line up."""
    columns = [_formatted_column([row[index] for row in table.rows]) for index in range(len(table.columns))]
    return tuple(zip(*columns, strict=True))


def numeric_columns(table: Table) -> tuple[bool, ...]:
    """For each column: does it hold numbers (and gaps) only?"""
    return tuple(_is_numeric([row[index] for row in table.rows]) for index in range(len(table.columns)))


def best_cells(table: Table) -> frozenset[tuple[int, int]]:
    """(row, column) of the values to mark; ties are all marked, a lone value has nothing to be better than."""
    marked: set[tuple[int, int]] = set()
    for column, name in enumerate(table.columns):
        values = {index: row[column] for index, row in enumerate(table.rows)}
        numbers = {index: float(value) for index, value in values.items() if _has_value(value)}
        if name in table.best and len(numbers) > 1:
            winner = min(numbers.values()) if table.best[name] == "lowest" else max(numbers.values())
            marked |= {(index, column) for index, value in numbers.items() if value == winner}
    return frozenset(marked)


def to_markdown(table: Table) -> str:
    """GitHub-flavoured Markdown: title in bold, aligned table, caption; the best values are bold."""
    marked = best_cells(table)
    rows = [
        [
            f"**{_markdown_cell(text)}**" if (row, column) in marked else _markdown_cell(text)
            for column, text in enumerate(cells)
        ]
        for row, cells in enumerate(formatted_rows(table))
    ]
    header = [_markdown_cell(name) for name in table.columns]
    rules = ["---:" if numeric else "---" for numeric in numeric_columns(table)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, rules, *rows)]
    parts = [f"**{_markdown_cell(table.title)}**", "\n".join(lines)]
    if table.caption:
        parts.append(_markdown_cell(table.caption))
    return "\n\n".join(parts) + "\n"


def to_csv(table: Table) -> str:
    """CSV with a header (RFC 4180 quoting, ``\\n`` ends a line); numbers at full precision, gaps empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_csv_cell(cell) for cell in row])
    return text.getvalue()


def to_latex(table: Table) -> str:
    """A LaTeX ``table`` with booktabs rules (``\\usepackage{booktabs}``); the best values are bold."""
    marked = best_cells(table)
    numeric = numeric_columns(table)
    lines = []
    for row, cells in enumerate(formatted_rows(table)):
        texts = [_latex_number(text) if numeric[column] else _latex_text(text) for column, text in enumerate(cells)]
        lines.append([rf"\textbf{{{t}}}" if (row, column) in marked else t for column, t in enumerate(texts)])
    body = "\n".join("    " + " & ".join(cells) + r" \\" for cells in lines)
    header = " & ".join(_latex_text(name) for name in table.columns)
    caption = _latex_text(". ".join(part for part in (table.title, table.caption) if part))
    alignment = "".join("r" if right else "l" for right in numeric)
    return (
        "\\begin{table}\n  \\centering\n"
        f"  \\caption{{{caption}}}\n"
        f"  \\begin{{tabular}}{{{alignment}}}\n    \\toprule\n    {header} \\\\\n    \\midrule\n"
        f"{body}\n    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n"
    )


def to_terminal(table: Table) -> rich.table.Table:
    """A table for ``rich.print``; square brackets in cells stay text, the best values are bold green."""
    marked = best_cells(table)
    shown = rich.table.Table(
        title=Text(table.title),
        caption=Text(table.caption) if table.caption else None,
        box=rich.box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    for name, numeric in zip(table.columns, numeric_columns(table), strict=True):
        # Where the terminal is narrow, words are broken: half a name says less than one on two lines.
        shown.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row, cells in enumerate(formatted_rows(table)):
        shown.add_row(
            *(Text(text, "bold green" if (row, column) in marked else "") for column, text in enumerate(cells))
        )
    return shown


def write_tables(folder: Path, tables: Mapping[str, Table]) -> None:
    """Write each table as ``NAME.md``, ``NAME.csv`` and ``NAME.tex`` into a folder that is there."""
    for name, table in tables.items():
        for ending, write in (("md", to_markdown), ("csv", to_csv), ("tex", to_latex)):
            replace_file(folder / f"{name}.{ending}", write(table))


def is_finite(value: object) -> TypeGuard[float]:
    """Is this a number that can be compared and plotted: neither a word nor NaN nor infinite?"""
    return _is_number(value) and math.isfinite(value)


def _is_number(value: object) -> TypeGuard[float]:
    # numpy's scalars count too, whether or not they derive from Python's.
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral)


def _has_value(value: object) -> TypeGuard[float]:
    return _is_number(value) and not math.isnan(value)


def _is_numeric(values: Sequence[Cell]) -> bool:
    return any(_is_number(value) for value in values) and all(
        _is_number(value) or value in ("", MISSING) for value in values
    )


def _formatted_column(values: Sequence[Cell]) -> list[str]:
    numbers = [float(value) for value in values if is_finite(value)]
    whole = all(_is_whole(value) for value in values if _has_value(value))
    decimals = None if whole or not numbers else _decimals(numbers)
    texts = []
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        elif decimals is not None and not isinstance(value, bool):
            texts.append(format_number(float(value), decimals))
        else:
            texts.append(format_number(value))
    return [text or MISSING for text in texts] if _is_numeric(values) else texts


def _decimals(numbers: Sequence[float]) -> int:
    """Three significant digits of the largest value and two of the smallest, as far as that stays short."""
    sizes = [abs(number) for number in numbers if number]
    if not sizes:
        return 1
    wanted = max(2 - math.floor(math.log10(max(sizes))), 1 - math.floor(math.log10(min(sizes))))
    return min(max(wanted, 0), MOST_DECIMALS)


def _csv_cell(value: Cell) -> str:
    if _is_number(value):
        return "" if math.isnan(value) else str(int(value) if _is_whole(value) else float(value))
    return str(value)


def _markdown_cell(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", _one_line(text))


def _latex_text(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "∞": r"$\infty$",
        "–": "--",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
    return "".join(special.get(character, character) for character in _one_line(text))


def _latex_number(text: str) -> str:
    return re.sub(r"^-(?=[\d∞])", "$-$", text).replace("∞", r"$\infty$").replace(MISSING, "--")


def _one_line(text: str) -> str:
    return " ".join(text.split())
