"""A spec in one line a part, and a layer in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from archspec.cost import BYTES, Totals, View, alone, leaves, totals, views
from archspec.layers import Layer, Shape
from archspec.nodes import Node, Times, node_name
from archspec.plan import LayerPlan, NetworkPlan, SequencePlan, StagePlan
from archspec.spec import NetworkSpec, Stage


class Part(NamedTuple):
    """Stem, a stage, or head: its path, what it is, what leaves it, its cost, and how much of the
    input its end sees (None is all of it)."""

    path: str
    what: str
    out: Shape
    totals: Totals
    receptive_field: int | None


def parts_of(spec: NetworkSpec, plan: NetworkPlan) -> list[Part]:
    """The parts of a network in order; those without any layer are left out."""
    whats = [nodes_text(spec.stem), *map(stage_text, spec.stages), nodes_text(spec.head)]
    return [
        Part(path, what, part.out, totals(part), _after(path, part, seen).receptive_field)
        for (path, part, seen), what in zip(_seen(plan), whats, strict=True)
        if what
    ]


def _seen(plan: NetworkPlan) -> Iterator[tuple[str, SequencePlan | StagePlan, View]]:
    """The parts of a network, each with the view before it."""
    seen = View()
    for path, part in plan.parts():
        yield path, part, seen
        seen = _after(path, part, seen)


def _after(path: str, part: SequencePlan | StagePlan, seen: View) -> View:
    # a head sees everything by design: the receptive field is the last stage's
    return seen if path == "head" else seen.after(totals(part))


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
    depth: int
    traffic: int
    receptive_field: int | None


def leaves_of(plan: NetworkPlan) -> Iterator[Leaf]:
    """Every layer in order; parameters that a stage's layers share follow the stage."""
    for path, part, before in _seen(plan):
        shared: dict[str, tuple[int, Shape]] = {}
        after = _after(path, part, before)
        for (inside, times, leaf), view in zip(
            leaves(part, path), views(part, before), strict=True
        ):
            cost = alone(leaf)
            yield Leaf(
                inside,
                times,
                layer_text(leaf),
                leaf.out,
                times * cost.params,
                times * cost.flops,
                times * cost.activations,
                times * cost.depth,
                times * cost.traffic,
                (after if path == "head" else view).receptive_field,
            )
            shared |= {name: (count, leaf.out) for name, count in cost.shared}
        for name, (count, out) in shared.items():
            what, field = "shared by the stage", after.receptive_field
            yield Leaf(f"{path}.{name}", 1, what, out, count, 0, 0, 0, BYTES * count, field)


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
