"""How far searches are after each evaluation, and what their fronts attain: means over seeds.

An evaluation is a trial that counts. Objectives are minimised here: those that are better when
higher are turned round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.frames import front
from reports.metrics import Metric
from reports.overlay_groups import Group, Run, counted
from search.hypervolume import front as held
from search.hypervolume import hypervolume

Array = NDArray[np.float64]


class Box(NamedTuple):
    """The best and the worst that was met of each objective, (d,) each, minimised; volume is
    measured from the worst, and is 1 where one network has the best of all."""

    best: Array
    worst: Array

    def shares(self, points: Array) -> Array:
        """Points (n, d) in shares of the box: 0 is the best, 1 the worst. An objective in which
        nothing differs is left out."""
        span = self.worst - self.best
        told = span > 0
        return np.asarray((points - self.best)[:, told] / span[told])


class Curve(NamedTuple):
    """A value after each evaluation: its mean over runs, their standard deviation (none of one
    run), and each run's values; ended at the shortest run. Not a number: nothing was scored yet."""

    runs: tuple[Array, ...]

    @property
    def length(self) -> int:
        """Evaluations that all runs have."""
        return min((len(run) for run in self.runs), default=0)

    @property
    def mean(self) -> Array:
        """(length,)"""
        return np.asarray(self._stacked.mean(axis=0))

    @property
    def deviation(self) -> Array | None:
        """(length,), of the sample; None of one run."""
        return np.asarray(self._stacked.std(axis=0, ddof=1)) if len(self.runs) > 1 else None

    @property
    def end(self) -> float | None:
        """The mean after the last evaluation that all runs have."""
        last = self.mean[-1] if self.length else math.nan
        return float(last) if math.isfinite(last) else None

    @property
    def _stacked(self) -> Array:
        return np.array([run[: self.length] for run in self.runs])


class Attained(NamedTuple):
    """What fronts attain at each cost (n,), in the frame's unit: the score that half of the runs
    have for that cost or less, and those of the worst and the best run; -inf: none yet.

    The median is the 50% attainment surface of Fonseca and Fleming (PPSN 1996).
    """

    cost: Array
    half: Array
    worst: Array
    best: Array


def outcomes(run: Run, kind: str, objectives: Sequence[Metric]) -> Array:
    """What each evaluation came to, (n, d), minimised; not a number where it was pruned."""
    rows = counted(run.frame, kind)
    scored = (rows["state"] == "scored").to_numpy()
    found = np.full((len(rows), len(objectives)), np.nan)
    for place, metric in enumerate(objectives):
        sign = -1.0 if metric.better == "higher" else 1.0
        found[scored, place] = sign * rows[metric.key].to_numpy(np.float64, na_value=np.nan)[scored]
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found


def box_of(points: Sequence[Array]) -> Box | None:
    """The box of all that was met; None where nothing was."""
    every = np.concatenate(points)
    every = every[np.isfinite(every).all(axis=1)]
    return Box(every.min(axis=0), every.max(axis=0)) if len(every) else None


def volumes(points: Array, box: Box) -> Array:
    """The hypervolume after each evaluation, as a share of the box; (n, d) to (n,)."""
    shares = box.shares(points)
    ends = np.ones(shares.shape[1])
    best, volume, found = shares[:0], 0.0, []
    for point in shares:
        # what is behind the front already, or at the reference, changes nothing
        if (point < ends).all() and not (best <= point).all(axis=1).any():
            best = held(np.vstack([best, point]))
            volume = hypervolume(best, ends)
        found.append(volume)
    return np.array(found)


def best_so_far(scores: Array) -> Array:
    """The highest score after each evaluation; (n,) to (n,)."""
    return np.asarray(np.fmax.accumulate(scores))


def reached(values: Array, aim: float) -> int | None:
    """After how many evaluations a run is at least there; None: never."""
    there = np.flatnonzero(values >= aim - 1e-12 * abs(aim))
    return int(there[0]) + 1 if len(there) else None


def by_chance(groups: Sequence[Group]) -> dict[str, tuple[Run, ...]]:
    """Runs whose random trials are drawn alike, each seed once: the run with most of them."""
    found: dict[str, dict[int, Run]] = {}
    for group in groups:
        for run in group.runs:
            mine = found.setdefault(group.chance, {})
            count = len(counted(run.frame, "random"))
            old = mine.get(run.info.seed)
            if count and (old is None or count > len(counted(old.frame, "random"))):
                mine[run.info.seed] = run
    return {chance: tuple(mine.values()) for chance, mine in found.items()}


def attained(frames: Sequence[pd.DataFrame], metric: Metric, kind: str) -> Attained | None:
    """What the fronts of one kind of trial attain against a cost; None where all are empty."""
    sign = -1.0 if metric.better == "higher" else 1.0
    fronts = [
        frame.iloc[list(front(frame, metric, (kind,)).rows)][[metric.key, "score"]].to_numpy(float)
        * (sign, 1.0)
        for frame in frames
    ]
    costs = np.unique(np.concatenate([points[:, 0] for points in fronts]))
    if not len(costs):
        return None
    steps = []
    for points in fronts:
        # fronts come from the cheapest to the dearest, their scores rise
        scores = np.concatenate([[-np.inf], points[:, 1]])
        steps.append(scores[np.searchsorted(points[:, 0], costs, side="right")])
    ranked = -np.sort(-np.array(steps), axis=0)
    return Attained(sign * costs, ranked[(len(fronts) - 1) // 2], ranked[-1], ranked[0])
