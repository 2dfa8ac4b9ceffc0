"""What to show, computed from the frame of a run: the figures and the page only draw it.

A frame has one row a trial. `kind` says who proposed it (search, random, shipped; larger: a rule
that the search found, one size up) and `state` what became of it (scored, repeat, pruned,
infeasible, failed); `score` is better when higher, costs when lower.
Each kind counts its trials from 0, so a row is known by its position in the frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.metrics import COSTS, Metric, flops
from search.hypervolume import nondominated
from search.metrics import SCORE, direction

FLOPS_BAND = 1.1
"""Two networks count as equal in FLOPs when they lie in one band, each band 10% wide."""


class Front(NamedTuple):
    """Rows (positions in the frame) that no other row beats, from the cheapest to the dearest."""

    metric: Metric
    rows: tuple[int, ...]


class Step(NamedTuple):
    """After `scored` scored trials the best value was `value`, of trial `number` at `row`."""

    scored: int
    row: int
    number: int
    value: float


class History(NamedTuple):
    """Best score, or other objective, so far of one kind: the steps where it got better, of
    `scored` trials in all."""

    kind: str
    scored: int
    steps: tuple[Step, ...]


class Trouble(NamedTuple):
    """Trials infeasible, pruned or failed for one reason; `alike`: up to the figures in it."""

    state: str
    reason: str
    rows: tuple[int, ...]
    alike: bool


class Agreement(NamedTuple):
    """Kendall's tau between the score and a cost: over all trials, and at equal FLOPs.

    None where it is undefined: fewer than three trials, or one side constant.
    """

    metric: Metric
    overall: float | None
    equal_flops: float | None


def scored(frame: pd.DataFrame, *kinds: str) -> pd.DataFrame:
    """The rows with a finite score, of the given kinds (of all when none is given)."""
    finite = (frame["state"] == "scored") & np.isfinite(frame["score"].astype(float))
    return frame[finite & frame["kind"].isin(kinds)] if kinds else frame[finite]


def titles(frame: pd.DataFrame) -> list[str]:
    """What each row is called: `Trial 17`, `Random 17`, `Trial 17, one size up`, `Trial 17, rung 2`
    of a ladder, or the name of a shipped network."""
    words = {"search": "Trial", "random": "Random", "shipped": "Shipped"}
    repeated = frame["of"] if "of" in frame else frame["number"]
    called = []
    for kind, number, name, of in zip(
        frame["kind"], frame["number"], frame["name"], repeated, strict=True
    ):
        if kind == "larger":
            called.append(f"Trial {int(of)}, one size up")
        elif kind.startswith("rung"):
            called.append(f"Trial {int(of)}, rung {kind.removeprefix('rung')}")
        else:
            shipped = kind == "shipped" and isinstance(name, str)
            called.append(name if shipped else f"{words[kind]} {number}")
    return called


def front(
    frame: pd.DataFrame, metric: Metric | None = None, kinds: tuple[str, ...] = ("search",)
) -> Front:
    """Pareto front of score (higher) against one cost, FLOPs where none is named, of the scored
    rows of `kinds`.

    Baselines stand beside the front and are no part of it, unless `kinds` names them. Of rows that
    are equal in both, the one with the lowest trial number stays. Where a measure is better when
    higher, the cheapest is the one with most of it.
    """
    metric = flops(frame) if metric is None else metric
    rows = scored(_placed(frame), *kinds)
    rows = rows[rows[metric.key].notna()]
    ascending = [metric.better == "lower", False, True]
    order = rows.sort_values([metric.key, "score", "number"], ascending=ascending)
    best_before = order["score"].astype(float).cummax().shift(fill_value=-np.inf)
    kept = order[order["score"].astype(float) > best_before]
    return Front(metric, tuple(map(int, kept["row"])))


def best(frame: pd.DataFrame, objectives: Sequence[str], kind: str = "search") -> tuple[int, ...]:
    """Rows of the search trials that no other is at least as good as in all objectives; of equal
    ones the first trial. The best of the first objective comes first, of equals that of the next.
    kind: of a ladder's rung, in place of the search's own."""
    keys = list(objectives)
    rows = scored(_placed(frame), kind).dropna(subset=keys).sort_values("number")
    ascending = [direction(key) == "minimize" for key in keys]
    signs = np.where(ascending, 1.0, -1.0)
    kept = nondominated(rows[keys].to_numpy(float) * signs)
    order = rows[kept].sort_values([*keys, "number"], ascending=[*ascending, True])
    return tuple(map(int, order["row"]))


def history(frame: pd.DataFrame, kind: str, metric: Metric = SCORE) -> History:
    """Best score, or other objective, so far of one kind, in the order of trial numbers; repeats do
    not count."""
    rows = scored(_placed(frame), kind).sort_values("number")
    if metric.key != "score":
        rows = rows.dropna(subset=[metric.key])
    trials = zip(rows["row"], rows["number"], rows[metric.key], strict=True)
    sign = 1 if metric.better == "higher" else -1
    best, steps = -np.inf, []
    for count, (row, number, value) in enumerate(trials, 1):
        if sign * value > best:
            best = sign * float(value)
            steps.append(Step(count, int(row), int(number), float(value)))
    return History(kind, len(rows), tuple(steps))


def troubles(frame: pd.DataFrame) -> tuple[Trouble, ...]:
    """Why trials were infeasible, pruned or failed, the commonest reason first.

    Reasons that differ only in their figures are one group, told by its first trial.
    """
    groups: dict[tuple[str, str], list[tuple[int, str]]] = {}
    rows = _placed(frame)[frame["state"].isin(("infeasible", "pruned", "failed"))]
    for row, state, reason in zip(rows["row"], rows["state"], rows["reason"], strict=True):
        text = reason if isinstance(reason, str) and reason else "no reason was recorded"
        pattern = re.sub(r"\d+(?:[.,]\d+)*", "#", text)
        groups.setdefault((state, pattern), []).append((int(row), text))
    found = [
        Trouble(
            state,
            trials[0][1],
            tuple(row for row, _ in trials),
            len({text for _, text in trials}) > 1,
        )
        for (state, _), trials in groups.items()
    ]
    return tuple(sorted(found, key=lambda trouble: (-len(trouble.rows), trouble.rows)))


def agreements(frame: pd.DataFrame) -> tuple[Agreement, ...]:
    """Does the score say more than a count that costs nothing? One `Agreement` for each cost.

    Over the scored trials of search and random baseline. At equal FLOPs: tau inside each band of
    FLOPs, averaged with the number of pairs in the band as weight.
    """
    rows = scored(frame, "search", "random")
    counts = rows["flops"].astype(float)
    bands = np.floor(np.log(counts.where(counts > 0)) / np.log(FLOPS_BAND))
    found = []
    for metric in COSTS:
        overall = _tau(rows, metric)
        pairs, total = 0.0, 0.0
        for _, band in rows.groupby(bands):
            tau = _tau(band, metric)
            if tau is not None:
                weight = len(band) * (len(band) - 1) / 2
                pairs, total = pairs + weight, total + weight * tau
        found.append(Agreement(metric, overall, total / pairs if pairs else None))
    return tuple(found)


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each row's position in it as a column `row`."""
    return frame.assign(row=np.arange(len(frame)))


def _tau(rows: pd.DataFrame, metric: Metric) -> float | None:
    pair = rows[["score", metric.key]].astype(float).dropna()
    if len(pair) < 3 or (pair.nunique() < 2).any():  # tau-b divides by the untied pairs
        return None
    return float(pair["score"].corr(pair[metric.key], method="kendall"))
