"""What a scaled network says where the network before said something else, by place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from archspec.paths import KeyPath
from archspec.scaling.places import Place, Places, StagePlaces
from archspec.scaling.rounding import rounded_kernel, rounded_width
from archspec.scaling.rule import Factors, Rule
from archspec.spec import NetworkSpec, Stage


class Outside(NamedTuple):
    """Whether stated widths of stem and head grow."""

    stem: bool
    head: bool


class Numbers(NamedTuple):
    """What factors come to: one of each a stage, None where a stage has no width, as many group
    widths as it states, and the side."""

    depths: Sequence[int]
    widths: Sequence[int | None]
    groups: Sequence[tuple[int, ...]]
    side: int | tuple[int, int]


def values_of(
    spec: NetworkSpec,
    places: Places,
    rule: Rule,
    outside: Outside,
    factors: Factors,
    numbers: Numbers,
) -> dict[KeyPath, object]:
    """All that the rule changes in the text of `spec` to come to these numbers."""
    values: dict[KeyPath, object] = {}
    if numbers.side != spec.input.resolution:
        values["input", "resolution"] = numbers.side
    values.update(_outside(spec, places, rule, outside, factors, numbers))
    for index, (stage, own) in enumerate(zip(spec.stages, places.stages, strict=True)):
        here: KeyPath = ("stages", index)
        width = numbers.widths[index]
        if width is not None and stage.width is not None and width != stage.width:
            values[*here, "width"] = width
            values.update(_inside(own, rule, stage.width, width))
        values.update(_depths(stage, own, here, numbers.depths[index]))
        for place, group in zip(own.groups, numbers.groups[index], strict=True):
            if group != place.value:
                values[place.path] = group
        for place in own.kernels if factors.kernel[index] != 1 else ():
            kernel = rounded_kernel(place.value * factors.kernel[index])
            if kernel != place.value:
                values[place.path] = kernel
    return values


def _outside(
    spec: NetworkSpec,
    places: Places,
    rule: Rule,
    outside: Outside,
    factors: Factors,
    numbers: Numbers,
) -> Iterator[tuple[KeyPath, object]]:
    """Stem and head; what enters a first stage that does not change it has that stage's width."""
    step, first = rule.rounding.width, spec.stages[0]
    for place in places.stem:
        width = place.value
        if width == first.width and not first.down:
            width = numbers.widths[0] or width
        elif outside.stem and factors.width[0] != 1:
            width = rounded_width(width * factors.width[0], step)
        if width != place.value:
            yield place.path, width
    for place in places.head if outside.head and factors.width[-1] != 1 else ():
        width = rounded_width(place.value * factors.width[-1], step)
        if width != place.value:
            yield place.path, width
    first_rate = rule.points[0].dropout if rule.points else None
    for path, rate in places.dropout:
        # rates are those of a family that begins with its first network
        if rate == first_rate and factors.dropout not in (None, rate):
            yield path, factors.dropout


def _inside(
    places: StagePlaces, rule: Rule, before: int, after: int
) -> Iterator[tuple[KeyPath, object]]:
    """Widths and heads that a stage's own nodes state, where its width moved."""
    for place in places.widths:
        width = rounded_width(place.value * after / before, rule.rounding.width)
        if width != place.value:
            yield place.path, width
    for place in places.heads if rule.heads == "follow" else ():
        heads = _heads(after, before / place.value)
        if heads != place.value:
            yield place.path, heads


def _heads(width: int, head_dim: float) -> int:
    """The divisor of the width nearest to width/head_dim, fewer heads of two equally near."""
    wished = width / head_dim
    divisors = [count for count in range(1, width + 1) if width % count == 0]
    return min(divisors, key=lambda count: (abs(count - wished), count))


def _depths(
    stage: Stage, places: StagePlaces, here: KeyPath, depth: int
) -> Iterator[tuple[KeyPath, object]]:
    if depth == stage.count:
        return
    if not places.times or stage.depth is not None:
        yield (*here, "depth"), depth
    dealt = _dealt(depth, places.times) if places.times else ()
    for place, times in zip(places.times, dealt, strict=True):
        if times != place.value:
            yield place.path, times


def _dealt(depth: int, times: tuple[Place, ...]) -> list[int]:
    """A depth dealt out to blocks in proportion to their times, none of those there left out."""
    whole = sum(place.value for place in times)
    asked = [depth * place.value / whole for place in times]
    dealt = [
        max(min(1, place.value), int(share)) for place, share in zip(times, asked, strict=True)
    ]
    while sum(dealt) != depth:
        step = 1 if sum(dealt) < depth else -1
        # whoever is furthest from the asked share, among those that can move
        movable = [i for i, n in enumerate(dealt) if times[i].value and (step > 0 or n > 1)]
        furthest = max(movable, key=lambda i: (step * (asked[i] - dealt[i]), -i))
        dealt[furthest] += step
    return dealt


__all__ = ["Numbers", "Outside", "values_of"]
