"""The exam's table and what it means, in Markdown; of what is there so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from archspec.study.frame import interval

#: arms of the networks that were searched; all others are published families
FOUND, RANDOM = "found", "found by chance"
#: of what is expected, the interval leaves so much out
OUTSIDE = 0.05


class Standing(NamedTuple):
    """An arm so far: accuracies in percent by seed, counts of one image, minutes of training of
    all its seeds."""

    name: str
    accuracies: tuple[float, ...]
    flops: int
    params: int
    activations: int
    minutes: float
    failed: str

    @property
    def mean(self) -> float:
        """Of the seeds so far; nan where there is none."""
        return interval(list(self.accuracies))[0]


class Lead(NamedTuple):
    """Difference of two means in percentage points, with its 95% interval; nan: none is told."""

    points: float
    low: float
    high: float


def standings(frame: pd.DataFrame) -> list[Standing]:
    """The arms of a study's frame (one row an arm and seed), the best mean first, then those that
    have none."""
    found = []
    for name, rows in frame.groupby("arm", sort=False):
        done = rows[rows["state"] == "done"]
        first = rows.iloc[0]
        reasons = [str(reason) for reason in rows["reason"] if reason]
        found.append(
            Standing(
                name=str(name),
                accuracies=tuple(map(float, done.sort_values("seed")["top1"])),
                flops=int(first["flops"]),
                params=int(first["params"]),
                activations=int(first["activations"]),
                minutes=float(done["seconds"].sum()) / 60,
                failed="".join(reasons[:1]),
            )
        )
    return sorted(found, key=lambda one: math.inf if math.isnan(one.mean) else -one.mean)


def lead(ours: Sequence[float], theirs: Sequence[float]) -> Lead:
    """How far the mean of one network is before that of another, by Welch's t for unequal
    deviations (Welch, Biometrika 34, 1947).

    No interval where one has fewer than two seeds, or neither has any spread: a width of 0 would
    claim certainty.
    """
    from scipy.stats import ttest_ind

    points = interval(list(ours))[0] - interval(list(theirs))[0]
    spreads = [interval(list(values))[1] for values in (ours, theirs)]
    if any(math.isnan(spread) for spread in spreads) or not any(spreads):
        return Lead(points, math.nan, math.nan)
    ends = ttest_ind(ours, theirs, equal_var=False).confidence_interval(1 - OUTSIDE)
    return Lead(points, float(ends.low), float(ends.high))


def markdown(arms: Sequence[Standing], families: Mapping[str, str], seeds: int) -> str:
    """The table, the best first. families: of arms by name, with how they came to the budget."""
    lines = [
        f"| network | what it is | MFLOPs | Mparams | M act. | top-1, %, of {seeds} seeds | "
        "minutes of training |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for one in arms:
        lines.append(
            f"| {one.name} | {families[one.name]} | {one.flops / 1e6:.1f} | "
            f"{one.params / 1e6:.2f} | {one.activations / 1e6:.2f} | {_accuracy(one, seeds)} | "
            f"{one.minutes:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _accuracy(one: Standing, seeds: int) -> str:
    mean, sd, count, _, _ = interval(list(one.accuracies))
    if not count:
        return f"failed: {one.failed}" if one.failed else "not yet"
    told = f"{mean:.2f}" if math.isnan(sd) else f"{mean:.2f} ± {sd:.2f}"
    return told if count == seeds else f"{told} ({count} so far)"


def words(arms: Sequence[Standing], seeds: int) -> str:
    """What the table says of the winner, in sentences; nothing is claimed of what is not there."""
    by_name = {one.name: one for one in arms}
    ours = by_name.get(FOUND)
    if ours is None or not ours.accuracies:
        return "The search's network is not trained yet: there is nothing to compare.\n"
    told = []
    published = [one for one in arms if one.name not in (FOUND, RANDOM) and one.accuracies]
    if published:
        best = published[0]
        told.append(_compared(ours, best, f"the best published family, {best.name}"))
    chance = by_name.get(RANDOM)
    if chance is not None and chance.accuracies:
        told.append(_compared(ours, chance, "what random search found in the same minutes"))
    if any(len(one.accuracies) < seeds and not one.failed for one in arms):
        told.append("Not all seeds are trained yet, so none of this is final.")
    return " ".join(told) + "\n"


def _compared(ours: Standing, theirs: Standing, what: str) -> str:
    found = lead(ours.accuracies, theirs.accuracies)
    way = "before" if found.points >= 0 else "behind"
    told = f"The search's network is {abs(found.points):.2f} points {way} {what}"
    if math.isnan(found.low):
        return f"{told}; seeds do not tell yet how far to trust that."
    ends = sorted((found.low, found.high) if found.points >= 0 else (-found.high, -found.low))
    told += f" (95% interval {ends[0]:.2f} to {ends[1]:.2f})"
    sure = found.low > 0 or found.high < 0
    return f"{told}: beyond the seed noise." if sure else f"{told}: not beyond the seed noise."


__all__ = ["FOUND", "RANDOM", "Lead", "Standing", "lead", "markdown", "standings", "words"]
