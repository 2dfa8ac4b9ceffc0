"""The panels of accuracies in a roadmap's figure: as reached here, and as papers print them.

No axis here begins at 0, which would hide every difference: `_laid_out` of reports.staircase says
so above each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from reports.numbers import percent, points
from reports.roadmap_steps import Step
from reports.staircase_marks import (
    Axis,
    Rows,
    bars,
    column,
    diamonds,
    printed_value,
    printed_words,
    stairs,
)


def reached_apart(figure: go.Figure, rows: Rows, axis: str) -> Axis:
    """Bars of what was reached, on data that is not the paper's."""
    return _reached(figure, rows, axis, beside=False)


def reached_beside(figure: go.Figure, rows: Rows, axis: str) -> Axis:
    """Bars of what was reached, and the printed figures as diamonds on the same axis."""
    return _reached(figure, rows, axis, beside=True)


def printed_bars(figure: go.Figure, rows: Rows, axis: str) -> Axis:
    """Printed top-1 as bars; references as diamonds with a dashed line through all rows."""
    shown = _printed(rows)
    low, high = _range([end for step, *_ in shown for end in _ends(step)])
    steps = [one for one in shown if not one[0].is_reference]
    words = [printed_words(step) for step, *_ in steps]
    bars(figure, rows, axis, low, steps, "printed", words, [step.paper_std for step, *_ in steps])
    diamonds(figure, rows, axis, [one for one in shown if one[0].is_reference])
    column(figure, rows, axis, low, "values", [(y, printed_value(step)) for step, y, _ in shown])
    return {"range": [low, high]}


def printed_stairs(figure: go.Figure, rows: Rows, axis: str) -> Axis:
    """Printed top-1 as diamonds, those of adopted steps joined: beside what was reached."""
    shown = _printed(rows)
    ends = [end for step, *_ in shown for end in _ends(step)]
    span = max(max(ends) - min(ends), 1.0)
    edge = max(ends) + 0.42 * span
    stairs(figure, rows, axis, [(top, y) for step, y, top in shown if step.adopted])
    diamonds(figure, rows, axis, shown)
    values = [(y, percent(top)) for _, y, top in shown]
    column(figure, rows, axis, edge, "values", values, rows.palette.muted, "middle left")
    return {"range": [max(0.0, math.floor(min(ends) - 0.1 * span)), edge]}


def _reached(figure: go.Figure, rows: Rows, axis: str, beside: bool) -> Axis:
    palette = rows.palette
    shown = [
        (step, y, step.reached)
        for step, y in rows.where(lambda step: step.mean is not None)
        if step.reached is not None
    ]
    means = [(step, y, step.mean or 0.0) for step, y, _ in shown]
    singles = [
        (step, y, top)
        for step, y, reached in shown
        for top in reached.tops
        if top is not None and len(reached.tops) > 1
    ]
    marked = _printed(rows) if beside else []
    spreads = [reached.std for *_, reached in shown]
    ends = [top for *_, top in singles] + [end for step, *_ in marked for end in _ends(step)]
    for (*_, mean), spread in zip(means, spreads, strict=True):
        ends += [mean - (spread or 0), mean + (spread or 0)]
    low, high = _range(ends)
    words = [_reached_words(step) for step, *_ in shown]
    bars(figure, rows, axis, low, means, "reached", words, spreads)
    figure.add_trace(
        go.Scatter(
            x=[top for *_, top in singles],
            y=[y + 0.2 for _, y, _ in singles],
            xaxis=axis,
            mode="markers",
            marker={
                "size": 5.5,
                "color": palette.paper,
                "line": {"width": 1.3, "color": palette.ink},
            },
            text=[
                f"<b>{escape(step.name)}</b><br>one seed: {percent(top)}"
                for step, _, top in singles
            ],
            hovertemplate="%{text}<extra></extra>",
            meta="seeds",
        )
    )
    if beside:
        diamonds(figure, rows, axis, marked)
    absent = [
        (y, "failed" if step.reached and step.reached.reason else "not trained")
        for step, y in rows.where(lambda step: step.mean is None and not step.is_reference)
    ]
    column(figure, rows, axis, low, "absent", absent, palette.muted)
    column(figure, rows, axis, low, "values", [(y, percent(mean)) for _, y, mean in means])
    return {"range": [low, high]}


def _printed(rows: Rows) -> list[tuple[Step, float, float]]:
    shown = rows.where(lambda step: step.paper_top1 is not None)
    return [(step, y, step.paper_top1 or 0.0) for step, y in shown]


def _range(ends: Sequence[float]) -> tuple[float, float]:
    """Where an axis of accuracies begins and ends: below the lowest by room for its words."""
    span = max(max(ends) - min(ends), 1.0)
    step = 1 if span < 12 else 5
    low = math.floor((min(ends) - 0.3 * span) / step) * step
    return max(0.0, low), min(100.0, max(ends) + 0.06 * span)


def _ends(step: Step) -> tuple[float, ...]:
    top, std = step.paper_top1, step.paper_std or 0.0
    return () if top is None else (top - std, top + std)


def _reached_words(step: Step) -> str:
    found = step.reached
    if found is None:
        return ""
    spread = f" ± {percent(found.std)}" if found.std is not None else ""
    lines = [f"<b>{escape(step.name)}</b>", f"reached: {percent(found.mean)}{spread}"]
    if found.low is not None and found.high is not None:
        lines.append(f"95% from {percent(found.low)} to {percent(found.high)}")
    if step.gain is not None:
        lines.append(f"{points(step.gain.value)} to {escape(step.base or '')}")
    return "<br>".join(lines)
