"""A spec in one line a part, and a layer in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from archspec.cost import Totals, leaves, totals
from archspec.layers import Layer, Shape
from archspec.nodes import Node, Times, node_name
from archspec.plan import LayerPlan, NetworkPlan
from archspec.spec import NetworkSpec, Stage


class Part(NamedTuple):
    """Stem, a stage, or head: its path, what it is, what leaves it, and its cost."""

    path: str
    what: str
    out: Shape
    totals: Totals


def parts_of(spec: NetworkSpec, plan: NetworkPlan) -> list[Part]:
    """The parts of a network in order; those without any layer are left out."""
    whats = [nodes_text(spec.stem), *map(stage_text, spec.stages), nodes_text(spec.head)]
    return [
        Part(path, what, part.out, totals(part))
        for (path, part), what in zip(plan.parts(), whats, strict=True)
        if what
    ]


def stage_text(stage: Stage) -> str:
    """`3 x bottleneck`, `6 x (swin, mlp)`, `2 x mix_conv, 10 x mix_attn`."""
    turns = stage.turns
    if turns[0][0] is not None:
        return ", ".join(_times_text(times or 0, nodes) for times, nodes in turns)
    texts = list(dict.fromkeys(nodes_text(nodes) or "nothing" for _, nodes in turns))
    if len(texts) > 1:
        return f"{stage.count} x ({' | '.join(texts)})"
    return _times_text(stage.count, turns[0][1])


def nodes_text(nodes: Sequence[Node]) -> str:
    """Names of nodes: `conv, norm, 2 x (conv, act)`."""
    return ", ".join(
        _times_text(node.times, node.do) if isinstance(node, Times) else node_name(node)
        for node in nodes
    )


def _times_text(times: int | str, nodes: Sequence[Node]) -> str:
    text = nodes_text(nodes) or "nothing"
    return f"{times} x ({text})" if len(nodes) > 1 else f"{times} x {text}"


class Leaf(NamedTuple):
    """A layer at its path, `times` times; the counts are those of all repeats together."""

    path: str
    times: int
    what: str
    out: Shape
    params: int
    flops: int
    activations: int


def leaves_of(plan: NetworkPlan) -> Iterator[Leaf]:
    """Every layer in order; parameters that a stage's layers share follow the stage."""
    for path, part in plan.parts():
        shared: dict[str, tuple[int, Shape]] = {}
        for inside, times, leaf in leaves(part, path):
            inner = None if leaf.inner is None else leaf.inner.out
            cost = leaf.layer.cost(leaf.shape, leaf.out, inner)
            sums = (times * count for count in (cost.params, cost.flops, cost.activations))
            yield Leaf(inside, times, layer_text(leaf), leaf.out, *sums)
            shared |= {name: (count, leaf.out) for name, count in cost.shared}
        for name, (count, out) in shared.items():
            yield Leaf(f"{path}.{name}", 1, "shared by the stage", out, count, 0, 0)


def layer_text(leaf: LayerPlan) -> str:
    """A layer and the knobs that differ from its defaults: `conv 64, kernel 7, stride 2`."""
    layer = leaf.layer
    words = [f"{name} {_value(value)}" for name, value in _told(layer) if name != layer.primary]
    primary = getattr(layer, layer.primary) if layer.primary else None
    head = leaf.name if primary is None else f"{leaf.name} {_value(primary)}"
    return ", ".join([head, *words])


def _told(layer: Layer) -> Iterator[tuple[str, Any]]:
    for name, field in type(layer).model_fields.items():
        value = getattr(layer, name)
        if value != field.default and value is not None:
            yield name, value


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return str(value[0]) if len(set(value)) == 1 else "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
