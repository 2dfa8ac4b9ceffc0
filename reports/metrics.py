"""The words of the columns that figures and tables show, and which of them a run's page has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.metrics import (
    ACTIVATIONS,
    COSTS,
    DEPTH,
    FLOPS,
    LATENCY,
    MEASURED,
    PARAMS,
    THROUGHPUT,
    TRAFFIC,
    Metric,
    score_metric,
)

if TYPE_CHECKING:
    import pandas as pd


def costs(frame: pd.DataFrame) -> tuple[Metric, ...]:
    """The axes of a run's page, in the order of its switch: what the text tells, then what was
    measured of any network of the run. Throughput is the one that is better when higher."""
    there = [one for one in MEASURED if one.key in frame and frame[one.key].notna().any()]
    return (*COSTS, *there)


__all__ = [
    "ACTIVATIONS",
    "COSTS",
    "DEPTH",
    "FLOPS",
    "LATENCY",
    "PARAMS",
    "THROUGHPUT",
    "TRAFFIC",
    "Metric",
    "costs",
    "score_metric",
]
