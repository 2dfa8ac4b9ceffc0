"""The words of the columns that figures and tables show, and which of them a run's page has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.metrics import (
    ACTIVATIONS,
    COSTS,
    DEPTH,
    FEW_FLOPS,
    FLOPS,
    LATENCY,
    MEASURED,
    PARAMS,
    THROUGHPUT,
    TRAFFIC,
    Metric,
    flops_metric,
    score_metric,
)

if TYPE_CHECKING:
    import pandas as pd


def costs(*frames: pd.DataFrame) -> tuple[Metric, ...]:
    """The axes of the page of a run, or of several, in the order of its switch: what the text
    tells, then what was measured of any network. Each has one unit for the whole page; that of
    FLOPs goes by the largest network. Throughput is the one that is better when higher."""
    there = [
        one
        for one in MEASURED
        if any(one.key in frame and frame[one.key].notna().any() for frame in frames)
    ]
    return (flops(*frames), *(one for one in COSTS if one.key != FLOPS.key), *there)


def flops(*frames: pd.DataFrame) -> Metric:
    """FLOPs in the unit that suits the networks of these frames that have a score."""
    known = (
        frame.loc[frame["state"] == "scored", "flops"].dropna().astype(float) for frame in frames
    )
    return flops_metric([float(counts.max()) for counts in known if len(counts)])


__all__ = [
    "ACTIVATIONS",
    "COSTS",
    "DEPTH",
    "FEW_FLOPS",
    "FLOPS",
    "LATENCY",
    "PARAMS",
    "THROUGHPUT",
    "TRAFFIC",
    "Metric",
    "costs",
    "flops",
    "score_metric",
]
