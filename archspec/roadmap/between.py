"""The networks between two: any parts in which they differ taken from the second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archspec.cost import totals
from archspec.nodes import Call, Node, NodeList
from archspec.planning import plan_network
from archspec.roadmap.parts import FIELDS, Keys, Part, joined, parts_of, spelled
from archspec.spec import Memory, NetworkSpec, Stage, Turn, make_spec, parse_spec

NOTHING: Keys = frozenset()
_LAYOUT = ("layout",)


class Between:
    """The parts in which `b` differs from `a`, and the network that has any of them.

    Where the networks have different numbers of stages, the part `layout` gives `a` the stages
    of `b` (widths, depths, strides) with its own blocks in them: each stage takes those of the
    stage of `a` as far along, of the same stride if there is one. All other parts of the stages
    need it first.
    """

    def __init__(self, a: NetworkSpec, b: NetworkSpec) -> None:
        # nodes are tied to a text's units and words: the caller's stay tied to theirs
        self.a, self.b = (parse_spec(spec.dump(), spec.name) for spec in (a, b))
        self._memory = Memory()
        self._stages: dict[tuple[int, Keys], Stage] = {}
        self._units = {**self.a.units, **self.b.units}
        self._aligned = len(self.a.stages) != len(self.b.stages)
        self._first = _aligned(self.a, self.b) if self._aligned else self.a.stages
        # only compared, never planned: blocks may not stand in stages of other widths
        like = self.a.model_copy(update={"stages": self._first, "units": self._units})
        self.parts = self._strided(parts_of(like, self.b, len(self.a.stages)))
        self._all = taking(NOTHING, self.parts)
        self._defaults = {
            key: part.default
            for part in self.parts
            for key in part.keys
            if part.default is not None
        }

    def ready(self, taken: Keys, parts: Iterable[Part]) -> bool:
        """Whether what these parts need is taken, or one of them."""
        after = taking(taken, parts)
        return not self._aligned or _LAYOUT in after or not any(map(_of_stages, after))

    def network(self, taken: Keys) -> NetworkSpec:
        """`a` with some parts from `b`; raises SpecError where a law of the text breaks."""
        a, b = self.a, self.b
        stages = a.stages
        if not self._aligned or _LAYOUT in taken:
            stages = tuple(self._stage(index, taken) for index in range(len(b.stages)))
        tree: dict[str, Any] = {"name": a.name, "stages": stages}
        for key in ("form", "classes", "stem", "head"):
            tree[key] = getattr(b if (key,) in taken else a, key)
        for key in ("input", "defaults"):
            tree[key] = {
                field: getattr(getattr(b if (key, field) in taken else a, key), field)
                for field in type(getattr(a, key)).model_fields
            }
        # on the way both networks' own units may be needed
        tree["units"] = b.units if taken == self._all else self._units if taken else a.units
        return make_spec(tree, self._memory)

    def _stage(self, index: int, taken: Keys) -> Stage:
        mine = frozenset(key for key in taken if _of_stages(key, index))
        known = self._stages.get((index, mine))
        if known is None:
            known = self._mixed(index, mine)
            self._stages[index, mine] = known
        return known

    def _mixed(self, index: int, taken: Keys) -> Stage:
        first, second = self._first[index], self.b.stages[index]
        update: dict[str, Any] = {
            field: getattr(second, field)
            for field, key in FIELDS.items()
            if (key,) in taken and field != "depth"
        }
        deeper = ("depths",) in taken
        if any(key[0] == "blocks" for key in taken):
            update |= {"block": second.block, "blocks": second.blocks}
            depth = second.count if deeper or spelled(first) else first.count
            update["depth"] = None if spelled(second) else depth
            return first.model_copy(update=update)
        if first.blocks is None:
            update["block"] = self._knobbed(first.block or (), second.block or (), taken)
        elif second.blocks is not None and len(first.blocks) == len(second.blocks):
            update["blocks"] = tuple(
                Turn(
                    block=self._knobbed(turn.block, other.block, taken),
                    times=other.times if deeper and spelled(second) else turn.times,
                )
                for turn, other in zip(first.blocks, second.blocks, strict=True)
            )
        if spelled(first):
            update["depth"] = None
        elif deeper:
            update["depth"] = second.count
        return first.model_copy(update=update)

    def _knobbed(self, first: Sequence[Node], second: Sequence[Node], taken: Keys) -> NodeList:
        """A block with the knobs taken as in another one of the same units."""
        others = {node.key: node for node in second}
        made = list(first)
        for place, node in enumerate(first):
            other = others.get(node.key)
            if isinstance(node, Call) and isinstance(other, Call):
                knobs = self._given(node, other.knobs, taken)
                if knobs != node.knobs:
                    made[place] = replace(node, knobs=knobs, bare=False, bound=None, condition=None)
        return NodeList(made)

    def _given(self, call: Call, other: Mapping[str, object], taken: Keys) -> dict[str, object]:
        knobs = dict(call.knobs)
        for key in taken:
            if key[:2] != ("knob", call.name):
                continue
            knob = str(key[2])
            if knob in other:
                knobs[knob] = other[knob]
            elif key in self._defaults and knob in knobs:
                knobs[knob] = self._defaults[key]
            else:
                knobs.pop(knob, None)
        return knobs

    def _strided(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Strides that move between stem and stages as one part: maps stay as large as they are.

        Else a network on the way would cost several times as much as both.
        """
        strides = {totals(plan_network(spec).stem).stride for spec in (self.a, self.b)}
        moved = [part for part in parts if part.keys & {("stem",), ("strides",), _LAYOUT}]
        if len(strides) == 1 or len(moved) < 2:
            return parts
        rest = [part for part in parts if part not in moved]
        return tuple(sorted([joined(moved), *rest], key=lambda part: part.rank))


def taking(taken: Keys, parts: Iterable[Part]) -> Keys:
    """What is taken, and some parts more."""
    return taken.union(*(part.keys for part in parts))


def _of_stages(key: tuple[str | int, ...], index: int | None = None) -> bool:
    """Whether a key is of the stages, or of a given one, the layout apart."""
    if key[0] == "blocks":
        return index is None or index in key
    return key[0] == "knob" or key[0] in FIELDS.values()


def _aligned(a: NetworkSpec, b: NetworkSpec) -> tuple[Stage, ...]:
    if not a.stages:
        return b.stages
    made = []
    places = range(len(a.stages))
    for index, stage in enumerate(b.stages):
        near = index * len(a.stages) // len(b.stages)
        like = [place for place in places if a.stages[place].stride == stage.stride] or places
        source = a.stages[min(like, key=lambda place: abs(place - near))]
        update: dict[str, Any] = {"width": stage.width, "stride": stage.stride}
        if not spelled(source):
            update["depth"] = stage.count
        made.append(source.model_copy(update=update))
    return tuple(made)


__all__ = ["NOTHING", "Between", "taking"]
