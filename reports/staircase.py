"""The steps of a roadmap from top to bottom, as Plotly figures: ready for a notebook and its page.

Panels stand side by side, each with an axis of its own above, and share their rows. What was
reached here and what is printed share an axis only where both are of the same data.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from reports.looks import across, layout
from reports.palette import LIGHT, Palette
from reports.roadmap_steps import COSTS, Step
from reports.staircase_accuracy import printed_bars, printed_stairs, reached_apart, reached_beside
from reports.staircase_costs import cost_panel, cost_title, ratio_panel
from reports.staircase_marks import Axis, Rows

ROW = 30
"""Pixels of height that one row takes."""


class Panel(NamedTuple):
    """One set of axes: its words above, its share of the width, and what draws into it."""

    title: str
    share: float
    draw: Callable[[go.Figure, Rows, str], Axis]


def staircase_figure(
    steps: Sequence[Step], palette: Palette = LIGHT, data: str = "", apart: bool = True
) -> go.Figure:
    """Accuracy and FLOPs of each step; all costs where no step has an accuracy.

    Bars are top-1, reached ones with their deviation over seeds and a dot a seed, and do not begin
    at 0; striped ones were not adopted. data: what was trained on. apart: whether that is other
    data than the paper's, which puts printed figures on an axis of their own.
    """
    trained = any(step.mean is not None for step in steps)
    printed = any(step.paper_top1 is not None for step in steps)
    panels = []
    if trained:
        title = f"Top-1 on {_cut(data, 24)}, %" if data else "Top-1, %"
        panels.append(Panel(title, 4.6, reached_apart if apart else reached_beside))
    if printed and not trained:
        panels.append(Panel("Printed top-1, %", 5, printed_bars))
    elif printed and apart:
        panels.append(Panel("Printed top-1, %", 2.6, printed_stairs))
    for key in ("flops",) if panels else COSTS:
        panels.append(Panel(cost_title(steps, key), 2.6, cost_panel(key)))
    return _laid_out(_rows(steps, palette), panels)


def relative_figure(steps: Sequence[Step], palette: Palette = LIGHT) -> go.Figure:
    """FLOPs, parameters and activations of each step over those of the start, on log axes."""
    panels = [Panel(heading, 1, ratio_panel(key)) for key, heading in COSTS.items()]
    return _laid_out(_rows(steps, palette), panels)


def _rows(steps: Sequence[Step], palette: Palette) -> Rows:
    """References stand half a row apart."""
    heights = [place + 0.5 * step.is_reference for place, step in enumerate(steps)]
    return Rows(tuple(steps), tuple(heights), palette)


def _laid_out(rows: Rows, panels: Sequence[Panel]) -> go.Figure:
    palette, bottom = rows.palette, max(rows.heights, default=0)
    figure = go.Figure(layout=layout(palette))
    gap, start = 0.04, 0.0
    whole = 1 - gap * (len(panels) - 1)
    for place, panel in enumerate(panels, start=1):
        name = "x" if place == 1 else f"x{place}"
        width = whole * panel.share / sum(panel.share for panel in panels)
        axis = across(palette, "") | {
            "domain": [start, min(1.0, start + width)],
            "side": "top",
            "anchor": "y",
            "showgrid": True,
            "nticks": 4 if len(panels) > 2 else 6,
            "tickangle": 0,
        }
        axis |= panel.draw(figure, rows, name)
        figure.update_layout({f"xaxis{name[1:]}": axis})
        figure.add_annotation(
            text=escape(panel.title) + _beginning(axis), showarrow=False,
            x=start, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", yshift=27,
            font={"size": 12.5, "color": palette.muted},
        )  # fmt: skip
        start += width + gap
    figure.update_layout(
        showlegend=False,
        barmode="overlay",
        bargap=0.3,
        height=round(ROW * (bottom + 1.3) + 86),
        margin={"l": 20, "r": 16, "t": 62, "b": 12},
        yaxis={
            "range": [bottom + 0.65, -0.65],
            "tickmode": "array",
            "tickvals": list(rows.heights),
            "ticktext": [_label(step, palette) for step in rows.steps],
            "ticks": "",
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
            "tickfont": {"size": 13, "color": palette.ink},
            "ticklabelstandoff": 8,
        },
    )
    return figure


def _beginning(axis: Axis) -> str:
    """Where an axis begins, unless at 0; a logarithmic one has no 0."""
    low = axis["range"][0]
    return f" (from {low:g})" if low and axis.get("type") != "log" else ""


def _label(step: Step, palette: Palette) -> str:
    """The name on two lines at most."""
    lines = textwrap.wrap(_cut(step.name, 48), 26) or [""]
    words = escape(lines[0])
    if len(lines) > 1:  # smaller, so that two such names below each other stay apart
        words = f'<span style="font-size:11px">{words}<br>{escape(" ".join(lines[1:]))}</span>'
    if step.is_reference:
        return f'<i><span style="color:{palette.shipped}">{words}</span></i>'
    if step.is_rejected:
        return f'<i><span style="color:{palette.muted}">{words}</span></i>'
    return words


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"
