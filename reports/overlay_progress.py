"""Searches laid beside each other: what each group of them, and chance, came to and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

from reports.metrics import Metric, costs, score_metric
from reports.overlay_curves import (
    Array,
    Box,
    Curve,
    best_so_far,
    box_of,
    by_chance,
    outcomes,
    reached,
    volumes,
)
from reports.overlay_groups import Group, Run, check_comparable, groups_of, notices
from search.metrics import OBJECTIVES


class Progress(NamedTuple):
    """One line of the figures: searches that differ in their seeds, or random search.

    sampler: None of random search. volume: None where there is one objective. reached: after how
    many evaluations each run is where random search ends, None where it never is, or where there is
    no random search; aim: the evaluations that random search has.
    """

    name: str
    sampler: str | None
    runs: tuple[Run, ...]
    best: Curve
    volume: Curve | None
    reached: tuple[int | None, ...]
    aim: int | None

    @property
    def kind(self) -> Literal["search", "random"]:
        """Whose trials these are."""
        return "random" if self.sampler is None else "search"

    @property
    def to_random(self) -> float | None:
        """The median of `reached`; None where half of the runs never are there."""
        if not self.reached:
            return None
        middle = median(float("inf") if count is None else count for count in self.reached)
        return middle if middle < float("inf") else None


class Comparison(NamedTuple):
    """What the page and the table show. box: None where nothing was scored, or where there is one
    objective; its ends are in the frame's units, minimised."""

    groups: tuple[Group, ...]
    score: Metric
    objectives: tuple[Metric, ...]
    box: Box | None
    rows: tuple[Progress, ...]
    notices: tuple[str, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """All searches."""
        return tuple(run for group in self.groups for run in group.runs)


def compare(runs: Sequence[Run]) -> Comparison:
    """Lay searches beside each other; raises RunError where they do not compare."""
    check_comparable(runs)
    groups = groups_of(runs)
    info = groups[0].info
    score = score_metric(info)
    known = OBJECTIVES | {one.key: one for one in costs(*(run.frame for run in runs))}
    objectives = tuple(score if key == "score" else known[key] for key in info.objectives)
    box = None
    if len(objectives) > 1:
        kinds = ("search", "random")
        box = box_of([outcomes(run, kind, objectives) for run in runs for kind in kinds])
    chances = by_chance(groups)
    drawn = {
        chance: _progress(_chance_name(chance, groups), None, mine, score, objectives, box)
        for chance, mine in chances.items()
        if mine
    }
    rows = [
        _beside(
            _progress(group.name, group.info.sampler, group.runs, score, objectives, box),
            drawn.get(group.chance),
        )
        for group in groups
    ]
    return Comparison(groups, score, objectives, box, (*rows, *drawn.values()), notices(groups))


def _progress(
    name: str,
    sampler: str | None,
    runs: tuple[Run, ...],
    score: Metric,
    objectives: Sequence[Metric],
    box: Box | None,
) -> Progress:
    kind = "random" if sampler is None else "search"
    best = Curve(tuple(best_so_far(-outcomes(run, kind, (score,))[:, 0]) for run in runs))
    volume = None
    if box is not None:
        volume = Curve(tuple(volumes(outcomes(run, kind, objectives), box) for run in runs))
    return Progress(name, sampler, runs, best, volume, (), None)


def _beside(made: Progress, chance: Progress | None) -> Progress:
    """A group with when it is where random search ends."""
    if chance is None:
        return made
    mine, other = made.volume or made.best, chance.volume or chance.best
    if other.end is None:
        return made
    reaching = tuple(reached(run, other.end) for run in mine.runs)
    return made._replace(reached=reaching, aim=other.length)


def _chance_name(chance: str, groups: Sequence[Group]) -> str:
    """`random baseline`, and of which group where there are several."""
    mine = [group.name for group in groups if group.chance == chance]
    return "random baseline" + ("" if len(mine) == len(groups) else f" of {mine[0]}")


def document(comparison: Comparison) -> list[dict[str, Any]]:
    """The comparison for programs: an object a group, and one a random search."""
    return [_object(comparison, row) for row in comparison.rows]


def _object(comparison: Comparison, row: Progress) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": row.name,
        "kind": row.kind,
        "sampler": row.sampler,
        "runs": [run.folder for run in row.runs],
        "seeds": [run.info.seed for run in row.runs],
        "trials": [len(run) for run in row.best.runs],
        "score": comparison.score.unit,
        "objectives": [metric.key for metric in comparison.objectives],
        "best_score": _told(row.best),
        "hypervolume": _told(row.volume),
        "to_random": row.to_random,
        "reached": list(row.reached),
        "random_trials": row.aim,
        "reference": None,
        "ideal": None,
    }
    if comparison.box is not None:
        told["reference"] = corner(comparison.objectives, comparison.box.worst)
        told["ideal"] = corner(comparison.objectives, comparison.box.best)
    return told


def _told(curve: Curve | None) -> dict[str, Any] | None:
    """A curve's end, and its values by evaluation; what is not there yet is null."""
    if curve is None:
        return None
    deviation = curve.deviation
    return {
        "mean": curve.end,
        "deviation": _plain(deviation)[-1] if deviation is not None and len(deviation) else None,
        "by_evaluation": _plain(curve.mean),
        "deviation_by_evaluation": None if deviation is None else _plain(deviation),
    }


def corner(objectives: Sequence[Metric], ends: Array) -> dict[str, float]:
    """One corner of the box by objective, turned back to how the frame has it."""
    signs = (-1 if metric.better == "higher" else 1 for metric in objectives)
    return {
        metric.key: float(sign * end)
        for metric, sign, end in zip(objectives, signs, ends, strict=True)
    }


def _plain(values: Array) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
