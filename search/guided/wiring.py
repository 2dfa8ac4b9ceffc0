"""What a network computes, as a text: equal for networks whose texts differ but not their layers.

An empty block, or a list within a list, is another text for the same network: of the 6,561 texts of
NAS-Bench-Macro 3,969 differ in what they compute.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from archspec.layers import Layer, Shape
from archspec.plan import (
    JoinPlan,
    LayerPlan,
    NetworkPlan,
    Plan,
    ResidualPlan,
    SequencePlan,
    StagePlan,
    TimesPlan,
)


def wiring(plan: NetworkPlan) -> str:
    """The layers in their order, each with its knobs and shapes; names and groupings are left out.

    Repeats are written out. Two networks of one wiring compute the same where their weights are.
    """
    parts = "".join(
        _stage(part) if isinstance(part, StagePlan) else _part(part) for _, part in plan.parts()
    )
    return f"{plan.shape}{parts}"


def _stage(stage: StagePlan) -> str:
    runs = ("".join(map(_part, run.blocks)) * run.count for run in stage.runs)
    return _part(stage.down) + "".join(runs)


def _part(part: Plan) -> str:
    if isinstance(part, LayerPlan):
        inner = "".join(f"{knob}({_part(nodes)})" for knob, nodes in part.inner)
        return _layer(part.layer, part.shape, part.out) + inner
    if isinstance(part, SequencePlan):
        return "".join(_part(item) for _, item in part.items)
    if isinstance(part, TimesPlan):
        return _part(part.body) * part.count
    if isinstance(part, ResidualPlan):
        do = _part(part.do)
        if not part.adds:
            return do
        shortcut = "" if part.shortcut is None else _part(part.shortcut)
        return f"[{do}+{shortcut}]"
    if isinstance(part, JoinPlan):
        return f"{part.kind}[{_listed(part.branches)}]"
    return f"tokens[{_part(part.do)}]"


def _listed(branches: Iterable[SequencePlan]) -> str:
    return "|".join(map(_part, branches))


@lru_cache(maxsize=10_000)
def _layer(layer: Layer, shape: Shape, out: Shape) -> str:
    return f"{layer!r}{tuple(shape)}{tuple(out)};"
