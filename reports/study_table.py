"""The tables of a study's page, as cells of words: the template only lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reports.arms import Arm, Span
from reports.latencies import Latency
from reports.numbers import MISSING, percent, points, significant, unit


class Cell(NamedTuple):
    """Words, and lines of smaller words below them. look: CSS classes."""

    words: str
    below: tuple[str, ...] = ()
    look: str = "figure"


class Row(NamedTuple):
    """An arm's cells; group is its group's name where it is the first of it, else empty."""

    group: str
    name: str
    cells: tuple[Cell, ...]


class Table(NamedTuple):
    """Headings, each with its unit below, and rows."""

    heads: tuple[Cell, ...]
    rows: tuple[Row, ...]


def training_table(arms: Sequence[Arm], ladder: bool, named: bool = False) -> Table:
    """Costs, accuracy with its interval, differences, and the paper's figures beside.

    ladder: differences are to the arm before. named: say which one it is, each time.
    """
    sizes = [unit(getattr(arm, key) for arm in arms) for key in ("params", "flops", "activations")]
    published = any(arm.paper is not None for arm in arms)
    noted = any(arm.note for arm in arms)
    spread = any(arm.mean is not None and arm.mean.high is not None for arm in arms)
    heads = [
        Cell("Params", _unit(sizes[0][1])),
        Cell("FLOPs", (f"{sizes[1][1]} multiply-adds",)),
        Cell("Activations", _unit(sizes[2][1])),
        Cell("Top-1", ("mean ± half", "its 95% interval") if spread else ("percent",)),
        Cell("Seeds"),
        Cell("Difference", ("to the arm before" if ladder else "to the baseline",)),
    ]
    if published:
        heads += [
            Cell("Published", ("other data",), "figure other"),
            Cell("Difference", ("published",)),
        ]
    if noted:
        heads.append(Cell("Note", (), "words"))
    rows, group = [], None
    for arm in arms:
        costs = zip((arm.params, arm.flops, arm.activations), sizes, strict=True)
        cells = [Cell(_share(value, size)) for value, (size, _) in costs]
        cells += [_mean(arm.mean), Cell(str(len(arm.seeds))), _difference(arm, named)]
        if published:
            cells.append(Cell(percent(arm.paper), (), "figure other"))
            cells.append(Cell(points(arm.paper_difference)))
        if noted:
            cells.append(Cell(arm.note, (), "words"))
        head = arm.group if arm.group is not None and arm.group != group else ""
        rows.append(Row(head, arm.name, tuple(cells)))
        group = arm.group
    return Table(tuple(heads), tuple(rows))


def latency_table(rows: Sequence[Latency]) -> Table:
    """What each arm costs at each resolution, and how that compares with its baseline."""
    keys = ("flops", "activations", "traffic")
    sizes = [unit(getattr(row, key) for row in rows) for key in keys]
    heads = (
        Cell("Resolution", ("height x width",)),
        Cell("FLOPs", (f"{sizes[0][1]} multiply-adds",)),
        Cell("Activations", _unit(sizes[1][1])),
        Cell("Memory traffic", (f"{sizes[2][1]}B",)),
        Cell("Latency, ms", ("median, and spread",)),
        Cell("Memory, MB", ("at the peak",)),
        Cell("To the baseline", ("latency, and FLOPs",)),
    )
    made, group, arm = [], None, None
    for row in rows:
        counts = zip((row.flops, row.activations, row.traffic), sizes, strict=True)
        spread: tuple[str, ...] = ()
        if row.low is not None and row.high is not None:
            spread = (f"{significant(row.low)} to {significant(row.high)}",)
        ratio = (f"FLOPs {_times(row.flops_ratio)}",)
        cells = (
            Cell(row.resolution),
            *(Cell(_share(value, size)) for value, (size, _) in counts),
            Cell(significant(row.latency), spread),
            Cell(significant(row.memory)),
            Cell("baseline") if row.against is None else Cell(_times(row.ratio), ratio),
        )
        head = row.group if row.group is not None and row.group != group else ""
        made.append(Row(head, "" if row.arm == arm and not head else row.arm, cells))
        group, arm = row.group, row.arm
    return Table(heads, tuple(made))


def _unit(prefix: str) -> tuple[str, ...]:
    return (prefix,) if prefix else ()


def _share(value: float | None, size: float) -> str:
    return MISSING if value is None else significant(value / size)


def _times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{significant(ratio)}×"


def _mean(span: Span | None) -> Cell:
    if span is None:
        return Cell(MISSING)
    if span.high is None:
        return Cell(percent(span.value), ("no spread",) if span.alike else ())
    return Cell(f"{percent(span.value)} ± {percent(span.high - span.value)}")


def _difference(arm: Arm, named: bool) -> Cell:
    """The difference, its interval, and what that says of it."""
    span = arm.difference
    if arm.against is None:
        return Cell("baseline")
    against = (f"to {arm.against}",) if named else ()
    if span is None:
        return Cell(MISSING, against)
    if span.low is None or span.high is None:
        why = "no spread: no interval" if span.alike else "one seed: no interval"
        return Cell(points(span.value), (*against, why))
    ends = f"{points(span.low)} to {points(span.high)}"
    if span.holds_zero:
        return Cell(points(span.value), (*against, ends, "the interval includes 0"))
    return Cell(points(span.value), (*against, ends), "figure clear")
