"""Which two numbers span the figure of a run, and which of its networks are the front there.

A search of the score and one cost, or of the score alone, has a front against each cost, and the
axis that is shown chooses among them. Any other search has one front, over all its objectives at
once: what lies in its folder `front/`, whichever axis is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from reports.frames import best, front
from reports.ladder import top
from reports.metrics import Metric, costs, score_metric
from search.metrics import OBJECTIVES
from search.summary import ranked_by

if TYPE_CHECKING:
    from search.folder import RunInfo

#: letters of a score's label for which an upright axis has room
ROOM = 56


class Plane(NamedTuple):
    """upright: what is drawn upwards, the score unless it is no objective. across: what can be
    drawn to the right; first: which of these is shown first. turns: whether the front is another
    one for each of them. lines: keys of those on which the front is a line; on others the marks of
    the front lie where their other objectives put them."""

    upright: Metric
    across: tuple[Metric, ...]
    first: Metric
    turns: bool
    lines: tuple[str, ...]


def plane_of(info: RunInfo, frame: pd.DataFrame) -> Plane:
    """What the figure of a run shows; frame: of `by_search_trial`."""
    known, aims = {metric.key: metric for metric in costs(frame)}, info.objectives
    score = score_metric(info)._replace(unit=axis_label(info.score_label, info.score))
    if "score" in aims:
        first = first_cost(info, frame)
        turns = set(aims) <= {"score", first.key}
        lines = tuple(known) if turns else ()
        return Plane(score, tuple(known.values()), first, turns, lines)
    # a measured objective is no cost of a run that has no network yet
    upright = known.get(aims[0], OBJECTIVES[aims[0]])
    first = next((known[key] for key in aims[1:] if key in known), score)
    others = tuple(metric for metric in known.values() if metric.key != upright.key)
    lines = (first.key,) if set(aims) == {upright.key, first.key} else ()
    return Plane(upright, (*others, score), first, False, lines)


def first_cost(info: RunInfo, frame: pd.DataFrame) -> Metric:
    """The cost shown first: the first objective that is one, or, where the score stands alone, what
    its budget leaves open; never the score itself, where that is a count."""
    there = {metric.key: metric for metric in costs(frame)}
    score = info.rung(top(info, frame)).score
    aims = [key for key in info.objectives if key in there and key != score]
    left = [key for key in ("activations", "flops", "params") if key not in (info.first, score)]
    return there[[*aims, *left][0]]


def axis_label(label: str, name: str) -> str:
    """What a score is called on an axis: its label, or its name where the label is a long formula
    and the name is shorter."""
    return label if len(label) <= ROOM else min(label, name, key=len)


def found_rows(info: RunInfo, frame: pd.DataFrame) -> tuple[int, ...]:
    """What a run found, best first, as positions in the frame: the networks of its folder `front/`,
    of the highest rung that has a score."""
    plane, kind = plane_of(info, frame), top(info, frame)
    if plane.turns:
        # scores rise along this front, so the dearest network is the best one
        return front(frame, plane.first, (kind,)).rows[::-1]
    return best(frame, ranked_by(info.objectives), kind)


def fronts(
    plane: Plane, info: RunInfo, frame: pd.DataFrame, kind: str
) -> dict[str, tuple[int, ...]]:
    """The front of one kind of trial by the axis that is shown, from the cheapest to the dearest
    there: positions in the frame."""
    if plane.turns:
        return {metric.key: front(frame, metric, (kind,)).rows for metric in plane.across}
    rows = best(frame, ranked_by(info.objectives), kind)
    return {metric.key: _along(frame, rows, metric) for metric in plane.across}


def _along(frame: pd.DataFrame, rows: tuple[int, ...], metric: Metric) -> tuple[int, ...]:
    values = frame[metric.key].astype(float)
    sign = -1.0 if metric.better == "higher" else 1.0
    return tuple(sorted(rows, key=lambda row: sign * float(values.iloc[row])))


__all__ = ["Plane", "axis_label", "first_cost", "found_rows", "fronts", "plane_of"]
