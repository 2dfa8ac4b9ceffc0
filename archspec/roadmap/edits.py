"""The `set` that leads from one network to another, as a person would write it.

Paths are short where the text allows it: `stages.*.depth: [3, 3, 9, 3]`, a knob rather than the
whole block. Where it does not, lists of nodes are written whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from archspec.dump import dump_yaml
from archspec.layers import LAYERS
from archspec.nodes import Call, Node, dump_nodes
from archspec.spec import NetworkSpec, Stage

#: a value that a network does not state
_ABSENT = object()
#: more knobs than these of a stem or head, and the list is written whole
MOST_KNOBS = 2


def edits(a: NetworkSpec, b: NetworkSpec, whole: bool = False) -> dict[str, Any]:
    """Paths and values that make `b` of `a`, in the order in which they are applied.

    whole: nodes are written as whole lists, never knob by knob; for texts that write their nodes
    in another way than `NetworkSpec.dump` does. Names, docs, weights and references are no edits.
    """
    made: dict[str, Any] = {}
    made |= _units(a, b)
    for key in ("form", "classes"):
        if getattr(a, key) != getattr(b, key):
            made[key] = getattr(b, key)
    for key in ("input", "defaults"):
        first, second = getattr(a, key).model_dump(), getattr(b, key).model_dump()
        made |= {f"{key}.{k}": _plain(second[k]) for k in first if first[k] != second[k]}
    made |= _top("stem", a, b, whole)
    if len(a.stages) != len(b.stages):
        made |= _all_stages(b.stages)
    else:
        made |= _stages(a.stages, b.stages, whole)
    return made | _top("head", a, b, whole)


def _units(a: NetworkSpec, b: NetworkSpec) -> dict[str, Any]:
    if a.units.keys() - b.units.keys():
        return {"units": _plain(b.units)}
    changed = [name for name in b.units if a.units.get(name) != b.units[name]]
    return {f"units.{name}": _plain(b.units[name]) for name in changed}


def _top(key: str, a: NetworkSpec, b: NetworkSpec, whole: bool) -> dict[str, Any]:
    first, second = getattr(a, key), getattr(b, key)
    if first == second:
        return {}
    knobs = None if whole else _knobs(first, second)
    if knobs is None or len(knobs) > MOST_KNOBS:
        return {key: dump_nodes(second)}
    return {f"{key}.{path}": value for path, value in knobs.items()}


def _knobs(a: Sequence[Node], b: Sequence[Node]) -> dict[str, Any] | None:
    """Knobs to set, as paths into a list of nodes; None where that does not lead to `b`."""
    if [node.key for node in a] != [node.key for node in b]:
        return None
    made: dict[str, Any] = {}
    for first, second in zip(a, b, strict=True):
        if first == second:
            continue
        if not isinstance(first, Call) or not isinstance(second, Call):
            return None
        layer = LAYERS.get(second.name)
        inner = () if layer is None else layer.inner
        if first.when != second.when or any(knob in second.knobs for knob in inner):
            return None
        if first.knobs.keys() - second.knobs.keys():
            # nothing takes a knob away but writing all that are left
            made[second.key] = {knob: _plain(value) for knob, value in second.knobs.items()}
            continue
        for knob, value in second.knobs.items():
            if first.knobs.get(knob, _ABSENT) != value:
                made[f"{second.key}.{knob}"] = _plain(value)
    return made


def _all_stages(stages: Sequence[Stage]) -> dict[str, Any]:
    """`stages` written whole, what most of them share in `each_stage`."""
    rows = []
    for stage in stages:
        key, blocks = _blocks(stage)
        row: dict[str, Any] = {"width": stage.width, "depth": stage.depth}
        row = {name: value for name, value in row.items() if value is not None}
        rows.append({**row, "stride": stage.stride, "down": dump_nodes(stage.down), key: blocks})
    each: dict[str, Any] = {}
    for keys in (("stride",), ("down",), ("block", "blocks")):
        found = [(key, row[key]) for row in rows for key in keys if key in row]
        if len(found) > 1:
            (key, value), count = _commonest(found)
            each |= {key: value} if count > 1 else {}
    for row in rows:
        for key, value in each.items():
            if key in row and row[key] == value:
                del row[key]
    defaults = {"stride": 1, "down": []}
    for row in rows:
        for key, value in defaults.items():
            if key not in each and row.get(key) == value:
                del row[key]
    return {"each_stage": each, "stages": rows}


def _stages(a: Sequence[Stage], b: Sequence[Stage], whole: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key in ("width", "stride"):
        made |= _spread(key, [getattr(s, key) for s in a], [getattr(s, key) for s in b])
    made |= _spread("depth", [_depth(stage) for stage in a], [_depth(stage) for stage in b])
    pairs = list(zip(a, b, strict=True))
    made |= _gather([_down(*pair, whole) for pair in pairs], b)
    return made | _gather([_block(*pair, whole) for pair in pairs], b)


def _down(a: Stage, b: Stage, whole: bool) -> dict[str, Any]:
    if a.down == b.down:
        return {}
    knobs = None if whole else _knobs(a.down, b.down)
    if knobs is None:
        return {"down": dump_nodes(b.down)}
    return {f"down.{path}": value for path, value in knobs.items()}


def _block(a: Stage, b: Stage, whole: bool) -> dict[str, Any]:
    if a.block == b.block and a.blocks == b.blocks:
        return {}
    inside = None if whole else _inside(a, b)
    return dict([_blocks(b)]) if inside is None else inside


def _depth(stage: Stage) -> int | None:
    spelled = stage.turns[0][0] is not None
    return stage.depth if spelled else stage.count


def _inside(a: Stage, b: Stage) -> dict[str, Any] | None:
    """Paths inside a stage's blocks, where they are of the same units; else None."""
    if (a.blocks is None) != (b.blocks is None) or len(a.turns) != len(b.turns):
        return None
    made: dict[str, Any] = {}
    for number, ((old, first), (new, second)) in enumerate(zip(a.turns, b.turns, strict=True)):
        if (old is None) != (new is None):
            return None
        knobs = _knobs(first, second)
        if knobs is None:
            return None
        prefix = "block" if a.blocks is None else f"blocks.{number}"
        if old != new:
            made[f"{prefix}.times"] = new
        prefix += ".block" if old is not None else ""
        made |= {f"{prefix}.{path}": value for path, value in knobs.items()}
    return made


def _gather(rows: Sequence[Mapping[str, Any]], b: Sequence[Stage]) -> dict[str, Any]:
    """Edits of every stage by their paths, equal ones of all stages as one."""
    made: dict[str, Any] = {}
    for path in dict.fromkeys(path for row in rows for path in row):
        after = [_value(stage, path) for stage in b]
        before = [_ABSENT if path in row else value for row, value in zip(rows, after, strict=True)]
        made |= _spread(path, before, after)
    return made


def _value(stage: Stage, path: str) -> Any:
    """What stands at a path inside a stage, nodes as they are written; _ABSENT for nothing."""
    first, *rest = path.split(".")
    if not rest:
        return {"down": dump_nodes(stage.down), **dict([_blocks(stage)])}.get(first, _ABSENT)
    listed: Sequence[Node] = stage.down if first == "down" else stage.block or ()
    if first == "blocks":
        if stage.blocks is None or int(rest[0]) >= len(stage.turns):
            return _ABSENT
        times, listed = stage.turns[int(rest[0])]
        if rest[1] == "times":
            return _ABSENT if times is None else times
        rest = rest[2:] if rest[1] == "block" else rest[1:]
    call = next((node for node in listed if node.key == rest[0]), None)
    if not isinstance(call, Call):
        return _ABSENT
    if len(rest) == 1:
        return {knob: _plain(value) for knob, value in call.knobs.items()}
    return _plain(call.knobs.get(rest[1], _ABSENT))


def _spread(key: str, before: Sequence[Any], after: Sequence[Any]) -> dict[str, Any]:
    """A key of all stages: one value for all, a list dealt out, or each for itself."""
    changed = [index for index, value in enumerate(after) if before[index] != value]
    single = {f"stages.{index}.{key}": after[index] for index in changed}
    if len(changed) < 2 or any(value is _ABSENT for value in after):
        return single
    nodes = key in ("down", "block", "blocks")
    lists = any(isinstance(value, list) for value in after) and not nodes
    if lists:
        return single  # a list on a path with * would be dealt out
    value, count = _commonest(after)
    if count == len(after):
        return {f"stages.*.{key}": value}
    if not any(isinstance(value, list | dict) for value in after):
        return {f"stages.*.{key}": list(after)}
    rest = {f"stages.{i}.{key}": item for i, item in enumerate(after) if item != value}
    return single if len(single) <= len(rest) + 1 else {f"stages.*.{key}": value, **rest}


def _commonest(values: Sequence[Any]) -> tuple[Any, int]:
    texts = [dump_yaml(list(value) if isinstance(value, tuple) else value) for value in values]
    text, count = Counter(texts).most_common(1)[0]
    return values[texts.index(text)], count


def _blocks(stage: Stage) -> tuple[str, list[Any]]:
    if stage.blocks is None:
        return "block", dump_nodes(stage.block or ())
    turns = [
        dump_nodes(nodes) if times is None else {"times": times, "block": dump_nodes(nodes)}
        for times, nodes in stage.turns
    ]
    return "blocks", turns


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


__all__ = ["edits"]
