"""What a study found, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archspec.cli.tables import Column, Table, numbers, print_table

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[Hashable, Any]


def print_study(rows: pd.DataFrame, sums: pd.DataFrame, measured: bool) -> None:
    """Print the summary of a study, an arm a row, and the reason of what failed.

    rows, sums: as `archspec.study.frame` makes them.
    """
    found = sums.to_dict(orient="records")
    if measured:
        titles = numbers("resolution", "GFLOPs", "ms", "80% of passes", "MB", "times baseline")
        cells = [list(_measured(row)) for row in found]
    else:
        titles = numbers(
            *("Mparams", "GFLOPs", "top-1", "95% interval", "seeds"),
            *("difference", "95% interval", "paper"),
        )
        titles.insert(-2, Column("to", cut=True))
        cells = [list(_trained(row)) for row in found]
    columns = [Column("arm"), Column("group", cut=True), *titles]
    print_table(Table(columns, cells))
    for row in rows[rows["state"] == "failed"].to_dict(orient="records"):
        what = row["resolution"] if measured else f"seed {row['seed']}"
        print(f"failed: {row['arm']}, {what}: {row['reason']}")


def _measured(row: Row) -> Iterator[str]:
    yield from (row["arm"], _word(row["group"]), row["resolution"])
    yield f"{row['flops'] / 1e9:.2f}"
    yield _number(row["latency_ms"], ".2f")
    yield _range(row["latency_low"], row["latency_high"], ".2f")
    yield _number(row["memory_mb"], ".0f")
    yield _number(row["ratio"], ".2f")


def _trained(row: Row) -> Iterator[str]:
    yield from (row["arm"], _word(row["group"]))
    yield f"{row['params'] / 1e6:.2f}"
    yield f"{row['flops'] / 1e9:.3f}"
    yield _number(row["mean"], ".2f")
    yield _range(row["low"], row["high"], ".2f") or _no_spread(row["n"])
    yield str(row["n"])
    yield _number(row["difference"], "+.2f")
    yield _word(row["baseline"])
    ends = _range(row["difference_low"], row["difference_high"], "+.2f")
    yield ends or _no_spread(row["pairs"])
    yield _number(row["paper_top1"], ".2f")


def _no_spread(count: int) -> str:
    """Why there is no interval: seeds that are all equal; a single one tells by itself."""
    return "no spread" if count > 1 else ""


def _word(value: object) -> str:
    """A text; what is absent is nan in some of pandas' columns."""
    return value if isinstance(value, str) else ""


def _number(value: float | None, form: str) -> str:
    return "" if value is None or value != value else format(value, form)


def _range(low: float, high: float, form: str) -> str:
    ends = [_number(end, form) for end in (low, high)]
    return " to ".join(ends) if all(ends) else ""
