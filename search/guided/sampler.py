"""The default sampler: what is known beforehand first, then whatever promises most.

Each proposal is a whole point, chosen anew from the finished trials: the same seed and the same
trials, the same point. docs/samplers.md tells how and why.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from archspec.domains import Range
from search.grid import Point
from search.guided.encoding import Encoding
from search.guided.history import History, read_history
from search.guided.landscape import Costed, Landscape, name_of
from search.guided.moves import drawn, moved
from search.guided.promise import Promise
from search.one_point import OnePoint
from search.space import TARGET

Array = NDArray[np.float64]

#: networks that are had before a surrogate is asked
START = 6
#: a network that people know of, or that is the same everywhere, is tried first if it uses so much
USED = 0.5
#: points among which one is taken at the start: the largest, or where all are fitted to the limits
#: the one with most that no network had yet
START_OF = 8
#: points by chance and points near the best, for one proposal, and those near the most promising
FRESH, NEAR, NEARER = 96, 160, 64
#: where networks are fitted, which takes long: of twice as many points those that promise most
#: before their costs are known
FITTED = 8
#: the best so far whose surroundings are looked at, and the most promising
PARENTS, PROMISING = 5, 6
#: points that are tried before the space is called exhausted, and a network is proposed again
TRIES = 400
#: and trials none of which was on the budget, after which points are no longer tried beforehand
HOPELESS = 2


class GuidedSampler(OnePoint):
    """Proposes one point: a sampler for one trial.

    seed: of this trial alone. objectives: keys of search.metrics, in the order of the values.
    """

    def __init__(self, seed: int, landscape: Landscape, objectives: Sequence[str]) -> None:
        super().__init__({})
        self._rng = random.Random(seed)
        self._landscape, self._objectives = landscape, tuple(objectives)
        self._aim: Point = {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Choose the point."""
        trials = study.get_trials(deepcopy=False)
        # those that go on have no network yet, whatever comes of them
        ended = [one for one in trials if one.state.is_finished()]
        if len(ended) >= HOPELESS and not any("key" in one.user_attrs for one in ended):
            # nothing fits; what is proposed now only tells why
            self._point = drawn(self._landscape, self._rng)
            return
        history = read_history(trials, trial.number, self._landscape, self._objectives)
        self._point = self.choose(history)

    def choose(self, history: History) -> dict[str, Any]:
        """The point to evaluate next."""
        encoding = Encoding(self._landscape.parameters)
        known = np.isfinite(history.values).any()
        if history.had < START or not known:
            point = self._begin(history, encoding)
        else:
            point = self._promising(history, Promise(history, encoding, self._objectives))
        return point or drawn(self._landscape, self._rng)

    # The start -----------------------------------------------------------------------------------

    def _begin(self, history: History, encoding: Encoding) -> dict[str, Any] | None:
        seen = set().union(*map(encoding.kinds, [*history.points, *history.waiting]))
        fitted = not self._landscape.cheap
        if history.had % 2 == 0:
            known, alike = self._landscape.known(), encoding.homogeneous()
            self._rng.shuffle(known)
            self._rng.shuffle(alike)
            for part in [*known, *alike]:
                point = drawn(self._landscape, self._rng, part)
                # a search that fits has few trials, and a second one of a kind tells little
                if fitted and encoding.kinds(point) <= seen:
                    continue
                found = self._new(point, history)
                if found is not None and found.used >= USED:
                    return point
        several = fitted or self._objectives == ("score",)
        points = list(self._untaken(history, START_OF if several else 1))
        if not points:
            return None
        if fitted:
            return max(points, key=lambda item: len(encoding.kinds(item[0]) - seen))[0]
        return max(points, key=lambda item: item[1].used)[0]

    def _untaken(self, history: History, count: int) -> Iterator[tuple[dict[str, Any], Costed]]:
        """Points by chance whose networks are new and within the limits."""
        for _ in range(TRIES):
            point = drawn(self._landscape, self._rng)
            found = self._new(point, history)
            if found is not None:
                yield point, found
                count -= 1
                if not count:
                    return

    def _new(self, point: dict[str, Any], history: History) -> Costed | None:
        if name_of(point) in history.names:
            return None
        found = self._landscape.cost(point)
        return None if found is None or found.key in history.keys else found

    # Then ----------------------------------------------------------------------------------------

    def _promising(self, history: History, promise: Promise) -> dict[str, Any] | None:
        factor = 1 if self._landscape.cheap else 2
        self._aim = self._aimed(history)
        pool = [drawn(self._landscape, self._rng, self._aim) for _ in range(factor * FRESH)]
        parents = promise.best(PARENTS)
        pool += [self._near(parents) for _ in range(factor * NEAR)]
        if self._landscape.cheap:
            points, worth = self._weighed(pool, history, promise)
            top = [points[place] for place in np.argsort(-worth, kind="stable")[:PROMISING]]
            if top:
                more = [self._near(top) for _ in range(NEARER)]
                points, worth = self._weighed([*points, *more], history, promise)
        else:
            unfitted = self._distinct(pool, history)
            worth = promise(unfitted, None)
            top = [unfitted[place] for place in np.argsort(-worth, kind="stable")[:PROMISING]]
            seen = {name_of(point) for point in unfitted}
            # where all points were had there is none to look near
            nearer = [self._near(top) for _ in range(NEARER if top else 0)]
            near = self._distinct(nearer, history)
            if more := [point for point in near if name_of(point) not in seen]:
                unfitted, worth = [*unfitted, *more], np.append(worth, promise(more, None))
            order = np.argsort(-worth, kind="stable")
            points, worth = self._weighed(
                [unfitted[place] for place in order], history, promise, FITTED
            )
        if not points:
            return next((point for point, _ in self._untaken(history, 1)), None)
        return points[int(np.argmax(worth))]

    def _near(self, parents: Sequence[dict[str, Any]]) -> dict[str, Any]:
        parent = self._rng.choice(parents)
        point = moved(self._landscape, self._rng, parent, self._landscape.parameters)
        return {**point, **self._aim}

    def _aimed(self, history: History) -> Point:
        """In every other trial of several objectives a target that is drawn, even in the logarithm;
        nothing in the others.

        What gains most is often cheap, for it pays at every cost above; so left alone, a search
        would hardly look near its ceiling, for which it was asked.
        """
        domain = self._landscape.parameters.get(TARGET)
        if not isinstance(domain, Range) or len(self._objectives) == 1 or history.had % 2:
            return {}
        return {TARGET: domain.at_share(self._rng.random())}

    def _distinct(self, pool: Sequence[dict[str, Any]], history: History) -> list[dict[str, Any]]:
        found = {name_of(point): point for point in pool}
        return [point for name, point in found.items() if name not in history.names]

    def _weighed(
        self,
        pool: Sequence[dict[str, Any]],
        history: History,
        promise: Promise,
        most: int | None = None,
    ) -> tuple[list[dict[str, Any]], Array]:
        """New points within the limits, the first `most` of them, and what each promises."""
        points: list[dict[str, Any]] = []
        costs: list[tuple[float, ...]] = []
        keys: set[str] = set()
        for tried, point in enumerate(self._distinct(pool, history)):
            if most is not None and (len(points) >= most or tried >= 2 * most):
                break
            found = self._new(point, history)
            if found is not None and found.key not in keys:
                keys.add(found.key)
                points.append(point)
                costs.append(found.costs)
        if not points:
            return [], np.empty(0)
        return points, promise(points, np.array(costs))
