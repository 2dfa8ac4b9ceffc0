"""Fitting to what only a measurement tells: from the FLOPs that may do, down to those that do.

How long a network takes follows from no law, but falls with its FLOPs, at a pace of its own. So a
candidate is fitted to the most FLOPs that any network so far did in the time, is measured, and
where it takes longer it is fitted again to fewer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from archspec.cost import totals
from archspec.errors import ArchspecError, SpecError
from archspec.fit import fit
from archspec.planning import plan_network
from archspec.quantities import Quantity, format_quantity
from archspec.spec import NetworkSpec
from archspec.template import Pick
from search.rule_space import RuleSpace
from search.space import Candidate, Landing, Space, drawn

#: networks that are measured for one candidate
TRIES = 4
#: where no network is had on a guess, such as beyond what a rule can grow to, these shares of it
#: come next
SHARES = (0.95, 0.85, 0.7, 0.5, 0.3)
#: what a lower try aims at, as a share of the limit
AIM = 0.97
#: above the fastest so far, that faster ones are found: a first try may fail, for others follow
HOPE = 1.1
#: networks this many times from the limit tell little of the pace near it
NEAR = 4.0
#: the time falls by no less than this power of the FLOPs, or fewer FLOPs are no way out
FLATTEST, STEEPEST = 0.2, 2.0
#: a step to more than this share of the FLOPs is small: noise may hide what it brought
SMALL_STEP = 0.6
#: networks of a space that are measured before its search begins
SAMPLES = 8


class Seen(NamedTuple):
    """A network that was measured: FLOPs of one image, and the largest share of a limit."""

    flops: float
    load: float


def load_of(values: Mapping[str, float | None], limits: Mapping[str, float]) -> float | None:
    """The largest share of the measured limits, from latency in seconds and throughput in images a
    second; None where one of them was not measured."""
    loads = []
    for quantity, limit in limits.items():
        value = values.get(quantity)
        if not value:
            return None
        loads.append(limit / value if quantity == "throughput" else value / limit)
    return max(loads, default=None)


def refusal(
    values: Mapping[str, float | None], limits: Mapping[str, float], device: str
) -> str | None:
    """Which limit a network breaks that was measured before, such as `latency: 5.9 ms on cuda,
    above 5 ms (measured before)`; None where none is known to be broken."""
    for quantity, limit in limits.items():
        load = load_of(values, {quantity: limit})
        if load is None or load <= 1:
            continue
        unit, side = ("seconds", "above") if quantity == "latency" else (quantity, "below")
        value = format_quantity(Quantity(float(f"{values[quantity]:.2e}"), unit))
        return (
            f"{quantity}: {value} on {device}, {side} {format_quantity(Quantity(limit, unit))} "
            "(measured before)"
        )
    return None


def seen_of(finished: Iterable[Mapping[str, Any]], limits: Mapping[str, float]) -> list[Seen]:
    """What the attributes of finished trials tell: those with `flops` and all measured limits."""
    loads = ((attrs.get("flops"), load_of(attrs, limits)) for attrs in finished)
    return [Seen(flops, load) for flops, load in loads if flops and load]


def samples(space: Space | RuleSpace) -> list[NetworkSpec]:
    """Some networks of a space, from the fewest FLOPs to the most: what `calibrated` measures."""
    if isinstance(space, RuleSpace):
        return [space.base]
    found: dict[int, NetworkSpec] = {}
    for number in range(SAMPLES):
        rng = random.Random(number)
        try:
            spec = space.spec(lambda _, domain, rng=rng: drawn(domain, rng))  # type: ignore[misc]
            found.setdefault(totals(plan_network(spec)).flops, spec)
        except SpecError:  # unlucky: a law breaks among these picks
            continue
    return [found[flops] for flops in sorted(found)]


def below(space: Space | RuleSpace, pick: Pick) -> Landing:
    """The network that these picks name, moved to the nearest below limits that are a guess,
    whatever share it uses; raises FitError and SpecError as Space.propose does."""
    if isinstance(space, RuleSpace):
        rule = space.rules.rule(pick)
        return lambda limits: space.land(rule, limits, enough=0.0)
    if not space.fits:
        return space.propose(pick)
    spec = space.spec(pick)

    def land(limits: Mapping[str, float]) -> Candidate:
        fitted = fit(spec, space.room, limits, reach=False)
        return Candidate(fitted.spec, fitted.plan, fitted.used)

    return land


def calibrated(
    networks: Sequence[NetworkSpec], measure: Callable[[NetworkSpec], float]
) -> list[Seen]:
    """Measure networks, ordered by FLOPs, until one is expected far beyond the limit.

    measure: the load of a network. What it refuses with an ArchspecError, such as want of memory,
    is left out; where it refuses all, the first such error is raised.
    """
    seen: list[Seen] = []
    refused: list[ArchspecError] = []
    for spec in networks:
        flops = float(totals(plan_network(spec)).flops)
        expected = [flops / one.flops * one.load for one in seen]
        if expected and min(expected) > NEAR:
            break
        try:
            seen.append(Seen(flops, measure(spec)))
        except ArchspecError as error:
            refused.append(error)
    if refused and not seen:
        raise refused[0]
    return seen


def first_flops(seen: Sequence[Seen], share: float = 1.0) -> float:
    """The FLOPs that a candidate is fitted to first, to use this share of the measured limits.

    The most that any network did in the time, of those near the limit, and a little more: too many
    are mended by measuring, too few by nothing. Infinite where nothing was seen.
    """
    near = [one for one in seen if share / NEAR <= one.load <= share * NEAR]
    return max((HOPE * share * one.flops / one.load for one in near or seen), default=math.inf)


def fewer_flops(tried: Sequence[Seen]) -> float | None:
    """The FLOPs to fit a candidate to after these tries, the last of which broke a limit.

    Time is taken to go with FLOPs at first, then with the power of them that the last two tries
    tell. What did not fit the memory has an infinite load, which tells no pace: half of it comes
    next. None where that is no way out: too many tries, or far fewer FLOPs took hardly less time.
    """
    last = tried[-1]
    if len(tried) >= TRIES:
        return None
    if last.load == math.inf:
        return last.flops / 2
    before = [one for one in tried[:-1] if one.load < math.inf]
    power = 1.0
    if before:
        fewer = math.log(before[-1].flops / last.flops)
        faster = math.log(before[-1].load / last.load)
        if faster < FLATTEST * fewer or fewer <= 0:
            return last.flops / 2 if last.flops > SMALL_STEP * before[-1].flops else None
        power = min(faster / fewer, STEEPEST)
    return float(last.flops * (AIM / last.load) ** (1 / power))


class Descent:
    """The limits that one candidate is fitted to, one after the other, until it keeps what is
    measured.

    laws: limits that a fit meets by construction, none where only measured ones are asked for; then
    something must have been seen. share: of the measured limits that the candidate aims at. fits:
    whether the space has anything that a fit may move.

        descent = Descent(laws, seen)
        while (limits := descent.limits()) is not None:
            ...  # fit to the limits, or below them where descent.guesses; descent.missed(error)
            ...  # where that fails
            ...  # measure; descent.met(flops, load, reason) says whether it is done
    """

    def __init__(
        self,
        laws: Mapping[str, float],
        seen: Sequence[Seen] = (),
        share: float = 1.0,
        fits: bool = True,
    ) -> None:
        self._laws, self._fits = dict(laws), fits
        self._tried: list[Seen] = []
        self._told: list[str] = []
        self._guess = min(self._law, first_flops(seen, share)) if fits else self._law
        self._flops: float | None = self._guess
        self._missed = 0

    @property
    def _law(self) -> float:
        return self._laws.get("flops", math.inf)

    def limits(self) -> dict[str, float] | None:
        """What to fit to next; None where there is no way out, or the candidate is found."""
        if self._flops is None:
            return None
        # a fit needs a limit, if only one that nothing reaches
        bounded = self._flops < math.inf or not self._laws
        return {**self._laws, "flops": self._flops} if bounded else dict(self._laws)

    @property
    def guesses(self) -> bool:
        """Whether the FLOPs to fit to are a guess: then the nearest network below them will do,
        where a law's limit is landed on."""
        return self._flops is not None and self._flops < self._law

    @property
    def reason(self) -> str:
        """Why there is no way out."""
        return "; ".join(self._told)

    def missed(self, reason: str) -> None:
        """No network lands on the limits. Where the FLOPs are a guess, fewer may do."""
        if self._flops is None or not self.guesses or self._missed == len(SHARES):
            self._told.append(reason)
            self._flops = None
        else:
            self._flops = SHARES[self._missed] * self._guess
            self._missed += 1

    def met(self, flops: float, load: float, reason: str | None = None) -> bool:
        """Whether a network that was measured keeps the limits; else fewer FLOPs come next."""
        if load <= 1:
            self._flops = None
            return True
        self._tried.append(Seen(flops, load))
        self._told = [reason] if reason else self._told
        self._flops = fewer_flops(self._tried) if self._fits else None
        self._guess, self._missed = self._flops or 0.0, 0
        return False


__all__ = [
    "Descent",
    "Seen",
    "below",
    "calibrated",
    "fewer_flops",
    "first_flops",
    "load_of",
    "refusal",
    "samples",
    "seen_of",
]
