"""How long the networks of curves take, measured in turns over their rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from archspec.errors import OutOfMemory, TrainError
from archspec.scaling.curve import CurvePoint, Timed
from archspec.study.latency import measure_latency
from archspec.study.text import Measure
from archspec.train.devices import checked_device


class Passes(NamedTuple):
    """What is timed: forward passes in evaluation of so many images each.

    repeats: timed passes of a network in a round, after one fifth as many that are not counted.
    rounds: through all networks. limit: seconds that one pass may be expected to take.
    """

    batch: int = 1
    repeats: int = 5
    rounds: int = 3
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    channels_last: bool = False
    limit: float = 10.0


PASSES = Passes()

#: is told of a point before it is measured, with its number from 0 and how many there are, each
#: as often as there are rounds
Watcher = Callable[[CurvePoint, int, int], None]


def measure_points(
    points: Sequence[CurvePoint],
    passes: Passes = PASSES,
    device: str | None = None,
    watch: Watcher = lambda point, number, count: None,
) -> list[Timed]:
    """One entry a point, of curves that stand one after the other.

    The first points of all rules come first, then the second ones, and the round through all of
    them is made again: what is kept of a network is its round of the lowest median, so that a busy
    moment of the machine falls on no rule. A network that several rules have is measured once a
    round. A point is left out, with the reason, where the one before it lets expect more than the
    limit, and where torch refuses it or memory is short. Raises TrainError for a device that is not
    there.
    """
    where = str(checked_device(device))
    keys = [point.spec.dump() for point in points]
    best: dict[str, Timed] = {}
    number = 0
    for _ in range(passes.rounds):
        measured: set[str] = set()
        before: dict[str, int] = {}
        for place in _in_turns(points):
            point, key = points[place], keys[place]
            watch(point, number, passes.rounds * len(points))
            number += 1
            if key not in measured:
                measured.add(key)
                smaller = before.get(point.rule)
                reason = ""
                if smaller is not None:
                    known = best[keys[smaller]].latency_ms or 0.0
                    reason = _too_long(point, points[smaller], known, passes.limit)
                timed = Timed(None, reason=reason) if reason else _timed(point, passes, where)
                best[key] = _quieter(best.get(key), timed)
            if best[key].latency_ms is not None:
                before[point.rule] = place
    return [best[key] for key in keys]


def measure_some(
    points: Sequence[CurvePoint],
    count: int,
    passes: Passes = PASSES,
    device: str | None = None,
    watch: Watcher = lambda point, number, count: None,
) -> list[Timed]:
    """`measure_points` of so many points a rule: evenly chosen, the first and the last included.

    One entry a point; those that were not chosen have neither a time nor a reason.
    """
    chosen = [place for places in _by_rule(points).values() for place in _some(places, count)]
    timed = measure_points([points[place] for place in chosen], passes, device, watch)
    known = dict(zip(chosen, timed, strict=True))
    return [known.get(place, Timed(None)) for place in range(len(points))]


def _by_rule(points: Sequence[CurvePoint]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for place, point in enumerate(points):
        found[point.rule].append(place)
    return found


def _some(places: Sequence[int], count: int) -> list[int]:
    """Two at least, where there are two."""
    last, parts = len(places) - 1, max(1, count - 1)
    return [places[at] for at in sorted({round(last * n / parts) for n in range(parts + 1)})]


def _quieter(one: Timed | None, other: Timed) -> Timed:
    """The measurement of the lower median; the one that there is."""
    if one is None or one.latency_ms is None:
        return other
    return other if (other.latency_ms or one.latency_ms) < one.latency_ms else one


def _in_turns(points: Sequence[CurvePoint]) -> list[int]:
    """The places of points: the first of every rule, then the second of every rule, and so on."""
    lists = _by_rule(points).values()
    return [place for turn in zip_longest(*lists) for place in turn if place is not None]


def _too_long(point: CurvePoint, smaller: CurvePoint, milliseconds: float, limit: float) -> str:
    """Why a point is not measured: FLOPs or bytes have grown by so much since the one before."""
    grown = max(point.flops / smaller.flops, point.traffic / smaller.traffic)
    expected = grown * milliseconds / 1000
    if expected <= limit:
        return ""
    return f"a pass is expected to take {expected:.3g} s, above the limit of {limit:g} s"


def _timed(point: CurvePoint, passes: Passes, device: str) -> Timed:
    measure = Measure(
        resolutions=(point.resolution,),
        batch=passes.batch,
        repeats=passes.repeats,
        channels_last=passes.channels_last,
        precision=passes.precision,
    )
    try:
        took = measure_latency(point.spec, measure, device)
    except (OutOfMemory, TrainError) as error:
        return Timed(None, reason=str(error))
    return Timed(took.latency_ms, took.latency_low, took.latency_high, took.device)


__all__ = ["Passes", "Watcher", "measure_points", "measure_some"]
