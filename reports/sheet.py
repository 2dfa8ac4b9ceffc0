"""The frame of a training's and of a study's page: one HTML file that works offline.

A Sheet is what every such page has; its template adds the middle. Figures are drawn once for
light and once for dark surroundings, and the page's script shows the one that fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from reports.offline import part, policy
from reports.palette import DARK, LIGHT, Palette
from reports.payload import script_safe

SCRIPTS = ("dom.js", "labels.js", "sheet.js")
STYLES = ("page.css", "sheet.css")

Drawing = Callable[[Palette], go.Figure]


class Fact(NamedTuple):
    """A key figure below the heading: what it is, its value, and a remark on it."""

    label: str
    value: str
    remark: str = ""


class Sheet(NamedTuple):
    """What every page has: heading, key figures, notices, and what it takes to do it again.

    texts: whole texts such as a recipe, each with the words that open it.
    """

    eyebrow: str
    title: str
    lede: tuple[str, ...]
    facts: tuple[Fact, ...]
    notices: tuple[str, ...]
    command: str
    remark: str
    versions: Mapping[str, str]
    texts: tuple[tuple[str, str], ...]


def write_sheet(
    path: Path,
    template: str,
    sheet: Sheet,
    words: Mapping[str, object],
    drawings: Mapping[str, Drawing],
    scripts: Sequence[str] = (),
) -> Path:
    """Write a page to `path` and return it; the same input gives the same bytes.

    template: a file of this package that extends sheet.html. words: what its own part shows.
    drawings: its figures by the id of their place. scripts: files of its own that run after.
    """
    plotly = Markup(get_plotlyjs())
    script = Markup("\n".join(part(name) for name in (*SCRIPTS, *scripts)))
    environment = Environment(
        loader=FunctionLoader(part), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    html = environment.get_template(template).render(
        dict(words),
        sheet=sheet,
        policy=policy(plotly, script),
        light=Markup(LIGHT.variables()),
        dark=Markup(DARK.variables()),
        style=Markup("\n".join(part(name) for name in STYLES)),
        plotly=plotly,
        script=script,
        data=Markup(
            script_safe({"light": _drawn(drawings, LIGHT), "dark": _drawn(drawings, DARK)})
        ),
    )
    path.write_text(html, encoding="utf-8", newline="\n")
    return path


def _drawn(drawings: Mapping[str, Drawing], palette: Palette) -> dict[str, object]:
    """Figures as plain JSON; what is not finite is null there, and a gap in its line."""
    return {name: json.loads(draw(palette).to_json()) for name, draw in drawings.items()}
