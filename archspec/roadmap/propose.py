"""A roadmap proposed between two networks: which edits, in which order.

Every network on the way plans. An edit that cannot stand alone (a block that takes no stride needs
a `down`, a wider stage a wider stem) is joined with the fewest others that make it stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from archspec.cost import Totals, totals
from archspec.diff import differences
from archspec.dump import dump_yaml
from archspec.errors import LawError, SpecError
from archspec.load import parse_yaml
from archspec.marks import MarkedDict
from archspec.planning import plan_network
from archspec.resolve import FORMAT, locate, resolve
from archspec.roadmap.between import NOTHING, Between, taking
from archspec.roadmap.edits import edits
from archspec.roadmap.parts import Keys, Part
from archspec.roadmap.text import Roadmap, Start, parse_roadmap
from archspec.spec import NetworkSpec, make_spec

Order = Literal["roadmap", "cost"]
#: no network on the way has more FLOPs or parameters than this many times the dearer end; one
#: that attends over a stem's whole map plans, too, but nobody would train it
MOST_GROWTH = 2
MOST_NAME = 100


def propose(
    a: NetworkSpec, b: NetworkSpec, source_a: str, source_b: str, order: Order = "roadmap"
) -> Roadmap:
    """A roadmap from `a` to `b`; the arguments and errors are those of `propose_tree`."""
    tree = propose_tree(a, b, source_a, source_b, order)
    return parse_roadmap(dump_yaml(tree), tree["name"])


def propose_tree(
    a: NetworkSpec, b: NetworkSpec, source_a: str, source_b: str, order: Order = "roadmap"
) -> dict[str, Any]:
    """The text of a roadmap whose last network has no differences from `b`.

    source_a, source_b: the shipped names or paths that `a` and `b` were read from. order: of the
    edits that can come next, `roadmap`, the default, takes the first of depths, stem, blocks,
    widths, kernel, other knobs, act, norm, head, resolution (roughly the order of the ConvNeXt
    roadmap, arXiv 2201.03545, figure 2, so that a person reads it as a story); `cost` takes the
    one with the fewest FLOPs afterwards, equal ones in that order; it is no default, for it puts
    off all that makes a network larger. Both are deterministic and plan a number of networks that
    is at most cubic in the number of edits.

    Raises SpecError where the networks are the same, where one of them does not plan, and where
    no edits of A's text lead to B.
    """
    plan_network(a)
    plan_network(b)
    if not differences(a, b):
        raise SpecError(
            f"a roadmap leads from one network to another, but {source_a} and {source_b} are the "
            "same network; choose two that differ (archspec diff A B)"
        )
    between = Between(a, b)
    steps = list(_written(between, source_a, source_b, _ordered(between, order)))
    start = _start(a.name, source_a)
    names = _names(start, [parts for parts, _ in steps])
    return {
        "format": FORMAT,
        "name": f"{a.name}_to_{b.name}"[:MOST_NAME],
        "doc": f"From {a.name} to {b.name}, in an order of edits that was proposed, not tried.",
        "start": {"name": start, "spec": source_a},
        "steps": [
            {"name": name, "set": changes} for name, (_, changes) in zip(names, steps, strict=True)
        ],
    }


def _start(name: str, source: str) -> str:
    """The network's name, where a row of a roadmap may have it."""
    try:
        return Start(name=name, spec=source).name
    except ValidationError:
        return "start"


class _Ways:
    """Which networks between two stand, and what they cost; remembered."""

    def __init__(self, between: Between) -> None:
        self.between = between
        self._known: dict[Keys, Totals | None] = {}
        ends = [_costs(spec) for spec in (between.a, between.b)]
        self._most = [
            MOST_GROWTH * max(getattr(end, key) for end in ends) for key in ("flops", "params")
        ]

    def cost(self, taken: Keys) -> Totals | None:
        """None where a law breaks, or where it costs several times as much as both ends."""
        if taken not in self._known:
            self._known[taken] = self._cost(taken)
        return self._known[taken]

    def _cost(self, taken: Keys) -> Totals | None:
        try:
            cost = _costs(self.between.network(taken))
        except (SpecError, LawError):
            return None
        flops, params = self._most
        return cost if cost.flops <= flops and cost.params <= params else None


def _ordered(between: Between, order: Order) -> Iterator[tuple[Part, ...]]:
    """The parts of each step, in order; the last one ends at the second network."""
    ways, taken = _Ways(between), NOTHING
    left = list(between.parts)
    while left:
        step = _next(between, ways, taken, left, order)
        yield step
        taken = taking(taken, step)
        left = [part for part in left if part not in step]


def _next(
    between: Between, ways: _Ways, taken: Keys, left: list[Part], order: Order
) -> tuple[Part, ...]:
    for size in (1, 2):
        found: list[tuple[int, tuple[Part, ...]]] = []
        for group in combinations(left, size):
            cost = ways.cost(taking(taken, group)) if between.ready(taken, group) else None
            if cost is not None and order == "roadmap":
                return group
            if cost is not None:
                found.append((cost.flops, group))
        if found:
            return min(found, key=lambda item: item[0])[1]
    groups_of_more = [_grown(between, ways, taken, left, part) for part in left]
    return min(groups_of_more, key=len)


def _grown(
    between: Between, ways: _Ways, taken: Keys, left: list[Part], first: Part
) -> tuple[Part, ...]:
    """Parts joined in order until they stand with `first`, then those left out that can be."""

    def stands(group: list[Part]) -> bool:
        good = between.ready(taken, group)
        return good and ways.cost(taking(taken, group)) is not None

    group = [first]
    for part in left:
        if stands(group):
            break
        if part is not first:
            group.append(part)
    for part in group[:0:-1]:
        fewer = [other for other in group if other is not part]
        if stands(fewer):
            group = fewer
    return tuple(part for part in left if part in group)


def _written(
    between: Between, source_a: str, source_b: str, order: Iterable[tuple[Part, ...]]
) -> Iterator[tuple[tuple[Part, ...], dict[str, Any]]]:
    """Each step with its `set`, which was applied to the text of A and gave its network."""
    path = locate(source_a)
    before, taken = between.a, NOTHING
    settings: list[MarkedDict] = []
    for parts in order:
        taken = taking(taken, parts)
        after = between.network(taken)
        if not differences(before, after):
            continue  # depths, say, that change with the blocks
        for whole in (False, True):
            changes = edits(before, after, whole)
            tried = [*settings, parse_yaml(dump_yaml(changes), "roadmap")]
            if _leads(path, tried, after):
                break
        else:
            raise SpecError(
                f"no edits of {source_a} that lead to {source_b} were found, for its "
                f"{_short(parts)}; write the text of {source_a} out (archspec show --yaml)"
            )
        settings, before = tried, after
        yield parts, changes
    # a knob that states its default is no difference, yet a default may be the text's
    if differences(before, between.b) or _costs(before) != _costs(between.b):
        raise SpecError(f"no edits of {source_a} lead to {source_b}; they differ in what is left")


def _leads(path: Path, settings: Sequence[MarkedDict], goal: NetworkSpec) -> bool:
    try:
        return not differences(make_spec(resolve(path, settings=settings)), goal)
    except SpecError:
        return False


def _costs(spec: NetworkSpec) -> Totals:
    return totals(plan_network(spec))


def _names(start: str, steps: Iterable[tuple[Part, ...]]) -> Iterator[str]:
    """A name of its own for each step, as names of steps may be."""
    known = {start.casefold()}
    for parts in steps:
        name = " + ".join(part.name for part in parts)
        name = name if len(name) <= MOST_NAME else _short(parts)[: MOST_NAME - 5].rstrip()
        unique = name
        number = 1
        while unique.casefold() in known:
            number += 1
            unique = f"{name[: MOST_NAME - 5]} ({number})"
        known.add(unique.casefold())
        yield unique


def _short(parts: tuple[Part, ...]) -> str:
    return " + ".join(dict.fromkeys(part.short for part in parts))


__all__ = ["Order", "propose", "propose_tree"]
