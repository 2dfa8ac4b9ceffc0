"""The arms of a study beside each other, as Plotly figures: ready for a notebook and its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import plotly.graph_objects as go

from reports.arms import Arm, Span
from reports.looks import across, faint, layout, series, upright
from reports.numbers import percent, points, unit
from reports.palette import LIGHT, Palette

ROW = 31
"""Pixels of height that one arm takes."""


def comparison_figure(
    arms: Sequence[Arm], palette: Palette = LIGHT, data: str = "", ladder: bool = False
) -> go.Figure:
    """Accuracy of each arm, its difference to the arm it is compared with, and the paper's.

    Panels with axes of their own: what was trained here on `data`, and what was published on other
    data. A dot is the mean over seeds, its bar the 95% interval, small dots are single seeds. A
    difference whose interval leaves 0 out is filled, any other is hollow. ladder: each arm stands
    on the one before it, and a staircase joins them.
    """
    heights, labels = _places(arms)
    published = any(arm.paper_difference is not None for arm in arms)
    differing = any(arm.difference is not None for arm in arms)
    shares = [5.0, *([3.2] if differing else []), *([2.4] if published else [])]
    figure = go.Figure(layout=layout(palette))
    titles = [f"Top-1 on {data}, percent" if data else "Top-1, percent"]
    _means(figure, arms, heights, palette, ladder)
    step = "to the arm before" if ladder else "to the baseline"
    if differing:
        titles.append(f"Difference {step}, points")
        _differences(figure, arms, heights, palette)
    if published:
        titles.append("As published, other data")
        _published(figure, arms, heights, palette, len(shares))
    _panels(figure, titles, shares, palette)
    bottom = max([*heights, *labels], default=0)
    figure.update_layout(
        showlegend=False,
        height=round(ROW * (bottom + 1) + 96),
        margin={"l": 20, "r": 24, "t": 40, "b": 28},
        yaxis={
            "range": [bottom + 0.6, -0.7],
            "tickmode": "array",
            "tickvals": list(labels),
            "ticktext": list(labels.values()),
            "ticks": "",
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
            "tickfont": {"size": 13, "color": palette.ink},
            "ticklabelstandoff": 8,
        },
    )
    return figure


def cost_figure(arms: Sequence[Arm], palette: Palette = LIGHT, data: str = "") -> go.Figure:
    """Accuracy against multiply-adds: means with their 95% intervals, one series a group.

    Traces carry the meta "named" and the arms' plain names as customdata, for names laid over them.
    """
    shown = [arm for arm in arms if arm.mean is not None and arm.flops]
    size, sign = unit(arm.flops for arm in shown)
    costs = [arm.flops / size for arm in shown if arm.flops]
    figure = go.Figure(layout=layout(palette))
    for place, group in enumerate(dict.fromkeys(arm.group for arm in shown)):
        look = series(palette, place)
        members = [arm for arm in shown if arm.group == group]
        spans = [arm.mean for arm in members if arm.mean is not None]
        figure.add_trace(
            go.Scatter(
                x=[arm.flops / size for arm in members if arm.flops],
                y=[span.value for span in spans],
                error_y=_bars(spans, look.colour),
                customdata=[arm.name for arm in members],
                text=[_mean_words(arm) for arm in members],
                hovertemplate=f"%{{text}}<br>%{{x:.3g}} {sign}FLOPs<extra></extra>",
                name=escape(group or "without a group"),
                meta="named",
                mode="markers",
                marker={"size": 10, "color": look.colour, "symbol": look.symbol},
            )
        )
    wide = bool(costs) and max(costs) > 10 * min(costs)
    axis = across(palette, f"{sign}FLOPs (multiply-adds)" + (", log scale" if wide else ""))
    if wide:
        ticks = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
        texts = [f"{tick:g}" for tick in ticks]
        axis |= {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": texts}
    title = f"Top-1 on {data}, percent" if data else "Top-1, percent"
    figure.update_layout(xaxis=axis, yaxis=upright(palette, title))
    figure.update_layout(showlegend=len(figure.data) > 1)
    return figure


def _places(arms: Sequence[Arm]) -> tuple[list[float], dict[float, str]]:
    """Heights of the arms, counted downwards in rows, and what the axis says at which height."""
    heights: list[float] = []
    labels: dict[float, str] = {}
    at = 0.0
    group = None
    for place, arm in enumerate(arms):
        if arm.group != group and arm.group is not None:
            at += 0.5 if place else 0.0
            labels[at] = f"<i>{escape(_short(arm.group))}</i>"
            at += 0.9
        group = arm.group
        heights.append(at)
        labels[at] = escape(_short(arm.name))
        at += 1
    return heights, labels


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"


def _means(
    figure: go.Figure, arms: Sequence[Arm], heights: Sequence[float], palette: Palette, ladder: bool
) -> None:
    shown = [(arm, arm.mean, y) for arm, y in zip(arms, heights, strict=True) if arm.mean]
    if ladder:
        figure.add_trace(
            go.Scatter(
                x=[mean.value for _, mean, _ in shown],
                y=[y for *_, y in shown],
                mode="lines",
                line={"color": faint(palette.front, 0.45), "width": 1.5, "shape": "vh"},
                hoverinfo="skip",
                meta="stairs",
            )
        )
    singles = [(arm, top, y) for arm, _, y in shown for top in arm.seeds if len(arm.seeds) > 1]
    figure.add_trace(
        go.Scatter(
            x=[top for _, top, _ in singles],
            y=[y + 0.24 for *_, y in singles],
            mode="markers",
            marker={"size": 4.5, "color": palette.search},
            text=[
                f"<b>{escape(arm.name)}</b><br>one seed: {percent(top)}" for arm, top, _ in singles
            ],
            hovertemplate="%{text}<extra></extra>",
            meta="seeds",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[mean.value for _, mean, _ in shown],
            y=[y for *_, y in shown],
            error_x=_bars([mean for _, mean, _ in shown], palette.front),
            mode="markers",
            marker={"size": 9, "color": palette.front},
            text=[_mean_words(arm) for arm, *_ in shown],
            hovertemplate="%{text}<extra></extra>",
            meta="means",
        )
    )


def _differences(
    figure: go.Figure, arms: Sequence[Arm], heights: Sequence[float], palette: Palette
) -> None:
    shown = [(arm, arm.difference, y) for arm, y in zip(arms, heights, strict=True)]
    spans = [(arm, span, y) for arm, span, y in shown if span is not None]
    figure.add_trace(
        go.Scatter(
            x=[span.value for _, span, _ in spans],
            y=[y for *_, y in spans],
            xaxis="x2",
            error_x=_bars([span for _, span, _ in spans], palette.front),
            mode="markers",
            marker={
                "size": 9,
                "color": [
                    palette.front if span.holds_zero is False else palette.paper
                    for _, span, _ in spans
                ],
                "line": {"width": 1.8, "color": palette.front},
            },
            text=[
                f"<b>{escape(arm.name)}</b><br>against {escape(arm.against or '')}: "
                f"{points(span.value)}{_ends(span, points)}"
                for arm, span, _ in spans
            ],
            hovertemplate="%{text}<extra></extra>",
            meta="differences",
        )
    )
    figure.add_shape(_zero("x2", palette))


def _published(
    figure: go.Figure, arms: Sequence[Arm], heights: Sequence[float], palette: Palette, panel: int
) -> None:
    shown = [(arm, y) for arm, y in zip(arms, heights, strict=True)]
    shown = [(arm, y) for arm, y in shown if arm.paper_difference is not None]
    figure.add_trace(
        go.Scatter(
            x=[arm.paper_difference for arm, _ in shown],
            y=[y for _, y in shown],
            xaxis=f"x{panel}",
            mode="markers",
            marker={
                "size": 9,
                "symbol": "diamond",
                "color": palette.paper,
                "line": {"width": 1.8, "color": palette.shipped},
            },
            text=[
                f"<b>{escape(arm.name)}</b><br>published: {percent(arm.paper)}, "
                f"{points(arm.paper_difference)}"
                for arm, _ in shown
            ],
            hovertemplate="%{text}<extra></extra>",
            meta="published",
        )
    )
    figure.add_shape(_zero(f"x{panel}", palette))


def _panels(
    figure: go.Figure, titles: Sequence[str], shares: Sequence[float], palette: Palette
) -> None:
    """Panels side by side, each with its own horizontal axis and its words above."""
    gap, start = 0.055, 0.0
    whole = 1 - gap * (len(shares) - 1)
    for place, (title, share) in enumerate(zip(titles, shares, strict=True), start=1):
        width = whole * share / sum(shares)
        axis = across(palette, "") | {
            "domain": [start, min(1.0, start + width)],
            "showgrid": True,
            "nticks": 4 + 3 * (place == 1),
            "anchor": "y",
        }
        figure.update_layout({"xaxis" if place == 1 else f"xaxis{place}": axis})
        figure.add_annotation(
            text=escape(title),
            x=start,
            xref="paper",
            xanchor="left",
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=10,
            showarrow=False,
            font={"size": 12.5, "color": palette.muted},
        )
        start += width + gap


def _zero(axis: str, palette: Palette) -> dict[str, object]:
    line = {"color": palette.muted, "width": 1}
    where: dict[str, object] = {"xref": axis, "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1}
    return where | {"type": "line", "layer": "below", "line": line}


def _bars(spans: Sequence[Span], colour: str) -> dict[str, object]:
    """Error bars to the ends of intervals, none where there is no interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if span.high is None else span.high - span.value for span in spans],
        "arrayminus": [None if span.low is None else span.value - span.low for span in spans],
        "color": colour,
        "thickness": 1.8,
        "width": 0,
    }


def _mean_words(arm: Arm) -> str:
    if arm.mean is None:
        return f"<b>{escape(arm.name)}</b>"
    seeds = f"{len(arm.seeds)} seed" + ("s" if len(arm.seeds) != 1 else "")
    ends = _ends(arm.mean, percent)
    return f"<b>{escape(arm.name)}</b><br>{percent(arm.mean.value)}{ends}<br>{seeds}"


def _ends(span: Span, words: Callable[[object], str]) -> str:
    if span.low is None or span.high is None:
        return ", no spread over seeds" if span.alike else ", no interval"
    return f", 95% from {words(span.low)} to {words(span.high)}"
