"""What a study's page shows of each arm, one record an arm, read off its frame and its summary."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from reports.numbers import number


class Span(NamedTuple):
    """A value with its 95% interval; the ends are None where seeds tell none.

    alike: whether that is so because two seeds or more came to this very value.
    """

    value: float
    low: float | None = None
    high: float | None = None
    alike: bool = False

    @property
    def holds_zero(self) -> bool | None:
        """Whether 0 lies in the interval, its ends included; None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= 0 <= self.high


class Arm(NamedTuple):
    """One arm of a study that trains networks.

    seeds: top-1 percent of each training that is done. mean: over them, with its interval.
    against: the arm that it is compared with, one that was run; None for a baseline itself.
    difference: ours, in points, paired by seed. paper, paper_difference: the published figures, on
    the paper's own data. Costs as in the frame: parameters, multiply-adds, elements.
    """

    name: str
    group: str | None
    seeds: tuple[float, ...]
    mean: Span | None
    against: str | None
    difference: Span | None
    params: float | None
    flops: float | None
    activations: float | None
    paper: float | None
    paper_difference: float | None
    note: str


def arms(frame: pd.DataFrame, summary: pd.DataFrame) -> tuple[Arm, ...]:
    """The arms in the summary's order; both frames are those of archspec.study.frame."""
    found = []
    for row in summary.to_dict(orient="records"):
        done = frame[(frame["arm"] == row["arm"]) & (frame["state"] == "done")]
        tops = (number(top) for top in done["top1"].tolist())
        found.append(
            Arm(
                name=str(row["arm"]),
                group=text(row["group"]),
                seeds=tuple(top for top in tops if top is not None),
                mean=_span(row["mean"], row["low"], row["high"], row["n"]),
                against=text(row["baseline"]),
                difference=_span(
                    row["difference"], row["difference_low"], row["difference_high"], row["pairs"]
                ),
                params=number(row["params"]),
                flops=number(row["flops"]),
                activations=number(row["activations"]),
                paper=number(row["paper_top1"]),
                paper_difference=number(row["paper_difference"]),
                note=text(row["note"]) or "",
            )
        )
    return tuple(found)


def text(value: object) -> str | None:
    """A text that is there and not empty, else None; a frame says absent by None, nan or ""."""
    return value if isinstance(value, str) and value else None


def _span(value: object, low: object, high: object, count: object) -> Span | None:
    middle = number(value)
    if middle is None:
        return None
    if (number(count) or 0) < 2:  # whatever ends stand there, one seed tells none
        return Span(middle)
    ends = number(low), number(high)
    return Span(middle, *ends, alike=None in ends)
