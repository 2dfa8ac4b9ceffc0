"""Who climbs from a rung of a ladder to the next one: the best by the objectives of the search.

One objective: the best. Several: by front (non-dominated rank), then by crowding distance, so that
what climbs is spread along a trade-off (NSGA-II: Deb et al., IEEE Trans. Evol. Comput. 6 (2002),
sections III-A and III-B).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import moocore
import numpy as np
from numpy.typing import NDArray

from search.metrics import direction

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Array = NDArray[np.float64]


class Standing(NamedTuple):
    """A network on a rung. of: number of its search trial; values: of the objectives, None where it
    has no score there."""

    of: int
    values: tuple[float, ...] | None


def standings_of(
    trials: Iterable[tuple[int, FrozenTrial]], objectives: tuple[str, ...]
) -> list[Standing]:
    """Who stands where on a rung. trials: each with the number of its search trial."""
    found = []
    for of, trial in trials:
        attrs = trial.user_attrs
        scored = attrs["state"] == "scored"
        values = tuple(float(str(attrs[key])) for key in objectives) if scored else None
        found.append(Standing(of, values))
    return found


def kept(standings: Sequence[Standing], objectives: Sequence[str], count: int) -> list[int]:
    """Numbers of the `count` networks that climb, the best first; fewer where fewer have a score.

    objectives: keys of search.metrics. Equals come in the order of their numbers.
    """
    scored = sorted((one for one in standings if one.values is not None), key=lambda one: one.of)
    if not scored or count < 1:
        return []
    signs = [-1.0 if direction(key) == "maximize" else 1.0 for key in objectives]
    points = np.array([one.values for one in scored], dtype=float) * signs
    order = np.argsort(points[:, 0], kind="stable") if len(signs) == 1 else _by_front(points, count)
    return [scored[place].of for place in order[:count]]


def _by_front(points: Array, count: int) -> NDArray[np.intp]:
    """Places of points (n, d), all minimised, by front and, within it, the least crowded first."""
    ranks = np.asarray(moocore.pareto_rank(points))
    found: list[NDArray[np.intp]] = []
    for rank in range(int(ranks.max()) + 1):
        front = np.flatnonzero(ranks == rank)
        found.append(front[np.argsort(-crowding(points[front]), kind="stable")])
        count -= len(front)
        if count <= 0:
            break
    return np.concatenate(found)


def crowding(points: Array) -> Array:
    """The crowding distance of each point of a front (n, d): by objective, how far its neighbours
    on both sides are apart, as a share of the front's range, summed; infinite at the ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        ranged = values[order]
        span = ranged[-1] - ranged[0]
        if span > 0:
            distance[order[1:-1]] += (ranged[2:] - ranged[:-2]) / span
            distance[order[[0, -1]]] = np.inf
    return distance


__all__ = ["Standing", "crowding", "kept", "standings_of"]
