"""The tables of the page that overlays searches, as cells of words."""

from __future__ import annotations

import math

from archspec.quantities import several
from reports.numbers import MISSING, significant
from reports.overlay_curves import Curve
from reports.overlay_progress import Comparison, Progress
from reports.study_table import Cell, Row, Table

#: how soon a search is as good as chance
TO_MATCH = "Evaluations to match random"


def groups_table(comparison: Comparison) -> Table:
    """A group a row, random search below: where it ends, and when it is as good as that."""
    volumes = comparison.box is not None
    aim = "hypervolume" if volumes else "best score"
    heads = (
        Cell("Seeds"),
        Cell("Evaluations", ("a search",)),
        Cell("Best score", ("mean ± deviation",)),
        *([Cell("Hypervolume", ("at the end", "mean ± deviation"))] if volumes else ()),
        Cell(TO_MATCH, (f"its {aim} at the end", "median over seeds")),
    )
    return Table(heads, tuple(_row(row, volumes) for row in comparison.rows))


def runs_table(comparison: Comparison) -> Table:
    """A search a row."""
    volumes = comparison.box is not None
    heads = (
        Cell("Group", (), "words"),
        Cell("Seed"),
        Cell("Evaluations"),
        Cell("Best score"),
        *([Cell("Hypervolume")] if volumes else ()),
        Cell("Created", (), "words"),
    )
    made = []
    for row in comparison.rows:
        if row.kind == "random":
            continue
        for place, run in enumerate(row.runs):
            cells = [
                Cell(row.name, (), "words"),
                Cell(str(run.info.seed)),
                Cell(str(len(row.best.runs[place]))),
                Cell(_last(row.best, place)),
                *([Cell(_last(row.volume, place))] if row.volume is not None else ()),
                Cell(run.info.created, (), "words"),
            ]
            made.append(Row("", run.folder, tuple(cells)))
    return Table(heads, tuple(made))


def evaluations(row: Progress) -> str:
    """`48`, or `31 to 48` where runs differ."""
    counts = [len(run) for run in row.best.runs]
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def ended(curve: Curve | None) -> str:
    """`2.341 ± 0.012` of several runs, `2.341` of one; a dash where nothing was scored."""
    if curve is None or curve.end is None:
        return MISSING
    deviation = curve.deviation
    words = significant(curve.end, 4)
    return words if deviation is None else f"{words} ± {significant(deviation[-1], 2)}"


def to_random(row: Progress) -> tuple[str, str]:
    """When a group is where random search ends, `12`, and what that took, `random took 16`; where
    half of its runs are never there, how many are."""
    if row.aim is None:
        return MISSING, ""
    there = sum(count is not None for count in row.reached)
    if row.to_random is None:
        return "not reached", f"{there} of {several(len(row.reached), 'run')} did"
    told = f"random took {row.aim}"
    if there < len(row.reached):
        told += f", {len(row.reached) - there} of {len(row.reached)} never did"
    return f"{row.to_random:g}", told


def _row(row: Progress, volumes: bool) -> Row:
    words, below = to_random(row)
    cells = [
        Cell(str(len(row.runs))),
        Cell(evaluations(row)),
        Cell(ended(row.best)),
        *([Cell(ended(row.volume))] if volumes else ()),
        Cell(words, (below,) if below else ()),
    ]
    return Row("", row.name, tuple(cells))


def _last(curve: Curve, place: int) -> str:
    values = curve.runs[place]
    return significant(values[-1], 4) if len(values) and math.isfinite(values[-1]) else MISSING
