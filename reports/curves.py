"""Curves of one training, epoch by epoch, as Plotly figures: ready for a notebook and its page.

A history is a frame of one row an epoch with the columns of a run folder's history.jsonl: epoch
(from 1), loss, lr, top1, test_loss, ema_top1, ema_test_loss, images_per_second. Accuracies are in
percent. What is missing or not finite is a gap in its line.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from reports.looks import across, layout, upright
from reports.numbers import number
from reports.palette import LIGHT, Palette

#: so few epochs are drawn with a mark each; more are a line
MARKED = 40


class _Line(NamedTuple):
    column: str
    name: str
    colour: str
    dash: str
    hover: str


def accuracy_figure(history: pd.DataFrame, palette: Palette = LIGHT) -> go.Figure:
    """Top-1 on the test split against epochs: of the weights, and of their average if there is one.

    The best epoch of the average, else of the weights, wears a ring; it was chosen on the split
    that it is measured on.
    """
    lines = [
        _Line("top1", "Weights", palette.search, "solid", "%{y:.2f}%"),
        _Line("ema_top1", "Averaged weights", palette.front, "solid", "%{y:.2f}%"),
    ]
    figure = _curves(history, lines, palette, "Test accuracy, top-1 percent")
    averaged = [number(value) for value in _column(history, "ema_top1")]
    tops = averaged if any(top is not None for top in averaged) else _column(history, "top1")
    tops = [number(value) for value in tops]
    reached = [top for top in tops if top is not None]
    if reached:
        at = tops.index(max(reached))
        figure.add_trace(
            go.Scatter(
                x=[_epochs(history)[at]],
                y=[tops[at]],
                name="Best epoch, chosen on the test split",
                mode="markers",
                marker={
                    "size": 13,
                    "symbol": "circle-open",
                    "color": palette.ink,
                    "line": {"width": 1.4},
                },
                hovertemplate="best, epoch %{x}: %{y:.2f}%<extra></extra>",
            )
        )
    return figure


def loss_figure(history: pd.DataFrame, palette: Palette = LIGHT) -> go.Figure:
    """Mean loss in training, and on the test split, against epochs."""
    lines = [
        _Line("loss", "Training", palette.random, "6px,3px", "%{y:.4g}"),
        _Line("test_loss", "Test, weights", palette.search, "solid", "%{y:.4g}"),
        _Line("ema_test_loss", "Test, averaged weights", palette.front, "solid", "%{y:.4g}"),
    ]
    return _curves(history, lines, palette, "Loss")


def rate_figure(history: pd.DataFrame, palette: Palette = LIGHT) -> go.Figure:
    """Learning rate at the end of each epoch."""
    line = _Line("lr", "Learning rate", palette.front, "solid", "%{y:.3g}")
    return _alone(_curves(history, [line], palette, "At the epoch’s end"))


def speed_figure(history: pd.DataFrame, palette: Palette = LIGHT) -> go.Figure:
    """Images a second in training, epoch by epoch; tests are not in it."""
    line = _Line("images_per_second", "Images a second", palette.front, "solid", "%{y:,.0f}")
    return _alone(_curves(history, [line], palette, "Images a second"))


def _alone(figure: go.Figure) -> go.Figure:
    """A figure of one line: no legend, and an axis from 0, so that small changes look small."""
    return figure.update_layout(
        showlegend=False, margin_t=16, yaxis_rangemode="tozero", xaxis_title_standoff=10
    )


def _curves(history: pd.DataFrame, lines: list[_Line], palette: Palette, title: str) -> go.Figure:
    epochs = _epochs(history)
    marked = len(epochs) <= MARKED
    figure = go.Figure(layout=layout(palette))
    figure.update_layout(xaxis=across(palette, "epochs"), yaxis=upright(palette, title))
    figure.update_layout(showlegend=True, xaxis_rangemode="tozero")
    if len(epochs) <= 12:
        figure.update_layout(xaxis_dtick=1)  # or ticks stand between epochs
    for line in lines:
        values = [number(value) for value in _column(history, line.column)]
        if any(value is not None for value in values):
            figure.add_trace(
                go.Scatter(
                    x=epochs,
                    y=values,
                    name=line.name,
                    mode="lines+markers" if marked else "lines",
                    line={"color": line.colour, "width": 2, "dash": line.dash},
                    marker={"size": 5, "color": line.colour},
                    hovertemplate=f"epoch %{{x}}: {line.hover}<extra>{line.name}</extra>",
                )
            )
    return figure


def _epochs(history: pd.DataFrame) -> list[int]:
    return [int(number(epoch) or 0) for epoch in _column(history, "epoch")]


def _column(history: pd.DataFrame, name: str) -> list[object]:
    return history[name].tolist() if name in history else []
