"""What is counted or measured of a network: key, label, unit and what is better, each written once.

Objectives and budgets go by the keys; every figure, table and axis takes its words from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from archspec.errors import RunError, did_you_mean

if TYPE_CHECKING:
    from search.budgets import Budget
    from search.folder import RunInfo


class Metric(NamedTuple):
    """One column of a run's frame as people read it.

    `divisor` turns the column into the shown unit: a shown number is `column / divisor`, in tables
    with so many `digits` after the point.
    """

    key: str
    label: str
    unit: str
    short: str
    divisor: float
    better: Literal["lower", "higher"]
    digits: int = 2

    def shown(self, value: float) -> str:
        """A column's value in the shown unit, without the unit: `4.095`."""
        return f"{value / self.divisor:.{self.digits}f}"

    @property
    def title(self) -> str:
        """The words of an axis: what is counted, then the unit."""
        return self.unit if self.label in self.unit else f"{self.label}, {self.unit}"


SCORE = Metric("score", "Score", "", "", 1, "higher")
FLOPS = Metric("flops", "FLOPs", "GFLOPs (multiply-adds)", "GFLOPs", 1e9, "lower", 3)
FEW_FLOPS = FLOPS._replace(unit="MFLOPs (multiply-adds)", short="MFLOPs", divisor=1e6, digits=2)
ACTIVATIONS = Metric("activations", "Activations", "millions of elements", "M", 1e6, "lower")
PARAMS = Metric("params", "Params", "millions", "M", 1e6, "lower")
DEPTH = Metric("depth", "Depth", "weighted layers on the longest path", "layers", 1, "lower")
TRAFFIC = Metric("traffic", "Memory traffic", "MB read and written", "MB", 1e6, "lower")
LATENCY = Metric("latency", "Latency", "ms a forward pass", "ms", 1e-3, "lower")
THROUGHPUT = Metric("throughput", "Throughput", "images a second", "images/s", 1, "higher")

COSTS = (FLOPS, ACTIVATIONS, PARAMS, DEPTH, TRAFFIC)
"""What the text of a network tells; every run's frame has these columns."""

MEASURED = (LATENCY, THROUGHPUT)
"""What only a measurement tells: columns in seconds and in images a second, where measured."""

OBJECTIVES = {
    metric.key: metric for metric in (SCORE, FLOPS, PARAMS, ACTIVATIONS, TRAFFIC, *MEASURED)
}
"""What may be an objective; all but the score may be a budget, too."""

#: objectives at once; beyond that most of any set of networks is on the front
MOST_OBJECTIVES = 3


def flops_metric(counts: Iterable[float]) -> Metric:
    """FLOPs in the unit that suits these counts, of multiply-adds: millions where none comes to
    1 GFLOPs, as a budget is told. Counts that are not a number are passed over."""
    largest = max((count for count in counts if count == count), default=math.inf)
    return FEW_FLOPS if largest < FLOPS.divisor else FLOPS


def score_metric(info: RunInfo) -> Metric:
    """The run's own score; its unit is its label, and higher is better by contract."""
    return SCORE._replace(unit=info.score_label)


def direction(key: str) -> Literal["minimize", "maximize"]:
    """Which way an objective goes."""
    return "maximize" if OBJECTIVES[key].better == "higher" else "minimize"


def objectives_of(
    texts: Sequence[str], budgets: Sequence[Budget], iso: bool = False
) -> tuple[str, ...]:
    """Keys of what a search is for, from what people write: `score`, `score,latency`.

    Where nothing is written the score and the quantity of the first budget, or, with iso, the score
    alone. Raises RunError for an unknown key, one written twice, more than three, and with iso for
    the quantity of the first budget, which all candidates have used up.
    """
    first = budgets[0].quantity
    keys = [part.strip().casefold() for text in texts for part in text.split(",")]
    if not keys:
        return ("score",) if iso else ("score", first)
    check_objectives(keys)
    if iso and first in keys:
        raise RunError(
            f"with --iso the limit of {first} is there to be used up, so {first} is no objective; "
            "leave one of both out"
        )
    return tuple(keys)


def check_objectives(keys: Sequence[str]) -> None:
    """Raise RunError for an unknown key, one that is there twice, and more than three."""
    for place, key in enumerate(keys):
        if key not in OBJECTIVES:
            raise RunError(f"no objective is called {key!r}: {did_you_mean(key, OBJECTIVES)}")
        if key in keys[:place]:
            raise RunError(f"each objective is named once, but {key} is twice")
    if len(keys) > MOST_OBJECTIVES:
        raise RunError(
            f"objectives <= {MOST_OBJECTIVES} must hold, but got {len(keys)}: {', '.join(keys)}; "
            "a --budget bounds what need not be as low as can be"
        )
