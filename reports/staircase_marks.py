"""What the panels of a staircase are drawn with: bars, diamonds, lines of steps, words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go

from reports.looks import faint
from reports.numbers import percent
from reports.palette import Palette
from reports.roadmap_steps import Step

Axis = dict[str, Any]
"""What a panel says of its axis, in Plotly's words; `range` is always there."""


class Rows(NamedTuple):
    """The steps, the height of each counted downwards in rows, and the colours."""

    steps: tuple[Step, ...]
    heights: tuple[float, ...]
    palette: Palette

    def where(self, wanted: Callable[[Step], object]) -> list[tuple[Step, float]]:
        """The steps that are wanted, each with its height."""
        return [(step, y) for step, y in zip(self.steps, self.heights, strict=True) if wanted(step)]


def colours(step: Step, palette: Palette) -> tuple[str, str]:
    """Filling and edge of a step's bar: what changes is told by them, with both by one each."""
    if step.is_reference:
        return palette.shipped, palette.shipped
    if step.kind == "start":
        return palette.muted, palette.muted
    filling = palette.random if step.recipe_changes else palette.front
    return filling, palette.front if step.changes else filling


def bars(
    figure: go.Figure,
    rows: Rows,
    axis: str,
    base: float,
    shown: Sequence[tuple[Step, float, float]],
    meta: str,
    hover: Sequence[str],
    errors: Sequence[float | None],
) -> None:
    """Bars from `base` to a value a step; striped where it was not adopted. errors: deviations."""
    looks = [colours(step, rows.palette) for step, *_ in shown]
    whiskers = {"type": "data", "array": list(errors), "thickness": 1.6, "width": 4}
    figure.add_trace(
        go.Bar(
            x=[value - base for *_, value in shown],
            base=[base] * len(shown),
            y=[y for _, y, _ in shown],
            xaxis=axis,
            orientation="h",
            width=0.68,
            marker={
                "color": [
                    faint(filling, 0.3 if step.is_rejected else 0.5)
                    for (filling, _), (step, *_) in zip(looks, shown, strict=True)
                ],
                "line": {"color": [edge for _, edge in looks], "width": 1.2},
                "pattern": {
                    "shape": ["/" if step.is_rejected else "" for step, *_ in shown],
                    "size": 7,
                    "solidity": 0.25,
                },
            },
            error_x=whiskers | {"color": rows.palette.ink} if any(errors) else None,
            hovertext=list(hover),
            hovertemplate="%{hovertext}<extra></extra>",
            textposition="none",
            meta=meta,
        )
    )


def diamonds(
    figure: go.Figure, rows: Rows, axis: str, shown: Sequence[tuple[Step, float, float]]
) -> None:
    """Printed top-1 as hollow diamonds with its deviation; a dashed line at each reference."""
    palette = rows.palette
    figure.add_trace(
        go.Scatter(
            x=[top for *_, top in shown],
            y=[y for _, y, _ in shown],
            xaxis=axis,
            mode="markers",
            marker=hollow(palette),
            error_x={
                "type": "data", "array": [step.paper_std for step, *_ in shown],
                "color": palette.shipped, "thickness": 1.4, "width": 0,
            },
            text=[printed_words(step) for step, *_ in shown],
            hovertemplate="%{text}<extra></extra>",
            meta="printed marks",
        )
    )  # fmt: skip
    for step, y, top in shown:
        if step.is_reference:
            figure.add_shape(
                type="line", xref=axis, x0=top, x1=top, y0=-0.65, y1=y,
                line={"color": palette.shipped, "width": 1.2, "dash": "dash"},
            )  # fmt: skip


def stairs(
    figure: go.Figure, rows: Rows, axis: str, corners: Sequence[tuple[float, float]]
) -> None:
    """A line through corners (x, y), down first and then across."""
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in corners],
            y=[y for _, y in corners],
            xaxis=axis,
            mode="lines",
            line={"color": faint(rows.palette.ink, 0.45), "width": 1.6, "shape": "vh"},
            hoverinfo="skip",
            meta="stairs",
        )
    )


def column(
    figure: go.Figure,
    rows: Rows,
    axis: str,
    x: float,
    meta: str,
    shown: Sequence[tuple[float, str]],
    ink: str = "",
    position: str = "middle right",
) -> None:
    """Words one below the other, as pairs of height and words, at one place of an axis."""
    figure.add_trace(
        go.Scatter(
            x=[x] * len(shown),
            y=[y for y, _ in shown],
            xaxis=axis,
            mode="text",
            text=[f"\u2002{words}\u2002" for _, words in shown],
            textposition=position,
            textfont={"size": 12, "color": ink or rows.palette.ink},
            hoverinfo="skip",
            meta=meta,
        )
    )


def hollow(palette: Palette) -> dict[str, object]:
    """The marker of a printed figure: a diamond without a filling."""
    line = {"width": 1.8, "color": palette.shipped}
    return {"size": 9, "symbol": "diamond", "color": palette.paper, "line": line}


def printed_value(step: Step) -> str:
    """Top-1 with its deviation as the paper prints it: `78.82 ± 0.07`."""
    spread = f" ± {percent(step.paper_std)}" if step.paper_std is not None else ""
    return percent(step.paper_top1) + spread


def printed_words(step: Step) -> str:
    """What is told of a printed figure where the mouse rests on it, as Plotly's markup."""
    return f"<b>{escape(step.name)}</b><br>printed: {printed_value(step)}"
