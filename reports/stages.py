"""The stages of networks in words that tell apart what a search chose between.

A trial records `64x2 mbconv`; where networks of a run differ in a knob of a unit, or in the order
of blocks that are spelled out, the words have it, too: `64x2 mbconv k5 e6 / k3 e3`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby, takewhile
from typing import Any, NamedTuple

import pandas as pd

from archspec.errors import SpecError
from archspec.load import parse_yaml
from archspec.units import shipped_units

#: knobs that have a letter; any other is called by its name
LETTERS = {"kernel": "k", "expansion": "e"}
#: whose networks are laid beside each other: shipped ones are no choice of a search
BASELINES = ("shipped",)
#: between the stages of a network
SEPARATOR = " | "
_SIZE = re.compile(r"(?:width|depth): \d+")

Knobs = tuple[tuple[str, str], ...]
#: defaults of the knobs in which networks differ, by unit and knob; "" where there is none
Differing = Mapping[str, Mapping[str, str]]


class Call(NamedTuple):
    """A unit or layer of a block with its knobs as written, in words."""

    name: str
    knobs: Knobs


class Blocks(NamedTuple):
    """A stage's blocks with how often each stands there; not spelled: they take turns."""

    spelled: bool
    blocks: tuple[tuple[int, tuple[Call, ...]], ...]


def told_apart(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its column `stages` in these words; a row whose spec does not tell keeps what
    it recorded. The same for a frame that has these words already."""
    searched = ~frame["kind"].isin(BASELINES)
    read = {
        place: blocks
        for place, (spec, words) in enumerate(zip(frame["spec"], frame["stages"], strict=True))
        if searched.iloc[place] and isinstance(spec, str) and isinstance(words, str)
        if len(blocks := _stages(spec)) == words.count(SEPARATOR) + 1
    }
    differing = _differing(read.values())
    specs = list(frame["spec"])
    told = list(frame["stages"])
    for place, stages in read.items():
        recorded = zip(told[place].split(SEPARATOR), stages, strict=True)
        own = _own_units(_below(specs[place], "units:"))
        told[place] = SEPARATOR.join(
            _told(
                words,
                stage,
                {
                    name: {knob: _default(name, knob, own) for knob in knobs}
                    for name, knobs in differing.items()
                },
            )
            for words, stage in recorded
        )
    return frame.assign(stages=told)


def _stages(spec: str) -> tuple[Blocks, ...]:
    """What stands in each stage of a spec's text; nothing where it is not understood."""
    lines = iter(spec.split("\n"))
    if next((line for line in lines if line == "stages:"), None) is None:
        return ()
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("- "):
            found.append([])
        elif not line.startswith(" ") or not found:
            break
        # sizes are many, blocks few: without sizes a text is met often and read once
        if _SIZE.fullmatch(line[2:]):
            line = "-" if line.startswith("-") else ""
        if line:
            found[-1].append(line)
    read = [_blocks("\n".join(stage)) for stage in found]
    return tuple(one for one in read if one is not None) if None not in read else ()


@lru_cache(maxsize=10_000)
def _blocks(text: str) -> Blocks | None:
    """The blocks of one stage's text; None where it is not understood."""
    try:
        stage = parse_yaml(f"stages:\n{text}\n", "stage")["stages"][0]
    except SpecError:
        return None
    if not isinstance(stage, Mapping):
        return None
    turns = stage["blocks"] if "blocks" in stage else [stage.get("block", ())]
    if not isinstance(turns, list):
        return None
    spelled = all(isinstance(turn, Mapping) and "times" in turn for turn in turns)
    blocks = []
    for turn in turns:
        nodes = turn.get("block", ()) if isinstance(turn, Mapping) else turn
        times = turn["times"] if spelled else 1
        if not isinstance(times, int) or not isinstance(nodes, (list, tuple)):
            return None
        calls = [_call(node) for node in nodes]
        blocks.append((times, tuple(call for call in calls if call is not None)))
        if None in calls:
            return None
    return Blocks(spelled, tuple(blocks))


def _call(node: Any) -> Call | None:
    """A node's name and knobs; None of one that is there on a condition, which only a plan tells,
    and of a list."""
    if isinstance(node, str):
        return Call(node, ())
    if not isinstance(node, Mapping) or len(node) != 1:
        return None
    name = str(next(iter(node)))
    knobs = node[name]
    if not isinstance(knobs, Mapping):
        return Call(name, ())
    return Call(name, tuple((str(knob), _value(value)) for knob, value in knobs.items()))


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _differing(networks: Iterable[tuple[Blocks, ...]]) -> dict[str, tuple[str, ...]]:
    """Knobs by unit in which networks differ that have this unit in one stage. A network's own
    turns, or stages, may differ in a knob: two networks that do so alike do not."""
    met: dict[tuple[int, str, str], set[tuple[str, ...]]] = {}
    every: dict[tuple[int, str], dict[str, None]] = {}
    kept: list[tuple[int, str, list[Call]]] = []
    for index, name, calls in _by_unit(set(networks)):
        kept.append((index, name, calls))
        every.setdefault((index, name), {}).update(
            dict.fromkeys(knob for call in calls for knob, _ in call.knobs)
        )
    for index, name, calls in kept:
        for knob in every[index, name]:
            values = tuple(dict(call.knobs).get(knob, "") for call in calls)
            # how often one value stands there is no matter of the knob
            values = values if len(set(values)) > 1 else values[:1]
            met.setdefault((index, name, knob), set()).add(values)
    found: dict[str, set[str]] = {}
    for (_, name, knob), ways in met.items():
        if len(ways) > 1:
            # told in all stages: what it is missing from would look like another value
            found.setdefault(name, set()).add(knob)
    return {
        name: tuple(knob for knob in [*LETTERS, *sorted(knobs - set(LETTERS))] if knob in knobs)
        for name, knobs in found.items()
    }


def _by_unit(networks: set[tuple[Blocks, ...]]) -> Iterator[tuple[int, str, list[Call]]]:
    """Calls by stage and unit, of each network for itself."""
    for stages in networks:
        for index, stage in enumerate(stages):
            calls: dict[str, list[Call]] = {}
            for _, block in stage.blocks:
                for call in block:
                    calls.setdefault(call.name, []).append(call)
            for name, same in calls.items():
                yield index, name, same


def _told(recorded: str, stage: Blocks, differing: Differing) -> str:
    """One stage: its size as it was recorded, for it was fitted, and its blocks."""
    names = {call.name for _, block in stage.blocks for call in block}
    if not (names & set(differing) or (stage.spelled and len(stage.blocks) > 1)):
        return recorded
    return f"{recorded.partition(' ')[0]} {_words(stage, differing)}"


def _words(stage: Blocks, differing: Differing) -> str:
    """Blocks in words: in order and with their numbers where they are spelled out, else each once.
    A unit that stands alone, as before it, is not named again."""
    told = [(times, _block(block, differing)) for times, block in stage.blocks if times]
    if not stage.spelled:
        return " / ".join(dict.fromkeys(" ".join(words) for _, words in told)) or "identity"
    merged = [
        (sum(times for times, _ in same), words)
        for words, same in groupby(told, key=lambda one: one[1])
    ]
    parts, before = [], ""
    for times, (name, *knobs) in merged:
        # one number is the depth, which stands before
        count = f"{times} x " if times > 1 and len(merged) > 1 else ""
        again = name == before and bool(knobs)
        parts.append(count + " ".join(knobs if again else (name, *knobs)))
        before = name
    return " / ".join(parts) or "identity"


def _block(block: tuple[Call, ...], differing: Differing) -> list[str]:
    """A block's words: of one unit its name and its knobs, else all in one."""
    calls = [[call.name, *_knobs(call, differing.get(call.name, {}))] for call in block]
    return calls[0] if len(calls) == 1 else [" + ".join(map(" ".join, calls)) or "identity"]


def _knobs(call: Call, asked: Mapping[str, str]) -> Iterator[str]:
    """`k5`, `e6`, `mid w_out//4`; a unit's default where the text says nothing."""
    written = dict(call.knobs)
    for knob, default in asked.items():
        value = written.get(knob) or default
        if value:
            yield LETTERS[knob] + value if knob in LETTERS else f"{knob} {value}"


def _default(name: str, knob: str, own: Mapping[str, Mapping[str, Any]]) -> str:
    """A knob's default in the spec's own unit of that name, else in the shipped one."""
    if name in own:
        knobs = own[name].get("knobs") if isinstance(own[name], Mapping) else None
        value = knobs.get(knob) if isinstance(knobs, Mapping) else None
        value = value.get("default") if isinstance(value, Mapping) else value
    else:
        unit = shipped_units().get(name)
        value = unit.knobs[knob].default if unit is not None and knob in unit.knobs else None
    return "" if value is None else _value(value)


def _below(spec: str, key: str) -> str:
    """The lines of a spec's text below a key that stands at its margin; nothing without it."""
    _, found, rest = f"\n{spec}".partition(f"\n{key}\n")
    lines = takewhile(lambda line: line[:1] in ("", " "), rest.split("\n"))
    return "\n".join(lines) if found else ""


@lru_cache(maxsize=1_000)
def _own_units(text: str) -> Mapping[str, Any]:
    """Units that a spec defines, by name; none where their text is not understood."""
    if not text:
        return {}
    try:
        units = parse_yaml(f"units:\n{text}\n", "units")["units"]
    except SpecError:
        return {}
    return units if isinstance(units, Mapping) else {}


__all__ = ["told_apart"]
