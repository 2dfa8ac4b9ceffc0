"""Plotly figures of the infos in `reports.frames`: ready for a notebook, and the page's style.

A trace's `meta` tells its role (search, random, front, shipped, or the kind of a history). The page
takes these figures without rows and fills each role from its one table of points, so that 10,000
trials are embedded once and looks are still decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.frames import Front, History, scored, titles
from reports.looks import across, plain, upright
from reports.metrics import Metric
from reports.palette import LIGHT, Palette
from search.summary import best_words, objective_word

SPREAD = "part.spread"
"""The column of the standard deviation over seeds, where networks were trained with several."""
WEBGL_ABOVE = 2000
"""From this many points on, marks are drawn by WebGL: SVG nodes make a browser crawl."""


def front_figure(
    frame: pd.DataFrame,
    front: Front,
    value: Metric,
    palette: Palette = LIGHT,
    budget: float | None = None,
    crowded: bool | None = None,
) -> go.Figure:
    """The score, or another objective, against one cost: the front, what lies behind it, and the
    baselines.

    `budget` is in the column's own unit (multiply-adds, not GFLOPs); a vertical line shows it.
    `crowded`: marks for many points; by default where the frame has many.
    """
    metric = front.metric
    rows = frame.iloc[list(front.rows)]
    on_front = set(front.rows)
    rest = frame.iloc[[row for row in range(len(frame)) if row not in on_front]]
    if crowded is None:
        crowded = len(frame) > WEBGL_ABOVE
    # All or none: a WebGL canvas lies over SVG marks and would hide the front.
    scatter = go.Scattergl if crowded else go.Scatter
    edge = {"color": palette.card, "width": 1.2}
    traces = [
        scatter(
            **_points(scored(rest, "search"), metric, value),
            name="Search",
            meta="search",
            mode="markers",
            marker={
                "size": 4 if crowded else 7,
                "color": palette.search,
                "opacity": 0.4 if crowded else 0.62,
            },
        ),
        scatter(
            **_points(scored(rest, "random"), metric, value),
            name="Random baseline",
            meta="random",
            mode="markers",
            marker={
                "size": 5 if crowded else 7,
                "symbol": "square-open",
                "color": palette.random,
                "opacity": 0.85,
                "line": {"width": 1.4, "color": palette.random},
            },
        ),
        scatter(
            **_points(rows, metric, value),
            name="Front",
            meta="front",
            mode="lines+markers",
            line={"color": palette.front, "width": 2, "shape": "hv"},
            marker={"size": 9.5, "color": palette.front, "line": edge},
        ),
        scatter(
            **_points(scored(rest, "shipped"), metric, value),
            name="Shipped networks",
            meta="shipped",
            mode="markers",
            marker={"size": 11.5, "symbol": "diamond", "color": palette.shipped, "line": edge},
        ),
    ]
    figure = go.Figure(traces, _layout(palette, metric.title, value.title))
    if budget is not None:
        figure.add_vline(
            budget / metric.divisor, line={"color": palette.ink, "width": 1, "dash": "4px,4px"}
        )
    return figure


def history_figure(
    histories: Sequence[History], value: Metric, palette: Palette = LIGHT
) -> go.Figure:
    """The best so far of the score, or another objective, against the number of scored trials, one
    step line a kind."""
    looks = {
        "search": ("Search", palette.front, "solid"),
        "random": ("Random baseline", palette.random, "5px,3px"),
    }
    words = best_words(value.key)
    unit = f", {value.short}" if value.short else ""
    title = f"{words[0].upper()}{words[1:]} so far{unit}"
    figure = go.Figure(layout=_layout(palette, "scored trials", title))
    for history in histories:
        name, colour, dash = looks[history.kind]
        ends = [(step.scored, step.value / value.divisor, step.number) for step in history.steps]
        if ends:  # the line goes on to the last scored trial
            ends.append((history.scored, *ends[-1][1:]))
        count, best, number = zip(*ends, strict=True) if ends else ((), (), ())
        figure.add_trace(
            go.Scatter(
                x=count,
                y=best,
                customdata=number,
                name=name,
                meta=history.kind,
                mode="lines+markers",
                line={"color": colour, "width": 2, "shape": "hv", "dash": dash},
                marker={"size": 5, "color": colour},
                hovertemplate="trial %{customdata}: %{y}<extra></extra>",
            )
        )
    return figure


def _points(rows: pd.DataFrame, metric: Metric, value: Metric) -> dict[str, object]:
    """x, y, trial numbers and hover text (Plotly reads markup in it, so it is escaped); where the
    score is a mean over seeds, one standard deviation to either side."""
    stages = rows["stages"].fillna("").astype(str)
    spread = {}
    if SPREAD in rows and value.key == "score":
        deviations = rows[SPREAD].to_numpy(np.float64)
        spread = {"error_y": {"type": "data", "array": deviations, "thickness": 1, "width": 2.5}}
    return {
        "x": rows[metric.key].to_numpy(np.float64) / metric.divisor,
        "y": rows[value.key].to_numpy(np.float64) / value.divisor,
        "customdata": rows["number"].to_numpy(),
        "text": [
            f"<b>{escape(title)}</b><br>" + escape(text).replace(" | ", "<br>")
            for title, text in zip(titles(rows), stages, strict=True)
        ],
        "hovertemplate": "%{text}<br>" + objective_word(value.key) + " %{y}<br>%{x}<extra></extra>",
        **spread,
    }


def _layout(palette: Palette, x_title: str, y_title: str) -> dict[str, object]:
    """Titles stand outside the data; the page adds its own legend."""
    return plain(palette) | {
        "margin": {"l": 56, "r": 24, "t": 30, "b": 52},
        "showlegend": False,
        "xaxis": across(palette, x_title),
        "yaxis": upright(palette, y_title),
    }
