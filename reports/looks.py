"""How figures look: hairlines, a legend above, series told apart twice.

They stand in a notebook as they stand on a page; `reports.sheet` draws each one light and dark.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from reports.palette import Palette

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Look(NamedTuple):
    """Of one series: its colour, the shape of its marks and the dash of its line."""

    colour: str
    symbol: str
    dash: str


def series(palette: Palette, place: int) -> Look:
    """The look of the series at a place (from 0): no two of 24 share colour, mark and dash."""
    colours = (palette.front, palette.random, palette.shipped, palette.muted)
    symbols = ("circle", "square", "diamond", "triangle-up", "cross", "star")
    dashes = ("solid", "6px,3px", "2px,2px", "8px,3px,2px,3px")
    turn = place // len(colours)
    return Look(colours[place % 4], symbols[(place + turn) % 6], dashes[turn % 4])


def faint(colour: str, share: float) -> str:
    """A colour of six hexadecimal digits with so much of its opacity left, as CSS."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def plain(palette: Palette) -> dict[str, object]:
    """What every figure has: the font, and no ground of its own."""
    return {
        "template": "none",
        "font": {"family": FONT, "size": 13, "color": palette.ink},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
    }


def layout(palette: Palette) -> dict[str, object]:
    """A figure's frame without its axes; the legend lies above the data, at the left."""
    return plain(palette) | {
        "margin": {"l": 56, "r": 24, "t": 44, "b": 52},
        "dragmode": False,
        "hoverlabel": {
            "bgcolor": palette.card,
            "bordercolor": palette.line,
            "font": {"family": FONT, "size": 13, "color": palette.ink},
            "align": "left",
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 13, "color": palette.ink},
        },
    }


def across(palette: Palette, title: str) -> dict[str, object]:
    """A horizontal axis: a line with ticks, no grid."""
    ticks = {"showline": True, "ticks": "outside", "ticklen": 5, "showgrid": False}
    return _axis(palette, title, 14) | ticks


def upright(palette: Palette, title: str) -> dict[str, object]:
    """A vertical axis: hairlines across, no line of its own."""
    return _axis(palette, title, 12) | {"showgrid": True}


def _axis(palette: Palette, title: str, standoff: int) -> dict[str, object]:
    font = {"size": 12.5, "color": palette.muted}
    return {
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 12, "color": palette.muted},
        "tickcolor": palette.line,
        "linecolor": palette.line,
        "gridcolor": palette.line,
        "title": {"text": escape(title), "font": font, "standoff": standoff},
    }
