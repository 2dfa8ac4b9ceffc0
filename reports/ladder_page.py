"""What the page of a search with a ladder says beside a search's: the rungs, and the finalists."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from reports.ladder import Rung, rungs, top
from reports.ladder_figure import climb_figure, crowded
from reports.metrics import PARAMS, Metric, flops
from reports.numbers import MISSING, lasting, significant
from reports.palette import DARK, LIGHT
from reports.plane import axis_label, fronts, plane_of
from search.summary import objective_word

if TYPE_CHECKING:
    from search.folder import RunInfo

#: finalists in the table
FINALISTS = 24
#: seconds below which nobody asks how many
BRIEF = 0.1
_ENDS = ("infeasible", "pruned", "failed", "repeat")


class Line(NamedTuple):
    """A rung in the table, in words."""

    number: int
    said: str
    came: str
    scored: str
    ended: str
    on: str
    time: str
    agreed: str


class Finalist(NamedTuple):
    """A network of the highest rung: its place in the frame, its score and rank on each rung, its
    FLOPs and parameters in the units of the page."""

    row: int
    name: str
    cells: list[tuple[str, str]]
    counts: list[str]


class LadderPage(NamedTuple):
    """What the template needs.

    rungs: all of them; highest: the one whose networks the page shows first; finalists: the best
    there. flops: in the unit of the page. unfinished: a sentence where the highest is not the last
    one. objectives: what climbs by. crowded: whether a bar stands for dropped networks somewhere.
    """

    rungs: list[Rung]
    highest: Rung
    lines: list[Line]
    finalists: list[Finalist]
    flops: Metric
    unfinished: str
    objectives: list[str]
    crowded: bool


def ladder_page(info: RunInfo, frame: pd.DataFrame) -> LadderPage | None:
    """The words and the tables; None without a ladder. frame: of `by_search_trial`."""
    found = rungs(info, frame)
    if not found:
        return None
    kind = top(info, frame)
    highest = next(rung for rung in found if rung.kind == kind)
    unfinished = unfinished_words(found, highest)
    unit = flops(frame)
    finalists = _finalists(frame, found, highest, unit)
    return LadderPage(
        found,
        highest,
        [line(rung) for rung in found],
        finalists,
        unit,
        unfinished,
        list(map(objective_word, info.objectives)),
        any(map(crowded, found)),
    )


def unfinished_words(found: Sequence[Rung], highest: Rung) -> str:
    """What a ladder has not come to yet, in sentences; nothing where it is climbed. highest: of the
    rungs that have a score."""
    told = []
    if highest is not found[-1]:
        told.append(
            f"No network has a score on rung {found[-1].number}, so what is shown as found is of "
            f"rung {highest.number}."
        )
    told += [
        f"Rung {rung.number} is done with {len(rung.rows):,} of {rung.came:,} networks so far: "
        "archspec resume goes on."
        for rung in found
        if len(rung.rows) < rung.came
    ]
    return " ".join(told)


def line(rung: Rung) -> Line:
    """A rung's row of the table."""
    ended = [f"{rung.states[end]:,} {end}" for end in _ENDS if rung.states.get(end)]
    return Line(
        rung.number,
        rung.said,
        f"{rung.came:,}",
        f"{len(rung.ranks):,}",
        ", ".join(ended) or MISSING,
        MISSING if rung.on is None else f"{len(rung.on):,}",
        lasting(rung.seconds) if rung.seconds >= BRIEF else f"below {BRIEF:g} s",
        MISSING if rung.agreed is None else rung.agreed.words(),
    )


def _finalists(
    frame: pd.DataFrame, found: list[Rung], highest: Rung, unit: Metric
) -> list[Finalist]:
    told = []
    for of in list(highest.ranks)[:FINALISTS]:
        row = highest.rows[of]
        cells = [
            (significant(rung.scores[of], 4), f"#{rung.ranks[of]:,}")
            for rung in found[: highest.number]
        ]
        counts = [significant(frame[one.key].iloc[row] / one.divisor) for one in (unit, PARAMS)]
        told.append(Finalist(row, f"Trial {of}", cells, counts))
    return told


def ladder_payload(info: RunInfo, frame: pd.DataFrame) -> dict[str, Any] | None:
    """Fronts and scores by rung and the figures, for ladder.js; None without a ladder."""
    found = rungs(info, frame)
    if not found:
        return None
    plane = plane_of(info, frame)
    return {
        "top": top(info, frame),
        "rungs": [
            {"kind": rung.kind, "number": rung.number, "title": escape(_axis(info, rung))}
            for rung in found
        ],
        "fronts": {rung.kind: fronts(plane, info, frame, rung.kind) for rung in found},
        "climbs": _climbs(found),
        "figures": {
            name: climb_figure(found, palette).to_plotly_json()
            for name, palette in (("light", LIGHT), ("dark", DARK))
        },
    }


def _axis(info: RunInfo, rung: Rung) -> str:
    return f"Rung {rung.number}: {axis_label(rung.label, info.rung(rung.kind).score)}"


def _climbs(found: list[Rung]) -> dict[str, list[tuple[float, int] | None]]:
    """Score and rank on each rung that a network came to, of those that left the lowest, by search
    trial; None where it came to no score."""
    climbed = {of for rung in found[1:] for of in rung.rows}
    return {
        str(of): [
            (rung.scores[of], rung.ranks[of]) if of in rung.ranks else None
            for rung in found
            if of in rung.rows
        ]
        for of in sorted(climbed)
    }


__all__ = ["Finalist", "LadderPage", "Line", "ladder_page", "ladder_payload", "line"]
