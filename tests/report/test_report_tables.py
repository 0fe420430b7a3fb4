"""Tables: numbers printed sensibly, and every format read back by an independent reader."""

import csv
import io
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from synthproxy.errors import InvalidInputError
from synthproxy.report.tables import (
    Table,
    best_cells,
    format_number,
    formatted_rows,
    numeric_columns,
    to_csv,
    to_latex,
    to_markdown,
    to_terminal,
)

AWKWARD = 'a|b & c_d, "e"\n<f> [bold]g[/bold] *h* `i` 5% $j$ #k {l} \\m ~n^'
SCORES = Table(
    "Scores",
    ("Model", "MRR", "L1", "Presets"),
    (("proxy_1", 0.8123, 0.04, 20_000), ("chance", 0.0021, math.nan, 0), ("mean", -0.5, 0.1, "")),
    "50% of cases",
    {"MRR": "highest", "L1": "lowest"},
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.8123, "0.812"),
        (12.3456, "12.3"),
        (1234.5, "1234"),
        (123456.7, "123,457"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (-3.5, "-3.50"),
        (1.2e-6, "1.2e-06"),
        (0.00053, "5.3e-04"),
        (0.0005, "0.0005"),
        (9999, "9999"),
        (12500, "12,500"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (True, "yes"),
        (np.float32(0.25), "0.250"),
        (np.int64(10_000), "10,000"),
    ],
)
def test_a_number_is_printed_with_sensible_precision(value, shown):
    assert format_number(value) == shown


@example(0.00014)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_printed_number_is_close_to_the_number(value):
    assert float(format_number(value).replace(",", "")) == pytest.approx(value, rel=0.051, abs=0)


def test_a_column_shares_its_decimals_and_marks_gaps():
    assert formatted_rows(SCORES) == (
        ("proxy_1", "0.8123", "0.040", "20,000"),
        ("chance", "0.0021", "–", "0"),
        ("mean", "-0.5000", "0.100", "–"),
    )
    assert numeric_columns(SCORES) == (False, True, True, True)


def test_best_values_are_found_in_their_direction_with_ties():
    assert best_cells(SCORES) == {(0, 1), (0, 2)}
    tied = Table("t", ("a",), ((1,), (1.0,), (2,)), best={"a": "lowest"})
    assert best_cells(tied) == {(0, 0), (1, 0)}
    assert not best_cells(Table("t", ("a",), ((1,),), best={"a": "lowest"}))


def test_markdown_reads_back_cell_by_cell():
    awkward = Table("t", (AWKWARD, "n"), ((AWKWARD, 1.5), ("plain", 2)))
    tokens = MarkdownIt("commonmark").enable("table").parse(to_markdown(awkward))
    inside = [
        "".join(child.content for child in token.children)
        for before, token in pairwise(tokens)
        if before.type in ("th_open", "td_open")
    ]
    words = " ".join(AWKWARD.split())
    assert inside == [words, "n", words, "1.50", "plain", "2.00"]


def test_markdown_aligns_numbers_and_makes_the_best_bold():
    text = to_markdown(SCORES)
    assert "| --- | ---: | ---: | ---: |" in text
    assert "| proxy\\_1 | **0.8123** | **0.040** | 20,000 |" in text
    assert text.endswith("50% of cases\n")


def test_csv_reads_back_at_full_precision():
    table = Table("t", ("name", "value", "count"), ((AWKWARD, 1 / 3, np.int64(3)), ("", math.nan, 0)))
    rows = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert rows == [["name", "value", "count"], [AWKWARD, repr(1 / 3), "3"], ["", "", "0"]]


def test_latex_escapes_every_special_character():
    text = to_latex(Table("t", ("name",), ((AWKWARD,),)))
    row = next(line for line in text.splitlines() if "textbackslash" in line)
    assert row.strip() == (
        r'a|b \& c\_d, "e" \textless{}f\textgreater{} [bold]g[/bold] *h* `i` 5\% \$j\$ \#k \{l\} '
        r"\textbackslash{}m \textasciitilde{}n\textasciicircum{} \\"
    )


def test_latex_has_booktabs_rules_a_caption_and_true_minus_signs():
    lines = [line.strip() for line in to_latex(SCORES).splitlines()]
    assert r"\begin{tabular}{lrrr}" in lines
    assert r"\caption{Scores. 50\% of cases}" in lines
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"proxy\_1 & \textbf{0.8123} & \textbf{0.040} & 20,000 \\" in lines
    assert r"mean & $-$0.5000 & 0.100 & -- \\" in lines


def test_the_terminal_table_shows_square_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=200)
    console.print(to_terminal(Table("[red]t", ("[b]name",), (("[bold]g[/bold]",),), "[c]")))
    shown = console.file.getvalue()
    assert all(word in shown for word in ("[red]t", "[b]name", "[bold]g[/bold]", "[c]"))


@pytest.mark.parametrize("write", [to_markdown, to_csv, to_latex])
def test_a_table_without_rows_still_has_its_header(write):
    assert "name" in write(Table("t", ("name", "value"), ()))


def test_a_short_row_and_an_unknown_best_column_are_refused():
    with pytest.raises(InvalidInputError, match="row 2 has 1 cells, expected 2"):
        Table("t", ("a", "b"), ((1, 2), (3,)))
    with pytest.raises(InvalidInputError, match="best names column 'c'"):
        Table("t", ("a", "b"), (), best={"c": "lowest"})
