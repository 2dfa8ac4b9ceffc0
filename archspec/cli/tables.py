"""Tables for people, JSON for programs.

On a terminal a table is drawn by rich and fits its width; anywhere else it is plain text of full
width, which other tools can cut and compare.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from archspec.errors import SpecError
from archspec.quantities import Quantity, format_count, format_quantity

#: how the name of a text ends
YAML = (".yaml", ".yml")
#: characters that a shortened text must have left
LEAST = 12


class Column(NamedTuple):
    """A heading; numbers stand to the right.

    `cut` text is shortened where there is no room, and left out where there is next to none.
    """

    title: str
    number: bool = False
    cut: bool = False


class Table(NamedTuple):
    """Rows of text under columns; the last `sums` rows are sums of those above."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    sums: int = 0


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(title, number=True) for title in titles]


def print_table(table: Table) -> None:
    """Draw a table on standard output."""
    if sys.stdout.isatty():
        _draw(table)
        return
    widths = _widths(table)
    for row in [_titles(table), *table.rows]:
        cells = (
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        )
        print("  ".join(cells).rstrip())


def _titles(table: Table) -> list[str]:
    return [column.title for column in table.columns]


def _widths(table: Table) -> list[int]:
    lines = [_titles(table), *table.rows]
    return [max(len(line[index]) for line in lines) for index in range(len(table.columns))]


def _draw(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    # rich leaves bold under NO_COLOR; without a color system there is no style at all
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto")
    drawn = Drawn(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    widths = _widths(table)
    taken = sum(w for w, column in zip(widths, table.columns, strict=True) if not column.cut)
    room = console.width - taken - 3 * len(widths)
    shown = [
        not column.cut or room >= min(width, LEAST)
        for column, width in zip(table.columns, widths, strict=True)
    ]
    for column, width in compress(zip(table.columns, widths, strict=True), shown):
        drawn.add_column(
            Text(column.title),
            justify="right" if column.number else "left",
            no_wrap=column.number or column.cut,
            overflow="ellipsis" if column.cut else "fold",
            max_width=min(width, room) if column.cut else None,
        )
    first_sum = len(table.rows) - table.sums
    for index, row in enumerate(table.rows):
        style = "bold" if index >= first_sum else None
        drawn.add_row(
            *map(Text, compress(row, shown)), style=style, end_section=index == first_sum - 1
        )
    console.print(drawn)


def print_json(document: object) -> None:
    """One JSON document and nothing else."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def check_page(path: Path) -> None:
    """Raise SpecError where a page would take a folder's or a text's place."""
    if path.is_dir() or path.suffix in YAML:
        raise SpecError(f"{path} is no page's file; it ends in .html")


def bytes_text(count: int) -> str:
    """`426 MB`."""
    return format_quantity(Quantity(count, "traffic")) if count else "0 B"


def change_text(before: float, after: float) -> str:
    """`+12.5%`; nothing to compare with is an empty text."""
    if before == after:
        return "="
    return f"{100 * (after - before) / before:+.1f}%" if before else "new"


def counts_text(*counts: float) -> list[str]:
    """Each count in three digits: `25.6M`."""
    return [format_count(count) for count in counts]
