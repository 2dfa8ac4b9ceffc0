"""What points promise, by what was observed so far."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.guided.acquisition import expected_hypervolume, log_expected_improvement
from search.guided.encoding import Encoding
from search.guided.features import LAWS, Features
from search.guided.history import History
from search.guided.landscape import COSTS
from search.guided.surrogate import Surrogate, Told
from search.hypervolume import front

Array = NDArray[np.float64]

#: observations that a surrogate rests on, and those that decide its weights
MOST, FITTED = 400, 96
#: with several objectives, how far beyond the worst so far a point may still gain, in ranges
BEYOND = 0.5
#: deviation of what a law tells
EXACT = 1e-9


class Promise:
    """Surrogates of the objectives that no law tells; asked for any number of points.

    Points whose costs are not known yet are judged by surrogates that never saw any.
    """

    def __init__(self, history: History, encoding: Encoding, objectives: Sequence[str]) -> None:
        self._encoding = encoding
        rows = _kept(history.values)
        self._points = [history.points[row] for row in rows]
        costs, values = history.costs[rows], history.values[rows]
        self._features = Features(encoding, costs)
        self._waiting_costs = history.waiting_costs
        self._codes = encoding.codes([*self._points, *history.waiting])
        self._laws = self._features.laws(np.concatenate([costs, self._waiting_costs]))
        self._grams = self._features.grams(self._codes, self._laws, self._codes, self._laws)
        self._fitted = _spread(values, FITTED)
        #: place of the law that tells an objective, None where none does
        self._exact = [COSTS.index(key) if key in COSTS else None for key in objectives]
        self._values = np.empty_like(values)
        self._scales: list[tuple[float, float]] = []
        for place, law in enumerate(self._exact):
            told = values[:, place] if law is not None else _eased(values[:, place])
            middle, scale = float(told.mean()), float(told.std()) or 1.0
            self._scales.append((middle, scale))
            self._values[:, place] = (told - middle) / scale

    @cached_property
    def _costed(self) -> list[Surrogate | None]:
        return [
            Surrogate(self._grams, self._values[:, place], self._fitted) if law is None else None
            for place, law in enumerate(self._exact)
        ]

    @cached_property
    def _uncosted(self) -> list[Surrogate]:
        return [
            Surrogate(self._grams[:LAWS], self._values[:, place], self._fitted)
            for place in range(len(self._exact))
        ]

    def __call__(self, points: Sequence[dict[str, Any]], costs: Array | None) -> Array:
        """What each point promises, (m,), more is better; costs: (m, COSTS), None where they are
        not known yet."""
        codes = self._encoding.codes(points)
        if costs is None:
            laws = np.zeros((len(points), self._laws.shape[1]))
            cross = self._features.grams(self._codes, self._laws, codes, laws)[:LAWS]
            own = self._features.own(codes, laws)[:LAWS]
            told = tuple(surrogate(cross, own) for surrogate in self._uncosted)
            believed = [surrogate.believed for surrogate in self._uncosted]
        else:
            laws = self._features.laws(costs)
            cross = self._features.grams(self._codes, self._laws, codes, laws)
            own = self._features.own(codes, laws)
            told = tuple(
                self._law(place, costs) if surrogate is None else surrogate(cross, own)
                for place, surrogate in enumerate(self._costed)
            )
            believed = [
                self._law(place, self._waiting_costs).mean
                if surrogate is None
                else surrogate.believed
                for place, surrogate in enumerate(self._costed)
            ]
        # what is being evaluated counts as had, for as much as is expected of it
        had = np.concatenate([self._values, np.stack(believed, axis=1)])
        if len(told) == 1:
            mean, deviation = told[0]
            best = -float(had.min())
            return log_expected_improvement(Told(-mean, deviation), best)
        low, high = self._values.min(axis=0), self._values.max(axis=0)
        reference = high + BEYOND * (high - low)
        return expected_hypervolume(told, had, reference)

    def best(self, count: int) -> list[dict[str, Any]]:
        """The best points so far; of several objectives some of the front."""
        if self._values.shape[1] == 1:
            order = np.argsort(self._values[:, 0], kind="stable")[:count]
            return [self._points[row] for row in order]
        on_front = {tuple(row) for row in front(self._values).tolist()}
        return [
            point
            for point, row in zip(self._points, self._values.tolist(), strict=True)
            if tuple(row) in on_front
        ]

    def _law(self, place: int, costs: Array) -> Told:
        middle, scale = self._scales[place]
        law = self._exact[place]
        assert law is not None
        return Told((costs[:, law] - middle) / scale, np.full(len(costs), EXACT))


def _eased(values: Array) -> Array:
    """Values whose worse half is drawn together by a logarithm, for only the better half need be
    told apart, and one that is far off would flatten the rest."""
    middle = np.median(values)
    unit = float(middle - values.min()) or 1.0
    off = (values - middle) / unit
    return np.asarray(np.where(off > 0, np.log1p(np.maximum(off, 0)), off))


def _kept(values: Array) -> NDArray[np.int64]:
    """Rows that a surrogate rests on."""
    return _spread(values, MOST)


def _spread(values: Array, most: int) -> NDArray[np.int64]:
    """At most so many rows, ascending: the better half by their ranks, the rest evenly by time."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    ranks = values.argsort(axis=0).argsort(axis=0).mean(axis=1)
    best = np.argsort(ranks, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(count), best)
    even = rest[np.linspace(0, len(rest) - 1, most - len(best)).astype(int)]
    return np.sort(np.concatenate([best, even]))
