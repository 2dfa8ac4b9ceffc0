"""From spec to plan: units opened, expressions evaluated, shape laws checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from archspec.binding import evaluate
from archspec.errors import LawError
from archspec.layers import Layer, Shape
from archspec.layers.normalization import Defaults
from archspec.layers.pooling import Pool
from archspec.merge import merged_convolution
from archspec.nodes import (
    MOST_TIMES,
    Branch,
    Call,
    Join,
    Node,
    NodeList,
    Residual,
    Times,
    TokenMix,
    node_name,
)
from archspec.plan import (
    JoinPlan,
    LayerPlan,
    Plan,
    ResidualPlan,
    SequencePlan,
    TimesPlan,
    TokenMixPlan,
)
from archspec.strict import law_of, shown
from archspec.units import Unit

#: more nodes than this in one text is a mistake or an attack, not a network
MOST_NODES = 20_000
#: memories are emptied at this size; a search fills them slowly
MOST_REMEMBERED = 50_000

Knobs = tuple[tuple[str, object], ...]
_contexts: dict[tuple[object, ...], int] = {}
_layers: dict[tuple[type[Layer], Knobs], tuple[Layer, dict[Shape, LayerPlan]]] = {}


class Expander:
    """Expands node lists for one spec's defaults, form and number of classes."""

    def __init__(self, defaults: Defaults, form: str, classes: int) -> None:
        self.defaults, self.form, self.classes = defaults, form, classes
        # a small number for what every plan depends on: part of all keys, so cheap to hash
        context = (*defaults.__dict__.values(), form, classes)
        self._context = _contexts.setdefault(context, len(_contexts))
        self._expanded = 0

    def words(self, shape: Shape, stride: int, w_out: int | None) -> dict[str, object]:
        """The words of a place: what enters it, its stride, and its stage's width."""
        words: dict[str, object] = {
            "w": shape.channels,
            "w_in": shape.channels,
            "tokens": shape.positions,
            "rows": shape.height,
            "columns": shape.width,
            "stride": stride,
            "classes": self.classes,
        }
        if w_out is not None:
            words["w_out"] = w_out
        return words

    def part(
        self, nodes: NodeList, shape: Shape, stride: int, w_out: int | None
    ) -> tuple[SequencePlan, int]:
        """A whole list of the text (a stem, a block, ...), remembered with the list."""
        key = (self._context, shape, stride, w_out)
        known = nodes.memory.get(key)
        if known is None:
            known = self.sequence(nodes, shape, self.words(shape, stride, w_out), stride)
            if len(nodes.memory) > MOST_REMEMBERED:
                nodes.memory.clear()
            nodes.memory[key] = known
        return known  # type: ignore[return-value]

    def sequence(
        self, nodes: Sequence[Node], shape: Shape, scope: dict[str, object], stride: int = 1
    ) -> tuple[SequencePlan, int]:
        """Nodes one after the other; returns the stride that no unit took, too.

        scope is the words of the place; the first unit that uses the word `stride` takes it.
        """
        entry = shape
        items: list[tuple[str, Plan]] = []
        for index, node in enumerate(nodes):
            scope["w"] = shape.channels
            try:
                if node.condition is not None and not evaluate(node.condition, scope):
                    continue
                plan, stride = self._node(node, shape, scope, stride)
            except LawError as error:
                if isinstance(node, Times):
                    raise error.under(index) from None
                raise error.under(index, node_name(node)) from None
            if plan is not None:
                items.append((node.key, plan))
                shape = plan.out
        return SequencePlan(tuple(items), entry, shape), stride

    def _node(
        self, node: Node, shape: Shape, scope: dict[str, object], stride: int
    ) -> tuple[Plan | None, int]:
        self._expanded += 1
        if self._expanded > MOST_NODES:
            raise LawError(f"a network may have {MOST_NODES:,} different nodes at most")
        if type(node) is Call:
            bound = node.bound
            assert bound is not None, "nodes are bound before they are expanded"
            if bound.unit is None:
                return self._layer(node, shape, scope), stride
            knobs = bound.knobs(scope)
            own_stride = stride if bound.takes_stride else 1
            plan = self._unit(bound.unit, knobs, shape, own_stride, scope.get("w_out"))
            return plan, (1 if bound.takes_stride else stride)
        if isinstance(node, Residual):
            return self._residual(node, shape, scope, stride)
        if isinstance(node, Times):
            return self._times(node, shape, scope, stride)
        if isinstance(node, TokenMix):
            return self._token_mix(node, shape, scope), stride
        assert isinstance(node, Join)
        return self._join(node, shape, scope, stride)

    def _layer(self, call: Call, shape: Shape, scope: dict[str, object]) -> LayerPlan | None:
        bound = call.bound
        assert bound is not None
        assert bound.layer is not None
        known = bound.made.get(self._context)
        if known is None:
            knobs = bound.layer.complete(bound.knobs(scope), shape, self.defaults)
            key = (bound.layer, tuple(knobs.items()))
            known = _layers.get(key)
            if known is None:
                if len(_layers) > MOST_REMEMBERED:
                    _layers.clear()
                known = _layers[key] = (_make(bound.layer, dict(knobs)), {})
            if bound.fixed:
                bound.made[self._context] = known
        layer, plans = known
        if layer.name == "pool" and isinstance(layer, Pool) and layer.is_nothing:
            return None
        if bound.inner:
            return self._with_inner(bound.inner, layer, shape, scope)
        plan = plans.get(shape)
        if plan is None:
            plan = plans[shape] = LayerPlan(layer.name, layer, shape, layer.out(shape))
        return plan

    def _with_inner(
        self,
        nodes: Sequence[tuple[str, Sequence[Node]]],
        layer: Layer,
        shape: Shape,
        scope: dict[str, object],
    ) -> LayerPlan:
        """A layer and its own nodes; those that are all switched off are as if not written."""
        inner: list[tuple[str, SequencePlan]] = []
        for knob, own in nodes:
            try:
                plan, _ = self.sequence(own, shape, dict(scope))
            except LawError as error:
                raise error.under(knob) from None
            if plan.items:
                inner.append((knob, plan))
        ends = {knob: plan.out for knob, plan in inner}
        out = layer.out_with(shape, ends)
        layer.cost(shape, out, ends)
        return LayerPlan(layer.name, layer, shape, out, tuple(inner))

    def _unit(
        self, unit: Unit, knobs: dict[str, object], shape: Shape, stride: int, w_out: Any
    ) -> SequencePlan:
        memory = unit.memory
        key = (self._context, shape, stride, w_out, tuple(knobs.items()))
        plan = memory.get(key)
        if plan is not None:
            return plan
        scope = unit.scope(knobs, self.words(shape, stride, w_out))
        try:
            plan, _ = self.sequence(unit.body, shape, scope, stride)
        except LawError as error:
            # the place inside the unit becomes part of the line; the path goes on at the call
            if unit.own and error.own is None:
                error.own = ("units", unit.name, "body", *error.path)
            words = [part for part in error.path if isinstance(part, str)]
            error.inside = (".".join([unit.name, *words]), *error.inside)
            error.path = ()
            raise
        plan.unit = unit.name
        if len(memory) > MOST_REMEMBERED:
            memory.clear()
        memory[key] = plan
        return plan

    def _residual(
        self, node: Residual, shape: Shape, scope: dict[str, object], stride: int
    ) -> tuple[Plan, int]:
        do, left = self._under("do", node.do, shape, scope, stride)
        shortcut = None
        adds = True
        if node.addition is not None:
            scope["w"] = shape.channels
            adds = bool(evaluate(node.addition, scope))
        if adds and do.out != shape:
            if node.shortcut is None:
                raise LawError(
                    f"a residual keeps its shape, but got (in={shape}, out={do.out}); give it "
                    "shortcut: [...], or shortcut: none for no add there"
                )
            if isinstance(node.shortcut, str):
                adds = False
            else:
                shortcut, _ = self._under("shortcut", node.shortcut, shape, scope, stride)
                if shortcut.out != do.out:
                    raise LawError(
                        f"shortcut and do must meet in one shape, but got (do={do.out}, "
                        f"shortcut={shortcut.out})"
                    )
        return ResidualPlan(do, shortcut, adds, node.drop_path), left

    def _under(
        self, key: str, nodes: Sequence[Node], shape: Shape, scope: dict[str, object], stride: int
    ) -> tuple[SequencePlan, int]:
        try:
            return self.sequence(nodes, shape, scope, stride)
        except LawError as error:
            raise error.under(key) from None

    def _times(
        self, node: Times, shape: Shape, scope: dict[str, object], stride: int
    ) -> tuple[Plan | None, int]:
        count = node.times if node.count is None else evaluate(node.count, scope)
        if isinstance(count, str) or count != int(count) or not 0 <= count <= MOST_TIMES:
            raise LawError(
                f"times is a whole number, 0 to {MOST_TIMES}, but got {shown(count)}", ("times",)
            )
        entry, left = shape, int(count)
        bodies: list[tuple[str, Plan]] = []
        while left:
            body, after = self._under("do", node.do, shape, scope, stride)
            if body.out == shape and after == stride and left > 1:
                bodies.append((str(len(bodies)), TimesPlan(left, body)))
                break
            bodies.append((str(len(bodies)), body))
            shape, stride, left = body.out, after, left - 1
        if not bodies:
            return None, stride
        if len(bodies) == 1 and isinstance(bodies[0][1], TimesPlan):
            return bodies[0][1], stride
        return SequencePlan(tuple(bodies), entry, shape), stride

    def _token_mix(self, node: TokenMix, shape: Shape, scope: dict[str, object]) -> Plan:
        turned = Shape(shape.positions, shape.channels, 1)
        do, _ = self.sequence(
            node.do,
            turned,
            {**scope, "tokens": shape.positions, "rows": shape.channels, "columns": 1},
        )
        if do.out != turned:
            raise LawError(
                f"token_mix must end with the {shape.positions} tokens it began with, but got "
                f"(tokens={do.out.channels}, channels={do.out.height}); the word `tokens` is "
                "their number"
            )
        return TokenMixPlan(do, shape)

    def _join(
        self, node: Join, shape: Shape, scope: dict[str, object], stride: int
    ) -> tuple[Plan, int]:
        branches: list[SequencePlan] = []
        left = stride
        for index, branch in enumerate(node.branches):
            try:
                if self._absent(branch, shape, scope):
                    continue
                plan, after = self.sequence(branch.do, shape, scope, stride)
            except LawError as error:
                raise error.under(index, *(("do",) if branch.when is not None else ())) from None
            branches.append(plan)
            left = min(left, after)
        if not branches:
            raise LawError(f"every branch of {node.kind} is switched off")
        out = _met(node.kind, branches)
        if node.kind == "merge":
            layer = merged_convolution(branches, shape, out)
            if self.form == "merged":
                return LayerPlan("conv", layer, shape, out), left
        return JoinPlan(node.kind, tuple(branches), shape, out), left  # type: ignore[arg-type]

    def _absent(self, branch: Branch, shape: Shape, scope: dict[str, object]) -> bool:
        if branch.condition is None:
            return False
        scope["w"] = shape.channels
        return not evaluate(branch.condition, scope)


def _make(layer: type[Layer], knobs: dict[str, object]) -> Layer:
    for knob, value in knobs.items():
        # pydantic would take true for 1
        if isinstance(value, bool) and layer.model_fields[knob].annotation is not bool:
            raise LawError(f"a number is needed, but got {shown(value)}", (knob,))
    try:
        return layer.model_validate(knobs)
    except ValidationError as error:
        law = law_of(error)
        raise LawError(law.problem, law.path[:1]) from None


def _met(kind: str, branches: Sequence[SequencePlan]) -> Shape:
    """Where branches meet, or why they cannot."""
    shapes = [branch.out for branch in branches]
    listed = ", ".join(map(str, shapes))
    if kind == "concat":
        if len({shape[1:] for shape in shapes}) > 1 or shapes[0].extras:
            raise LawError(f"concat needs maps of one size, but got ({listed})")
        channels = sum(shape.channels for shape in shapes)
        if channels > 100_000:
            raise LawError(f"a width may be 100000 at most, but got {channels}")
        return shapes[0]._replace(channels=channels)
    if kind == "attach":
        if len({shape.channels for shape in shapes}) > 1:
            raise LawError(f"attach needs branches of one width, but got ({listed})")
        *before, last = shapes
        return last._replace(extras=sum(shape.positions for shape in before) + last.extras)
    if kind == "mul":
        if any(shape.extras for shape in shapes):
            # a token sequence is one axis: what meets it has all of it, or one position
            largest = max(shapes, key=lambda shape: shape.elements)
            fits = all(
                shape.channels in (1, largest.channels)
                and (shape[1:] == largest[1:] or (shape.positions == 1 and not largest.extras))
                for shape in shapes
            )
        else:
            largest = Shape(*(max(sizes) for sizes in zip(*shapes, strict=True)))
            fits = all(
                size in (1, whole)
                for shape in shapes
                for size, whole in zip(shape[:3], largest[:3], strict=True)
            )
        if not fits:
            raise LawError(f"mul needs equal shapes, or 1 on an axis, but got ({listed})")
        return largest
    if len(set(shapes)) > 1:
        raise LawError(f"{kind} needs branches of one shape, but got ({listed})")
    return shapes[0]
