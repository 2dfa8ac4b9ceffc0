"""The data of the page as one JSON document: columns, not rows, and every text written once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from archspec.shipped import shipped_networks
from reports.figures import WEBGL_ABOVE, front_figure, history_figure
from reports.frames import Front, History, history, titles
from reports.ladder_page import ladder_payload
from reports.metrics import Metric, costs
from reports.palette import DARK, LIGHT, Palette
from reports.plane import Plane, fronts, plane_of
from reports.rules import rules_payload
from search.metrics import direction
from search.summary import objective_words, ranked_by

if TYPE_CHECKING:
    from search.folder import RunInfo

PLAIN = ("number", "kind", "state", "score", "resolution", "target", "stages", "reason")


def payload(
    info: RunInfo,
    frame: pd.DataFrame,
    commands: Sequence[str],
    files: Mapping[int, str],
    rules: Mapping[int, str] | None = None,
) -> dict[str, object]:
    """All that page.js needs: points, the front by axis, histories, budgets, figure styles.

    Counts are as in the frame (multiply-adds, elements, bytes); page.js divides by the metric's
    divisor. A front is a list of positions in the points' columns.
    """
    plane, axes = plane_of(info, frame), costs(frame)
    histories = [history(frame, kind, plane.upright) for kind in ("search", "random")]
    lines, specs = _interned(frame["spec"])
    budgets = {budget.quantity: budget for budget in info.budgets}
    return {
        "points": {
            key: _column(frame[key])
            for key in dict.fromkeys((*PLAIN, *(one.key for one in axes), plane.upright.key))
        }
        | {"title": titles(frame)},
        "parts": _parts(frame),
        "trained": _trained(frame) if _trains(info) else None,
        "knobs": _prefixed(frame, "knob."),
        "lines": lines,
        "specs": specs,
        "fronts": fronts(plane, info, frame, "search"),
        "histories": {one.kind: one._asdict() for one in histories},
        "metrics": {metric.key: _told(metric) for metric in axes},
        "plane": {
            "upright": _told(plane.upright),
            "across": {metric.key: _told(metric) for metric in plane.across},
            "turns": plane.turns,
            "lines": plane.lines,
            "words": objective_words(ranked_by(info.objectives)),
        },
        "objectives": [[key, direction(key)] for key in ranked_by(info.objectives)],
        "budgets": {
            key: {"limit": budget.limit, "text": str(budget)} for key, budget in budgets.items()
        },
        "axis": plane.first.key,
        "commands": list(commands),
        "rules": rules_payload(info, frame, rules or {}),
        "ladder": ladder_payload(info, frame),
        "files": {str(number): name for number, name in files.items()},
        "figures": {
            name: _styles(info, frame, plane, histories, palette)
            for name, palette in (("light", LIGHT), ("dark", DARK))
        },
    }


def _told(metric: Metric) -> dict[str, object]:
    return metric._asdict() | {"title": metric.title}


def script_safe(document: object) -> str:
    """JSON that can stand inside `<script>`: no `<`, `>` or `&`, so no tag can begin or end."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _styles(
    info: RunInfo,
    frame: pd.DataFrame,
    plane: Plane,
    histories: Sequence[History],
    palette: Palette,
) -> dict[str, object]:
    """Both figures without their points, which `page.js` fills in from the columns."""
    none, crowded = frame.iloc[:0], len(frame) > WEBGL_ABOVE
    empty = Front(plane.first, ())
    figures = {
        "front": front_figure(none, empty, plane.upright, palette, crowded=crowded),
        "history": history_figure(histories, plane.upright, palette),
    }
    styles = {name: figure.to_plotly_json() for name, figure in figures.items()}
    for style in styles.values():
        for trace in style["data"]:
            for key in ("x", "y", "customdata", "text", "hovertemplate"):
                trace.pop(key, None)
            trace.get("error_y", {}).pop("array", None)
            if info.scaling is not None and trace["meta"] == "shipped":
                trace["name"] = "Published rules"
    return {**styles, "ink": palette.ink}


def _trains(info: RunInfo) -> bool:
    """Whether networks are trained, on any rung."""
    return info.training is not None or any(rung.training for rung in info.ladder)


def _trained(frame: pd.DataFrame) -> dict[str, object]:
    """What the panel tells of a training: accuracies by seed, and by seed and epoch, in percent.

    small: whether shipped networks are in small-image form, which no shipped file holds.
    """
    empty: list[object] = [None] * len(frame)
    columns = {
        name: list(frame[name]) if name in frame else empty
        for name in ("accuracies", "rungs", "epochs")
    }
    shipped = set(frame[frame["kind"] == "shipped"]["name"])
    return {
        "accuracies": [_rounded(value) for value in columns["accuracies"]],
        "rungs": [_rounded(value) for value in columns["rungs"]],
        "epochs": [_plain(value) for value in columns["epochs"]],
        "small": not shipped <= set(shipped_networks()),
    }


def _rounded(value: object) -> object:
    """A list of numbers, or of such lists, in hundredths; None for what is no list."""
    if isinstance(value, list):
        return [_rounded(item) if isinstance(item, list) else round(item, 2) for item in value]
    return None


def _prefixed(frame: pd.DataFrame, prefix: str) -> dict[str, list[object]]:
    keys = [key for key in frame.columns if key.startswith(prefix)]
    return {key.removeprefix(prefix): _column(frame[key]) for key in keys}


def _parts(frame: pd.DataFrame) -> dict[str, list[object]]:
    """What scores are made of, by part; one that is the whole score would say it twice."""
    whole = frame["score"].astype(float)
    twice = [
        key
        for key in frame.columns
        if key.startswith("part.")
        and (told := frame[key].notna()).any()
        and frame[key][told].astype(float).equals(whole[told])
    ]
    return _prefixed(frame.drop(columns=twice), "part.")


def _column(series: pd.Series) -> list[object]:
    """Plain JSON values; None for what is missing or not finite, whole floats as integers."""
    return [_plain(value) for value in series.tolist()]


def _plain(value: object) -> object:
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else value
    return None if value is None or value is pd.NA or value is pd.NaT else str(value)


def _interned(specs: pd.Series) -> tuple[list[str], list[list[int] | None]]:
    """Specs of one space share most of their lines: each line once, a spec as line numbers."""
    known: dict[str, int] = {}
    found: list[list[int] | None] = []
    for spec in specs:
        if isinstance(spec, str):
            found.append([known.setdefault(line, len(known)) for line in spec.split("\n")])
        else:
            found.append(None)
    return list(known), found
