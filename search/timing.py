"""How long a pass takes, from the times of some: the median, and when to stop asking for more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

#: timed passes; seconds of them after which fewer do; and how many there are at least
REPEATS, LONGEST, FEWEST = 20, 10.0, 3
#: one pass of the warm-up for so many timed ones
WARM_UP = 5
#: a warm-up ends where a pass takes so many times the limit
HOPELESS = 3.0
#: after n passes a limit is broken for certain where the fastest is above it by DOUBT / n of it
DOUBT = 1.5


class Timing(NamedTuple):
    """Seconds of a pass: the median, the 10th and the 90th percentile. passes: timed ones;
    stopped: they are fewer than asked for, since the limit is broken for certain."""

    median: float
    low: float
    high: float
    passes: int
    stopped: bool


def timed(
    times: Iterator[float],
    repeats: int = REPEATS,
    ceiling: float = math.inf,
    longest: float = LONGEST,
) -> Timing:
    """Take times of passes, in seconds, until enough is known.

    After a warm-up of a fifth as many that do not count, `repeats` passes are timed; fewer, but
    three at least, where they take `longest` seconds together, or once the median is above the
    ceiling for certain. What disturbs a pass only makes it slower, so the fastest of a few tells
    most; and where more than half of all passes are above the ceiling, the others need not be made.
    """
    _warm_up(times, repeats, ceiling, longest)
    taken: list[float] = []
    broken = False
    while len(taken) < repeats and not broken:
        if len(taken) >= FEWEST and sum(taken) >= longest:
            break
        taken.append(next(times))
        broken = _certainly_above(taken, repeats, ceiling)
    low, median, high = np.quantile(taken, [0.1, 0.5, 0.9]).tolist()
    return Timing(median, low, high, len(taken), broken and len(taken) < repeats)


def _warm_up(times: Iterator[float], repeats: int, ceiling: float, longest: float) -> None:
    """Passes that do not count: the first one, which loads kernels, tells nothing of the others."""
    spent = next(times)
    for _ in range(math.ceil(repeats / WARM_UP) - 1):
        if spent >= longest / WARM_UP:
            break
        took = next(times)
        spent += took
        if took > HOPELESS * ceiling:
            break


def _certainly_above(taken: Sequence[float], repeats: int, ceiling: float) -> bool:
    count = len(taken)
    if count >= FEWEST and min(taken) > ceiling * (1 + DOUBT / count):
        return True
    return sum(took > ceiling for took in taken) > repeats // 2


__all__ = ["FEWEST", "LONGEST", "REPEATS", "Timing", "timed"]
