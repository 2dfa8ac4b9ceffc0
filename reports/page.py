"""Write the page of a run: one HTML file that works offline and asks nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from reports.calibrated import calibrated
from reports.frames import agreements, scored, titles, troubles
from reports.ladder import by_search_trial, top
from reports.ladder_page import ladder_page
from reports.metrics import Metric
from reports.numbers import significant
from reports.offline import part, policy
from reports.palette import DARK, LIGHT
from reports.payload import payload, script_safe
from reports.plane import found_rows, plane_of
from reports.rules import CONSTANTS, rules_page
from reports.stages import told_apart
from search.summary import best_words, objective_word, objective_words, ranked_by

if TYPE_CHECKING:
    from search.folder import RunInfo

NEXT_COMMANDS = ("archspec show FILE --layers", "archspec cost FILE --fvcore")
SCRIPTS = (
    "dom.js", "labels.js", "chart.js", "panel.js", "table.js", "rules.js", "ladder.js", "page.js",
)  # fmt: skip


def write_page(
    info: RunInfo,
    frame: pd.DataFrame,
    path: Path,
    *,
    next_commands: Sequence[str] = NEXT_COMMANDS,
    files: Mapping[int, str] | None = None,
    rules: Mapping[int, str] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> Path:
    """Write the page of a run to `path` and return it; the same input gives the same bytes.

    `next_commands` are shown with each network, `FILE` replaced by its file: `files` tells the
    file of a search trial by its number, a shipped network goes by its name, and any other is first
    saved from the page; `rules` tells the files of scaling rules in the same way. `calibration` is
    the latest of the space, as search.calibration.find gives it: how well the run's score ranks
    networks whose accuracy is known.
    """
    frame = told_apart(by_search_trial(frame))
    kind, plane = top(info, frame), plane_of(info, frame)
    found = found_rows(info, frame)
    plotly = Markup(get_plotlyjs())
    script = Markup("\n".join(part(name) for name in SCRIPTS))
    data = payload(info, frame, next_commands, files or {}, rules or {})
    environment = Environment(
        loader=FunctionLoader(part), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["capital"] = _capital
    html = environment.get_template("page.html").render(
        info=info,
        budget=" and ".join(str(budget) for budget in info.budgets),
        counts=_counts(frame),
        best=_best(frame, found, plane.upright),
        best_words=best_words(plane.upright.key),
        objectives=_objectives(info),
        upright=plane.upright,
        upright_word=objective_word(plane.upright.key),
        asked=info.rung(kind) if info.ladder else info,
        ladder=ladder_page(info, frame),
        front_size=len(found),
        metrics=plane.across,
        axis=plane.first.key,
        troubles=troubles(frame),
        titles=titles(frame),
        agreements=agreements(frame),
        rules=rules_page(info, frame),
        constants=CONSTANTS,
        calibrated=None if info.training else calibrated(info, calibration),
        policy=policy(plotly, script),
        light=Markup(LIGHT.variables()),
        dark=Markup(DARK.variables()),
        style=Markup(part("page.css")),
        plotly=plotly,
        script=script,
        data=Markup(script_safe(data)),
    )
    path.write_text(html, encoding="utf-8", newline="\n")
    return path


def _capital(words: str) -> str:
    """Words that begin a sentence; all letters but the first as they are, as in `FLOPs`."""
    return words[:1].upper() + words[1:]


def _counts(frame: pd.DataFrame) -> dict[str, int]:
    """How many trials ended in which state, and how many scored ones each kind has."""
    states = ("scored", "repeat", "pruned", "infeasible", "failed")
    kinds = ("search", "random", "shipped")
    counts = {state: int((frame["state"] == state).sum()) for state in states}
    return counts | {kind: len(scored(frame, kind)) for kind in kinds}


def _best(frame: pd.DataFrame, found: Sequence[int], value: Metric) -> tuple[str, str] | None:
    """The best value of a run, and in small letters its unit and whose it is; None without a
    scored trial. Baselines do not count."""
    if not found:
        return None
    row = frame.iloc[found[0]]
    unit = f"{value.short}, " if value.short else ""
    shown = significant(row[value.key] / value.divisor, 4)
    return shown, f"{unit}trial {int(row['number'])}"


def _objectives(info: RunInfo) -> str:
    """What the search was for, in sentences, where that is not what a search is for unless it is
    asked; else nothing."""
    if set(info.objectives) == ({"score"} if info.iso else {"score", info.first}):
        return ""
    head = "Objective" if len(info.objectives) == 1 else "Objectives"
    beside = "" if "score" in info.objectives else " The score is no objective and is shown beside."
    return f"{head}: {objective_words(ranked_by(info.objectives))}.{beside}"
