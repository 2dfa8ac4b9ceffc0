"""Points of a space as numbers, and how alike two of them are.

A knob below a block counts only between points that both have the block: the likeness of two
points is a weighted sum over the knobs that both have, each a likeness in [0, 1] of its two values,
and the weights below an option add up to half of the weight of what chose it. So a space of
conditional knobs has as many dimensions as a point has knobs, not as the text has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspec.domains import Choice, Domain
from search.grid import Point

Array = NDArray[np.float64]

#: how far along an ordered domain, as a share of it, values grow unlike
REACH = 0.5
#: what a knob keeps of its weight where its option has knobs of its own
OWN = 0.5
#: numbers this many times apart are compared by ratio
RATIO = 4


class Encoding:
    """What is fixed for a space: an order of knobs, their places, kin and parents."""

    def __init__(self, parameters: Mapping[str, Domain]) -> None:
        self._knobs = [_Knob(name, domain) for name, domain in parameters.items()]
        self._index = {knob.name: place for place, knob in enumerate(self._knobs)}
        #: how the names of knobs below an option begin
        self._stems = {
            f"{knob.name}={tag}": (place, option)
            for place, knob in enumerate(self._knobs)
            for option, tag in enumerate(knob.tags)
        }
        self._below = self._children()
        self._roots = [
            place for place, knob in enumerate(self._knobs) if self._parent(knob.name) is None
        ]
        self._kin = self._shared()

    def codes(self, points: Sequence[Point]) -> Array:
        """(n, knobs): place of an option, or share of the way through an ordered domain; NaN where
        a point has no such knob."""
        found = np.full((len(points), len(self._knobs)), np.nan)
        for row, point in enumerate(points):
            for name, value in point.items():
                place = self._index[name]
                found[row, place] = self._knobs[place].code(value)
        return found

    def kinds(self, point: Point) -> set[tuple[str, Any]]:
        """A point's options that stand below no other, such as the block of each stage."""
        return {
            (name, value)
            for name, value in point.items()
            if not self._knobs[self._index[name]].ordered and self._parent(name) is None
        }

    def weights(self, codes: Array) -> Array:
        """(n, knobs): the share of a point that each of its knobs is; rows add up to 1.

        A knob below an option has its share of what the option's own knob leaves.
        """
        # a knob that several options tie to one name stands below none, yet not every point has it
        roots = (~np.isnan(codes[:, self._roots])).sum(1)
        found = np.where(np.isnan(codes), 0.0, (1.0 / np.maximum(roots, 1))[:, None])
        for place, options in self._below.items():
            for option, children in options.items():
                rows = codes[:, place] == option
                have = ~np.isnan(codes[np.ix_(rows, children)])
                each = (1 - OWN) / np.maximum(have.sum(1), 1)
                found[np.ix_(rows, children)] = np.where(
                    have, (found[rows, place] * each)[:, None], 0.0
                )
                found[rows, place] *= np.where(have.any(1), OWN, 1.0)
        return found

    def likeness(self, a: Array, b: Array) -> Array:
        """(n, m): how much of two points is alike, 1 for the same; codes (n, knobs), (m, knobs)."""
        if len(b) > len(a):
            return self.likeness(b, a).T
        shares_a, shares_b = np.sqrt(self.weights(a)), np.sqrt(self.weights(b))
        # knob by knob over the few values that it has, so that one product does the rest
        to_values, of_value = [np.zeros((len(a), 0))], [np.zeros((len(b), 0))]
        for place, knob in enumerate(self._knobs):
            x, y = a[:, place], b[:, place]
            values = np.unique(y[~np.isnan(y)])
            alike = knob.likeness(np.nan_to_num(x)[:, None], values)
            # a point that has no such knob has no share in it
            to_values.append(shares_a[:, place, None] * alike)
            of_value.append(shares_b[:, place, None] * (y[:, None] == values))
        found: Array = np.hstack(to_values) @ np.hstack(of_value).T
        return found

    def shared(self, codes: Array) -> Array:
        """(n, features): what knobs of one kind in several places come to: how often each option is
        taken, or the mean of an ordered one, in deviations of chance; in all of about unit size."""
        columns = []
        for places, options in self._kin:
            part = codes[:, places]
            have = ~np.isnan(part)
            count = np.maximum(have.sum(1), 1)
            if options:
                chance = 1 / options
                deviation = math.sqrt(chance * (1 - chance) / len(places))
                for option in range(options):
                    share = (part == option).sum(1) / count
                    column = (share - chance) / deviation / math.sqrt(options)
                    columns.append(np.where(have.any(1), column, 0.0))
            else:
                mean = np.where(have, part, 0.0).sum(1) / count
                deviation = math.sqrt(1 / 12 / len(places))
                columns.append(np.where(have.any(1), (mean - 0.5) / deviation, 0.0))
        if not columns:
            return np.zeros((len(codes), 0))
        return np.stack(columns, axis=1) / math.sqrt(len(self._kin))

    def homogeneous(self) -> list[dict[str, Any]]:
        """For each option of the kind that stands in most places: it in all of them."""
        kinds = [(places, options) for places, options in self._kin if options]
        if not kinds:
            return []
        places, options = max(kinds, key=lambda kind: len(kind[0]))
        return [
            {self._knobs[place].name: self._knobs[place].tags[option] for place in places}
            for option in range(options)
        ]

    def _parent(self, name: str) -> tuple[int, int] | None:
        """The knob, and its option, that a knob stands below: the nearest one."""
        ends = [place for place, sign in enumerate(name) if sign == "."]
        stems = (name[:end] for end in (len(name), *reversed(ends)))
        return next((self._stems[stem] for stem in stems if stem in self._stems), None)

    def _children(self) -> dict[int, dict[int, list[int]]]:
        found: dict[int, dict[int, list[int]]] = {}
        for place, knob in enumerate(self._knobs):
            parent = self._parent(knob.name)
            if parent is not None:
                found.setdefault(parent[0], {}).setdefault(parent[1], []).append(place)
        # from the top down, so that a share is divided after it is known
        return {place: found[place] for place in sorted(found)}

    def _shared(self) -> list[tuple[list[int], int]]:
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for place, knob in enumerate(self._knobs):
            kinds.setdefault((re.sub(r"\d+", "*", knob.name), *knob.kind), []).append(place)
        return [
            (places, 0 if self._knobs[places[0]].ordered else len(self._knobs[places[0]].tags))
            for places in kinds.values()
            if len(places) > 1
        ]


class _Knob:
    """A parameter; ordered: whether its values have places along a line."""

    def __init__(self, name: str, domain: Domain) -> None:
        self.name = name
        self.tags: tuple[Any, ...] = domain.tags if isinstance(domain, Choice) else ()
        values = domain.tags if isinstance(domain, Choice) else (domain.low, domain.high)
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        self.ordered = len(numbers) == len(values)
        self._codes: dict[Any, float] = {tag: float(i) for i, tag in enumerate(self.tags)}
        if self.ordered:
            self._low, self._high = float(min(numbers)), float(max(numbers))
            self._ratio = self._low > 0 and self._high >= RATIO * self._low
        #: what knobs of one kind have in common; ranges may differ, as stages' widths do
        self.kind = ("ordered",) if self.ordered else ("options", *map(str, self.tags))

    def likeness(self, x: Array, y: Array) -> Array:
        """In [0, 1], of codes that broadcast."""
        apart = np.abs(x - y)
        return np.exp(-apart / REACH) if self.ordered else (apart == 0).astype(float)

    def code(self, value: Any) -> float:
        if not self.ordered:
            return self._codes[value]
        if self._high == self._low:
            return 0.5
        if self._ratio:
            return math.log(value / self._low) / math.log(self._high / self._low)
        return (float(value) - self._low) / (self._high - self._low)
