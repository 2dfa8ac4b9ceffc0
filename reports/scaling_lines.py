"""Costs along scaling rules as one Plotly figure: small multiples that share their axis and legend.

The frame has one row a network as archspec.scaling.curve.rows makes them, rules one after the
other, each from its base. FLOPs are multiply-adds, traffic is bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from reports.looks import across, faint, layout, series, upright
from reports.numbers import number, significant, unit
from reports.palette import LIGHT, Palette

COLUMNS = 3
ROW = 330
"""Pixels of height that a row of panels takes."""
GAP, ABOVE = 0.065, 0.15
"""Between panels of a row, and between rows, as shares of the figure."""
#: on one axis
MOST_TICKS = 8
TICKS = (
    (1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9),
    tuple(step / 20 for step in range(20, 200)),
)  # fmt: skip
"""Digits of ticks on log axes, from few to many."""
SLOPES = ((1.0, "∝ FLOPs"), (0.5, "∝ √FLOPs"))

Row = Mapping[Any, Any]


class Panel(NamedTuple):
    """One set of axes: the column of the frame, its words, and its unit; counts have a prefix."""

    key: str
    title: str
    unit: str
    counts: bool = True


PANELS = (
    Panel("params", "Parameters", ""),
    Panel("activations", "Activations", ""),
    Panel("traffic", "Memory traffic", "B"),
    Panel("latency_ms", "Latency", "ms", counts=False),
    Panel("side", "Side of the input", "pixels", counts=False),
    Panel("blocks", "Blocks", "", counts=False),
)


def scaling_figure(frame: pd.DataFrame, palette: Palette = LIGHT) -> go.Figure:
    """Each cost against FLOPs, both on log axes, a line a rule; latency where it was measured.

    The dashes among the activations grow as FLOPs and as their square root do, from the base.
    """
    rows = [dict(row) | {"side": side_of(row)} for row in frame.to_dict(orient="records")]
    shown = [panel for panel in PANELS if any(number(row.get(panel.key)) for row in rows)]
    size, sign = unit(row["flops"] for row in rows)
    width = _span([row["flops"] / size for row in rows])
    figure = go.Figure(layout=layout(palette))
    depth = math.ceil(len(shown) / COLUMNS)
    for place, panel in enumerate(shown):
        scale, prefix = _unit(panel, rows)
        _draw(figure, palette, place, Scaled(panel, rows, size, scale))
        wide, tall = _box(place, depth)
        name = str(place + 1) if place else ""
        height = _span([value / scale for row in rows if (value := number(row.get(panel.key)))])
        words = f"{sign}FLOPs" if place + COLUMNS >= len(shown) else ""
        x = across(palette, words) | _log(width) | {"domain": wide, "anchor": f"y{name}"}
        y = upright(palette, "") | _log(height) | {"domain": tall, "anchor": f"x{name}"}
        figure.update_layout({
            f"xaxis{name}": x | ({"matches": "x"} if place else {}), f"yaxis{name}": y,
        })  # fmt: skip
        figure.add_annotation(
            text=escape(", ".join(filter(None, (panel.title, f"{prefix}{panel.unit}")))),
            showarrow=False, xref="paper", yref="paper", x=wide[0], y=tall[1],
            xanchor="left", yanchor="bottom", yshift=6, font={"size": 13, "color": palette.ink},
        )  # fmt: skip
    figure.update_layout(
        height=ROW * depth + 70,
        margin={"l": 44, "r": 12, "t": 60, "b": 44},
        showlegend=True,
        legend={"y": 1 + 34 / (ROW * depth)},
    )
    return figure


class Scaled(NamedTuple):
    """A panel with what is drawn in it, and what FLOPs and its own values are divided by."""

    panel: Panel
    rows: Sequence[Row]
    flops: float
    size: float

    def values(self, rows: Sequence[Row]) -> list[float]:
        """What a line has upright."""
        return [(number(row.get(self.panel.key)) or math.nan) / self.size for row in rows]


def side_of(row: Row) -> float | None:
    """The side of a network's input; the root of its pixels where it is not square."""
    shape = row.get("resolution")
    return math.sqrt(shape[0] * shape[1]) if isinstance(shape, Sequence) else None


def _draw(figure: go.Figure, palette: Palette, place: int, drawn: Scaled) -> None:
    axis = str(place + 1) if place else ""
    axes = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    panel = drawn.panel
    if panel.key == "activations":
        _references(figure, palette, axes, drawn)
    for order, rule in enumerate(dict.fromkeys(row["rule"] for row in drawn.rows)):
        look = series(palette, order)
        mine = [row for row in drawn.rows if row["rule"] == rule and number(row.get(panel.key))]
        figure.add_trace(
            go.Scatter(
                x=[row["flops"] / drawn.flops for row in mine],
                y=drawn.values(mine),
                name=escape(str(rule)),
                legendgroup=escape(str(rule)),
                showlegend=place == 0,
                text=[words(row, panel) for row in mine],
                hovertemplate="%{text}<extra></extra>",
                mode="lines+markers",
                line={"color": faint(look.colour, 0.6), "width": 1.6, "dash": look.dash},
                marker={"size": 6, "color": look.colour, "symbol": look.symbol},
                meta=panel.key,
                **axes,
            )
        )


def _references(
    figure: go.Figure, palette: Palette, axes: Mapping[str, str], drawn: Scaled
) -> None:
    """Broad lines from the base to the end that is furthest from it."""
    base = drawn.rows[0]
    flops = [row["flops"] for row in drawn.rows]
    end = max(flops, key=lambda one: abs(math.log(one / base["flops"])))
    start = drawn.values([base])[0]
    for slope, told in SLOPES:
        grown = (end / base["flops"]) ** slope
        figure.add_trace(
            go.Scatter(
                x=[base["flops"] / drawn.flops, end / drawn.flops],
                y=[start, start * grown],
                mode="lines",
                line={"color": faint(palette.muted, 0.3), "width": 6},
                hoverinfo="skip",
                showlegend=False,
                meta="reference",
                **axes,
            )
        )
        # plotly places words on a log axis by their logarithm
        figure.add_annotation(
            text=told, showarrow=False, xref=axes["xaxis"], yref=axes["yaxis"],
            x=math.log10(base["flops"] / drawn.flops * (end / base["flops"]) ** 0.7),
            y=math.log10(start * grown**0.7), yshift=18 if slope == 1 else -18,
            xanchor="right" if slope == 1 else "left", xshift=-8 if slope == 1 else 8,
            font={"size": 12, "color": palette.muted},
        )  # fmt: skip


def words(row: Row, panel: Panel) -> str:
    """What is told of a network where the mouse rests on it, as Plotly's markup."""
    size, sign = unit([row["flops"]])
    own, prefix = _unit(panel, [row])
    value = f"{significant((number(row.get(panel.key)) or 0) / own)} {prefix}{panel.unit}".rstrip()
    if panel.key == "latency_ms" and row.get("latency_spread"):
        value += f", from {' to '.join(map(significant, row['latency_spread']))}"
    widths = ", ".join("–" if width is None else str(width) for width in row["widths"])
    lines = [
        f"<b>{escape(str(row['rule']))}</b> at phi {significant(row['phi'])}",
        f"{significant(row['flops'] / size)} {sign}FLOPs",
        f"{panel.title}: {value}",
        f"input {'×'.join(map(str, row['resolution']))}, {row['blocks']} blocks",
        f"widths {widths}",
    ]
    return "<br>".join(lines)


def _unit(panel: Panel, rows: Sequence[Row]) -> tuple[float, str]:
    """What suits the least of a panel's values."""
    known = [value for row in rows if (value := number(row.get(panel.key)))]
    return unit([min(known, default=0.0)]) if panel.counts else (1.0, "")


def _box(place: int, depth: int) -> tuple[list[float], list[float]]:
    """Where a panel lies across and upright, as shares of the figure."""
    column, row = place % COLUMNS, place // COLUMNS
    wide = (1 - GAP * (COLUMNS - 1)) / COLUMNS
    tall = (1 - ABOVE * (depth - 1)) / depth
    left, top = column * (wide + GAP), 1 - row * (tall + ABOVE)
    return [left, min(1.0, left + wide)], [max(0.0, top - tall), min(1.0, top)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a log axis that holds these, with some air."""
    low, high = min(values), max(values)
    air = max((high / low) ** 0.06, 1.02)
    if high / low < 1.2:
        air *= 1.1
    return low / air, high * air


def _log(span: tuple[float, float]) -> dict[str, Any]:
    """A log axis over a span, with as many round ticks as are read at a glance."""
    low, high = span
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in TICKS:
        every = (step * 10.0**power for power in powers for step in steps)
        ticks = [tick for tick in every if low <= tick <= high]
        if len(ticks) >= 4:
            break
    # a narrow span has none or all of a scale's ticks: every second, third, ... is enough
    ticks = ticks[:: -(-len(ticks) // MOST_TICKS) or 1]
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:,.4g}" for tick in ticks],
        "tickangle": 0,
        "title_standoff": 8,
    }
