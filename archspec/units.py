"""Units: named bodies of layers and joins with knobs, as data.

The shipped ones are `specs/units/*.yaml`; a spec's own stand over them. A unit's body sees the
units of its own text and the shipped ones, so that a spec cannot change what a shipped unit means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError, field_validator

from archspec.binding import STAGE_WORDS, bind, evaluate
from archspec.errors import LawError, SpecError, did_you_mean
from archspec.expressions import Expression, parse
from archspec.layers import LAYERS
from archspec.layers.normalization import ActKind, NormKind
from archspec.load import read_yaml
from archspec.marks import MarkedDict, find_mark
from archspec.nodes import STRUCTURE, Call, Join, Node, Residual, Times, TokenMix, parse_nodes
from archspec.shipped import shipped_files
from archspec.strict import Strict, law_of, shown

if TYPE_CHECKING:
    from archspec.plan import SequencePlan

#: a unit that calls a unit that calls ...: no network needs more
MOST_NESTED = 48

#: what `choices` may name instead of listing it; null is the spec's default
KINDS: dict[str, tuple[str | None, ...]] = {
    "norms": (None, *get_args(NormKind)),
    "acts": (None, *get_args(ActKind)),
}

Value = int | float | bool | str | tuple[Any, ...] | None


class Knob(Strict):
    """A knob's default (a value, an expression or a word) and what it may be.

    choices: the legal values, or `norms` or `acts` for all kinds of these layers.
    """

    default: Value = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Value, ...] | None = None
    doc: str = ""

    @field_validator("choices", mode="before")
    @classmethod
    def _kinds(cls, raw: object) -> object:
        if not isinstance(raw, str):
            return raw
        if raw not in KINDS:
            raise LawError(f"choices is a list, or one of: {', '.join(KINDS)}; got {shown(raw)}")
        return KINDS[raw]

    def check(self, value: object) -> None:
        """Raise LawError unless the value lies within min, max and choices."""
        if self.choices is not None and value not in self.choices:
            raise LawError(f"unknown value {shown(value)}: {did_you_mean(value, self.choices)}")
        if isinstance(value, (int, float)):
            if self.min is not None and value < self.min:
                raise LawError(f"value >= {self.min:g} must hold, but got {shown(value)}")
            if self.max is not None and value > self.max:
                raise LawError(f"value <= {self.max:g} must hold, but got {shown(value)}")


class UnitText(Strict):
    """A unit as written."""

    doc: str = ""
    source: str = ""
    knobs: dict[str, Knob] = {}
    body: tuple[Any, ...]

    @field_validator("knobs", mode="before")
    @classmethod
    def _short_knobs(cls, raw: object) -> object:
        if not isinstance(raw, Mapping):
            return raw
        return {
            name: given if isinstance(given, Mapping) else {"default": given}
            for name, given in raw.items()
        }

    @field_validator("body", mode="before")
    @classmethod
    def _nodes(cls, raw: object) -> object:
        return parse_nodes(raw)


class Unit:
    """A unit ready for use: its knobs read, its body tied to layers and other units.

    own: the spec's own text defines it. uses_stride: its body uses the word `stride` without
    having a knob of that name. word_knobs: knobs that hold a word, such as a norm's kind, rather
    than a number. memory: plans by place and knobs, so that equal subtrees are made once.
    """

    __slots__ = (
        "_bounded",
        "_defaults",
        "_passed",
        "body",
        "knobs",
        "memory",
        "name",
        "own",
        "text",
        "uses_stride",
        "word_knobs",
    )

    def __init__(self, name: str, text: UnitText, own: bool) -> None:
        self.name, self.text, self.own = name, text, own
        self.knobs, self.body = text.knobs, text.body
        self.uses_stride = False
        self.memory: dict[tuple[object, ...], SequencePlan] = {}
        self._bounded = tuple(
            (knob, spec)
            for knob, spec in text.knobs.items()
            if spec.choices is not None or spec.min is not None or spec.max is not None
        )
        self._defaults: dict[str, Expression] = {}
        #: word knobs whose default is what an earlier one holds
        self._passed: dict[str, str] = {}
        legal = set(STAGE_WORDS)
        words = set()
        for knob, spec in self.knobs.items():
            if not knob.isidentifier() or knob in STAGE_WORDS - {"stride"}:
                raise LawError(f"a knob cannot be called {knob!r}", ("knobs", knob))
            default = spec.default
            if spec.choices is not None and any(isinstance(item, str) for item in spec.choices):
                if isinstance(default, str) and default in words:
                    self._passed[knob] = default
                words.add(knob)
            elif isinstance(default, str):
                if default.isidentifier() and default not in legal:
                    words.add(knob)
                else:
                    self._defaults[knob] = _default(default, legal, knob)
            if knob not in words:
                legal.add(knob)
        self.word_knobs = frozenset(words)

    def bind_body(self, table: Mapping[str, Unit]) -> None:
        """Tie the body's calls; units that it calls are bound already."""
        numeric = frozenset(self.knobs) - self.word_knobs
        bind(self.body, table, STAGE_WORDS | numeric, self.word_knobs)
        self.uses_stride = "stride" not in self.knobs and (
            any("stride" in text.words for text in self._defaults.values())
            or _uses_stride(self.body)
        )

    def scope(self, given: dict[str, object], words: dict[str, object]) -> dict[str, object]:
        """The words of the body: the place's, the knobs as given, and defaults evaluated here."""
        scope = words
        for knob, value in given.items():
            scope[knob] = value
        knob = ""
        try:
            for knob, spec in self.knobs.items():
                if knob not in given:
                    if knob in self._passed:
                        scope[knob] = scope[self._passed[knob]]
                        continue
                    expression = self._defaults.get(knob)
                    scope[knob] = evaluate(expression, scope) if expression else spec.default
            for knob, spec in self._bounded:
                spec.check(scope[knob])
        except LawError as error:
            raise error.under(knob) from None
        return scope


def _default(text: str, legal: set[str], knob: str) -> Expression:
    try:
        expression = parse(text)
        for word in sorted(expression.words - legal):
            raise LawError(f"unknown word {word!r}: {did_you_mean(word, sorted(legal))}")
    except LawError as error:
        raise error.under("knobs", knob) from None
    return expression


def _uses_stride(nodes: Sequence[Node]) -> bool:
    for node in nodes:
        if node.condition is not None and "stride" in node.condition.words:
            return True
        added = node.addition if isinstance(node, Residual) else None
        if added is not None and "stride" in added.words:
            return True
        if isinstance(node, Call):
            bound = node.bound
            assert bound is not None
            passes = any(word == "stride" for _, word in bound.named)
            computes = any("stride" in text.words for _, text in bound.computed)
            if bound.takes_stride or passes or computes:
                return True
            if any(_uses_stride(nodes) for _, nodes in bound.inner):
                return True
        elif any(_uses_stride(part) for part in _parts(node)):
            return True
    return False


def _parts(node: Node) -> list[tuple[Node, ...]]:
    """The node lists directly below a node."""
    if isinstance(node, (Times, TokenMix)):
        return [node.do]
    if isinstance(node, Residual):
        return [node.do, node.shortcut] if isinstance(node.shortcut, tuple) else [node.do]
    if isinstance(node, Join):
        return [branch.do for branch in node.branches]
    return []


def called(nodes: Sequence[Node]) -> Iterator[str]:
    """Names that node lists call, nested ones included."""
    for node in nodes:
        if isinstance(node, Call):
            yield node.name
            layer = LAYERS.get(node.name)
            for knob in () if layer is None else layer.inner:
                yield from called(node.knobs.get(knob, ()))  # type: ignore[arg-type]
        for part in _parts(node):
            yield from called(part)


def _why(name: str) -> str:
    known = name in STRUCTURE or name in LAYERS
    return "the word has a meaning already" if known else "a name is letters, digits and _"


def make_units(raw: Mapping[str, Any], beneath: Mapping[str, Unit], own: bool) -> dict[str, Unit]:
    """Units of one text, over those `beneath`; raises LawError with a path below `units`."""
    units: dict[str, Unit] = {}
    for name, text in raw.items():
        try:
            if not str(name).isidentifier() or name in STRUCTURE or name in LAYERS:
                raise LawError(f"a unit cannot be called {shown(name)}: {_why(name)}")
            units[name] = Unit(name, UnitText.model_validate(text), own)
        except LawError as error:
            raise error.under(name) from None
        except ValidationError as error:
            raise law_of(error).under(name) from None
    table = {**beneath, **units}
    for name in _callees_first(units):
        try:
            units[name].bind_body(table)
        except LawError as error:
            raise error.under(name, "body") from None
    return units


def _callees_first(units: Mapping[str, Unit]) -> list[str]:
    heights: dict[str, int] = {}
    trail: list[str] = []

    def visit(name: str) -> int:
        if name in heights:
            return heights[name]
        if name in trail:
            circle = " -> ".join([*trail[trail.index(name) :], name])
            raise LawError(f"a unit may not call itself: {circle}", (name, "body"))
        trail.append(name)
        height = 1
        if len(trail) <= MOST_NESTED:
            callees = [callee for callee in called(units[name].body) if callee in units]
            height += max((visit(callee) for callee in callees), default=0)
        if len(trail) > MOST_NESTED or height > MOST_NESTED:
            raise LawError(f"units may call each other {MOST_NESTED} deep at most", (name, "body"))
        heights[trail.pop()] = height
        return height

    for name in units:
        visit(name)
    return list(heights)


@cache
def shipped_units() -> dict[str, Unit]:
    """Every unit of specs/units, by name."""
    raw: dict[str, Any] = {}
    trees: dict[str, MarkedDict] = {}
    for path in shipped_files("units"):
        tree = read_yaml(path)
        for name, text in tree.items():
            if name in raw:
                raise SpecError(f"unit {name!r} is shipped twice", find_mark(tree, (name,)))
            raw[name], trees[name] = text, tree
    try:
        return make_units(raw, {}, own=False)
    except LawError as error:
        holder = trees.get(str(error.path[0])) if error.path else None
        mark = None if holder is None else find_mark(holder, error.path)
        raise SpecError(error.problem, mark, ".".join(map(str, error.path))) from None
