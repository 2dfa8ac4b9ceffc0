"""How well a ranking of scaling rules holds one size up: the same rules at twice the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archspec.scaling.rule import DOUBLING
from search.calibration.agreement import Ranking, draw

if TYPE_CHECKING:
    import pandas as pd

#: so many rules are scored one size up by default
LARGER = 16
#: every limit of a budget grows by this, which is how much FLOPs grow a phi by the law
ONE_SIZE = DOUBLING
#: resamples of the interval
RESAMPLES = 2_000
#: with fewer pairs of scores tau says nothing, and with fewer than so many no interval is told
LEAST, ENOUGH = 3, 8


class Held(NamedTuple):
    """Kendall's tau between the scores at the budget and one size up, with its 95% interval.

    numbers: of the search trials; here, larger: their two scores. tau, low, high are nan where they
    are undefined; the interval also where rules are few, or in perfect order, which no resample
    breaks.
    """

    numbers: tuple[int, ...]
    here: tuple[float, ...]
    larger: tuple[float, ...]
    tau: float
    low: float
    high: float


def chosen(scores: Sequence[float | None], count: int) -> list[int]:
    """Of these trials' scores the places of the best and an even spread down to the worst.

    None: a trial without a score. Of equal scores the first comes first.
    """
    ranked = sorted(
        (place for place, score in enumerate(scores) if score is not None),
        key=lambda place: (-float(scores[place] or 0.0), place),
    )
    if count <= 0 or not ranked:
        return []
    if count == 1:
        return ranked[:1]
    steps = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[step] for step in steps]


def held(frame: pd.DataFrame, seed: int, count: int) -> Held | None:
    """What a run's frame says of it; None where fewer than three rules have both scores.

    count: so many are scored one size up. Of a run that was asked for more trials, only those count
    that are an even spread now.
    """
    if "of" not in frame:
        return None
    valued = frame[frame["state"].isin(["scored", "repeat"]) & frame["score"].notna()]
    here = valued[valued["kind"] == "search"].set_index("number")["score"].astype(float)
    larger = valued[valued["kind"] == "larger"]
    trials = frame[frame["kind"] == "search"].sort_values("number")
    scores = trials["score"].where(trials["state"] == "scored")
    spread = {
        int(trials["number"].iloc[place])
        for place in chosen([None if score != score else score for score in scores], count)
    }
    pairs = [
        (int(of), float(here[int(of)]), float(score))
        for of, score in zip(larger["of"], larger["score"], strict=True)
        if int(of) in here.index and int(of) in spread
    ]
    if len(pairs) < LEAST:
        return None
    numbers, one, other = zip(*pairs, strict=True)
    counts = draw(len(pairs), RESAMPLES, seed)
    found = Ranking(np.array(other), counts).agreement(np.array(one))
    told = len(pairs) >= ENOUGH and abs(found.value) < 1
    low, high = found.interval() if told else (math.nan, math.nan)
    return Held(numbers, one, other, found.value, low, high)


def held_words(found: Held | None) -> str:
    """That in a sentence."""
    if found is None:
        return ""
    rules = f"{len(found.numbers)} rules"
    if not math.isfinite(found.tau):
        return f"one size up, at twice the budget, {rules} have scores that cannot be ranked"
    between = f" (95% interval {found.low:.2f} to {found.high:.2f})"
    return (
        f"one size up, at twice the budget, the order of {rules} holds with Kendall's tau "
        f"{found.tau:.2f}{between if math.isfinite(found.low) else ''}"
    )


__all__ = ["LARGER", "ONE_SIZE", "Held", "chosen", "held", "held_words"]
