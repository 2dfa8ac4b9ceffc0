"""The figure of a ladder: every network's rank on every rung, and where it was dropped."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from reports.ladder import Rung
from reports.looks import across, faint, layout, upright
from reports.palette import LIGHT, Palette

#: of a rung that dropped more, a bar stands for them: nobody tells one of a thousand marks
MOST_MARKS = 600
#: letters of a line under a column, which says its score
LONGEST = 24


class Mark(NamedTuple):
    """A network on a rung: the column from 1, its rank, its place in the frame."""

    column: int
    rank: int
    row: int


def climb_figure(found: list[Rung], palette: Palette = LIGHT) -> go.Figure:
    """A column a rung, best rank above: a line is a network, and ends where it was dropped.

    `customdata` of a mark is its network's place in the frame.
    """
    reached = [rung for rung in found if rung.rows]
    columns = {rung.number: _heights(rung) for rung in reached}
    furthest = set(reached[-1].ranks) if reached else set()
    figure = go.Figure(layout=layout(palette))
    climbed = {of for rung in reached[1:] for of in rung.rows}
    for some, look in (
        (climbed - furthest, {"color": faint(palette.search, 0.45), "width": 1}),
        (climbed & furthest, {"color": palette.front, "width": 2}),
    ):
        x, y = _lines(columns, some)
        figure.add_trace(
            go.Scatter(x=x, y=y, mode="lines", line=look, hoverinfo="skip", showlegend=False)
        )
    for name, symbol, size, colour, marks in (
        ("Dropped", "circle", 5, palette.muted, _dropped(reached)),
        ("No score there", "x", 7, palette.shipped, _ended(reached)),
        ("Went on", "circle", 6, palette.search, _went_on(reached)),
        ("Furthest up", "circle", 9, palette.front, _furthest(reached)),
    ):
        figure.add_trace(
            go.Scatter(
                x=[mark.column for mark in marks],
                y=[mark.rank for mark in marks],
                customdata=[mark.row for mark in marks],
                name=name,
                mode="markers",
                cliponaxis=False,
                hoverinfo="none",
                showlegend=bool(marks),
                marker={"symbol": symbol, "size": size, "color": colour},
            )
        )
    lowest = max((max(heights.values(), default=1) for heights in columns.values()), default=1)
    figure.update_layout(
        margin={"l": 60, "r": 24, "t": 44, "b": 72},
        shapes=[_bar(rung, palette) for rung in reached if crowded(rung)],
        xaxis=across(palette, "")
        | {
            "tickvals": [rung.number for rung in found],
            "ticktext": [_heading(rung) for rung in found],
            "range": [0.75, len(found) + 0.25],
        },
        yaxis=upright(palette, "Rank by the rung’s score, 1 is the best")
        | {"type": "log", "range": [math.log10(1.3 * lowest), math.log10(0.75)], "dtick": 1},
    )
    return figure


def _heading(rung: Rung) -> str:
    # rungs that train differ in their epochs and seeds, not in the first word
    lines = textwrap.wrap(rung.said, LONGEST, max_lines=2, placeholder="…")
    return "<br>".join([f"Rung {rung.number}", *map(escape, lines)])


def _heights(rung: Rung) -> dict[int, int]:
    """Ranks by search trial; on a higher rung those without a score stand below all others. What
    never came to a score on the lowest one was no network to climb."""
    below = {} if rung.kind == "search" else dict(enumerate(rung.ended, len(rung.ranks) + 1))
    return rung.ranks | {of: rank for rank, of in below.items()}


def _lines(
    columns: dict[int, dict[int, int]], some: Collection[int]
) -> tuple[list[float | None], list[float | None]]:
    """Networks as lines from column to column, None between one and the next."""
    x: list[float | None] = []
    y: list[float | None] = []
    for of in sorted(some):
        for column, heights in columns.items():
            if of in heights:
                x.append(column)
                y.append(heights[of])
        x.append(None)
        y.append(None)
    return x, y


def _left(rung: Rung) -> list[int]:
    """Search trials with a score that did not go on, though others did."""
    on = set(rung.on or rung.ranks)
    return [of for of in rung.ranks if of not in on]


def crowded(rung: Rung) -> bool:
    """Whether a bar stands for the networks that a rung dropped."""
    return len(rung.ranks) - len(rung.on or rung.ranks) > MOST_MARKS


def _marks(rung: Rung, some: Collection[int]) -> list[Mark]:
    heights = _heights(rung)
    return [Mark(rung.number, heights[of], rung.rows[of]) for of in some if of in heights]


def _dropped(reached: list[Rung]) -> list[Mark]:
    return [mark for rung in reached if not crowded(rung) for mark in _marks(rung, _left(rung))]


def _ended(reached: list[Rung]) -> list[Mark]:
    return [mark for rung in reached[1:] for mark in _marks(rung, rung.ended)]


def _went_on(reached: list[Rung]) -> list[Mark]:
    return [mark for rung in reached[:-1] for mark in _marks(rung, rung.on or ())]


def _furthest(reached: list[Rung]) -> list[Mark]:
    return [mark for rung in reached[-1:] for mark in _marks(rung, rung.ranks)]


def _bar(rung: Rung, palette: Palette) -> dict[str, object]:
    """What stands for more dropped networks than are drawn."""
    ranks = [rung.ranks[of] for of in _left(rung)]
    return {
        "type": "rect",
        "layer": "below",
        "x0": rung.number - 0.02,
        "x1": rung.number + 0.02,
        "y0": min(ranks),
        "y1": max(ranks),
        "fillcolor": faint(palette.muted, 0.4),
        "line": {"width": 0},
    }


__all__ = ["MOST_MARKS", "climb_figure", "crowded"]
