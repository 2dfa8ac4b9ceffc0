"""What a roadmap's page shows of each step, one record a row, read off the frames.

`steps` has the columns of archspec.roadmap.steps.rows: the start, the steps, then references.
`trained` has one row a step that was trained: number, accuracies (percent, by seed), mean, std (of
the sample), low and high (95% interval of the mean), epochs, flops and params of the network as
trained, reason (of a failure, else "").
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from archspec.study.frame import interval
from reports.arms import Span, text
from reports.numbers import number

COSTS = {"flops": "FLOPs", "params": "Parameters", "activations": "Activations"}
"""What a step costs, by the field that holds it, in the order of figures and table."""

FLOPS_TOLERANCE = 0.005
"""The share by which the paper's FLOPs may differ from ours without a mark."""


class Change(NamedTuple):
    """One path that differs from the row that a step starts from; None: absent on that side.

    kind: changed, added, removed or order.
    """

    path: str
    before: str | None
    after: str | None
    kind: str = "changed"


class Reached(NamedTuple):
    """What training a step came to: top-1 in percent by seed, and over seeds.

    std: of the sample, None for one seed. low, high: the 95% interval of the mean. flops, params:
    of the network as trained. reason: why trainings failed, "" where none did.
    """

    tops: tuple[float | None, ...]
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    epochs: float | None
    flops: float | None
    params: float | None
    reason: str


class Step(NamedTuple):
    """A row of a roadmap: the start, a step, or a network to compare with.

    base: the name of the row that the step starts from, None for the start and references. Costs
    are of the whole network: parameters, multiply-adds, elements. paper_*: as printed. gain:
    reached top-1 less that of base, in points.
    """

    number: int
    name: str
    kind: str
    adopted: bool
    base: str | None
    changes: tuple[Change, ...]
    recipe_changes: tuple[Change, ...]
    params: float | None
    flops: float | None
    activations: float | None
    paper_top1: float | None
    paper_std: float | None
    paper_params: float | None
    paper_flops: float | None
    note: str
    recipe: str
    spec: str
    reached: Reached | None = None
    gain: Span | None = None

    def cost(self, key: str) -> float | None:
        """What it costs, by a key of COSTS."""
        return {"flops": self.flops, "params": self.params, "activations": self.activations}[key]

    @property
    def mean(self) -> float | None:
        """Top-1 reached here, the mean over seeds; None where no training is done."""
        return None if self.reached is None else self.reached.mean

    @property
    def is_reference(self) -> bool:
        """Whether it is a network to compare with, no step."""
        return self.kind == "reference"

    @property
    def is_rejected(self) -> bool:
        """Whether it is a step that was tried and not taken."""
        return self.kind == "step" and not self.adopted

    @property
    def flops_gap(self) -> float | None:
        """Paper's FLOPs over ours, less 1, where that is more than the tolerance; else None."""
        if not self.flops or self.paper_flops is None:
            return None
        gap = self.paper_flops / self.flops - 1
        return gap if abs(gap) > FLOPS_TOLERANCE else None


def read_steps(
    steps: pd.DataFrame, trained: pd.DataFrame | None = None, seeds: int = 0
) -> tuple[Step, ...]:
    """The rows in their order. seeds: how many trainings of each step were asked for."""
    reached: dict[object, Reached] = {}
    if trained is not None:
        rows = trained.to_dict(orient="records")
        reached = {row["number"]: _reached(row) for row in rows}
    found: list[Step] = []
    by_name: dict[str, Step] = {}
    for row in steps.to_dict(orient="records"):
        step = _step(row, reached.get(row["number"]))
        if step.base is not None and step.base in by_name:
            step = step._replace(gain=_gain(step.reached, by_name[step.base].reached, seeds))
        if not step.is_reference:
            by_name[step.name] = step
        found.append(step)
    return tuple(found)


def gathered(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Changes that are alike in several stages as one: `stages.0,1,2.block.act: relu -> gelu`."""
    places: dict[tuple[str, Change], list[str]] = {}
    for change in changes:
        head, _, rest = change.path.partition(".")
        index, _, tail = rest.partition(".")
        if head == "stages" and index.isdecimal():
            places.setdefault(("stages", change._replace(path=tail)), []).append(index)
        else:
            places.setdefault(("", change), [])
    return tuple(
        change._replace(path=".".join(filter(None, (head, ",".join(indices), change.path))))
        for (head, change), indices in places.items()
    )


def _step(row: Mapping[Hashable, Any], reached: Reached | None) -> Step:
    return Step(
        number=int(row["number"]),
        name=str(row["name"]),
        kind=str(row["kind"]),
        adopted=bool(row["adopted"]),
        base=text(row["from"]),
        changes=_changes(row["changes"]),
        recipe_changes=_changes(row["recipe_changes"]),
        params=number(row["params"]),
        flops=number(row["flops"]),
        activations=number(row["activations"]),
        paper_top1=number(row["paper_top1"]),
        paper_std=number(row["paper_top1_std"]),
        paper_params=number(row["paper_params"]),
        paper_flops=number(row["paper_flops"]),
        note=text(row["note"]) or "",
        recipe=text(row["recipe"]) or "",
        spec=text(row["spec"]) or "",
        reached=reached,
    )


def _changes(found: object) -> tuple[Change, ...]:
    if not isinstance(found, Sequence) or isinstance(found, str):
        return ()
    return tuple(
        Change(
            path=str(change["path"]),
            before=None if change["before"] is None else str(change["before"]),
            after=None if change["after"] is None else str(change["after"]),
            kind=str(change.get("kind") or "changed"),
        )
        for change in found
    )


def _reached(row: Mapping[Hashable, Any]) -> Reached:
    tops = row["accuracies"]
    return Reached(
        tops=tuple(number(top) for top in tops) if isinstance(tops, Sequence) else (),
        mean=number(row["mean"]),
        std=number(row["std"]),
        low=number(row["low"]),
        high=number(row["high"]),
        epochs=number(row["epochs"]),
        flops=number(row["flops"]),
        params=number(row["params"]),
        reason=text(row["reason"]) or "",
    )


def _gain(mine: Reached | None, other: Reached | None, seeds: int) -> Span | None:
    """The difference of two steps; paired by seed, so with an interval, where both have them all.

    Accuracies stand in the order of seeds, so a list that lacks one tells no longer which is whose.
    """
    if mine is None or other is None or mine.mean is None or other.mean is None:
        return None
    if not len(mine.tops) == len(other.tops) == seeds:
        return Span(mine.mean - other.mean)
    pairs = zip(mine.tops, other.tops, strict=True)
    mean, _, count, low, high = interval(
        [top - base for top, base in pairs if top is not None and base is not None]
    )
    if not count:
        return Span(mine.mean - other.mean)
    return Span(mean, number(low), number(high), alike=count > 1 and number(low) is None)
