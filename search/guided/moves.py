"""Points to choose from: drawn by chance, or a step or two away from good ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from archspec.domains import Choice, Domain, Range
from search.grid import Point
from search.guided.landscape import Landscape

#: of the moves, those that change two knobs at once
TWICE = 0.4
#: of the moves along an ordered domain, those that go anywhere
FAR = 0.2
#: steps that the others go at most
STEPS = 2
#: a step of a domain without steps of its own, as a share of it
STEP = 0.08


def drawn(landscape: Landscape, rng: random.Random, part: Point | None = None) -> dict[str, Any]:
    """A point that agrees with `part` where that has a say; the rest is drawn by chance."""
    given = part or {}
    return landscape.point(
        lambda name, domain: given[name] if name in given else domain.at_share(rng.random())
    )


def moved(
    landscape: Landscape, rng: random.Random, point: Point, parameters: Mapping[str, Domain]
) -> dict[str, Any]:
    """A point one or two knobs away; what a new option has of its own is drawn."""
    names = [name for name in point if _can_move(parameters[name])]
    count = min(2 if rng.random() < TWICE else 1, len(names))
    part = dict(point)
    for name in rng.sample(names, count):
        part[name] = _other(parameters[name], point[name], rng)
    return drawn(landscape, rng, part)


def _can_move(domain: Domain) -> bool:
    return len(domain.tags) > 1 if isinstance(domain, Choice) else domain.low < domain.high


def _other(domain: Domain, value: Any, rng: random.Random) -> Any:
    if isinstance(domain, Choice):
        ordered = all(type(tag) in (int, float) for tag in domain.tags)
        if not ordered or rng.random() < FAR:
            return rng.choice([tag for tag in domain.tags if tag != value])
        tags = sorted(domain.tags)
        return _stepped(len(tags), tags.index(value), rng, tags.__getitem__)
    if rng.random() < FAR:
        return domain.at_share(rng.random())
    return _along(domain, value, rng)


def _along(domain: Range, value: float, rng: random.Random) -> Any:
    step = domain.step or (1 if domain.whole else None)
    if step is None:
        if domain.log:
            return domain.nearest(value * (domain.high / domain.low) ** rng.gauss(0, STEP))
        return domain.nearest(value + (domain.high - domain.low) * rng.gauss(0, STEP))
    count = round((domain.high - domain.low) / step) + 1
    # many small steps are one
    stride = max(1, round(STEP * count))
    place = round((value - domain.low) / step)
    return _stepped(count, place, rng, lambda at: domain.nearest(domain.low + at * step), stride)


def _stepped(
    count: int,
    place: int,
    rng: random.Random,
    at: Callable[[int], Any],
    stride: int = 1,
) -> Any:
    near = range(max(0, place - STEPS * stride), min(count, place + STEPS * stride + 1))
    return at(rng.choice([other for other in near if other != place]))
