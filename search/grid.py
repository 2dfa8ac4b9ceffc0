"""Every point of a space whose domains are all steps or choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from archspec.domains import Choice, Domain
from archspec.errors import SpecError
from archspec.template import Pick

#: the sampler's name
GRID = "grid"
#: a grid of more points is no plan that could be carried out
MOST_POINTS = 100_000

#: tags and numbers by parameter
Point = Mapping[str, Any]


def every_point(fill: Callable[[Pick], Any], name: str) -> Iterator[dict[str, Any]]:
    """All that a text's picks can be, each once; a parameter below an option only with that option.

    fill: asks a pick for every parameter of one candidate, as Template.fill does. Raises SpecError
    where a domain is continuous.
    """
    walk = _Walk(name)
    while True:
        walk.taken = []
        fill(walk.pick)
        yield {parameter: walk.values[parameter][place] for parameter, place in walk.taken}
        if not walk.turn():
            return


class _Walk:
    """An odometer whose wheels are whatever the text asks for: the last one turns first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, list[Any]] = {}
        self.taken: list[tuple[str, int]] = []
        self._places: list[int] = []

    def pick(self, parameter: str, domain: Domain) -> Any:
        """The value under the parameter's wheel."""
        if parameter not in self.values:
            self.values[parameter] = values_of(parameter, domain, self.name)
        wheel = len(self.taken)
        place = self._places[wheel] if wheel < len(self._places) else 0
        self.taken.append((parameter, place))
        return self.values[parameter][place]

    def turn(self) -> bool:
        """On to the next point; False after the last."""
        taken = self.taken
        while taken and taken[-1][1] == len(self.values[taken[-1][0]]) - 1:
            taken.pop()
        self._places = [place for _, place in taken]
        if taken:
            self._places[-1] += 1
        return bool(taken)


def all_points(
    fill: Callable[[Pick], Any], parameters: Mapping[str, Domain], name: str
) -> list[dict[str, Any]]:
    """`every_point` as a list; raises SpecError where they are too many, or a domain continuous."""
    counts = [len(values_of(*parameter, name)) for parameter in parameters.items()]
    # below options and ties the product is no count
    free = not any("=" in key or domain.tie for key, domain in parameters.items())
    found = [] if free and math.prod(counts) > MOST_POINTS else _first(every_point(fill, name))
    if not 0 < len(found) <= MOST_POINTS:
        raise SpecError(
            f"the grid of {name} has more than {MOST_POINTS:,} points; take larger steps, or "
            "another sampler, such as --sampler tpe"
        )
    return found


def _first(points: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(islice(points, MOST_POINTS + 1))


def values_of(parameter: str, domain: Domain, name: str) -> list[Any]:
    """All tags or numbers of a domain, in order; raises SpecError where it is continuous."""
    if isinstance(domain, Choice):
        return list(domain.tags)
    if domain.whole:
        step = int(domain.step or 1)
        count = (int(domain.high) - int(domain.low)) // step + 1
    elif domain.step is not None:
        count = round((domain.high - domain.low) / domain.step) + 1
    elif domain.low == domain.high:
        return [float(domain.low)]
    else:
        raise SpecError(
            f"a grid has steps, but {parameter} of {name} is any number from {domain.low:g} to "
            f"{domain.high:g}; give it a step, or take another sampler, such as --sampler tpe"
        )
    if count > MOST_POINTS:
        raise SpecError(
            f"a grid has at most {MOST_POINTS:,} points, but {parameter} of {name} alone has "
            f"{count:,}; take a larger step, or another sampler, such as --sampler tpe"
        )
    apart = step if domain.whole else float(domain.step or 0)
    return [domain.nearest(domain.low + apart * number) for number in range(count)]


__all__ = ["GRID", "MOST_POINTS", "Point", "all_points", "every_point", "values_of"]
