"""What stands in a block: calls of layers and units, and the joins that combine them.

`parse_nodes` reads the lists of the notation into these records, `dump_nodes` writes them back;
`binding` ties each name to its layer or unit and checks knobs and words, once a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archspec.errors import LawError, did_you_mean
from archspec.layers import LAYERS
from archspec.strict import is_domain, no_domain, shown

if TYPE_CHECKING:
    from archspec.binding import Bound
    from archspec.expressions import Expression

#: joins whose value is a list of branches
BRANCHED = ("add", "concat", "mul", "attach", "merge")
#: words that are no unit's and no layer's
STRUCTURE = ("residual", *BRANCHED, "token_mix", "times", "do", "when")
MOST_TIMES = 10_000


@dataclass(slots=True)
class Call:
    """A layer or unit by name, with knobs as written."""

    name: str
    knobs: dict[str, object]
    when: str | bool | None = None
    #: knobs were one bare value, for the layer's primary knob
    bare: bool = False
    bound: Bound | None = field(default=None, compare=False, repr=False)
    condition: Expression | None = field(default=None, compare=False, repr=False)
    key: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class Times:
    """Nodes repeated; also what carries a condition for several nodes."""

    times: int | str
    do: tuple[Node, ...]
    when: str | bool | None = None
    count: Expression | None = field(default=None, compare=False, repr=False)
    condition: Expression | None = field(default=None, compare=False, repr=False)
    key: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class Residual:
    """x + do(x); where do changes the shape, shortcut(x) + do(x); do(x) alone where not `add`."""

    do: tuple[Node, ...]
    #: None: a change of shape is an error; "none": no add where the shape changes
    shortcut: tuple[Node, ...] | str | None = None
    drop_path: bool = True
    when: str | bool | None = None
    add: str | bool = True
    condition: Expression | None = field(default=None, compare=False, repr=False)
    addition: Expression | None = field(default=None, compare=False, repr=False)
    key: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class Branch:
    """One way through a join; a branch whose condition fails is not there."""

    do: tuple[Node, ...]
    when: str | bool | None = None
    condition: Expression | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Join:
    """Branches that start together and meet by kind: add, concat, mul, attach or merge."""

    kind: str
    branches: tuple[Branch, ...]
    when: str | bool | None = None
    condition: Expression | None = field(default=None, compare=False, repr=False)
    key: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class TokenMix:
    """Nodes that see tokens as channels and channels as positions."""

    do: tuple[Node, ...]
    when: str | bool | None = None
    condition: Expression | None = field(default=None, compare=False, repr=False)
    key: str = field(default="", compare=False, repr=False)


Node = Call | Times | Residual | Join | TokenMix


class NodeList(tuple[Node, ...]):
    """Parsed nodes. `bound` tells what they were tied to; `memory` holds plans made of them."""

    bound: tuple[object, object] | None = None
    memory: dict[tuple[object, ...], tuple[object, int]]

    def __init__(self, _nodes: object = ()) -> None:
        self.memory = {}


def node_name(node: Node) -> str:
    """The word under which paths address a node."""
    if isinstance(node, Call):
        return node.name
    if isinstance(node, Join):
        return node.kind
    return {Times: "times", Residual: "residual", TokenMix: "token_mix"}[type(node)]


def _name(nodes: Sequence[Node]) -> None:
    """Give nodes their path words: the second of a name is `name#2`."""
    seen: dict[str, int] = {}
    for node in nodes:
        name = node_name(node)
        seen[name] = count = seen.get(name, 0) + 1
        node.key = name if count == 1 else f"{name}#{count}"


def parse_nodes(raw: object) -> NodeList:
    """A list of the notation as records; raises LawError with a path into the list."""
    if not isinstance(raw, (list, tuple)):
        text = raw if isinstance(raw, str) else shown(raw)
        hint = f"; write [{text}]" if isinstance(raw, (str, Mapping)) and len(text) < 60 else ""
        raise LawError(f"a list of nodes is needed, but got {shown(raw)}{hint}")
    if len(raw) == 1 and isinstance(raw[0], (list, tuple)):
        return parse_nodes(raw[0])
    nodes = []
    for index, item in enumerate(raw):
        try:
            nodes.append(_parse_node(item))
        except LawError as error:
            raise error.under(index) from None
    _name(nodes)
    return NodeList(nodes)


def _parse_node(raw: object) -> Node:
    if isinstance(raw, str):
        if raw in STRUCTURE:
            raise LawError(f"{raw!r} needs a value: {{{raw}: ...}}")
        return Call(raw, {})
    if not isinstance(raw, Mapping):
        raise LawError(f"a node is a name or {{name: knobs}}, but got {shown(raw)}")
    rest = {key: value for key, value in raw.items() if key != "when"}
    when = _condition(raw.get("when")) if "when" in raw else None
    if "do" in rest or "times" in rest:
        _only(rest, ("times", "do"))
        if "do" not in rest:
            raise LawError("times needs what to repeat: {times: N, do: [...]}")
        return Times(_count(rest.get("times", 1)), _inside("do", rest["do"]), when)
    if len(rest) != 1:
        names = ", ".join(map(str, rest)) or "nothing"
        raise LawError(
            f"a node has one name (and perhaps `when`), but got {names}; "
            "put knobs inside: {name: {knob: value}}"
        )
    ((name, value),) = rest.items()
    no_domain(raw)
    try:
        return _parse_named(str(name), value, when)
    except LawError as error:
        raise error.under(str(name)) from None


def _parse_named(name: str, value: object, when: str | bool | None) -> Node:
    if name == "residual":
        if not isinstance(value, Mapping):
            return Residual(parse_nodes(value), None, True, when)
        _only(value, ("do", "shortcut", "drop_path", "add"))
        shortcut = value.get("shortcut")
        drop_path = value.get("drop_path", True)
        if not isinstance(drop_path, bool):
            raise LawError(f"drop_path is true or false, but got {shown(drop_path)}")
        add = value.get("add", True)
        if not isinstance(add, (str, bool)):
            raise LawError(f"add is true, false or an expression, but got {shown(add)}", ("add",))
        do = _inside("do", value.get("do"))
        if shortcut is not None and shortcut != "none":
            shortcut = _inside("shortcut", shortcut)
        return Residual(do, shortcut, drop_path, when, add)
    if name in BRANCHED:
        if not isinstance(value, (list, tuple)) or len(value) < 2:
            raise LawError(f"{name} needs two branches or more: {{{name}: [[...], [...]]}}")
        branches = []
        for index, item in enumerate(value):
            try:
                branches.append(_parse_branch(item))
            except LawError as error:
                raise error.under(index) from None
        return Join(name, tuple(branches), when)
    if name == "token_mix":
        return TokenMix(parse_nodes(value), when)
    return _parse_call(name, value, when)


def _parse_branch(raw: object) -> Branch:
    if isinstance(raw, Mapping) and "do" in raw:
        _only(raw, ("do", "when"))
        when = _condition(raw["when"]) if "when" in raw else None
        return Branch(_inside("do", raw["do"]), when)
    return Branch(parse_nodes(raw))


def _parse_call(name: str, value: object, when: str | bool | None) -> Call:
    layer = LAYERS.get(name)
    if value is None:
        return Call(name, {}, when)
    if isinstance(value, Mapping) and not is_domain(value):
        knobs: dict[str, object] = {}
        for knob, given in value.items():
            if layer is not None and knob in layer.inner:
                knobs[knob] = _inside(knob, given)
            else:
                knobs[str(knob)] = _knob(str(knob), given)
        return Call(name, knobs, when)
    if layer is not None and layer.primary is None:
        raise LawError(f"{name} has no main knob; write {name}, or {{{name}: {{knob: value}}}}")
    if layer is None or layer.primary is None:
        raise LawError(f"knobs are a mapping, {{{name}: {{knob: value}}}}, but got {shown(value)}")
    return Call(name, {layer.primary: _knob(layer.primary, value)}, when, bare=True)


def _knob(knob: str, value: object) -> object:
    no_domain(value, (knob,))
    if isinstance(value, (list, tuple)):
        if not all(isinstance(item, (int, float, str)) for item in value):
            raise LawError(f"a knob's list holds plain values, but got {shown(value)}", (knob,))
        return tuple(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    raise LawError(f"a knob is a plain value or an expression, but got {shown(value)}", (knob,))


def _inside(key: str, raw: object) -> tuple[Node, ...]:
    try:
        return parse_nodes(raw)
    except LawError as error:
        raise error.under(key) from None


def _only(mapping: Mapping[object, object], legal: tuple[str, ...]) -> None:
    for key in mapping:
        if key not in legal:
            law = f"unknown key {shown(key)}: {did_you_mean(key, legal)}"
            raise LawError(law, (str(key),), at_key=True)


def _condition(value: object) -> str | bool:
    if isinstance(value, (str, bool)):
        return value
    raise LawError(f"when is an expression, but got {shown(value)}", ("when",))


def _count(value: object) -> int | str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TIMES:
        return value
    no_domain(value, ("times",))
    raise LawError(f"0 <= times <= {MOST_TIMES} must hold, but got {shown(value)}", ("times",))


def dump_nodes(nodes: Sequence[Node]) -> list[object]:
    """Records as plain lists and mappings; parse_nodes(dump_nodes(n)) == n."""
    return [_dump_node(node) for node in nodes]


def _dump_node(node: Node) -> object:
    raw: object
    if isinstance(node, Call):
        knobs = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in node.knobs.items()
        }
        layer = LAYERS.get(node.name)
        for knob in () if layer is None else layer.inner:
            if knob in node.knobs:
                knobs[knob] = dump_nodes(node.knobs[knob])  # type: ignore[arg-type]
        if not knobs and node.when is None:
            return node.name
        raw = {node.name: next(iter(knobs.values())) if node.bare else knobs}
    elif isinstance(node, Times):
        raw = {"times": node.times, "do": dump_nodes(node.do)}
    elif isinstance(node, Residual):
        raw = {"residual": _dump_residual(node)}
    elif isinstance(node, TokenMix):
        raw = {"token_mix": dump_nodes(node.do)}
    else:
        raw = {
            node.kind: [
                dump_nodes(branch.do)
                if branch.when is None
                else {"when": branch.when, "do": dump_nodes(branch.do)}
                for branch in node.branches
            ]
        }
    if node.when is not None:
        assert isinstance(raw, dict)
        raw["when"] = node.when
    return raw


def _dump_residual(node: Residual) -> object:
    if node.shortcut is None and node.drop_path and node.add is True:
        return dump_nodes(node.do)
    raw: dict[str, object] = {"do": dump_nodes(node.do)}
    if node.shortcut is not None:
        raw["shortcut"] = "none" if isinstance(node.shortcut, str) else dump_nodes(node.shortcut)
    if not node.drop_path:
        raw["drop_path"] = False
    if node.add is not True:
        raw["add"] = node.add
    return raw
