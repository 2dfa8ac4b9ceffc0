"""What a plan costs: sums over its layers, by the conventions of fvcore and of the papers.

One fused multiply-add is one FLOP. Nothing here needs torch or builds a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Any, NamedTuple

from archspec.layers.attention import Attention
from archspec.layers.layer import NO_INNER
from archspec.plan import (
    JoinPlan,
    LayerPlan,
    NetworkPlan,
    Plan,
    ResidualPlan,
    SequencePlan,
    StagePlan,
    TimesPlan,
    TokenMixPlan,
)

#: bytes of one number in single precision, the precision at which traffic is stated
BYTES = 4


class Totals(NamedTuple):
    """Sums for one image.

    params: trainable parameters; flops: multiply-adds of convolutions, linear layers and matrix
    products; activations: output elements of those operators; other_flops: norms and pooling as
    fvcore counts them; moved: elements read and written, each layer its input, its parameters and
    its output once, attention its queries, keys, values and products too; depth: weighted
    operators on the longest path; reach and stride: how many positions beyond one an output
    position sees, and how far the next one is, in input positions; layers: leaves of the tree;
    shared: parameters that a stage's layers share, not yet in params.
    """

    params: int = 0
    flops: int = 0
    activations: int = 0
    other_flops: int = 0
    moved: int = 0
    depth: int = 0
    reach: float = 0
    stride: float = 1
    layers: int = 0
    shared: frozenset[tuple[str, int]] = frozenset()

    @property
    def fvcore_total(self) -> int:
        """fvcore's own total: flops, norms and pooling."""
        return self.flops + self.other_flops

    @property
    def traffic(self) -> int:
        """Memory traffic in bytes at single precision (4 bytes a number)."""
        return BYTES * self.moved

    @property
    def receptive_field(self) -> int | None:
        """Side of the receptive field in input positions; None is global."""
        if self.reach == float("inf"):
            return None
        # behind an upsampling layer positions are fractions, whose sum may miss a whole number
        return ceil(self.reach - 1e-6) + 1


def totals(plan: Plan | StagePlan | NetworkPlan) -> Totals:
    """What a plan costs; remembered with the plan."""
    known = plan.totals
    if known is None:
        known = plan.totals = _SUMS[type(plan)](plan)
    return known


def alone(plan: LayerPlan) -> Totals:
    """What a layer costs without the nodes that stand inside it."""
    shape, out = plan.shape, plan.out
    inner = {knob: nodes.out for knob, nodes in plan.inner} if plan.inner else NO_INNER
    params, flops, activations, other, depth, shared = plan.layer.cost(shape, out, inner)
    moved = shape.elements + out.elements + params
    reach, stride = plan.layer.reach(shape)
    if isinstance(plan.layer, Attention):
        # queries, keys, values and both products are written and read once more
        kept = out.elements if plan.layer.project else 0
        moved += 2 * (activations - kept)
    return Totals(params, flops, activations, other, moved, depth, reach, stride, 1, shared)


def _layer(plan: LayerPlan) -> Totals:
    own = alone(plan)
    if not plan.inner:
        return own
    parts = [totals(nodes) for _, nodes in plan.inner]
    # what comes out has the map of the queries
    stride = next((totals(nodes).stride for knob, nodes in plan.inner if knob == "q"), own.stride)
    return Totals(
        own.params + sum(part.params for part in parts),
        own.flops + sum(part.flops for part in parts),
        own.activations + sum(part.activations for part in parts),
        own.other_flops + sum(part.other_flops for part in parts),
        own.moved + sum(part.moved for part in parts),
        own.depth + max(part.depth for part in parts),
        own.reach,
        stride,
        1 + sum(part.layers for part in parts),
        own.shared.union(*(part.shared for part in parts)),
    )


def _chain(parts: Iterable[tuple[int, Totals]]) -> Totals:
    """One after the other, each part `count` times."""
    params = flops = activations = other = moved = depth = layers = 0
    reach, stride = 0.0, 1.0
    shared: frozenset[tuple[str, int]] = frozenset()
    # unpacked at once: this loop is most of what a search spends on cost
    for count, (p, f, a, o, m, d, seen, step, leaves_, own) in parts:
        params += count * p
        flops += count * f
        activations += count * a
        other += count * o
        moved += count * m
        depth += count * d
        layers += count * leaves_
        if seen:
            # a repeated part keeps its shape, so that its stride is 1
            reach += count * seen * stride
        stride *= step
        if own:
            shared |= own
    return Totals(params, flops, activations, other, moved, depth, reach, stride, layers, shared)


def _meet(parts: list[Totals], moved: int) -> Totals:
    """Side by side: sums, but the longest path and the widest view."""
    return Totals(
        sum(part.params for part in parts),
        sum(part.flops for part in parts),
        sum(part.activations for part in parts),
        sum(part.other_flops for part in parts),
        sum(part.moved for part in parts) + moved,
        max(part.depth for part in parts),
        max(part.reach for part in parts),
        # gates shrink the map to one position; the stride is that of the branch that keeps it
        min(part.stride for part in parts),
        sum(part.layers for part in parts),
        frozenset().union(*(part.shared for part in parts)),
    )


def _residual(plan: ResidualPlan) -> Totals:
    do = totals(plan.do)
    if not plan.adds:
        return do
    moved = 3 * plan.out.elements
    if plan.shortcut is None:
        return do._replace(moved=do.moved + moved)
    return _meet([do, totals(plan.shortcut)], moved)


def _stage(plan: StagePlan) -> Totals:
    parts = [(1, totals(plan.down))]
    for run in plan.runs:
        turn = run.blocks[0] if len(run.blocks) == 1 else None
        inside = totals(turn) if turn else _chain((1, totals(block)) for block in run.blocks)
        parts.append((run.count, inside))
    whole = _chain(parts)
    if not whole.shared:
        return whole
    extra = sum(count for _, count in whole.shared)
    return whole._replace(
        params=whole.params + extra, moved=whole.moved + extra, shared=frozenset()
    )


def _network(plan: NetworkPlan) -> Totals:
    parts: list[SequencePlan | StagePlan] = [plan.stem, *plan.stages]
    body = _chain((1, totals(part)) for part in parts)
    head = totals(plan.head)
    # a head sees everything by design: the receptive field is the last stage's
    whole = _chain([(1, body), (1, head)])._replace(reach=body.reach, stride=body.stride)
    # what attention layers share outside of stages, stem and head share
    extra = sum(count for _, count in whole.shared)
    return whole._replace(
        params=whole.params + extra, moved=whole.moved + extra, shared=frozenset()
    )


def _sequence(plan: SequencePlan) -> Totals:
    if len(plan.items) == 1:
        return totals(plan.items[0][1])
    return _chain([(1, totals(item)) for _, item in plan.items])


def _times(plan: TimesPlan) -> Totals:
    return _chain([(plan.count, totals(plan.body))])


def _join(plan: JoinPlan) -> Totals:
    moved = sum(branch.out.elements for branch in plan.branches) + plan.out.elements
    return _meet([totals(branch) for branch in plan.branches], moved)


def _token_mix(plan: TokenMixPlan) -> Totals:
    inside = totals(plan.do)
    return inside._replace(reach=float("inf") if inside.flops else 0, stride=1)


#: how each kind of plan sums up
_SUMS: dict[type, Callable[[Any], Totals]] = {
    LayerPlan: _layer,
    SequencePlan: _sequence,
    TimesPlan: _times,
    ResidualPlan: _residual,
    JoinPlan: _join,
    TokenMixPlan: _token_mix,
    StagePlan: _stage,
    NetworkPlan: _network,
}


def leaves(plan: Plan | StagePlan, path: str = "") -> Iterator[tuple[str, int, LayerPlan]]:
    """Every layer below as (path, times, layer), repeats as counts, in order of the forward pass.

    Blocks of a run are shown at the index of the first of them.
    """
    if isinstance(plan, LayerPlan):
        for knob, nodes in plan.inner:
            yield from leaves(nodes, f"{path}.{knob}")
        yield path, 1, plan
    elif isinstance(plan, SequencePlan):
        for key, item in plan.items:
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(plan, TimesPlan):
        for inner_path, count, layer in leaves(plan.body, f"{path}.0"):
            yield inner_path, plan.count * count, layer
    elif isinstance(plan, ResidualPlan):
        yield from leaves(plan.do, f"{path}.do")
        if plan.shortcut is not None:
            yield from leaves(plan.shortcut, f"{path}.shortcut")
    elif isinstance(plan, JoinPlan):
        for index, branch in enumerate(plan.branches):
            yield from leaves(branch, f"{path}.{index}")
    elif isinstance(plan, TokenMixPlan):
        yield from leaves(plan.do, path)
    else:
        yield from leaves(plan.down, f"{path}.down")
        index = 0
        for run in plan.runs:
            for block in run.blocks:
                for inner_path, count, layer in leaves(block, f"{path}.blocks.{index}"):
                    yield inner_path, run.count * count, layer
                index += 1
            index += (run.count - 1) * len(run.blocks)


class View(NamedTuple):
    """How far the end of a part sees back into the input, and the distance of its positions."""

    reach: float = 0
    stride: float = 1

    def after(self, part: Totals, times: int = 1) -> View:
        """The view behind a part that follows, or behind `times` of them."""
        if not times:
            return self
        # a repeated part keeps its shape, so that its stride is 1
        reach = times * part.reach * self.stride if part.reach else 0
        return View(self.reach + reach, self.stride * part.stride)

    @property
    def receptive_field(self) -> int | None:
        """Side of the receptive field in input positions; None is global."""
        return Totals(reach=self.reach).receptive_field


def views(plan: Plan | StagePlan, seen: View) -> Iterator[View]:
    """The view behind each layer of `leaves`, in the same order, from the view before the plan.

    Of repeats it is that of the last one; all of a token_mix sees what the whole of it does.
    """
    if isinstance(plan, LayerPlan):
        for _, nodes in plan.inner:
            yield from views(nodes, seen)
        yield seen.after(totals(plan))
    elif isinstance(plan, SequencePlan):
        for _, item in plan.items:
            yield from views(item, seen)
            seen = seen.after(totals(item))
    elif isinstance(plan, TimesPlan):
        yield from views(plan.body, seen.after(totals(plan.body), plan.count - 1))
    elif isinstance(plan, ResidualPlan):
        yield from views(plan.do, seen)
        if plan.shortcut is not None:
            yield from views(plan.shortcut, seen)
    elif isinstance(plan, JoinPlan):
        for branch in plan.branches:
            yield from views(branch, seen)
    elif isinstance(plan, TokenMixPlan):
        whole = seen.after(totals(plan))
        yield from (whole for _ in leaves(plan.do))
    else:
        yield from views(plan.down, seen)
        seen = seen.after(totals(plan.down))
        for run in plan.runs:
            inside = _chain((1, totals(block)) for block in run.blocks)
            seen = seen.after(inside, run.count - 1)
            for block in run.blocks:
                yield from views(block, seen)
                seen = seen.after(totals(block))
