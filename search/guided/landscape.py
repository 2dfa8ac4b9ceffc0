"""What the laws tell of a point of a space, free of charge: whether it fits, what it costs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from archspec.cost import totals
from archspec.domains import Domain
from archspec.errors import FitError, SpecError
from archspec.template import Pick, Template
from search.descent import below
from search.grid import Point
from search.guided.known import known_points
from search.guided.questions import Questions
from search.guided.wiring import wiring
from search.record import architecture_key
from search.rule_space import RuleSpace
from search.space import TARGET, Candidate, Space

#: what the text of a network tells; in this order wherever costs are an array
COSTS = ("flops", "params", "activations", "traffic", "depth")
#: the same for points of the same parameters
Name = frozenset[tuple[str, Any]]
#: points whose networks are remembered
REMEMBERED = 20_000
#: and of these, so many whole, for the trial that asks for the same
WHOLE = 256


class Costed(NamedTuple):
    """A point's network on the limits.

    key: the same for networks that compute the same. costs: of one image, by the names of COSTS.
    used: the largest share of a limit.
    """

    key: str
    costs: tuple[float, ...]
    used: float


class Landscape(Protocol):
    """What a sampler may ask before anything is scored."""

    @property
    def parameters(self) -> Mapping[str, Domain]:
        """Every parameter that some trial may have, by name."""

    @property
    def cheap(self) -> bool:
        """Whether hundreds of points may be costed for one proposal: none is fitted."""

    def point(self, pick: Pick) -> dict[str, Any]:
        """The parameters that a trial has which picks so; each is asked for once."""

    def cost(self, point: Point) -> Costed | None:
        """A point's network, None where it cannot be had within the limits."""

    def finished(self, point: Point, attrs: Mapping[str, Any]) -> Costed | None:
        """A finished trial's network; None where there was none within the limits."""

    def known(self) -> list[dict[str, Any]]:
        """Points like networks that people made; some parameters may be missing."""


class SpaceLandscape:
    """The landscape of a space under limits.

    parameters: the space's, and `target` where a candidate may aim below a limit. limits: ceilings
    of flops, params, activations or traffic, at least one. aim: the limit that `target` is a share
    of; None where it is a share of what is measured. guess: the limits are where a measurement may
    lead, so the nearest network below them is looked at.
    """

    def __init__(
        self,
        space: Space | RuleSpace,
        parameters: Mapping[str, Domain],
        limits: Mapping[str, float],
        aim: str | None = None,
        guess: bool = False,
    ) -> None:
        self._space, self._limits, self._aim = space, dict(limits), aim
        self._guess = guess
        self._propose = partial(below, space) if guess else space.propose
        self._parameters = dict(parameters)
        fill = space.rules.fill if isinstance(space, RuleSpace) else Template(space.tree).fill
        target = {name: domain for name, domain in parameters.items() if name == TARGET}
        self._questions = Questions(fill, target, parameters)
        self._costed: OrderedDict[Name, Costed | None] = OrderedDict()
        self._whole: OrderedDict[Name, Candidate | FitError | SpecError] = OrderedDict()

    @property
    def parameters(self) -> Mapping[str, Domain]:
        """Every parameter that some trial may have, by name."""
        return self._parameters

    @property
    def cheap(self) -> bool:
        """Whether nothing is fitted."""
        return not self._space.fits

    def point(self, pick: Pick) -> dict[str, Any]:
        """The parameters that a trial has which picks so."""
        return self._questions(pick)

    def cost(self, point: Point) -> Costed | None:
        """A point's network on the limits, None where it cannot be had; remembered."""
        name = name_of(point)
        if name in self._costed:
            self._costed.move_to_end(name)
            return self._costed[name]
        try:
            found = self._land(point)
            costed = self._told(found)
        except (FitError, SpecError) as error:
            _keep(self._whole, name, error, WHOLE)
            costed = None
        else:
            _keep(self._whole, name, found, WHOLE)
        _keep(self._costed, name, costed, REMEMBERED)
        return costed

    def candidate(self, point: Point) -> Candidate:
        """The network of a point on the limits, which is not fitted again where `cost` just was.

        Raises FitError and SpecError as Space.propose does.
        """
        found = self._whole.get(name_of(point))
        if found is None:
            return self._land(point)
        if isinstance(found, Candidate):
            return found
        raise type(found)(str(found))

    def finished(self, point: Point, attrs: Mapping[str, Any]) -> Costed | None:
        """A finished trial's network; None where there was none within the limits.

        Where nothing is fitted the network is planned again, which is cheap, for it may compute
        what another text does; else the architecture is what was recorded. One that broke a limit
        when it was measured has no record, but its like is on the guess.
        """
        if attrs.get("key") is None:
            return self.cost(point) if self._guess else None
        if self.cheap:
            return self.cost(point)
        costs = tuple(float(attrs[name]) for name in COSTS)
        return Costed(str(attrs["key"]), costs, float(attrs["used"]))

    def known(self) -> list[dict[str, Any]]:
        """Points like the shipped networks."""
        if isinstance(self._space, RuleSpace):
            return []
        return known_points(self._parameters, len(self._space.tree.get("stages", ())))

    def _land(self, point: Point) -> Candidate:
        limits = dict(self._limits)
        if TARGET in point and self._aim is not None:
            limits[self._aim] *= point[TARGET]
        return self._propose(lambda name, _: point[name])(limits)

    def _told(self, found: Candidate) -> Costed:
        total = totals(found.plan)
        costs = tuple(float(getattr(total, name)) for name in COSTS)
        if self.cheap:
            return Costed(
                hashlib.sha256(wiring(found.plan).encode()).hexdigest(), costs, found.used
            )
        return Costed(architecture_key(found.spec), costs, found.used)


def name_of(point: Point) -> Name:
    """What tells points apart, whatever the order of their parameters."""
    return frozenset(point.items())


def _keep(memory: OrderedDict[Name, Any], name: Name, value: Any, most: int) -> None:
    memory[name] = value
    memory.move_to_end(name)
    if len(memory) > most:
        memory.popitem(last=False)


__all__ = ["COSTS", "Costed", "Landscape", "Name", "SpaceLandscape", "name_of"]
