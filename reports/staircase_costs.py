"""The panels of costs in a roadmap's figures: as they are, and over those of the start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import plotly.graph_objects as go

from reports.looks import faint
from reports.numbers import significant, unit
from reports.roadmap_steps import COSTS, Step
from reports.staircase_marks import Axis, Rows, bars, column, hollow, stairs

TICKS = (
    (1.9, (0.5, 0.75, 1, 1.25)),
    (2.4, (0.5, 0.75, 1, 1.5)),
    (60.0, (0.1, 0.25, 0.5, 1, 2, 4, 10)),
)
"""Where an axis of ratios has ticks, if its ends are so many times apart at most."""


def cost_panel(key: str) -> Callable[[go.Figure, Rows, str], Axis]:
    """What draws a line with markers over the adopted steps, from 0; key: one of COSTS."""

    def draw(figure: go.Figure, rows: Rows, axis: str) -> Axis:
        size, _ = unit(step.cost(key) for step in rows.steps)
        shown = [(step, y, (step.cost(key) or 0) / size) for step, y in _having(rows, key)]
        taken = {step.name: (cost, y) for step, y, cost in shown if step.adopted}
        stairs(figure, rows, axis, list(taken.values()))
        for step, y, cost in shown:
            if step.is_rejected and step.base in taken:
                line = {"color": faint(rows.palette.ink, 0.5), "width": 1.2, "dash": "dot"}
                _across(figure, axis, y, taken[step.base][0], cost, line)
        _circles(figure, rows, axis, shown, key)
        ends = [cost for *_, cost in shown]
        if key == "flops":
            ends += _paper_flops(figure, rows, axis, size)
        edge = 1.34 * max(ends, default=1)
        values = [(y, significant(cost)) for _, y, cost in shown]
        column(figure, rows, axis, edge, "values", values, rows.palette.ink, "middle left")
        return {"range": [0, edge], "nticks": 5}

    return draw


def cost_title(steps: Sequence[Step], key: str) -> str:
    """What a cost is called above its panel, with its unit."""
    sign = unit(step.cost(key) for step in steps)[1]
    if key == "flops":
        return f"{sign}FLOPs (multiply-adds)"
    return COSTS[key] + (f", {sign}" if sign else "")


def ratio_panel(key: str) -> Callable[[go.Figure, Rows, str], Axis]:
    """What draws bars from 1 to a cost over that of the start; all keys have one range."""

    def draw(figure: go.Figure, rows: Rows, axis: str) -> Axis:
        start = rows.steps[0]
        shown = [
            (step, y, ratio)
            for step, y in _having(rows, key)
            if (ratio := _ratio(step, start, key)) is not None
        ]
        hover = [_words(step, start, key) for step, *_ in shown]
        bars(figure, rows, axis, 1, shown, key, hover, [])
        figure.add_shape(
            type="line", xref=axis, x0=1, x1=1, yref="paper", y0=0, y1=1,
            line={"color": rows.palette.muted, "width": 1},
        )  # fmt: skip
        every = [_ratio(step, start, one) for step in rows.steps for one in COSTS]
        ratios = [ratio for ratio in every if ratio is not None]
        low, high = min([0.9, *ratios]) / 1.12, max([1.1, *ratios]) * 1.04
        edge = high * (high / low) ** 0.35
        values = [(y, _times(ratio)) for _, y, ratio in shown]
        column(figure, rows, axis, edge, "values", values, rows.palette.ink, "middle left")
        decades = tuple(10.0**power for power in range(-6, 7))
        ticks = next((ticks for most, ticks in TICKS if high / low <= most), decades)
        return {
            "type": "log",
            "range": [math.log10(low), math.log10(edge)],
            "tickmode": "array",
            "tickvals": [tick for tick in ticks if tick <= high],
            "ticktext": [f"{tick:g}×" for tick in ticks if tick <= high],
        }

    return draw


def _having(rows: Rows, key: str) -> list[tuple[Step, float]]:
    return rows.where(lambda step: step.cost(key))


def _ratio(step: Step, start: Step, key: str) -> float | None:
    mine, first = step.cost(key), start.cost(key)
    return mine / first if mine and first else None


def _times(ratio: float) -> str:
    """Hundredths, so that a column of them lines up, unless that would tell too little."""
    return f"{ratio:.2f}×" if 0.1 <= ratio < 100 else f"{significant(ratio, 2)}×"


def _circles(
    figure: go.Figure, rows: Rows, axis: str, shown: Sequence[tuple[Step, float, float]], key: str
) -> None:
    palette = rows.palette
    edges = [palette.shipped if step.is_reference else palette.ink for step, *_ in shown]
    figure.add_trace(
        go.Scatter(
            x=[cost for *_, cost in shown],
            y=[y for _, y, _ in shown],
            xaxis=axis,
            mode="markers",
            marker={
                "size": 8,
                "symbol": ["diamond" if step.is_reference else "circle" for step, *_ in shown],
                "color": [palette.ink if step.adopted else palette.paper for step, *_ in shown],
                "line": {"width": 1.6, "color": edges},
            },
            text=[_words(step, rows.steps[0], key) for step, *_ in shown],
            hovertemplate="%{text}<extra></extra>",
            meta=key,
        )
    )


def _paper_flops(figure: go.Figure, rows: Rows, axis: str, size: float) -> list[float]:
    """The paper's FLOPs where they are not ours, joined to ours; how far they reach."""
    shown = rows.where(lambda step: step.flops_gap is not None)
    printed = [(step.paper_flops or 0) / size for step, _ in shown]
    for (step, y), there in zip(shown, printed, strict=True):
        line = {"color": rows.palette.shipped, "width": 1.2}
        _across(figure, axis, y, (step.flops or 0) / size, there, line)
    if shown:
        words = [
            f"<b>{escape(step.name)}</b><br>the paper prints {significant(there, 4)}"
            for (step, _), there in zip(shown, printed, strict=True)
        ]
        figure.add_trace(
            go.Scatter(
                x=printed,
                y=[y for _, y in shown],
                xaxis=axis,
                mode="markers",
                marker=hollow(rows.palette),
                text=words,
                hovertemplate="%{text}<extra></extra>",
                meta="paper flops",
            )
        )
    return printed


def _across(
    figure: go.Figure, axis: str, y: float, start: float, end: float, line: dict[str, object]
) -> None:
    where = {"xref": axis, "x0": start, "x1": end, "y0": y, "y1": y}
    figure.add_shape(type="line", layer="below", line=line, **where)


def _words(step: Step, start: Step, key: str) -> str:
    size, sign = unit([step.cost(key)])
    value = f"{significant((step.cost(key) or 0) / size, 4)} {sign}".rstrip()
    lines = [f"<b>{escape(step.name)}</b>", f"{COSTS[key]}: {value}"]
    ratio = _ratio(step, start, key)
    if ratio is not None and step is not start:
        lines.append(f"{_times(ratio)} {escape(start.name)}")
    return "<br>".join(lines)
