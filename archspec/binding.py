"""Names tied to layers and units, once a text: what may be said is checked here.

After `bind`, every call knows its target, its constant knobs and how to evaluate the others, so
that a plan only computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from archspec.errors import LawError, did_you_mean
from archspec.expressions import Expression, Number, parse
from archspec.layers import LAYERS, Layer, Shape
from archspec.nodes import STRUCTURE, Call, Join, Node, Residual, Times, TokenMix, node_name
from archspec.strict import shown

if TYPE_CHECKING:
    from archspec.plan import LayerPlan
    from archspec.units import Unit

#: words with a meaning everywhere
WORDS = frozenset({"w", "w_in", "stride", "classes", "tokens", "rows", "columns"})
#: words with a meaning inside stages and units
STAGE_WORDS = WORDS | {"w_out"}

Scope = Mapping[str, object]


@dataclass(slots=True, frozen=True)
class Pair:
    """Expressions side by side: `[kernel, 1]`."""

    items: tuple[Expression, ...]
    words: frozenset[str]

    def evaluate(self, scope: Scope) -> tuple[Number, ...]:
        """The values at a place; raises LawError."""
        return tuple(item.evaluate(scope) for item in self.items)


@dataclass(slots=True, frozen=True)
class Bound:
    """A call's target, its constant knobs, its knobs by expression, and its words by name."""

    layer: type[Layer] | None
    unit: Unit | None
    constant: dict[str, object]
    computed: tuple[tuple[str, Expression | Pair], ...]
    named: tuple[tuple[str, str], ...]
    #: the layer's own nodes, by their knob
    inner: tuple[tuple[str, tuple[Node, ...]], ...]
    #: an implicit stride reaches this call: a unit that uses the word and was not given it
    takes_stride: bool
    #: no knob depends on the place, so that the layer is the same wherever the call stands
    fixed: bool = False
    #: the layer of a fixed call, by the spec's defaults
    made: dict[int, tuple[Layer, dict[Shape, LayerPlan]]] = field(default_factory=dict)

    def knobs(self, scope: Scope) -> dict[str, object]:
        """Knobs of this call, evaluated where it stands."""
        knobs = dict(self.constant)
        for knob, expression in self.computed:
            try:
                value = evaluate(expression, scope)
                if isinstance(value, bool):
                    _check_bool(value, knob, self.layer, self.unit)
                knobs[knob] = value
            except LawError as error:
                raise error.under(knob) from None
        for knob, word in self.named:
            if word not in scope:
                raise _no_width().under(knob)
            knobs[knob] = scope[word]
        return knobs


@overload
def evaluate(expression: Expression, scope: Scope) -> Number: ...
@overload
def evaluate(expression: Expression | Pair, scope: Scope) -> Number | tuple[Number, ...]: ...
def evaluate(expression: Expression | Pair, scope: Scope) -> Number | tuple[Number, ...]:
    """An expression's value at a place; raises LawError."""
    try:
        return expression.evaluate(scope)
    except LawError:
        if "w_out" in expression.words and "w_out" not in scope:
            raise _no_width() from None
        raise


def _no_width() -> LawError:
    return LawError(
        "`w_out` is the stage's width, but here there is none: give the stage a width, or use "
        "`w` or a number"
    )


def bind(
    nodes: Sequence[Node],
    units: Mapping[str, Unit],
    words: frozenset[str],
    named_words: frozenset[str] = frozenset(),
) -> None:
    """Tie all calls below to `units` and LAYERS.

    words: numeric words with a meaning here; named_words: knobs that hold a word, such as a norm.
    Raises LawError with a path into the list.
    """
    for index, node in enumerate(nodes):
        try:
            if node.when is not None:
                node.condition = _expression(node.when, words, "when")
        except LawError as error:
            raise error.under(index) from None
        try:
            _bind_node(node, units, words, named_words)
        except LawError as error:
            raise error.under(index, *_beneath(node)) from None


def _beneath(node: Node) -> tuple[str, ...]:
    return () if isinstance(node, Times) else (node_name(node),)


def _bind_node(
    node: Node, units: Mapping[str, Unit], words: frozenset[str], named: frozenset[str]
) -> None:
    if isinstance(node, Call):
        node.bound = _bind_call(node, units, words, named)
    elif isinstance(node, Times):
        if isinstance(node.times, str):
            node.count = _expression(node.times, words, "times")
        _within("do", node.do, units, words, named)
    elif isinstance(node, Residual):
        _within("do", node.do, units, words, named)
        if isinstance(node.shortcut, tuple):
            _within("shortcut", node.shortcut, units, words, named)
        if node.add is not True:
            node.addition = _expression(node.add, words, "add")
    elif isinstance(node, TokenMix):
        bind(node.do, units, words, named)
    elif isinstance(node, Join):
        for index, branch in enumerate(node.branches):
            try:
                if branch.when is not None:
                    branch.condition = _expression(branch.when, words, "when")
                bind(branch.do, units, words, named)
            except LawError as error:
                raise error.under(index) from None


def _within(
    key: str,
    nodes: Sequence[Node],
    units: Mapping[str, Unit],
    words: frozenset[str],
    named: frozenset[str],
) -> None:
    try:
        bind(nodes, units, words, named)
    except LawError as error:
        raise error.under(key) from None


def _expression(text: str | bool, words: frozenset[str], knob: str) -> Expression:
    try:
        expression = parse(text if isinstance(text, str) else str(text).lower())
        for word in sorted(expression.words - words):
            if word == "w_out":
                raise _no_width()
            raise LawError(
                f"unknown word {shown(word)} in {shown(expression.text)}: "
                f"{did_you_mean(word, sorted(words))}"
            )
    except LawError as error:
        raise error.under(knob) from None
    return expression


def _bind_call(
    call: Call, units: Mapping[str, Unit], words: frozenset[str], named: frozenset[str]
) -> Bound:
    unit = units.get(call.name)
    layer = None if unit is not None else LAYERS.get(call.name)
    if unit is not None:
        legal = set(unit.knobs)
        word_knobs = unit.word_knobs
    elif layer is not None:
        legal = {*layer.model_fields, *layer.inner}
        word_knobs = layer.words
    else:
        known = [*units, *LAYERS, *(word for word in STRUCTURE if word not in ("do", "when"))]
        raise LawError(
            f"unknown unit or layer {shown(call.name)}: {did_you_mean(call.name, known)}"
        )
    constant: dict[str, object] = {}
    computed: list[tuple[str, Expression | Pair]] = []
    by_name: list[tuple[str, str]] = []
    inner: list[tuple[str, tuple[Node, ...]]] = []
    for knob, value in call.knobs.items():
        if knob not in legal:
            what = "unit" if unit is not None else "layer"
            raise LawError(
                f"{what} {call.name} has no knob {shown(knob)}: "
                f"{did_you_mean(knob, sorted(legal))}",
                (knob,),
                True,
            )
        if layer is not None and knob in layer.inner:
            assert isinstance(value, tuple)
            _within(knob, value, units, words, named)
            inner += [(knob, value)] if value else []
        elif isinstance(value, tuple) and any(isinstance(item, str) for item in value):
            computed.append((knob, _pair(value, words, knob)))
        elif not isinstance(value, str):
            constant[knob] = _constant(value, knob, layer, unit)
        elif knob in word_knobs:
            if value in named:
                by_name.append((knob, value))
            else:
                constant[knob] = _word(value, knob, unit)
        elif value in words:
            # a word alone is passed on as it is, null included
            by_name.append((knob, value))
        else:
            computed.append((knob, _expression(value, words, knob)))
    takes_stride = unit is not None and unit.uses_stride and "stride" not in call.knobs
    fixed = layer is not None and not computed and not by_name
    fixed = fixed and ("width" in constant or "width" not in legal)
    return Bound(
        layer,
        unit,
        constant,
        tuple(computed),
        tuple(by_name),
        tuple(inner),
        takes_stride,
        fixed,
    )


def _pair(value: tuple[object, ...], words: frozenset[str], knob: str) -> Pair:
    if any(isinstance(item, bool) for item in value):
        raise LawError(f"a pair holds numbers, but got {shown(value)}", (knob,))
    items = tuple(_expression(str(item), words, knob) for item in value)
    return Pair(items, frozenset().union(*(item.words for item in items)))


def _constant(value: object, knob: str, layer: type[Layer] | None, unit: Unit | None) -> object:
    if isinstance(value, tuple) and any(isinstance(item, bool) for item in value):
        raise LawError(f"a pair holds numbers, but got {shown(value)}", (knob,))
    try:
        if isinstance(value, bool):
            _check_bool(value, knob, layer, unit)
        if unit is not None:
            unit.knobs[knob].check(value)
    except LawError as error:
        raise error.under(knob) from None
    return value


def _check_bool(value: bool, knob: str, layer: type[Layer] | None, unit: Unit | None) -> None:
    """To Python true is 1, and equal values are remembered as one; in a text it is no number."""
    if layer is not None:
        takes = layer.model_fields[knob].annotation is bool
    else:
        assert unit is not None
        default, choices = unit.knobs[knob].default, unit.knobs[knob].choices or ()
        takes = isinstance(default, bool) or any(isinstance(item, bool) for item in choices)
    if not takes:
        raise LawError(f"a number is needed, but got {shown(value)}")


def _word(value: str, knob: str, unit: Unit | None) -> object:
    """A word as written; a layer checks its own when it is made."""
    if unit is not None:
        choices = unit.knobs[knob].choices
        if choices is not None and value not in choices:
            raise LawError(f"unknown value {shown(value)}: {did_you_mean(value, choices)}", (knob,))
    return value
