"""What the page of a search of scaling rules shows beside a search's: the rules themselves.

Each rule's shares of depth, width and resolution with its score, the best one beside the published
ones, and how well the order holds one size up. Columns are those of `RunFolder.frame()`: `rule`,
`phi`, `used`, `of` and `factor.<knob>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from archspec.scaling.rule import parse_rule
from reports.frames import scored
from reports.looks import across, layout, plain, upright
from reports.metrics import score_metric
from reports.numbers import number, significant
from reports.palette import DARK, LIGHT, Palette
from search.larger import Held, held, held_words
from search.rule_text import shares

if TYPE_CHECKING:
    from search.folder import RunInfo

KNOBS = ("depth", "width", "resolution")
CONSTANTS = ("alpha, depth", "beta, width", "gamma, resolution")
"""What depth, width and resolution grow by where FLOPs double, as papers call it."""


class Compared(NamedTuple):
    """A rule in the table. constants: alpha, beta and gamma, None where a rule has points; used:
    the share of the budget; row: its place in the frame; found: the search's own best."""

    name: str
    constants: tuple[float | None, ...]
    used: float | None
    score: float
    row: int
    found: bool

    def words(self) -> tuple[str, ...]:
        """Score, constants and share as the page writes them."""
        share = "–" if self.used is None else f"{100 * self.used:.1f}%"
        return significant(self.score, 4), *(significant(c, 4) for c in self.constants), share


def compared(frame: pd.DataFrame) -> list[Compared]:
    """The best rule that was found and all published ones that were scored, best first."""
    rows = scored(frame.assign(row=np.arange(len(frame))), "search", "shipped")
    own = rows[rows["kind"] == "search"].sort_values(["score", "number"], ascending=[False, True])
    found = []
    for _, row in pd.concat([own.head(1), rows[rows["kind"] == "shipped"]]).iterrows():
        mine = row["kind"] == "search"
        found.append(
            Compared(
                f"found, trial {row['number']}" if mine else str(row["name"]).split(" by ")[-1],
                tuple(number(row.get(f"factor.{knob}")) for knob in KNOBS),
                number(row["used"]),
                float(row["score"]),
                int(row["row"]),
                mine,
            )
        )
    return sorted(found, key=lambda rule: (-rule.score, not rule.found))


class RulesPage(NamedTuple):
    """What the template needs."""

    table: list[Compared]
    holds: str
    held: Held | None


def rules_page(info: RunInfo, frame: pd.DataFrame) -> RulesPage | None:
    """The words and the table; None where networks were searched."""
    if info.scaling is None:
        return None
    found = held(frame, info.seed, info.scaling.larger)
    words = held_words(found)
    return RulesPage(compared(frame), words[:1].upper() + words[1:], found)


def rules_payload(
    info: RunInfo, frame: pd.DataFrame, files: Mapping[int, str]
) -> dict[str, Any] | None:
    """Texts, constants and figures for rules.js; None where networks were searched.

    files: of rules, by the number of the search's trial.
    """
    if info.scaling is None:
        return None
    texts = frame["rule"] if "rule" in frame else pd.Series([None] * len(frame))
    score, found = score_metric(info).title, held(frame, info.seed, info.scaling.larger)
    figures = {
        name: {
            "shares": shares_figure(frame, palette).to_plotly_json(),
            "larger": larger_figure(frame, found, score, palette).to_plotly_json(),
        }
        for name, palette in (("light", LIGHT), ("dark", DARK))
    }
    return {
        "base": info.scaling.base,
        "source": info.scaling.source,
        "to": " --and ".join(budget.exact for budget in info.budgets),
        "files": {str(trial): name for trial, name in files.items()},
        "texts": [text if isinstance(text, str) else None for text in texts],
        "constants": {
            knob: [number(value) for value in frame.get(f"factor.{knob}", [None] * len(frame))]
            for knob in KNOBS
        },
        "figures": figures,
    }


def rule_shares(frame: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Shares of log FLOPs by place in the frame, of rules in constants that shrink nothing."""
    found = {}
    for row, text in enumerate(frame.get("rule", ())):
        columns = {knob: frame.get(f"factor.{knob}") for knob in KNOBS}
        factors = {
            knob: None if column is None else number(column.iloc[row])
            for knob, column in columns.items()
        }
        known = {knob: value for knob, value in factors.items() if value is not None}
        if not isinstance(text, str) or len(known) < len(KNOBS):
            continue
        parts = shares(known, parse_rule(text).law)
        if min(parts.values()) >= 0:
            found[row] = parts
    return found


def shares_figure(frame: pd.DataFrame, palette: Palette = LIGHT) -> go.Figure:
    """A triangle of the shares of depth, width and resolution; the darker a mark, the better."""
    known = rule_shares(frame)
    rows = scored(frame.assign(row=np.arange(len(frame))), "search", "random", "shipped")
    low, high = (float(rows["score"].min()), float(rows["score"].max())) if len(rows) else (0, 1)
    looks = {
        "search": ("Found", "circle", 10, palette.muted),
        "random": ("Random baseline", "square", 9, palette.random),
        "shipped": ("Published", "diamond", 13, palette.shipped),
    }
    figure = go.Figure(layout=plain(palette))
    for kind, (name, symbol, size, edge) in looks.items():
        shown = [
            (place, float(value))
            for place, value, of in zip(rows["row"], rows["score"], rows["kind"], strict=True)
            if of == kind and place in known
        ]
        figure.add_trace(
            go.Scatterternary(
                a=[round(known[place]["depth"], 4) for place, _ in shown],
                b=[round(known[place]["width"], 4) for place, _ in shown],
                c=[round(known[place]["resolution"], 4) for place, _ in shown],
                customdata=[place for place, _ in shown],
                name=name,
                mode="markers",
                cliponaxis=False,
                hoverinfo="none",
                marker={
                    "symbol": symbol,
                    "size": size,
                    "color": [value for _, value in shown],
                    "cmin": low,
                    "cmax": high,
                    "colorscale": [[0, palette.paper], [1, palette.front]],
                    "line": {"color": edge, "width": 1.2},
                    "showscale": kind == "search",
                    "colorbar": {
                        "title": {"text": "Score", "side": "top", "font": {"size": 12.5}},
                        "thickness": 9,
                        "len": 0.55,
                        "outlinewidth": 0,
                        "nticks": 5,
                        "tickfont": {"size": 12, "color": palette.muted},
                    },
                },
            )
        )
    figure.update_layout(
        margin={"l": 48, "r": 24, "t": 36, "b": 44},
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "y": -0.1,
            "yanchor": "top",
            "itemsizing": "constant",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 13, "color": palette.ink},
        },
        ternary={
            "sum": 1,
            "bgcolor": "rgba(0,0,0,0)",
            "aaxis": _side(palette, "Depth"),
            "baxis": _side(palette, "Width"),
            "caxis": _side(palette, "Resolution"),
        },
    )
    return figure


def larger_figure(
    frame: pd.DataFrame, found: Held | None, score: str, palette: Palette = LIGHT
) -> go.Figure:
    """Score one size up against score at the budget, a mark a rule."""
    figure = go.Figure(layout=layout(palette))
    rows: list[int] = []
    if found is not None:
        repeated = (frame["kind"] == "larger") & frame["score"].notna()
        places = {int(of): place for place, of in enumerate(frame["of"]) if repeated.iloc[place]}
        rows = [places[trial] for trial in found.numbers]
    figure.add_trace(
        go.Scatter(
            x=[] if found is None else found.here,
            y=[] if found is None else found.larger,
            customdata=rows,
            mode="markers",
            hoverinfo="none",
            showlegend=False,
            marker={
                "size": 9,
                "color": palette.front,
                "opacity": 0.8,
                "line": {"color": palette.card, "width": 1},
            },
        )
    )
    figure.update_layout(
        margin={"l": 56, "r": 16, "t": 16, "b": 52},
        xaxis=across(palette, "Score at the budget") | {"nticks": 6},
        yaxis=upright(palette, "Score at twice the budget") | {"nticks": 6},
    )
    return figure


def _side(palette: Palette, title: str) -> dict[str, object]:
    return {
        "title": {"text": title, "font": {"size": 13, "color": palette.ink}},
        # none at the corners, where the names stand
        "tickvals": [0.25, 0.5, 0.75],
        "tickformat": ".0%",
        "tickfont": {"size": 11.5, "color": palette.muted},
        "linecolor": palette.muted,
        "gridcolor": palette.line,
        "ticks": "",
        "min": 0,
    }


__all__ = [
    "CONSTANTS",
    "Compared",
    "RulesPage",
    "compared",
    "larger_figure",
    "rule_shares",
    "rules_page",
    "rules_payload",
    "shares_figure",
]
