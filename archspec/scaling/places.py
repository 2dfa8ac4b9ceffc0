"""Where a text says what scaling changes: widths, depths, group widths, heads, kernels.

Stage widths and depths are numbers of the spec; all others are found in the tree of its text, so
that what is changed can be written as `set` of a path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from archspec.layers import LAYERS
from archspec.paths import KeyPath
from archspec.spec import NetworkSpec
from archspec.units import Unit, shipped_units

#: knobs of shipped units that count channels of a branch: these cannot grow one by one
_BRANCHES = (
    "growth", "one", "a", "b", "mid", "mid_a", "mid_b", "inner", "inner_b", "out", "arm", "last_b",
    "pool", "squeeze", "key_dim", "value_dim",
)  # fmt: skip


class Place(NamedTuple):
    """A whole number of the text."""

    path: KeyPath
    value: int


class StagePlaces(NamedTuple):
    """What a stage says beside its width and depth.

    times: of blocks that are spelled out. turns: blocks that take turns, else 1. widths: stated
    inside. branches: channels that are fixed where no rule can grow them, as (what, value): of
    branches, by constant expressions, in bodies of the text's own units.
    """

    times: tuple[Place, ...]
    turns: int
    widths: tuple[Place, ...]
    groups: tuple[Place, ...]
    heads: tuple[Place, ...]
    kernels: tuple[Place, ...]
    branches: tuple[tuple[str, object], ...]


class Places(NamedTuple):
    """All that a rule may change in a network's text; dropout: the head's, with its rate."""

    stem: tuple[Place, ...]
    stages: tuple[StagePlaces, ...]
    head: tuple[Place, ...]
    dropout: tuple[tuple[KeyPath, Any], ...]


class _Knob(NamedTuple):
    node: str
    path: KeyPath
    value: Any


def find_places(spec: NetworkSpec, tree: Any) -> Places:
    """The places of a spec's text; tree: as `NetworkSpec.text` gives it."""
    units = {**shipped_units(), **_own(spec)}
    head = list(_knobs(tree.get("head"), ("head",), units))
    return Places(
        _named(_knobs(tree.get("stem"), ("stem",), units), "width"),
        tuple(_stage(raw, index, units) for index, raw in enumerate(tree.get("stages") or ())),
        _named(head, "width"),
        tuple((knob.path, knob.value) for knob in head if knob.node == "dropout"),
    )


def _own(spec: NetworkSpec) -> dict[str, Any]:
    return dict(spec.units)


def _stage(raw: Mapping[str, Any], index: int, units: Mapping[str, Any]) -> StagePlaces:
    here: KeyPath = ("stages", index)
    times: list[Place] = []
    turns = 1
    found = list(_knobs(raw.get("block"), (*here, "block"), units))
    for number, turn in enumerate(raw.get("blocks") or ()):
        inside: KeyPath = (*here, "blocks", number)
        if isinstance(turn, Mapping):
            times.append(Place((*inside, "times"), turn["times"]))
            inside, turn = (*inside, "block"), turn["block"]
        found += _knobs(turn, inside, units)
    if raw.get("blocks") and not times:
        turns = len(raw["blocks"])
    down = list(_knobs(raw.get("down"), (*here, "down"), units))
    branches: list[tuple[str, object]] = [
        (str(place.path[-1]), place.value) for name in _BRANCHES for place in _named(found, name)
    ]
    branches += [
        ("width", knob.value)
        for knob in found
        if knob.path[-1] == "width" and _is_constant(knob.value)
    ]
    branches += _in_units({knob.node for knob in found} | _names(raw), units)
    return StagePlaces(
        tuple(times),
        turns,
        _named([*down, *found], "width"),
        _named(found, "group_width"),
        _named(found, "heads"),
        tuple(place for place in _named(found, "kernel") if place.value > 1),
        tuple(branches),
    )


def _is_constant(value: object) -> bool:
    """Whether an expression has no word in it."""
    return isinstance(value, str) and not any(sign.isalpha() for sign in value)


def _names(raw: object) -> set[str]:
    """All words that name a node somewhere in a text."""
    if isinstance(raw, Mapping):
        return {str(key) for key in raw}.union(*(_names(value) for value in raw.values()))
    if isinstance(raw, list):
        return {item for item in raw if isinstance(item, str)}.union(*map(_names, raw))
    return set()


def _in_units(names: set[str], units: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Widths that the text's own units of these names, and those inside them, state as numbers."""
    seen: set[str] = set()
    while names - seen:
        name = min(names - seen)
        seen.add(name)
        unit = units.get(name)
        if isinstance(unit, Mapping):
            body = unit.get("body")
            names |= _names(body)
            for knob in _knobs(body, (), units):
                if knob.path[-1] == "width" and (
                    type(knob.value) is int or _is_constant(knob.value)
                ):
                    yield f"width in unit {name}", knob.value


def _named(knobs: Iterator[_Knob] | list[_Knob], name: str) -> tuple[Place, ...]:
    return tuple(
        Place(knob.path, knob.value)
        for knob in knobs
        if knob.path[-1] == name and type(knob.value) is int
    )


def _knobs(nodes: Any, path: KeyPath, units: Mapping[str, Any]) -> Iterator[_Knob]:
    """Knobs that a list of nodes states, those of nodes inside nodes too; and kernels that the
    called unit gives by default."""
    for index, item in enumerate(nodes if isinstance(nodes, list) else ()):
        here: KeyPath = (*path, index)
        if isinstance(item, list):
            # a branch, or a list in a list
            yield from _knobs(item, here, units)
            continue
        if isinstance(item, str):
            yield from _defaults(item, {}, (*here, item), units)
            continue
        for key, value in item.items():
            if key in ("do", "times"):
                yield from _knobs(value, (*here, key), units)
            elif key != "when":
                yield from _named_node(key, value, (*here, key), units)


def _named_node(name: str, value: Any, here: KeyPath, units: Mapping[str, Any]) -> Iterator[_Knob]:
    if isinstance(value, list) and not (name in LAYERS and LAYERS[name].primary):
        yield from _knobs(value, here, units)
        return
    layer = LAYERS.get(name)
    primary = layer.primary if layer is not None else None
    given = value if isinstance(value, Mapping) else {primary: value} if primary else {}
    for knob, stated in given.items():
        if isinstance(stated, list) and knob in ("do", "shortcut", "q", "kv"):
            yield from _knobs(stated, (*here, knob), units)
        else:
            yield _Knob(name, (*here, knob), stated)
    yield from _defaults(name, given, here, units)


def _defaults(
    name: str, given: Mapping[str, Any], here: KeyPath, units: Mapping[str, Any]
) -> Iterator[_Knob]:
    unit = units.get(name)
    if unit is None or "kernel" in given:
        return
    if isinstance(unit, Unit):
        default: Any = unit.knobs["kernel"].default if "kernel" in unit.knobs else None
    else:
        default = (unit.get("knobs") or {}).get("kernel")
        default = default.get("default") if isinstance(default, Mapping) else default
    if type(default) is int:
        yield _Knob(name, (*here, "kernel"), default)


__all__ = ["Place", "Places", "StagePlaces", "find_places"]
