"""What a rule asked of a network, and what came of it after rounding."""

from __future__ import annotations

import math
from typing import NamedTuple

from archspec.cost import totals
from archspec.fit import BOUNDED
from archspec.planning import plan_network
from archspec.scaling.places import Place
from archspec.scaling.rule import Rule
from archspec.scaling.scaled import Scaled, Scaler
from archspec.spec import NetworkSpec


class Grown(NamedTuple):
    """A quantity before and after; asked is None where the rule says nothing of it.

    before, after: whole numbers, lists of one a stage as texts such as 64-128-256.
    """

    what: str
    asked: float | None
    reached: float
    before: int | str
    after: int | str


def growth(scaler: Scaler, scaled: Scaled) -> list[Grown]:
    """Knobs that the rule moves, the law's product, then FLOPs, params, activations, traffic.

    Depth is the number of blocks in all stages; width, group width and kernel are geometric means
    over the stages that have one. The law's product is that of the rule, of the factors above.
    """
    spec, grown, factors, law = scaler.spec, scaled.spec, scaled.factors, scaler.rule.law
    counts = [stage.count for stage in spec.stages]
    asked_depth = sum(
        count * factor for count, factor in zip(counts, factors.depth, strict=True)
    ) / sum(counts)
    rows = [_depth(spec, grown, asked_depth), _width(spec, grown, factors.width)]
    rows.append(_side(spec, grown, factors.resolution))
    before, after = _total(scaler, spec), _total(scaler, grown)
    asked = law.product(rows[0].asked or 1, rows[1].asked or 1, factors.resolution)
    reached = law.product(rows[0].reached, rows[1].reached, rows[2].reached)
    rows += _inside(scaler, scaled)
    rows.append(Grown("law", asked, reached, "", ""))
    rows += [
        Grown(what, None, after[what] / max(1, before[what]), before[what], after[what])
        for what in BOUNDED
    ]
    return [row for row in rows if row.asked != 1 or row.reached != 1 or row.before != row.after]


def _total(scaler: Scaler, spec: NetworkSpec) -> dict[str, int]:
    sums = totals(plan_network(spec))
    return {what: count(sums) for what, count in BOUNDED.items()}


def _depth(spec: NetworkSpec, grown: NetworkSpec, asked: float) -> Grown:
    before, after = ([stage.count for stage in each.stages] for each in (spec, grown))
    return Grown("depth", asked, sum(after) / sum(before), _listed(before), _listed(after))


def _width(spec: NetworkSpec, grown: NetworkSpec, factors: tuple[float, ...]) -> Grown:
    widths = [
        (a.width, b.width, factor)
        for a, b, factor in zip(spec.stages, grown.stages, factors, strict=True)
        if a.width is not None and b.width is not None
    ]
    if not widths:
        return Grown("width", 1.0, 1.0, "", "")
    before, after = [a for a, _, _ in widths], [b for _, b, _ in widths]
    asked, reached = _mean([factor for _, _, factor in widths]), [b / a for a, b, _ in widths]
    return Grown("width", asked, _mean(reached), _listed(before), _listed(after))


def _side(spec: NetworkSpec, grown: NetworkSpec, asked: float) -> Grown:
    (height, width), (high, wide) = (each.input.shape[1:3] for each in (spec, grown))
    reached = math.sqrt(high * wide / (height * width))
    if height == width:
        return Grown("resolution", asked, reached, height, high)
    return Grown("resolution", asked, reached, f"{height}x{width}", f"{high}x{wide}")


def _inside(scaler: Scaler, scaled: Scaled) -> list[Grown]:
    """Group widths and kernels, and heads, where they are stated."""
    kinds = (
        ("group width", "groups", scaled.factors.group),
        ("kernel", "kernels", _mean(scaled.factors.kernel)),
        ("heads", "heads", None),
    )
    rows = []
    for what, key, asked in kinds:
        found: list[Place] = [place for own in scaler.places.stages for place in getattr(own, key)]
        if not found:
            continue
        before = [place.value for place in found]
        after = [_whole(scaled.values.get(place.path, place.value)) for place in found]
        reached = _mean([b / a for a, b in zip(before, after, strict=True)])
        rows.append(Grown(what, asked, reached, _listed(before), _listed(after)))
    return rows


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _mean(factors: list[float] | tuple[float, ...]) -> float:
    return math.exp(math.fsum(map(math.log, factors)) / len(factors))


def _listed(numbers: list[int]) -> str:
    return "-".join(map(str, numbers))


def factors_text(rule: Rule) -> str:
    """What a rule moves in a line: `depth 1.2, width 1.3, resolution 1.15 a phi`."""
    if rule.points is not None:
        return f"{len(rule.points)} points, from {rule.points[0].name} to {rule.points[-1].name}"
    one = rule.factors(1.0, rule.stage_count or 1)
    words = []
    for knob, value in zip(("depth", "width", "kernel"), one[:3], strict=True):
        if any(factor != 1 for factor in value):
            shown = {f"{factor:.4g}" for factor in value}
            words.append(f"{knob} {shown.pop() if len(shown) == 1 else 'by stage'}")
    if one.resolution != 1:
        words.insert(2, f"resolution {one.resolution:.4g}")
    if one.group != 1:
        words.append(f"group width {one.group:.4g}")
    return (", ".join(words) or "nothing") + " a phi" + (", on its line" if rule.line else "")


def law_text(rule: Rule) -> str:
    """The rule's law in a line: what FLOPs grow by, the product at phi = 1, what papers print."""
    law = rule.law
    parts = (("depth", law.depth), ("width", law.width), ("resolution", law.resolution))
    product = " * ".join(
        name if power == 1 else f"{name}^{power:g}" for name, power in parts if power
    )
    if rule.growth is None:
        return f"{product}, point by point" if rule.points else f"{product}, stage by stage"
    printed = f" (printed as {law.printed:g})" if law.printed is not None else ""
    return f"{product} = {rule.growth:.4g} a phi{printed}"


__all__ = ["Grown", "factors_text", "growth", "law_text"]
