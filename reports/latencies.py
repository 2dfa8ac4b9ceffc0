"""What arms cost at each resolution, as records and as a Plotly figure.

The records come from the summary of a study that measures: one row an arm and resolution.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from reports.arms import text
from reports.looks import across, faint, layout, series, upright
from reports.numbers import number, significant
from reports.palette import LIGHT, Palette


class Latency(NamedTuple):
    """One arm at one resolution.

    resolution: "800x1280", height first. flops, activations, traffic (bytes): by law, of one
    image. latency: milliseconds of one pass, the median; low, high: its spread. memory: 10^6 bytes
    at the peak, None where it cannot be told. against: the arm that it is compared with at the
    same resolution; ratio, flops_ratio: to that.
    """

    arm: str
    group: str | None
    resolution: str
    flops: float | None
    activations: float | None
    traffic: float | None
    latency: float | None
    low: float | None
    high: float | None
    memory: float | None
    against: str | None
    ratio: float | None
    flops_ratio: float | None

    @property
    def pixels(self) -> int:
        """Height times width; 0 where the resolution does not read as such."""
        sides = re.findall(r"\d+", self.resolution)
        return int(sides[0]) * int(sides[-1]) if sides else 0


def latencies(summary: pd.DataFrame) -> tuple[Latency, ...]:
    """The rows of a summary, as archspec.study.frame makes it of a study that measures."""
    rows = summary.to_dict(orient="records")
    flops = {(row["arm"], row["resolution"]): number(row["flops"]) for row in rows}
    found = []
    for row in rows:
        mine, against = number(row["flops"]), text(row["baseline"])
        other = flops.get((against, row["resolution"]))
        found.append(
            Latency(
                arm=str(row["arm"]),
                group=text(row["group"]),
                resolution=str(row["resolution"]),
                flops=mine,
                activations=number(row["activations"]),
                traffic=number(row["traffic"]),
                latency=number(row["latency_ms"]),
                low=number(row["latency_low"]),
                high=number(row["latency_high"]),
                memory=number(row["memory_mb"]),
                against=against,
                ratio=number(row["ratio"]),
                flops_ratio=mine / other if mine is not None and other else None,
            )
        )
    return tuple(found)


def latency_figure(rows: Sequence[Latency], palette: Palette = LIGHT) -> go.Figure:
    """Latency on a log axis at each resolution, a line an arm; bars are the spread of passes.

    Resolutions stand evenly, by number of pixels: 512x2048 and 800x1280 would fall together.
    """
    sizes = {row.resolution: row.pixels for row in rows}
    at = {
        resolution: place for place, resolution in enumerate(sorted(sizes, key=sizes.__getitem__))
    }
    names = list(dict.fromkeys(row.arm for row in rows))
    figure = go.Figure(layout=layout(palette))
    for place, arm in enumerate(names):
        look = series(palette, place)
        aside = 0.028 * (place - (len(names) - 1) / 2)  # marks side by side, so that bars are seen
        mine = [row for row in rows if row.arm == arm and row.latency]
        mine.sort(key=lambda row: at[row.resolution])
        figure.add_trace(
            go.Scatter(
                x=[at[row.resolution] + aside for row in mine],
                y=[row.latency for row in mine],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [_gap(row.high, row.latency) for row in mine],
                    "arrayminus": [_gap(row.latency, row.low) for row in mine],
                    "color": look.colour,
                    "thickness": 1.4,
                    "width": 0,
                },
                name=escape(arm),
                text=[_words(row) for row in mine],
                hovertemplate="%{text}<extra></extra>",
                mode="lines+markers",
                line={"color": faint(look.colour, 0.55), "width": 1.6, "dash": look.dash},
                marker={"size": 8, "color": look.colour, "symbol": look.symbol},
            )
        )
    figure.update_layout(
        showlegend=True,
        xaxis=across(palette, "resolution, height x width")
        | {
            "range": [-0.35, len(at) - 0.65],
            "tickmode": "array",
            "tickvals": list(at.values()),
            "ticktext": [escape(resolution) for resolution in at],
            "tickangle": 0,
        },
        yaxis=upright(palette, "Latency, ms; log scale")
        | {"type": "log", "tickmode": "array", "tickvals": TICKS, "ticktext": _TICK_WORDS},
    )
    return figure


TICKS = [digit * 10.0**power for power in range(-4, 7) for digit in (1, 2, 5)]
_TICK_WORDS = [f"{tick:,.10g}" for tick in TICKS]


def _words(row: Latency) -> str:
    ends = ""
    if row.low is not None and row.high is not None:
        ends = f", from {significant(row.low)} to {significant(row.high)}"
    return (
        f"<b>{escape(row.arm)}</b><br>{escape(row.resolution)}: {significant(row.latency)} ms{ends}"
    )


def _gap(high: float | None, low: float | None) -> float | None:
    return None if high is None or low is None else max(0.0, high - low)
