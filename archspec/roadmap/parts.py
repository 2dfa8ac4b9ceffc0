"""What has to change between two networks, cut into the parts that a person would name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archspec.diff import Difference, differences
from archspec.dump import dump_yaml
from archspec.layers import LAYERS
from archspec.nodes import Call, node_name
from archspec.spec import NetworkSpec, Stage

#: what a part takes from the second network: a key of the text such as ("stem",) or
#: ("defaults", "act"); ("widths",), ("depths",), ("strides",) or ("downs",) of all stages;
#: ("layout",); ("blocks", 0, 2) of these stages; ("knob", unit, knob) in all blocks
Key = tuple[str | int, ...]
Keys = frozenset[Key]

#: keys of a stage, and the parts that change them in all stages
FIELDS = {"width": "widths", "depth": "depths", "stride": "strides", "down": "downs"}
# The order of the ConvNeXt roadmap (arXiv 2201.03545, figure 2), roughly: macro design, then
# blocks and widths, then kernels, then acts and norms; then what leaves the body as it is.
_RANKS = (
    ("layout",),
    ("depths",),
    ("stem",),
    ("strides", "downs"),
    ("blocks",),
    ("widths",),
    ("kernel",),
    ("knob",),
    ("act",),
    ("norm", "groups"),
    ("eps",),
    ("padding",),
    ("drop_path",),
    ("form",),
    ("head",),
    ("classes",),
    ("channels",),
    ("resolution",),
    ("units",),
)
_STAGE_PATH = re.compile(r"stages\.(\d+)\.([a-z]+)(?:\.(.+))?")
_KNOB_PATH = re.compile(r"(?:(\d+)\.)?(?:block\.)?([^.]+)\.([^.]+)")
_TIMES_PATH = re.compile(r"\d+\.times")
MOST_LETTERS = 80


@dataclass(frozen=True)
class Part:
    """One change: `name` tells it in full, `short` in a word or two; low ranks come first.

    default: for a knob that the second network leaves out, the plain value that it then has; None
    where nothing but leaving it out says the same.
    """

    keys: Keys
    name: str
    short: str
    rank: int
    default: object = None


def parts_of(a: NetworkSpec, b: NetworkSpec, stages: int) -> tuple[Part, ...]:
    """The parts in which `b` differs from `a`, in the order in which a person would take them.

    Both have as many stages; where `a` had another number of them, `stages`, one part is the
    layout.
    """
    found = differences(a, b)
    paths = {item.path for item in found}
    parts = []
    if stages != len(b.stages):
        parts.append(_part(("layout",), f"stages {stages} -> {len(b.stages)}", "stages"))
    tops = {path.partition(".")[0] for path in paths}
    parts += [_part((key,), key, key) for key in ("stem", "head") if key in tops]
    for key in ("form", "classes"):
        if key in paths:
            parts.append(_changed((key,), getattr(a, key), getattr(b, key)))
    for key in type(a.input).model_fields:
        if f"input.{key}" in paths:
            parts.append(_changed(("input", key), getattr(a.input, key), getattr(b.input, key)))
    parts += _defaults(a, b, [key for key in type(a.defaults).model_fields if _of(key, paths)])
    parts += _of_stages(a.stages, b.stages, found)
    if not parts:
        parts.append(_part(("units",), "units", "units"))
    return tuple(sorted(parts, key=lambda part: part.rank))


def joined(parts: Sequence[Part]) -> Part:
    """Several parts as one that takes them all, at the place of the last of them."""
    return Part(
        frozenset().union(*(part.keys for part in parts)),
        " and ".join(part.name for part in parts),
        " and ".join(part.short for part in parts),
        max(part.rank for part in parts),
    )


def spelled(stage: Stage) -> bool:
    """Whether blocks are spelled out with `times`, so that they say how deep the stage is."""
    return stage.turns[0][0] is not None


def _of(key: str, paths: Iterable[str]) -> bool:
    return f"defaults.{key}" in paths


def _part(key: Key, name: str, short: str, default: object = None) -> Part:
    word = key[-1] if key[0] in ("defaults", "input") or key[-1] == "kernel" else key[0]
    rank = next(rank for rank, words in enumerate(_RANKS) if word in words)
    return Part(frozenset({key}), name, short, rank, default)


def _changed(key: Key, before: object, after: object) -> Part:
    word = "input channels" if key[-1] == "channels" else str(key[-1])
    return _part(key, f"{word} {_word(before)} -> {_word(after)}", word)


def _defaults(a: NetworkSpec, b: NetworkSpec, changed: Sequence[str]) -> Iterator[Part]:
    for key in changed:
        if key == "groups" and "norm" in changed:
            continue  # they are those of the norm
        part = _changed(("defaults", key), getattr(a.defaults, key), getattr(b.defaults, key))
        if key == "norm" and "groups" in changed:
            part = replace(part, keys=part.keys | {("defaults", "groups")})
        yield part


def _of_stages(
    a: Sequence[Stage], b: Sequence[Stage], found: Iterable[Difference]
) -> Iterator[Part]:
    fields: set[str] = set()
    whole: set[int] = set()
    knobs: dict[tuple[str, str], list[tuple[int, Difference]]] = {}
    for item in found:
        match = _STAGE_PATH.fullmatch(item.path)
        if match is None:
            continue
        index, field, rest = int(match[1]), match[2], match[3] or ""
        unit = _unit(a[index], b[index], rest) if item.kind == "changed" else None
        if field in FIELDS:
            fields.add(field)
        elif _TIMES_PATH.fullmatch(rest):
            fields.add("depth")
        elif unit is None:
            whole.add(index)
        else:
            knobs.setdefault((unit, rest.rpartition(".")[2]), []).append((index, item))
    yield from (_field(field, a, b) for field in FIELDS if field in fields)
    yield from _blocks(a, b, sorted(whole))
    kept = {name: [row for row in rows if row[0] not in whole] for name, rows in knobs.items()}
    kept = {name: rows for name, rows in kept.items() if rows}
    for (unit, knob), rows in kept.items():
        shared = sum(knob == other for _, other in kept) > 1
        yield _knob(unit, knob, rows, len(b), shared)


def _unit(a: Stage, b: Stage, path: str) -> str | None:
    """The layer or unit whose knob a path names; None where it names something else."""
    match = _KNOB_PATH.fullmatch(path)
    if match is None:
        return None
    calls = []
    for stage in (a, b):
        nodes = {node.key: node for node in stage.turns[int(match[1] or 0)][1]}
        call = nodes.get(match[2])
        if not isinstance(call, Call):
            return None
        calls.append(call)
    layer = LAYERS.get(calls[0].name)
    inner = layer is not None and match[3] in layer.inner
    known = any(match[3] in call.knobs for call in calls)
    return calls[0].name if known and not inner else None


def _field(field: str, a: Sequence[Stage], b: Sequence[Stage]) -> Part:
    key = FIELDS[field]
    if field == "down":
        return _part((key,), "downsampling", "downsampling")
    attribute = "count" if field == "depth" else field
    before, after = ([getattr(stage, attribute) for stage in stages] for stages in (a, b))
    if field == "width" and None not in (*before, *after):
        ratios = {round(new / old, 3) for old, new in zip(before, after, strict=True)}
        if len(ratios) == 1 and len(before) > 1:
            return _part((key,), f"widths x{ratios.pop():g}", key)
    rows = ["-".join("free" if x is None else str(x) for x in row) for row in (before, after)]
    return _part((key,), _fitting(f"{key} {rows[0]} -> {rows[1]}", key), key)


def _blocks(a: Sequence[Stage], b: Sequence[Stage], whole: Sequence[int]) -> Iterator[Part]:
    """Stages whose blocks change in the same way together."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index in whole:
        groups.setdefault((_units(a[index]), _units(b[index])), []).append(index)
    for (before, after), stages in groups.items():
        where = _where(stages, len(b))
        short = f"block{where}"
        change = f"block {before} -> {after}{where}" if before != after else f"block {after}{where}"
        name = _fitting(change, _fitting(f"block {after}{where}", short))
        yield _part(("blocks", *stages), name, short)


def _units(stage: Stage) -> str:
    lists = [nodes for _, nodes in stage.turns]
    names = dict.fromkeys("+".join(node_name(node) for node in nodes) for nodes in lists)
    return " and ".join(name or "nothing" for name in names)


def _knob(
    unit: str, knob: str, rows: Sequence[tuple[int, Difference]], stages: int, shared: bool
) -> Part:
    short = f"{knob} of {unit}"
    sides = [{_word(getattr(item, side)) for _, item in rows} for side in ("before", "after")]
    name = short
    if all(len(side) == 1 for side in sides):
        before, after = (side.pop() for side in sides)
        where = _where(dict.fromkeys(index for index, _ in rows), stages)
        word = short if shared or knob == "kind" else knob
        name = _fitting(f"{word} {before} -> {after}{where}", short)
    left_out = next((item.after for _, item in rows if item.implied == "after"), None)
    # a layer's default may be the text's, and an expression may name what only the unit knows
    plain = unit not in LAYERS and isinstance(left_out, int | float)
    return _part(("knob", unit, knob), name, short, left_out if plain else None)


def _where(indexes: Iterable[int], stages: int) -> str:
    """` in stages 0 and 2 to 4`; nothing for the only stage."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    if stages == 1:
        return ""
    if len(runs[0]) == stages:
        return " in all stages"
    words: list[str] = []
    for run in runs:
        words += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run)
    return f" in stage{'s' if runs != [[runs[0][0]]] else ''} {' and '.join(words)}"


def _fitting(name: str, other: str) -> str:
    """A name, or another one where it is too long or says what names of steps may not."""
    return name if len(name) <= MOST_LETTERS and not set(name) & set("/\\,") else other


def _word(value: Any) -> str:
    """A value as YAML writes it; a pair as 224x192."""
    if isinstance(value, tuple | list):
        return "x".join(_word(item) for item in value)
    return dump_yaml(value).strip().strip('"')


__all__ = ["FIELDS", "Keys", "Part", "joined", "parts_of", "spelled"]
