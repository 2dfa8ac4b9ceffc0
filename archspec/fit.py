"""The budget met by construction: knobs are solved so that a network lands just under it.

One solver serves search and scaling. First one common factor on the stage widths, bracketed on
the cost law (FLOPs and parameters never fall as it grows), then single-stage steps, until the
largest budget is used to within 2%. Where the widths' room is too small, depth follows, then
resolution.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from archspec.cost import Totals, totals
from archspec.errors import FitError, QuantityError, SpecError
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.quantities import Quantity, format_quantity, parse_quantity
from archspec.spec import NetworkSpec

#: a fit uses at least this share of one budget
ENOUGH = 0.98
MOST_STEPS = 40

#: what a budget may bound by a law, and how to read it off the totals
BOUNDED: dict[str, Callable[[Totals], int]] = {
    "flops": lambda total: total.flops,
    "params": lambda total: total.params,
    "activations": lambda total: total.activations,
    "traffic": lambda total: total.traffic,
}


def limits_of(texts: Sequence[str]) -> dict[str, float]:
    """Ceilings by quantity, from what people write: `4.5GFLOPs`. Raises QuantityError."""
    found: dict[str, float] = {}
    for text in texts:
        quantity = parse_quantity(text)
        if quantity.unit not in BOUNDED:
            raise QuantityError(
                f"a budget bounds {', '.join(BOUNDED)}, which the text alone tells; {text!r} is a "
                "measured quantity"
            )
        if quantity.unit in found:
            first = format_quantity(Quantity(found[quantity.unit], quantity.unit))
            raise QuantityError(f"two budgets bound {quantity.unit}: {first} and {text}")
        found[quantity.unit] = quantity.value
    return found


@dataclass(frozen=True, slots=True)
class Lever:
    """Stages that move together, and the values that they may take, ascending."""

    stages: tuple[int, ...]
    values: Sequence[int]

    def nearest(self, value: float) -> int:
        """The value nearest in ratio, ends included."""
        right = bisect_left(self.values, value)
        if right == 0:
            return self.values[0]
        if right == len(self.values):
            return self.values[-1]
        below, above = self.values[right - 1], self.values[right]
        return above if value * value >= below * above else below


class Room(NamedTuple):
    """What a fit may move; resolutions ascending, empty where the resolution is fixed."""

    widths: tuple[Lever, ...]
    depths: tuple[Lever, ...] = ()
    resolutions: tuple[int, ...] = ()


class Fitted(NamedTuple):
    """A network on its budget. used: largest share of a budget, in (0, 1]; tries: plans made."""

    spec: NetworkSpec
    plan: NetworkPlan
    used: float
    tries: int


class Along(NamedTuple):
    """Networks along a number, from low to high, in which the logarithm of cost is near a line.

    nudge: how much further to look where a law breaks.
    """

    at: Callable[[float], NetworkSpec]
    low: float
    high: float
    nudge: float


#: what tells networks of a fit apart
Key = Callable[[NetworkSpec], object]
#: the networks one step away from one
Around = Callable[[NetworkSpec], Iterable[NetworkSpec]]


class _Point(NamedTuple):
    used: float
    spec: NetworkSpec
    plan: NetworkPlan


def used_share(total: Totals, limits: Mapping[str, float]) -> float:
    """The largest share of a limit that these totals use."""
    return max(BOUNDED[name](total) / limit for name, limit in limits.items())


def fit(spec: NetworkSpec, room: Room, limits: Mapping[str, float], reach: bool = True) -> Fitted:
    """The spec moved inside its room until it uses 98% to 100% of its tightest limit.

    limits: flops, params, activations (counts) or traffic (bytes) of one image. Without `reach`
    the nearest below is taken where none comes there: `used` tells.
    Raises FitError with the reason where no such network exists, SpecError where a candidate
    breaks a law of the language.
    """
    return _Solver(room, limits).solve(spec, ENOUGH if reach else 0.0)


def within(spec: NetworkSpec, limits: Mapping[str, float]) -> Fitted:
    """The spec as it is, where it exceeds no limit; else FitError with what it costs."""
    solver = _Solver(Room(()), limits)
    point = solver.measure(spec)
    if point.used > 1:
        raise FitError(f"too costly: it takes {solver.compared(point)}")
    return Fitted(point.spec, point.plan, point.used, solver.tries)


def fit_along(
    along: Along,
    around: Around,
    key: Key,
    limits: Mapping[str, float],
    reach: bool = True,
) -> Fitted:
    """The largest network along a number that exceeds no limit, then single steps where it uses
    less than 98% of all.

    around: the networks one step away from one. key: what tells networks apart. What no step
    brings there stays below: `used` tells. Raises FitError where the least network is too costly,
    or, with `reach`, the largest uses less than 98%; SpecError where a law of the language breaks
    all along.
    """
    solver = _Solver(Room(()), limits, key)
    point = solver.along(along, around)
    if point.used > 1:
        raise FitError(f"too costly: the smallest takes {solver.compared(point)}")
    if reach and point.used < ENOUGH and not solver.exceeded:
        raise FitError(f"out of reach: the largest takes {solver.compared(point)}")
    return Fitted(point.spec, point.plan, point.used, solver.tries)


class _Solver:
    def __init__(self, room: Room, limits: Mapping[str, float], key: Key | None = None) -> None:
        unknown = [name for name in limits if name not in BOUNDED]
        if unknown or not limits:
            raise FitError(f"a fit needs limits of {', '.join(BOUNDED)}; got {unknown or 'none'}")
        self.room, self.limits = room, limits
        self.key = key or _moves
        self.tries = 0
        #: whether any network so far was too large
        self.exceeded = False
        self.known: dict[object, _Point] = {}

    def solve(self, spec: NetworkSpec, least: float = ENOUGH) -> Fitted:
        point = self._by_width(spec)
        for lever in (self._by_depth, self._by_resolution):
            if ENOUGH <= point.used <= 1:
                break
            point = lever(spec, point)
        if least <= point.used <= 1:
            return Fitted(point.spec, point.plan, point.used, self.tries)
        raise FitError(self._reason(point))

    def compared(self, point: _Point) -> str:
        """What a point costs, against each limit."""
        total = totals(point.plan)
        return ", ".join(
            f"{format_quantity(Quantity(float(BOUNDED[name](total)), name))} against "
            f"{format_quantity(Quantity(limit, name))}"
            for name, limit in self.limits.items()
        )

    def _reason(self, point: _Point) -> str:
        listed = self.compared(point)
        if point.used > 1:
            return f"too costly: with these blocks the smallest takes {listed}"
        if self._at_most(point.spec):
            return f"too small: with these blocks the largest takes {listed}"
        return f"no step lands within 2% under the target: the nearest below takes {listed}"

    def _at_most(self, spec: NetworkSpec) -> bool:
        room = self.room
        return (
            all(_now(spec, lever) == lever.values[-1] for lever in room.widths)
            and all(_depth(spec, lever) == lever.values[-1] for lever in room.depths)
            and (not room.resolutions or _side(spec) == room.resolutions[-1])
        )

    # One point: a spec with these widths, planned and measured -----------------------------

    def measure(self, spec: NetworkSpec) -> _Point:
        """The point of a network, planned once."""
        key = self.key(spec)
        point = self.known.get(key)
        if point is None:
            self.tries += 1
            plan = plan_network(spec)
            point = self.known[key] = _Point(used_share(totals(plan), self.limits), spec, plan)
            self.exceeded = self.exceeded or point.used > 1
        return point

    def _widths(self, spec: NetworkSpec, factor: float) -> NetworkSpec:
        return _with(
            spec,
            "width",
            {
                index: lever.nearest(_now(spec, lever) * factor)
                for lever in self.room.widths
                for index in lever.stages
            },
        )

    # Width ------------------------------------------------------------------------------------

    def _by_width(self, spec: NetworkSpec) -> _Point:
        """The largest common factor under the budget, then single steps."""
        levers = self.room.widths
        if not levers:
            return self.measure(spec)
        low = min(lever.values[0] / _now(spec, lever) for lever in levers)
        high = max(lever.values[-1] / _now(spec, lever) for lever in levers)
        factors = Along(
            lambda log: self._widths(spec, math.exp(log)),
            math.log(low),
            math.log(high),
            math.log(1.01),
        )
        return self.along(factors, lambda at: self._around(at, levers, "width"))

    def along(self, along: Along, around: Around) -> _Point:
        """The largest point under the budget, then single steps; where none is, the nearest."""
        below = self._near(along, along.low, along.nudge)
        if below.used > 1:
            return below
        above = self._near(along, along.high, -along.nudge)
        if above.used <= 1:
            return above
        return self._steps(self._bracket(along, below, above), around)

    def _near(self, along: Along, place: float, nudge: float) -> _Point:
        """The point at a place; where a law breaks there (heads that do not divide a width), at
        the next ones that keep the laws."""
        for attempt in range(MOST_STEPS):
            try:
                return self.measure(along.at(place + nudge * attempt))
            except SpecError as error:
                broken = error
        raise broken

    def _bracket(self, along: Along, below: _Point, above: _Point) -> tuple[_Point, _Point]:
        """Close in on the budget from both sides; `below` fits, `above` does not."""
        a, b = along.low, along.high
        for _ in range(MOST_STEPS):
            if below.used >= ENOUGH or b - a < 1e-4:
                break
            # off the ends, so that the bracket shrinks where the line bends
            used = max(below.used, 1e-9)
            share = -math.log(used) / (math.log(above.used) - math.log(used))
            middle = a + (b - a) * min(max(share, 0.1), 0.9)
            point = self._near(along, middle, along.nudge)
            if point.used <= 1:
                a, below = middle, point
            else:
                b, above = middle, point
        return below, above

    def _steps(self, ends: Sequence[_Point], around: Around) -> _Point:
        """Single steps up and down from the ends, until enough is used.

        All points one and two steps away come first (other common factors and a step from them
        are among these), then whatever is nearest to the budget.
        """
        best = ends[0]
        nearest = [(0, _off(point), number, point) for number, point in enumerate(ends)]
        seen = {self.key(point.spec) for point in ends}
        heapify(nearest)
        for _ in range(MOST_STEPS):
            if ENOUGH <= best.used <= 1 or not nearest:
                break
            taken, _, _, point = heappop(nearest)
            for spec in around(point.spec):
                if self.key(spec) in seen:
                    continue
                seen.add(self.key(spec))
                try:
                    step = self.measure(spec)
                except SpecError:
                    continue
                best = _better(best, step)
                heappush(nearest, (min(taken + 1, 2), _off(step), len(seen), step))
        return best

    def _around(
        self, spec: NetworkSpec, levers: Sequence[Lever], knob: str
    ) -> Iterator[NetworkSpec]:
        """The specs one step of one lever away."""
        for lever in levers:
            now = _depth(spec, lever) if knob == "depth" else _now(spec, lever)
            for place in (bisect_right(lever.values, now), bisect_left(lever.values, now) - 1):
                if 0 <= place < len(lever.values):
                    yield _with(spec, knob, dict.fromkeys(lever.stages, lever.values[place]))

    # Depth and resolution -----------------------------------------------------------------------

    def _by_depth(self, spec: NetworkSpec, point: _Point) -> _Point:
        levers = self.room.depths
        if not levers:
            return point
        best = point
        seen: set[tuple[int, ...]] = set()
        growing = point.used < ENOUGH
        for step in range(1, MOST_STEPS):
            factor = 1.1**step if growing else 1.1**-step
            moved = {
                index: lever.nearest(_depth(spec, lever) * factor)
                for lever in levers
                for index in lever.stages
            }
            if tuple(moved.values()) in seen:
                continue
            seen.add(tuple(moved.values()))
            candidate = self._by_width(_with(spec, "depth", moved))
            best = _better(best, candidate)
            if ENOUGH <= best.used <= 1 or (growing and candidate.used > 1):
                break
            end = -1 if growing else 0
            if all(moved[lever.stages[0]] == lever.values[end] for lever in levers):
                break
        if best.used > 1 or self._at_most(best.spec):
            return best
        if not self.room.widths:
            return self._steps([best], lambda at: self._around(at, levers, "depth"))
        # the widths' steps are too coarse here; beside other depths they land elsewhere
        for moved_spec in self._around(spec, levers, "depth"):
            best = _better(best, self._by_width(moved_spec))
            if ENOUGH <= best.used <= 1:
                break
        return best

    def _by_resolution(self, spec: NetworkSpec, point: _Point) -> _Point:
        now = _side(spec)
        if point.used < ENOUGH:
            sides = [side for side in self.room.resolutions if side > now]
        else:
            sides = [side for side in reversed(self.room.resolutions) if side < now]
        best = point
        for side in sides:
            moved = spec.model_copy(
                update={"input": spec.input.model_copy(update={"resolution": side})}
            )
            candidate = self._by_width(moved)
            if not ENOUGH <= candidate.used <= 1:
                candidate = self._by_depth(moved, candidate)
            best = _better(best, candidate)
            if ENOUGH <= best.used <= 1:
                break
        return best


def _better(one: _Point, other: _Point) -> _Point:
    """The nearer to the budget, one under it before one over it."""
    if (one.used <= 1) != (other.used <= 1):
        return one if one.used <= 1 else other
    return max(one, other, key=lambda point: point.used if point.used <= 1 else -point.used)


def _off(point: _Point) -> float:
    """How far from the middle of the band that counts as landed."""
    return abs(point.used - (1 + ENOUGH) / 2)


def _moves(spec: NetworkSpec) -> tuple[object, ...]:
    """What a fit may have moved."""
    return (*((stage.width, stage.count) for stage in spec.stages), _side(spec))


def _now(spec: NetworkSpec, lever: Lever) -> int:
    width = spec.stages[lever.stages[0]].width
    assert width is not None, "a width lever names a stage that has a width"
    return width


def _depth(spec: NetworkSpec, lever: Lever) -> int:
    return spec.stages[lever.stages[0]].count


def _side(spec: NetworkSpec) -> int:
    side = spec.input.resolution
    return side if isinstance(side, int) else side[0] * side[1]


def _with(spec: NetworkSpec, knob: str, values: Mapping[int, int]) -> NetworkSpec:
    """The spec with one knob of some stages replaced; values come from checked domains."""
    stages = tuple(
        stage.model_copy(update={knob: values[index]}) if index in values else stage
        for index, stage in enumerate(spec.stages)
    )
    return spec.model_copy(update={"stages": stages})


__all__ = [
    "BOUNDED",
    "ENOUGH",
    "Along",
    "Fitted",
    "Lever",
    "Room",
    "fit",
    "fit_along",
    "used_share",
    "within",
]
