"""What differs between two networks, in paths of the language, and what it does to the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from archspec.cost import Totals, totals
from archspec.dump import dump_yaml
from archspec.layers import LAYERS
from archspec.nodes import Call, Join, Node, Residual, Times, TokenMix, dump_nodes
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec, Stage
from archspec.strict import shown
from archspec.units import Unit, shipped_units


class Difference(NamedTuple):
    """One place that differs; a side that has nothing there is None.

    implied: the side ("before", "after" or neither) that does not state the value, so that the
    default is shown.
    """

    path: str
    before: Any
    after: Any
    kind: str = "changed"
    implied: str = ""

    def __str__(self) -> str:
        if self.kind == "added":
            return f"{self.path}: added {_text(self.after)}"
        if self.kind == "removed":
            return f"{self.path}: removed {_text(self.before)}"
        if self.kind == "order":
            return f"{self.path}: order {', '.join(self.before)} -> {', '.join(self.after)}"
        before, after = (
            _text(value) + (" (default)" if self.implied == side else "")
            for side, value in (("before", self.before), ("after", self.after))
        )
        return f"{self.path}: {before} -> {after}"


class CostChange(NamedTuple):
    """A part of both networks, or `total`, and what it costs in each; absent parts cost nothing."""

    path: str
    before: Totals
    after: Totals


def differences(a: NetworkSpec, b: NetworkSpec) -> list[Difference]:
    """Every difference that may change the network, in the order of the text.

    Names, docs and references are not compared, and a knob that states its default equals one
    that is left out.
    """
    found: list[Difference] = []
    for path in ("form", "classes"):
        found += _values(path, getattr(a, path), getattr(b, path))
    for path in ("input", "defaults"):
        first, second = getattr(a, path).model_dump(), getattr(b, path).model_dump()
        for key in first:
            found += _values(f"{path}.{key}", first[key], second[key])
    for name in dict.fromkeys([*a.units, *b.units]):
        found += _present(f"units.{name}", a.units.get(name), b.units.get(name))
    paddings = (a.defaults.padding == "same", b.defaults.padding == "same")
    compare = _Nodes({**shipped_units(), **_knobs_of(a), **_knobs_of(b)}, paddings)
    found += compare.lists("stem", a.stem, b.stem)
    for index, (first, second) in enumerate(zip_longest(a.stages, b.stages)):
        found += compare.stages(f"stages.{index}", first, second)
    found += compare.lists("head", a.head, b.head)
    return found


def cost_changes(a: NetworkPlan, b: NetworkPlan) -> list[CostChange]:
    """Stem, every stage and head that either network has, then `total`."""
    first, second = dict(a.parts()), dict(b.parts())
    paths = [path for path in dict.fromkeys([*first, *second]) if path != "head"]
    changes = [
        CostChange(
            path,
            totals(first[path]) if path in first else Totals(),
            totals(second[path]) if path in second else Totals(),
        )
        for path in [*paths, "head"]
    ]
    return [*changes, CostChange("total", totals(a), totals(b))]


class _Nodes:
    """Compares node lists; `units` tells the defaults of knobs that are left out.

    padded: whether windows of either side are SAME where they do not say so themselves.
    """

    def __init__(self, units: Mapping[str, Any], padded: tuple[bool, bool]) -> None:
        self.units, self.padded = units, padded

    def stages(self, path: str, a: Stage | None, b: Stage | None) -> Iterator[Difference]:
        if a is None or b is None:
            yield from _present(path, a and _stage(a), b and _stage(b))
            return
        spelled = [stage.turns[0][0] is not None for stage in (a, b)]
        yield from _values(f"{path}.width", a.width, b.width)
        if not all(spelled):
            yield from _values(f"{path}.depth", a.count, b.count)
        yield from _values(f"{path}.stride", a.stride, b.stride)
        yield from self.lists(f"{path}.down", a.down, b.down)
        if a.blocks is None and b.blocks is None:
            yield from self.lists(f"{path}.block", a.block or (), b.block or ())
        elif a.blocks is None or b.blocks is None or spelled[0] != spelled[1]:
            yield from _values(f"{path}.blocks", _blocks(a), _blocks(b))
        else:
            for index, (first, second) in enumerate(zip_longest(a.blocks, b.blocks)):
                here = f"{path}.blocks.{index}"
                if first is None or second is None:
                    turns = (turn and dump_nodes(turn.block) for turn in (first, second))
                    yield from _present(here, *turns)
                    continue
                yield from _values(f"{here}.times", first.times, second.times)
                inside = f"{here}.block" if spelled[0] else here
                yield from self.lists(inside, first.block, second.block)

    def lists(self, path: str, a: Sequence[Node], b: Sequence[Node]) -> Iterator[Difference]:
        """Nodes matched by name, the second of a name by `#2`."""
        first, second = {node.key: node for node in a}, {node.key: node for node in b}
        for key in dict.fromkeys([*first, *second]):
            here = f"{path}.{key}"
            if key in first and key in second:
                yield from self.nodes(here, first[key], second[key])
            else:
                sides = (
                    dump_nodes([nodes[key]])[0] if key in nodes else None
                    for nodes in (first, second)
                )
                yield from _present(here, *sides)
        orders = [
            [key for key in nodes if key in others]
            for nodes, others in ((first, second), (second, first))
        ]
        if orders[0] != orders[1]:
            yield Difference(path, orders[0], orders[1], "order")

    def nodes(self, path: str, a: Node, b: Node) -> Iterator[Difference]:
        yield from _values(f"{path}.when", a.when, b.when)
        if isinstance(a, Call) and isinstance(b, Call):
            yield from self.calls(path, a, b)
        elif isinstance(a, Times) and isinstance(b, Times):
            yield from _values(f"{path}.times", a.times, b.times)
            yield from self.lists(f"{path}.do", a.do, b.do)
        elif isinstance(a, TokenMix) and isinstance(b, TokenMix):
            yield from self.lists(path, a.do, b.do)
        elif isinstance(a, Residual) and isinstance(b, Residual):
            yield from self.residuals(path, a, b)
        elif isinstance(a, Join) and isinstance(b, Join):
            for index, (one, two) in enumerate(zip_longest(a.branches, b.branches)):
                if one is None or two is None:
                    sides = (branch and dump_nodes(branch.do) for branch in (one, two))
                    yield from _present(f"{path}.{index}", *sides)
                    continue
                yield from _values(f"{path}.{index}.when", one.when, two.when)
                inside = f"{path}.{index}" + (".do" if one.when is not None else "")
                yield from self.lists(inside, one.do, two.do)

    def calls(self, path: str, a: Call, b: Call) -> Iterator[Difference]:
        layer = LAYERS.get(a.name)
        for knob in dict.fromkeys([*a.knobs, *b.knobs]):
            first, second = a.knobs.get(knob), b.knobs.get(knob)
            if layer is not None and knob in layer.inner:
                yield from self.lists(f"{path}.{knob}", first or (), second or ())  # type: ignore[arg-type]
                continue
            implied = "before" if knob not in a.knobs else "after" if knob not in b.knobs else ""
            first = self.default(a.name, knob, 0) if implied == "before" else first
            second = self.default(a.name, knob, 1) if implied == "after" else second
            yield from _values(f"{path}.{knob}", first, second, implied)

    def residuals(self, path: str, a: Residual, b: Residual) -> Iterator[Difference]:
        bare = all(node.shortcut is None and node.drop_path and node.add is True for node in (a, b))
        yield from self.lists(path if bare else f"{path}.do", a.do, b.do)
        if isinstance(a.shortcut, tuple) and isinstance(b.shortcut, tuple):
            yield from self.lists(f"{path}.shortcut", a.shortcut, b.shortcut)
        else:
            sides = (
                dump_nodes(node.shortcut) if isinstance(node.shortcut, tuple) else node.shortcut
                for node in (a, b)
            )
            yield from _present(f"{path}.shortcut", *sides)
        yield from _values(f"{path}.drop_path", a.drop_path, b.drop_path)
        yield from _values(f"{path}.add", a.add, b.add)

    def default(self, name: str, knob: str, side: int) -> Any:
        if knob == "same" and name in LAYERS:
            return self.padded[side]
        unit = self.units.get(name)
        if isinstance(unit, Unit):
            return unit.knobs[knob].default
        if unit is not None:
            raw = (unit.get("knobs") or {}).get(knob)
            return raw.get("default") if isinstance(raw, Mapping) else raw
        field = LAYERS[name].model_fields[knob]
        return None if field.is_required() else field.default


def _knobs_of(spec: NetworkSpec) -> Mapping[str, Any]:
    units: Mapping[str, Any] = spec.units
    return units


def _values(path: str, before: Any, after: Any, implied: str = "") -> list[Difference]:
    return [] if before == after else [Difference(path, before, after, implied=implied)]


def _present(path: str, before: Any, after: Any) -> list[Difference]:
    if before is None and after is not None:
        return [Difference(path, None, after, "added")]
    if after is None and before is not None:
        return [Difference(path, before, None, "removed")]
    return _values(path, before, after)


def _blocks(stage: Stage) -> list[Any]:
    return [
        dump_nodes(nodes) if times is None else {"times": times, "block": dump_nodes(nodes)}
        for times, nodes in stage.turns
    ]


def _stage(stage: Stage) -> dict[str, Any]:
    blocks = _blocks(stage)
    held = {"block": blocks[0]} if stage.blocks is None else {"blocks": blocks}
    down = {"down": dump_nodes(stage.down)} if stage.down else {}
    return {"width": stage.width, "depth": stage.count, "stride": stage.stride, **down, **held}


def _text(value: Any) -> str:
    """A value as YAML writes it, on one line."""
    text = dump_yaml({"": value}).rstrip().partition(": ")[2]
    return text if text and "\n" not in text else shown(value)
