"""A roadmap as tables: what each row costs and changes, and what its training reached."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archspec.cli.tables import Column, Table, change_text, counts_text, numbers, print_table
from archspec.roadmap.steps import changes_text

if TYPE_CHECKING:
    import pandas as pd

#: characters of what a row changed; --json has all of it
MOST_CHANGES = 60
_TITLES = (
    ("#", True),
    ("step", False),
    ("changes", False),
    ("params", True),
    ("GFLOPs", True),
    ("change", True),
    ("activations", True),
    ("change", True),
    ("paper GFLOPs", True),
    ("paper top-1", True),
)

Row = Mapping[str, Any]


def print_steps(rows: Sequence[Row]) -> None:
    """Print a row a step, then the notes of rows, and which rows are references.

    rows: as `archspec.roadmap.steps.rows` makes them.
    """
    columns = [
        Column(title, number=number, cut=title == "changes" and not number)
        for title, number in _TITLES
    ]
    cells = list(_cells(rows))
    if not any(row["paper_flops"] or row["paper_top1"] for row in rows):
        columns, cells = columns[:-2], [line[:-2] for line in cells]
    print_table(Table(columns, cells))
    for row in rows:
        if row["note"]:
            print(f"  {row['name']}: {row['note']}")
    if not all(row["adopted"] for row in rows if row["kind"] == "step"):
        print("A step that is not adopted is left out of those after it.")
    references = [row["name"] for row in rows if row["kind"] == "reference"]
    if references:
        verb = "is a reference" if len(references) == 1 else "are references"
        print(f"{', '.join(references)} {verb} to compare with, no step.")


def markdown(rows: Sequence[Row]) -> str:
    """The same table for a page of docs/, without notes."""
    signs = ["---:" if number else "---" for _, number in _TITLES]
    lines = [[title for title, _ in _TITLES], signs]
    for cells in _cells(rows):
        shown = [cell.replace("|", "\\|") for cell in cells]
        shown[2] = shown[2] and f"`{shown[2]}`"
        lines.append(shown)
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def _cells(rows: Sequence[Row]) -> Iterator[list[str]]:
    known = {row["name"]: row for row in rows}
    for row in rows:
        base = known.get(row["from"])
        changes = changes_text(row)
        if len(changes) > MOST_CHANGES:
            changes = changes[: MOST_CHANGES - 3].rstrip() + "..."
        params, activations = counts_text(row["params"], row["activations"])
        yield [
            str(row["number"]),
            row["name"] + _mark(row),
            changes,
            params,
            _giga(row["flops"]),
            "" if base is None else change_text(base["flops"], row["flops"]),
            activations,
            "" if base is None else change_text(base["activations"], row["activations"]),
            "" if row["paper_flops"] is None else _giga(row["paper_flops"]),
            _paper(row),
        ]


def _mark(row: Row) -> str:
    if row["kind"] == "reference":
        return " (reference)"
    return "" if row["adopted"] else " (not adopted)"


def _paper(row: Row) -> str:
    top1, std = row["paper_top1"], row["paper_top1_std"]
    # as printed: no digit is added
    spread = "" if std is None else f" ± {std:g}"
    return "" if top1 is None else f"{top1:g}{spread}"


def _giga(flops: float) -> str:
    """Four digits, as many as tell a step from the one before."""
    return f"{flops / 1e9:.4g}"


def print_trained(rows: Sequence[Row], trained: pd.DataFrame, sums: pd.DataFrame) -> None:
    """Print what was reached, a row a step that was trained.

    trained: as `archspec.roadmap.folder` makes it; sums: as `archspec.study.frame.summary` does,
    of the same rows.
    """
    papers = {row["number"]: _paper(row) for row in rows}
    columns = [
        *numbers("#"),
        Column("step"),
        *numbers("Mparams", "GFLOPs", "epochs", "top-1", "± over seeds", "seeds", "difference"),
        Column("to", cut=True),
        *numbers("95% interval", "paper"),
    ]
    pairs = zip(trained.to_dict(orient="records"), sums.to_dict(orient="records"), strict=True)
    cells = [[*_reached(row, against), papers[row["number"]]] for row, against in pairs]
    print_table(Table(columns, cells))
    for row in trained.to_dict(orient="records"):
        if row["reason"]:
            print(f"failed: {row['name']}: {row['reason']}")


def _reached(row: Mapping[Hashable, Any], against: Mapping[Hashable, Any]) -> Iterator[str]:
    yield from (str(row["number"]), row["name"])
    yield f"{row['params'] / 1e6:.2f}"
    yield _giga(row["flops"])
    yield _number(row["epochs"], ".0f")
    yield _number(row["mean"], ".2f")
    yield _number(row["std"], ".2f")
    yield str(len(row["accuracies"]))
    yield _number(against["difference"], "+.2f")
    yield against["baseline"] if isinstance(against["baseline"], str) else ""
    ends = [_number(against[f"difference_{end}"], "+.2f") for end in ("low", "high")]
    yield " to ".join(ends) if all(ends) else ""


def _number(value: float, form: str) -> str:
    return "" if value is None or value != value else format(value, form)
