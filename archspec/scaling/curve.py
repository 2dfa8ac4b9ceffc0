"""Curves: the networks of a rule from a base to a target, and how their costs grow along it.

The points are the rule's own path: phi and the rule's rounding, no steps beyond. FLOPs are
multiply-adds; every count is of one image at the network's own resolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from archspec.cost import Totals, totals
from archspec.errors import FitError, LawError, SpecError
from archspec.fit import Along, fit_along
from archspec.paths import KeyPath
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.quantities import Quantity, format_quantity
from archspec.scaling.growth import factors_text
from archspec.scaling.rule import Factors, Rule
from archspec.scaling.scaled import Scaled, Scaler
from archspec.scaling.solve import NUDGE, Phis
from archspec.scaling.text import short_text
from archspec.spec import NetworkSpec

MOST_POINTS = 200
#: costs whose growth against FLOPs is told
GROWING = ("params", "activations", "traffic", "latency_ms")


class CurvePoint(NamedTuple):
    """One network of a rule.

    asked: by how much FLOPs grow from the base by the rule's law at this phi. resolution: height
    and width in pixels. blocks: of all stages. widths: of stages in channels, None where a stage's
    blocks decide. traffic: bytes. depth: weighted layers on the longest path. text: YAML of the
    network, short where the base's source is known.
    """

    rule: str
    phi: float
    asked: float
    name: str
    resolution: tuple[int, int]
    blocks: int
    widths: tuple[int | None, ...]
    params: int
    flops: int
    activations: int
    traffic: int
    depth: int
    spec: NetworkSpec
    text: str


class Timed(NamedTuple):
    """Milliseconds of one forward pass: the median, and the 10th and 90th percentile of the
    passes; or the reason why there are none. device: on what."""

    latency_ms: float | None
    latency_low: float | None = None
    latency_high: float | None = None
    device: str = ""
    reason: str = ""


class Source(NamedTuple):
    """Where a base was read from, a path or shipped name, and the (path, YAML value) pairs that
    were applied to it."""

    name: str
    edits: tuple[tuple[str, str], ...] = ()


def curve(
    spec: NetworkSpec, rule: Rule, until: float, points: int = 12, source: Source | None = None
) -> list[CurvePoint]:
    """Networks of the rule from the base, which is the first, to `until` FLOPs.

    They lie evenly in the logarithm of FLOPs, each the largest that the rule has up to its place;
    fewer than `points` where two places have networks of the same costs, or where the rule ends
    earlier. `until` below the base's FLOPs scales down. source: of the base; None: texts are whole.

    Raises SpecError where the rule cannot be applied to the network, LawError for a target or a
    number of points outside its law.
    """
    if not (math.isfinite(until) and until > 0):
        raise LawError(f"a curve goes to a number of FLOPs above 0, but got {until:g}")
    if not 2 <= points <= MOST_POINTS:
        raise LawError(f"a curve has 2 to {MOST_POINTS} points, but got {points}")
    phis = Phis(Scaler(spec, rule))
    start = plan_network(spec)
    # rounding may change a network even at phi 0: the base is the one that was given
    stay = phis.at(0.0)._replace(values={}, spec=spec, plan=start)
    base = totals(start).flops
    if not base:
        raise SpecError(f"{spec.name} has no FLOPs that could grow")
    up = until > base
    end = phis.end(up, lambda one: (totals(one.plan).flops > until) == up)
    found: list[Scaled] = []
    known = [_costs(start)]
    for place in range(1, points):
        target = base * (until / base) ** (place / (points - 1))
        landed = _nearest(phis, target, end)
        if landed is not None and _costs(landed.plan) not in known:
            known.append(_costs(landed.plan))
            found.append(landed)
    return [_point(one, rule, stay, source) for one in (stay, *found)]


def applicable(spec: NetworkSpec, rules: Sequence[Rule]) -> tuple[list[Rule], dict[str, str]]:
    """The rules that can be applied to a network, and why the others cannot, by name."""
    able: list[Rule] = []
    reasons: dict[str, str] = {}
    for rule in rules:
        try:
            Scaler(spec, rule).at(0.0)
        except SpecError as error:
            reasons[rule.name] = error.problem
        else:
            able.append(rule)
    return able, reasons


def exponents(
    points: Sequence[CurvePoint], timed: Sequence[Timed] | None = None
) -> dict[str, float]:
    """How costs grow: cost is near FLOPs to this power, by least squares in logarithms.

    Of params, activations, traffic and, where at least two points were timed, latency_ms; empty
    where the curve has one point. `timed` has one entry a point.
    """
    return slopes(rows(points, timed))


def slopes(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`exponents` of rows as `rows` makes them, of one rule."""
    found = {}
    for key in GROWING:
        # a frame says nan where a dict says None
        known = [(row["flops"], row[key]) for row in rows if (row.get(key) or math.nan) > 0]
        pairs = [(math.log(flops), math.log(cost)) for flops, cost in known]
        slope = _slope(pairs)
        if slope is not None:
            found[key] = slope
    return found


def rows(
    points: Sequence[CurvePoint], timed: Sequence[Timed] | None = None
) -> list[dict[str, Any]]:
    """Points as plain values, one dict each: for JSON, for a frame and for the page.

    latency_ms, latency_spread ([low, high], the 10th and 90th percentile) and latency_note, the
    reason why there are none, are null where nothing was timed. `timed` has one entry a point.
    """
    times = [None] * len(points) if timed is None else timed
    made = []
    for point, time in zip(points, times, strict=True):
        row = point._asdict()
        del row["spec"]
        row |= {"resolution": list(point.resolution), "widths": list(point.widths)}
        done = time is not None and time.latency_ms is not None
        row["latency_ms"] = time.latency_ms if time is not None else None
        row["latency_spread"] = [time.latency_low, time.latency_high] if time and done else None
        row["latency_note"] = time.reason or None if time is not None and not done else None
        made.append(row)
    return made


def rule_row(rule: Rule) -> dict[str, Any]:
    """A rule as plain values: its law in words, and what costs grow by according to it.

    growth: of FLOPs a phi; printed: as the paper prints it. params_law, activations_law: the
    exponents against FLOPs that follow from the factors, for a convolution with params near
    depth * width^2 and activations near depth * width * resolution^2 (Dollar et al.,
    arXiv 2103.06877, section 3). All null where factors differ by stage or by point.
    """
    growth = rule.growth
    row: dict[str, Any] = {
        "name": rule.name, "doc": rule.doc, "source": rule.source, "law": factors_text(rule),
        "growth": growth, "printed": rule.law.printed, "params_law": None, "activations_law": None,
    }  # fmt: skip
    if growth is not None and growth != 1:
        one = rule.factors(1.0, 1)
        depth, width = one.depth[0], one.width[0]
        whole = math.log(growth)
        row["params_law"] = math.log(depth * width**2) / whole
        row["activations_law"] = math.log(depth * width * one.resolution**2) / whole
    return row


def asked_growth(rule: Rule, factors: Factors, base: NetworkPlan) -> float:
    """By how much FLOPs grow by the rule's law under these factors.

    Where they differ by stage, stages weigh what they have of the base's FLOPs.
    """
    shares = [totals(stage).flops for stage in base.stages]
    grown = [
        share * rule.law.product(depth, width, factors.resolution)
        for share, depth, width in zip(shares, factors.depth, factors.width, strict=True)
    ]
    return sum(grown) / sum(shares) if sum(shares) else 1.0


def _nearest(phis: Phis, target: float, end: float) -> Scaled | None:
    """The largest network up to so many FLOPs between the base and a phi."""
    costs = {
        phi: totals(one.plan).flops
        for phi, one in phis.known.items()
        if isinstance(one, Scaled) and min(0.0, end) <= phi <= max(0.0, end)
    }
    # what other places were found by narrows this one
    low = max((phi for phi, cost in costs.items() if cost <= target), default=min(costs))
    high = min((phi for phi, cost in costs.items() if cost > target), default=max(costs))
    if high < low:
        low, high = min(costs), max(costs)
    along = Along(lambda phi: phis.at(phi).spec, low, high, NUDGE)
    try:
        fitted = fit_along(along, lambda spec: (), phis.key, {"flops": target}, reach=False)
    except FitError:
        return None
    return phis.made[id(fitted.spec)]


def _costs(plan: NetworkPlan) -> tuple[int, int, int]:
    total = totals(plan)
    return total.flops, total.params, total.activations


def _point(one: Scaled, rule: Rule, base: Scaled, source: Source | None) -> CurvePoint:
    total: Totals = totals(one.plan)
    shape = one.spec.input.shape
    cost = format_quantity(Quantity(total.flops, "flops"))
    name = one.spec.name if one is base else f"{base.spec.name}_{rule.name}_{cost}"
    doc = f"{base.spec.name} by rule {rule.name} at phi {one.phi:.4g}: {cost}"
    return CurvePoint(
        rule=rule.name,
        phi=one.phi,
        asked=asked_growth(rule, one.factors, base.plan),
        name=name.replace(" ", ""),
        resolution=(shape.height, shape.width),
        blocks=sum(stage.count for stage in one.spec.stages),
        widths=tuple(stage.width for stage in one.spec.stages),
        params=total.params,
        flops=total.flops,
        activations=total.activations,
        traffic=total.traffic,
        depth=total.depth,
        spec=one.spec,
        text=_text(one, base, source, doc),
    )


def _text(one: Scaled, base: Scaled, source: Source | None, doc: str) -> str:
    if source is None:
        return one.spec.dump()
    values: dict[KeyPath, object] = one.values
    return short_text(source.name, source.edits, base.spec.text(), values, doc)


def _slope(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < 2:
        return None
    middle_x, middle_y = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    across = sum((x - middle_x) ** 2 for x, _ in pairs)
    both = sum((x - middle_x) * (y - middle_y) for x, y in pairs)
    return both / across if across else None


__all__ = [
    "CurvePoint",
    "Source",
    "Timed",
    "applicable",
    "asked_growth",
    "curve",
    "exponents",
    "rows",
    "rule_row",
    "slopes",
]
