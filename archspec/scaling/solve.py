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


class Phis:
    """Networks of a scaler by phi, each made once; where a law breaks, SpecError each time."""

    def __init__(self, scaler: Scaler) -> None:
        self.scaler = scaler
        self.known: dict[float, Scaled | SpecError] = {}
        #: by the identity of their specs, which are kept: the solver hands these back
        self.made: dict[int, Scaled] = {}

    def at(self, phi: float) -> Scaled:
        """The network at phi; raises SpecError where none keeps the laws."""
        if phi not in self.known:
            try:
                self.known[phi] = self.keep(self.scaler.at(phi))
            except SpecError as error:
                self.known[phi] = error
        known = self.known[phi]
        if isinstance(known, SpecError):
            raise known
        return known

    def keep(self, scaled: Scaled) -> Scaled:
        """Remember a network by its spec."""
        self.made[id(scaled.spec)] = scaled
        return scaled

    def steps(self, spec: NetworkSpec) -> Iterator[NetworkSpec]:
        """Networks one step of one stage away from one that was made here."""
        return (self.keep(scaled).spec for scaled in self.scaler.steps(self.made[id(spec)]))

    def end(self, up: bool, beyond: Callable[[Scaled], bool]) -> float:
        """A phi upwards or downwards from 0 whose network is beyond what is looked for; or the
        last at which the laws hold."""
        rule = self.scaler.rule
        limit = min(rule.last, FURTHEST) if up else max(rule.first, -FURTHEST)
        phi, step, longer = 0.0, 1.0, 2.0
        while step >= NUDGE and not beyond(self.at(phi)):
            following = min(phi + step, limit) if up else max(phi - step, limit)
            if following == phi:
                break
            try:
                self.at(following)
            except SpecError:
                # the laws end somewhere before: closer and closer
                step, longer = step / 4, 1.0
                continue
            phi, step = following, step * longer
        return phi

    def key(self, spec: NetworkSpec) -> object:
        """What tells a network that was made here from the others."""
        return frozenset(self.made[id(spec)].values.items())


def scale_to(spec: NetworkSpec, rule: Rule, limits: Mapping[str, float]) -> Landed:
    """The largest network of the rule that exceeds no limit, then single-stage steps to within 2%
    of one, of what the rule itself moves; where they are too coarse, the nearest below.

    limits: flops, params, activations (counts) or traffic (bytes) of one image. Raises FitError
    where even the smallest network is too costly or the largest too cheap, SpecError where the
    rule cannot be applied to the network.
    """
    return land(Scaler(spec, rule), limits)


def land(scaler: Scaler, limits: Mapping[str, float]) -> Landed:
    """`scale_to` with a scaler that is there already."""
    phis = Phis(scaler)

    def used(scaled: Scaled) -> float:
        return used_share(totals(scaled.plan), limits)

    low = phis.end(False, lambda scaled: used(scaled) <= 1)
    high = phis.end(True, lambda scaled: used(scaled) > 1)
    along = Along(lambda phi: phis.at(phi).spec, low, high, NUDGE)
    try:
        fitted = fit_along(along, phis.steps, phis.key, limits)
    except FitError as error:
        raise FitError(f"{scaler.spec.name} by rule {scaler.rule.name}: {error}") from None
    landed = Landed(phis.made[id(fitted.spec)], fitted.used, fitted.tries)
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


__all__ = ["NUDGE", "Landed", "Phis", "land", "scale_to"]
