"""A search space: one text with domains, and the pure function from picks to a fitted network."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from archspec.domains import Choice, Domain, Range
from archspec.dump import dump_yaml
from archspec.errors import LawError, SpecError
from archspec.fit import Fitted, Lever, Room, fit, within
from archspec.load import parse_yaml
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.resolve import locate, placed, resolve
from archspec.scaling.rule import Rule
from archspec.spec import Memory, NetworkSpec, make_spec
from archspec.template import Pick, Template
from search.grid import all_points

#: widths round to the domain's step, or to this where it has none
WIDTH_STEP = 8
#: the parameter by which a search aims below its ceiling
TARGET = "target"
#: candidates tried before a text is called broken rather than unlucky
TRIED = 16


class Candidate(NamedTuple):
    """A network on its budget. used: the largest share of a limit; rule, phi: what grew it there,
    where rules are searched."""

    spec: NetworkSpec
    plan: NetworkPlan
    used: float
    rule: Rule | None = None
    phi: float | None = None


#: from limits to the network that was proposed, on them; raises FitError and SpecError
Landing = Callable[[Mapping[str, float]], Candidate]


class Space:
    """A text with at least one domain."""

    def __init__(self, tree: Any, name: str) -> None:
        self.name = name
        self.tree = tree
        self._memory = Memory()
        try:
            self._template = Template(tree)
        except LawError as error:
            raise placed(error, tree) from None
        if TARGET in self.parameters:
            raise SpecError(
                f"a search has a parameter {TARGET!r} of its own; tie under another name"
            )
        if not self._template.has_domains:
            raise SpecError(
                f"{name} has nothing to search: put a domain such as {{range: [1, 8]}} where a "
                "value stands, or search the space `hybrid`"
            )
        # what is wrong in the parts that are not searched is told here, not trial by trial
        shape = self.spec(_first).input.shape
        #: longer side of the input, the first one where several are searched
        self.side = max(shape.height, shape.width)

    @classmethod
    def read(cls, source: str | Path, edits: tuple[tuple[str, str], ...] = ()) -> Space:
        """A space from a file or a shipped name; raises SpecError with the place."""
        path = source if isinstance(source, Path) else locate(source)
        tree = resolve(path, edits)
        return cls(tree, str(tree["name"]))

    @classmethod
    def parse(cls, text: str, name: str) -> Space:
        """A space from the text that `dump` gave."""
        return cls(parse_yaml(text, name), name)

    def dump(self) -> str:
        """The whole space as YAML; nothing is inherited."""
        return dump_yaml(self.tree)

    @property
    def parameters(self) -> dict[str, Domain]:
        """Every parameter that some trial may have, by name."""
        return self._template.parameters()

    def spec(self, pick: Pick) -> NetworkSpec:
        """The network that these picks name, before any fit; the same picks, the same network."""
        return make_spec(self._template.fill(pick), self._memory)

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """Every point of a grid; raises SpecError where a domain is continuous or they are many."""
        return all_points(self._template.fill, self.parameters, self.name)

    def check(self) -> None:
        """Raise SpecError where no candidate of the space can be planned, with its place."""
        for number in range(TRIED):
            rng = random.Random(number)
            try:
                plan_network(self.spec(lambda _, domain, rng=rng: drawn(domain, rng)))  # type: ignore[misc]
            except SpecError as error:
                broken = error
            else:
                return
        raise broken

    @cached_property
    def fits(self) -> bool:
        """Whether there is anything that a fit may move; else a network is on the budget where it
        is no larger."""
        return any(self.room)

    def propose(self, pick: Pick) -> Landing:
        """The network that these picks name, to be moved onto limits."""
        spec = self.spec(pick)

        def land(limits: Mapping[str, float]) -> Candidate:
            fitted = self.onto_budget(spec, limits) if self.fits else within(spec, limits)
            return Candidate(fitted.spec, fitted.plan, fitted.used)

        return land

    def onto_budget(self, spec: NetworkSpec, limits: Mapping[str, float]) -> Fitted:
        """A network of this space moved onto the budget, inside the domains.

        Raises FitError where the space holds no such network, SpecError where a law breaks.
        """
        return fit(spec, self.room, limits)

    @cached_property
    def room(self) -> Room:
        """What the fit may move: stage widths, then depths and the resolution, where searched.

        A domain that is tied to another place than stages' widths (or depths) stays as picked:
        moving a stage alone would break the tie.
        """
        widths: dict[str, _Levers] = {}
        depths: dict[str, _Levers] = {}
        for index in range(len(self.tree.get("stages", ()))):
            for found, key, step in ((widths, "width", WIDTH_STEP), (depths, "depth", 1)):
                parameter = self._template.at("stages", index, key)
                if parameter is not None:
                    name, domain = parameter
                    stages = found.get(name, _Levers((), domain, step)).stages
                    found[name] = _Levers((*stages, index), domain, step)
        resolution = self._template.at("input", "resolution")
        free = resolution is not None and self._template.places(resolution[0]) == 1
        return Room(
            self._levers(widths),
            self._levers(depths),
            tuple(_values(resolution[1], 32)) if resolution is not None and free else (),
        )

    def _levers(self, found: Mapping[str, _Levers]) -> tuple[Lever, ...]:
        return tuple(
            levers.lever()
            for name, levers in found.items()
            if len(levers.stages) == self._template.places(name) and levers.lever().values
        )


def _first(_name: str, domain: Domain) -> Any:
    return domain.tags[0] if isinstance(domain, Choice) else domain.low


class _Levers(NamedTuple):
    stages: tuple[int, ...]
    domain: Domain
    step: int

    def lever(self) -> Lever:
        return Lever(self.stages, _values(self.domain, self.step))


def drawn(domain: Domain, rng: random.Random) -> Any:
    """A tag or number of a domain, by chance."""
    return domain.at_share(rng.random())


def _values(domain: Domain, step: int) -> list[int]:
    """A domain's whole numbers, ascending; without a step of its own, multiples of `step`."""
    if isinstance(domain, Choice):
        if not all(type(value) is int for value in domain.values):
            return []
        return sorted(domain.values)
    assert isinstance(domain, Range)
    if domain.step is not None:
        return list(range(int(domain.low), int(domain.high) + 1, int(domain.step)))
    first = -(-int(domain.low) // step) * step
    return list(range(first, int(domain.high) + 1, step)) or [int(domain.low)]
