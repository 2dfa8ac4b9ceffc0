"""The table of a roadmap's page, as cells of words: the template only lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from archspec.quantities import several
from reports.numbers import MISSING, counted, percent, points, significant, unit
from reports.roadmap_steps import COSTS, Change, Step, gathered
from reports.staircase_marks import printed_value
from reports.study_table import Cell

OPEN_LINES = 3
"""A list of changes of more lines than this is folded."""
OPEN_LETTERS = 150
"""And so is one of more letters than this."""


Sizes = Mapping[str, tuple[float, str]]
"""Divisor and prefix of each cost's column."""


class Line(NamedTuple):
    """One change: where, and from what to what."""

    path: str
    words: str


class Edits(NamedTuple):
    """What a step changes: a summary where the lines are folded, else an empty one."""

    summary: str
    lines: tuple[Line, ...]


class Row(NamedTuple):
    """A step's cells. below: smaller words under its name. look: CSS classes of the row."""

    number: int
    name: str
    below: tuple[str, ...]
    edits: tuple[Edits, ...]
    note: str
    cells: tuple[Cell, ...]
    look: str


class Table(NamedTuple):
    """Headings of the columns after the name and the changes, and rows."""

    heads: tuple[Cell, ...]
    rows: tuple[Row, ...]


def roadmap_table(steps: Sequence[Step], seeds: int = 0) -> Table:
    """Costs with their change, what was reached, and the paper's figures.

    Columns that no row fills are left out. A change is against the row that a step starts from.
    seeds: how many trainings of each step were asked for.
    """
    sizes = {key: unit(step.cost(key) for step in steps) for key in COSTS}
    trained = any(step.reached is not None for step in steps)
    printed = [
        (head, cell)
        for key, head, cell in (
            ("paper_params", Cell("Paper’s params", _unit(sizes["params"][1])), _paper_params),
            ("paper_flops", Cell("Paper’s FLOPs", _unit(sizes["flops"][1])), _paper_flops),
            ("paper_top1", Cell("Paper’s top-1", ("percent",)), _paper_top1),
        )
        if any(getattr(step, key) is not None for step in steps)
    ]
    heads = [Cell(heading, _unit(sizes[key][1])) for key, heading in COSTS.items()]
    if trained:
        heads += [Cell("Reached top-1", ("percent",)), Cell("Difference", ("points",))]
    heads += _divided([head for head, _ in printed])
    by_name = {step.name: step for step in steps if not step.is_reference}
    rows = []
    for place, step in enumerate(steps):
        base = by_name.get(step.base or "")
        cells = [_cost(step, base, key, sizes[key][0]) for key in COSTS]
        if trained:
            cells += [_reached(step, seeds), _gain(step, base)]
        cells += _divided([cell(step, sizes) for _, cell in printed])
        rows.append(
            Row(
                number=step.number,
                name=step.name,
                below=_below(step, steps[place - 1] if place else None),
                edits=(
                    *_edits(gathered(step.changes), "network"),
                    *_edits(step.recipe_changes, "recipe"),
                ),
                note=step.note,
                cells=tuple(cells),
                look="reference" if step.is_reference else "rejected" if step.is_rejected else "",
            )
        )
    return Table(tuple(heads), tuple(rows))


def change(value: float | None, base: float | None) -> str:
    """How a cost changed, in percent with its sign; `same` where it did not, "" where unknown."""
    if value is None or not base:
        return ""
    if value == base:
        return "same"
    share = 100 * (value / base - 1)
    if abs(share) < 0.005:
        return "under 0.01%"
    places = 1 if abs(share) >= 0.05 else 2
    return f"{share:+,.{places}f}%".replace("-", "−")


def _unit(prefix: str) -> tuple[str, ...]:
    return (prefix,) if prefix else ()


def _below(step: Step, before: Step | None) -> tuple[str, ...]:
    if step.is_reference:
        return ("for comparison",)
    said = []
    if step.is_rejected:
        said.append("not adopted")
    if step.base is not None and before is not None and step.base != before.name:
        said.append(f"starts from {step.base}")
    return tuple(said)


def _edits(changes: Sequence[Change], word: str) -> tuple[Edits, ...]:
    if not changes:
        return ()
    lines = tuple(Line(change.path, _edit(change)) for change in changes)
    letters = sum(len(line.path) + len(line.words) for line in lines)
    if len(lines) <= OPEN_LINES and letters <= OPEN_LETTERS:
        return (Edits("", lines),)
    places = list(dict.fromkeys(change.path.split(".")[0] for change in changes))
    told = ", ".join(places[:4]) + (", …" if len(places) > 4 else "")
    return (Edits(f"{several(len(lines), 'change')} of the {word}: {told}", lines),)


def _edit(change: Change) -> str:
    before, after = (MISSING if side is None else side for side in (change.before, change.after))
    if change.kind == "added":
        return f"added {after}"
    if change.kind == "removed":
        return f"removed {before}"
    return ("order " if change.kind == "order" else "") + f"{before} → {after}"


def _cost(step: Step, base: Step | None, key: str, size: float) -> Cell:
    told = change(step.cost(key), base.cost(key)) if base is not None else ""
    return Cell(_share(step.cost(key), size), (told,) if told else ())


def _divided(cells: Sequence[Cell]) -> list[Cell]:
    """What the paper prints, with a rule before it."""
    return [
        cell._replace(look=cell.look.replace("figure", "figure other")) if not place else cell
        for place, cell in enumerate(cells)
    ]


def _paper_params(step: Step, sizes: Sizes) -> Cell:
    return Cell(_share(step.paper_params, sizes["params"][0]))


def _paper_flops(step: Step, sizes: Sizes) -> Cell:
    told = _share(step.paper_flops, sizes["flops"][0])
    if step.flops_gap is None:
        return Cell(told)
    return Cell(told, (f"{change(step.paper_flops, step.flops)} to ours",), "figure gap")


def _paper_top1(step: Step, sizes: Sizes) -> Cell:
    return Cell(printed_value(step))


def _share(value: float | None, size: float) -> str:
    return MISSING if value is None else significant(value / size, 4)


def _reached(step: Step, seeds: int) -> Cell:
    found = step.reached
    if found is None:
        return Cell(MISSING if step.is_reference else "not trained")
    if found.mean is None:
        return Cell("failed" if found.reason else "not trained")
    count = sum(top is not None for top in found.tops)
    below = [f"{count} of {several(seeds, 'seed')}"] if count < seeds else []
    if found.flops is not None and found.flops != step.flops:
        below.append(f"at {counted(found.flops, 'FLOPs')}")
    spread = f" ± {percent(found.std)}" if found.std is not None else ""
    return Cell(percent(found.mean) + spread, tuple(below))


def _gain(step: Step, base: Step | None) -> Cell:
    """The difference to the row that a step starts from, and what its interval says of it."""
    if base is None:
        return Cell(MISSING)
    if step.gain is None:
        lacks = base.mean is None and step.mean is not None
        return Cell(MISSING, (f"no top-1 of {base.number}",) if lacks else ())
    span = step.gain
    if span.low is None or span.high is None:
        return Cell(points(span.value), ("no interval",))
    ends = f"{points(span.low)} to {points(span.high)}"
    if span.holds_zero:
        return Cell(points(span.value), (ends, "includes 0"))
    return Cell(points(span.value), (ends,), "figure clear")
