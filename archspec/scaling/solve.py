"""A network scaled to a budget: phi is solved, by the solver that serves the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from archspec.cost import totals
from archspec.errors import FitError, SpecError
from archspec.fit import ENOUGH, Along, fit_along, used_share
from archspec.scaling.rule import Rule
from archspec.scaling.scaled import Scaled, Scaler
from archspec.spec import NetworkSpec

#: phi is looked for this far from 0: FLOPs grow 2^64 times
FURTHEST = 64.0
#: how far from a phi at which a law breaks the next one is tried
NUDGE = 0.02
#: points tried to each side of a phi, within 1 of it
BESIDE = 40


class Landed(NamedTuple):
    """A network on its budget. used: the largest share of a limit; tries: plans made."""

    scaled: Scaled
    used: float
    tries: int


def scale_to(spec: NetworkSpec, rule: Rule, limits: Mapping[str, float]) -> Landed:
    """The largest network of the rule that exceeds no limit, then single-stage steps to within 2%
    of one, of what the rule itself moves; where they are too coarse, the nearest below.

    limits: flops, params, activations (counts) or traffic (bytes) of one image. Raises FitError
    where even the smallest network is too costly or the largest too cheap, SpecError where the rule
    cannot be applied to the network.
    """
    scaler = Scaler(spec, rule)
    return land(scaler, limits)


def land(scaler: Scaler, limits: Mapping[str, float]) -> Landed:
    """`scale_to` with a scaler that is there already."""
    at_phi: dict[float, Scaled] = {}
    #: by the identity of their specs, which are kept here: the solver hands these back
    made: dict[int, Scaled] = {}

    def at(phi: float) -> NetworkSpec:
        if phi not in at_phi:
            at_phi[phi] = scaler.at(phi)
            made[id(at_phi[phi].spec)] = at_phi[phi]
        return at_phi[phi].spec

    def around(spec: NetworkSpec) -> Iterator[NetworkSpec]:
        for scaled in scaler.steps(made[id(spec)]):
            made[id(scaled.spec)] = scaled
            yield scaled.spec

    def used(phi: float) -> float:
        at(phi)
        return used_share(totals(at_phi[phi].plan), limits)

    low, high = _end(scaler, used, -1.0), _end(scaler, used, 1.0)
    try:
        fitted = fit_along(Along(at, low, high, NUDGE), around, limits)
    except FitError as error:
        raise FitError(f"{scaler.spec.name} by rule {scaler.rule.name}: {error}") from None
    landed = Landed(made[id(fitted.spec)], fitted.used, fitted.tries)
    return _beside(scaler, landed, limits) if scaler.rule.line and landed.used < ENOUGH else landed


def _beside(scaler: Scaler, landed: Landed, limits: Mapping[str, float]) -> Landed:
    """The best of a line's networks near one; group widths make their cost fall at times, so
    that closing in on the budget may pass the nearest by."""
    middle = landed.scaled.phi
    for step in range(-BESIDE, BESIDE + 1):
        with suppress(SpecError):
            scaled = scaler.at(middle + step / BESIDE)
            used = used_share(totals(scaled.plan), limits)
            if landed.used < used <= 1:
                landed = Landed(scaled, used, landed.tries)
    return landed._replace(tries=landed.tries + 2 * BESIDE + 1)


def _end(scaler: Scaler, used: Callable[[float], float], direction: float) -> float:
    """A phi beyond the budget in this direction, or the last one at which the laws hold."""
    rule = scaler.rule
    limit = max(rule.first, -FURTHEST) if direction < 0 else min(rule.last, FURTHEST)
    phi, step = 0.0, 1.0
    while step >= NUDGE:
        following = phi + direction * step
        following = max(following, limit) if direction < 0 else min(following, limit)
        if following == phi:
            break
        try:
            share = used(following)
        except SpecError:
            step /= 4
            continue
        phi = following
        if (share <= 1) == (direction < 0):
            break
    return phi


__all__ = ["Landed", "land", "scale_to"]
