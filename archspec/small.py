"""The small-image form of a published network: one patch for all families.

The stem becomes one 3x3 convolution of stride 1 at the stem's width with the family's norm and
activation, stage strides are kept, and windows and reductions shrink to the map. So ResNet-18
becomes the network of 0.56 GFLOPs that is known from CIFAR-10. A network of one stage, such as
DeiT, has one token a pixel in this form; `patch` gives it fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

from archspec.cost import leaves
from archspec.errors import LawError, SpecError
from archspec.nodes import Call, Join, Node, NodeList, Residual, Times, TokenMix, dump_nodes
from archspec.plan import NetworkPlan, Plan, SequencePlan
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, make_spec

#: layers that a stem loses; all others in it, such as a class token, stay where nothing after
#: them changes the map or the channels
PATCHED = ("conv", "dwconv", "linear", "norm", "act", "pool", "space_to_depth", "layer_scale")
#: a network that has no form at this side has none for another reason than size
MOST_TRIED = 512


def small_images(spec: NetworkSpec, side: int = 32, patch: int = 1) -> NetworkSpec:
    """The network for images of side x side pixels, named NAME_SIDE, with no weights.

    patch: above 1 the stem's convolution takes patches of that side instead, which do not overlap;
    the name is then NAME_SIDE_patchN.

    Nodes of the stem behind the last that changes the map or the channels stay, unless they are
    convolutions, norms, activations or pools: class tokens, position embeddings. A network
    without a stem keeps none. A window becomes the largest that divides the map where it is not
    padded, and a shift half of that, or 0 where one window covers the map, as in Swin (arXiv
    2103.14030, section 3.2; microsoft/Swin-Transformer). Reductions become the map's side at most;
    kernels stay. Raises SpecError with the least side that works where strides outrun the side.
    """
    try:
        return _small(spec, side, patch)
    except (LawError, SpecError) as error:
        least = _least(spec, side, patch) if side < MOST_TRIED else None
        if least is None and isinstance(error, LawError):
            raise SpecError(f"{spec.name}: {error.problem}") from None
        if least is None:
            raise
        strides = patch * prod(stage.stride for stage in spec.stages)
        raise SpecError(
            f"{spec.name} is too deep for images of side {side}: it strides by {strides} "
            f"in all; the least side that works is {least}",
            getattr(error, "mark", None),
        ) from None


def _least(spec: NetworkSpec, side: int, patch: int) -> int | None:
    """The least larger side that works, or None where size is not what is wrong."""

    def works(larger: int) -> bool:
        try:
            _small(spec, larger, patch)
        except (LawError, SpecError):
            return False
        return True

    if not works(MOST_TRIED):
        return None
    return next(larger for larger in range(side + 1, MOST_TRIED + 1) if works(larger))


def _small(spec: NetworkSpec, side: int, patch: int) -> NetworkSpec:
    if patch > 1 and not spec.stem:
        raise LawError("a network without a stem takes no patches")
    maps = list(_maps(spec, side, patch))
    tree = spec.text()
    tree["name"] = f"{spec.name}_{side}" + (f"_patch{patch}" if patch > 1 else "")
    tree["doc"] = f"{spec.doc} In small-image form, {side} pixels.".strip()
    tree["input"] = {"channels": spec.input.channels, "resolution": side}
    tree["weights"] = None
    tree.pop("reference", None)
    if spec.stem:
        tree["stem"] = _stem(spec, patch)
    for raw, stage, side_there in zip(tree.get("stages") or [], spec.stages, maps, strict=True):
        for key, nodes in (("down", stage.down), ("block", stage.block or NodeList())):
            fitted = _fitted(nodes, side_there)
            if fitted != tuple(nodes):
                raw[key] = dump_nodes(fitted)
        for number, turn in enumerate(stage.blocks or ()):
            fitted = _fitted(turn.block, side_there)
            if fitted != tuple(turn.block):
                block = dump_nodes(fitted)
                spelled = turn.times is not None
                raw["blocks"][number] = {"times": turn.times, "block": block} if spelled else block
    made = make_spec(tree)
    plan_network(made)
    return made


def _maps(spec: NetworkSpec, side: int, patch: int) -> Iterator[int]:
    """The side of each stage's map; raises LawError where the strides leave none."""
    left, strides = side // patch, patch
    for index, stage in enumerate(spec.stages):
        strides *= stage.stride
        if strides > side:
            law = f"strides of {strides} leave nothing of a side of {side}"
            raise LawError(law, ("stages", index, "stride"))
        left = -(-left // stage.stride)
        yield left


def _stem(spec: NetworkSpec, patch: int) -> list[object]:
    plan = plan_network(spec)
    width = plan.stem.out.channels
    knobs: dict[str, object] = {"width": width, "kernel": 3}
    if patch > 1:
        knobs |= {"kernel": patch, "stride": patch}
    # the family's norm, where the family has any (AlexNet has none)
    first: list[object] = [{"cna": knobs}]
    if not any(leaf.name == "norm" for leaf in _leaves(plan)):
        first = [{"conv": {**knobs, "bias": True}}, "act"]
    return [*first, *dump_nodes(_kept(spec, plan))]


def _leaves(plan: NetworkPlan) -> Iterator[Any]:
    return (leaf for _, part in plan.parts() for _, _, leaf in leaves(part))


def _kept(spec: NetworkSpec, plan: NetworkPlan) -> list[Node]:
    """Nodes behind the last one that changes the map or the channels, if they are no stem's."""
    items = plan.stem.items
    changes = [index for index, (_, item) in enumerate(items) if item.shape[:3] != item.out[:3]]
    behind = items[max(changes, default=-1) + 1 :]
    keys = {key for key, item in behind if not _patched(item)}
    return [node for node in spec.stem if node.key in keys]


def _patched(item: Plan) -> bool:
    sequence = SequencePlan((("", item),), item.shape, item.out)
    return all(leaf.name in PATCHED for _, _, leaf in leaves(sequence))


def _fitted(nodes: tuple[Node, ...], side: int) -> tuple[Node, ...]:
    """Nodes whose windows and reductions fit a map of this side; equal where they did before."""
    return tuple(_fitted_node(node, side) for node in nodes)


def _fitted_node(node: Node, side: int) -> Node:
    if isinstance(node, Call):
        return _fitted_call(node, side)
    if isinstance(node, Join):
        branches = (replace(branch, do=_fitted(branch.do, side)) for branch in node.branches)
        return replace(node, branches=tuple(branches))
    if isinstance(node, Residual) and isinstance(node.shortcut, tuple):
        node = replace(node, shortcut=_fitted(node.shortcut, side))
    assert isinstance(node, (Times, Residual, TokenMix))
    return replace(node, do=_fitted(node.do, side))


def _fitted_call(call: Call, side: int) -> Call:
    changed: dict[str, object] = {}
    bound = call.bound
    for knob, nodes in () if bound is None else bound.inner:
        changed[knob] = _fitted(nodes, side)
    knobs = _defaults(call) | call.knobs
    window, shift, reduction = (knobs.get(name) for name in ("window", "shift", "reduction"))
    if isinstance(reduction, int) and reduction > side:
        changed["reduction"] = side
    if window is not None:
        fitting = _window(window, side, knobs.get("pad") is True)
        if fitting != window:
            changed["window"] = fitting
            if shift:
                changed["shift"] = _shift(fitting, side)
    changed = {knob: value for knob, value in changed.items() if value != knobs.get(knob)}
    return replace(call, knobs=call.knobs | changed, bare=call.bare and not changed)


def _defaults(call: Call) -> dict[str, Any]:
    """Knobs that a unit's call leaves out."""
    unit = None if call.bound is None else call.bound.unit
    return {} if unit is None else {name: knob.default for name, knob in unit.knobs.items()}


def _window(window: object, side: int, pad: bool) -> object:
    if isinstance(window, (tuple, list)):
        return tuple(_window(extent, side, pad) for extent in window)
    if not isinstance(window, int):
        return window
    if pad:
        return min(window, side)
    return max(extent for extent in range(1, min(window, side) + 1) if side % extent == 0)


def _shift(window: object, side: int) -> int:
    extents = window if isinstance(window, tuple) else (window,)
    if not all(isinstance(extent, int) for extent in extents) or min(extents) >= side:
        return 0
    return int(min(extents)) // 2


__all__ = ["small_images"]
