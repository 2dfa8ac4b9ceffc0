"""Searches overlaid as Plotly figures: how far each is after so many evaluations, and its front.

A line a group of searches, with a band over its seeds; random search is drawn in one look
everywhere. A trace's `meta` tells what it is: search, random or band.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from archspec.quantities import several
from reports.looks import Look, across, faint, layout, upright
from reports.metrics import Metric
from reports.overlay_curves import Array, Curve, attained
from reports.overlay_progress import Comparison, Progress
from reports.palette import LIGHT, Palette

#: opacity
BAND = 0.14
#: letters of an axis' title that stands upright
LONGEST = 50
SYMBOLS = ("circle", "diamond", "triangle-up", "cross", "star", "pentagon")
DASHES = ("solid", "8px,3px,2px,3px", "2px,2px")


def volume_figure(comparison: Comparison, palette: Palette = LIGHT) -> go.Figure:
    """Hypervolume after each evaluation; bands end at 0 and 1, as hypervolumes do."""
    curves = [(row, row.volume) for row in comparison.rows if row.volume is not None]
    return _over_evaluations(curves, palette, "Hypervolume, share of the box", (0.0, 1.0))


def best_figure(comparison: Comparison, palette: Palette = LIGHT) -> go.Figure:
    """The best score after each evaluation."""
    curves = [(row, row.best) for row in comparison.rows]
    return _over_evaluations(curves, palette, "Best score so far")


def fronts_figure(comparison: Comparison, metric: Metric, palette: Palette = LIGHT) -> go.Figure:
    """Score against a cost: what half of a group's runs attain, between its worst and best run."""
    figure = go.Figure(layout=layout(palette))
    for row, look in zip(comparison.rows, looks(comparison.rows, palette), strict=True):
        found = attained([run.frame for run in row.runs], metric, row.kind)
        if found is None:
            continue
        cost, several_runs = found.cost / metric.divisor, len(row.runs) > 1
        if several_runs:
            whole = np.isfinite(found.worst)
            _band(figure, look, row, cost[whole], found.worst[whole], found.best[whole], "hv")
        # where the line rises, and its end
        rises = found.half > np.concatenate([[-np.inf], found.half[:-1]])
        rises[-1] = np.isfinite(found.half[-1])
        told = "<br>half of its runs attain" if several_runs else ""
        figure.add_trace(
            go.Scatter(
                x=cost[rises],
                y=found.half[rises],
                **_line(row, look, "hv"),
                marker={"size": 6, "color": look.colour, "symbol": look.symbol},
                hovertemplate=f"<b>{_name(row)}</b>{told}<br>score %{{y:.4~g}}<br>%{{x:.4~g}} "
                f"{escape(metric.short)}<extra></extra>",
            )
        )
    title = comparison.score.title
    figure.update_layout(
        xaxis=across(palette, metric.title) | {"nticks": 9},
        yaxis=upright(palette, title if len(title) <= LONGEST else comparison.score.label),
    )
    return figure


def looks(rows: Sequence[Progress], palette: Palette) -> list[Look]:
    """Of each row; no two groups share colour, mark and dash. Random search is the baseline's
    colour, dashed, as on the page of a search."""
    colours = (palette.front, palette.shipped, palette.ink, palette.muted)
    found, groups, chances = [], 0, 0
    for row in rows:
        if row.kind == "random":
            dash = ("5px,3px", "2px,3px", "9px,3px")[chances % 3]
            found.append(Look(palette.random, "square-open", dash))
            chances += 1
            continue
        turn = groups // len(colours)
        symbol = SYMBOLS[(groups + turn) % len(SYMBOLS)]
        found.append(Look(colours[groups % len(colours)], symbol, DASHES[turn % len(DASHES)]))
        groups += 1
    return found


def _over_evaluations(
    curves: Sequence[tuple[Progress, Curve]],
    palette: Palette,
    title: str,
    ends: tuple[float, float] = (-np.inf, np.inf),
) -> go.Figure:
    """Means and bands of one standard deviation; ends: what a value can be."""
    figure = go.Figure(layout=layout(palette))
    drawn = looks([row for row, _ in curves], palette)
    for (row, curve), look in zip(curves, drawn, strict=True):
        if not curve.length:
            continue
        count, mean, deviation = np.arange(1.0, curve.length + 1), curve.mean, curve.deviation
        if deviation is not None:
            low, high = np.clip((mean - deviation, mean + deviation), *ends)
            _band(figure, look, row, count, low, high, "linear")
        spread = "" if deviation is None else " ± %{customdata:.3~g}"
        figure.add_trace(
            go.Scatter(
                x=count,
                y=mean,
                customdata=deviation,
                **_line(row, look, "linear"),
                hovertemplate=f"<b>{_name(row)}</b><br>%{{y:.4~g}}{spread}<br>after %{{x}} "
                "evaluations<extra></extra>",
            )
        )
    figure.update_layout(
        xaxis=across(palette, "evaluations") | {"rangemode": "tozero", "nticks": 9},
        yaxis=upright(palette, title),
    )
    return figure


def _line(row: Progress, look: Look, shape: str) -> dict[str, object]:
    """What a row's line looks like: marks where it is a front's, for they are networks."""
    words = f"{_name(row)} ({several(len(row.runs), 'seed')})"
    return {
        "name": words,
        "legendgroup": words,
        "meta": row.kind,
        "mode": "lines+markers" if shape == "hv" else "lines",
        "line": {"color": look.colour, "width": 2, "dash": look.dash, "shape": shape},
    }


def _band(
    figure: go.Figure, look: Look, row: Progress, x: Array, low: Array, high: Array, shape: str
) -> None:
    """Two bare lines and what lies between them; the legend hides them with their own line."""
    words = f"{_name(row)} ({several(len(row.runs), 'seed')})"
    for values, fill in ((low, None), (high, "tonexty")):
        figure.add_trace(
            go.Scatter(
                x=x,
                y=values,
                mode="lines",
                line={"width": 0, "shape": shape},
                fill=fill,
                fillcolor=faint(look.colour, BAND),
                hoverinfo="skip",
                showlegend=False,
                legendgroup=words,
                meta="band",
            )
        )


def _name(row: Progress) -> str:
    name = row.name
    return escape(name if len(name) <= 50 else name[:49] + "…")
