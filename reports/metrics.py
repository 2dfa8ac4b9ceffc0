"""What the columns of a run's frame are called, in which unit they are shown, and what is better.

Every figure, table and axis takes its words from here, so a unit is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from search.folder import RunInfo


class Metric(NamedTuple):
    """One column of the frame as people read it.

    `divisor` turns the column into the shown unit: a shown number is `column / divisor`.
    """

    key: str
    label: str
    unit: str
    short: str
    divisor: float
    better: Literal["lower", "higher"]

    @property
    def title(self) -> str:
        """The words of an axis: what is counted, then the unit."""
        return self.unit if self.label in self.unit else f"{self.label}, {self.unit}"


FLOPS = Metric("flops", "FLOPs", "GFLOPs (multiply-adds)", "GFLOPs", 1e9, "lower")
ACTIVATIONS = Metric("activations", "Activations", "millions of elements", "M", 1e6, "lower")
PARAMS = Metric("params", "Params", "millions", "M", 1e6, "lower")
DEPTH = Metric("depth", "Depth", "weighted layers on the longest path", "layers", 1, "lower")
TRAFFIC = Metric("traffic", "Memory traffic", "MB read and written", "MB", 1e6, "lower")

COSTS = (FLOPS, ACTIVATIONS, PARAMS, DEPTH, TRAFFIC)
"""The axes of the page, in the order of its switch."""


def score_metric(info: RunInfo) -> Metric:
    """The run's own score; its unit is its label, and higher is better by contract."""
    return Metric("score", "Score", info.score_label, "", 1, "higher")
