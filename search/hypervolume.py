"""How much of the objectives' space a set of points dominates; every objective is minimised."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def hypervolume(points: Array, reference: Array) -> float:
    """The volume that points dominate, below a reference (Zitzler and Thiele, PPSN 1998).

    points: (n, d), reference: (d,), all minimised, in the units of the objectives. A point that is
    not below the reference in every objective adds nothing. Exact, by moocore.
    """
    points, reference = np.asarray(points, dtype=float), np.asarray(reference, dtype=float)
    below = points[(points < reference).all(axis=1)] if points.size else points[:0]
    if not len(below):
        return 0.0
    return float(moocore.hypervolume(below, ref=reference))


def improvement(points: Array, candidates: Array, reference: Array) -> Array:
    """By how much each candidate alone would raise the hypervolume of points.

    points: (n, d), candidates: (m, d), reference: (d,), all minimised. Returns (m,), none below 0.
    With two objectives one pass for all candidates; with more, one hypervolume each.
    """
    points = np.asarray(points, dtype=float).reshape(-1, len(reference))
    if len(reference) == 2:
        return _improvement_2d(points, np.asarray(candidates, dtype=float), reference)
    held = front(points[(points < reference).all(axis=1)])
    before = hypervolume(held, reference)
    after = [hypervolume(np.vstack([held, point]), reference) for point in candidates]
    return np.maximum(np.array(after) - before, 0.0)


def front(points: Array) -> Array:
    """The points that no other is at least as good as in everything, each once; (k, d)."""
    return points[nondominated(points)]


def nondominated(points: Array) -> NDArray[np.bool_]:
    """Which points no other is at least as good as in everything; of equal ones the first; (n,)."""
    if not len(points):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(points), dtype=bool)


def _improvement_2d(points: Array, candidates: Array, reference: Array) -> Array:
    held = front(points[(points < reference).all(axis=1)])
    held = held[np.argsort(held[:, 0])]
    # steps from left to right: between two edges the dominated part begins at a ceiling
    edges = np.concatenate([[-np.inf], held[:, 0], [reference[0]]])
    ceilings = np.concatenate([[reference[1]], held[:, 1]])
    widths = np.clip(edges[1:] - np.maximum(edges[:-1], candidates[:, :1]), 0.0, None)
    heights = np.clip(ceilings - candidates[:, 1:], 0.0, None)
    return np.asarray((widths * heights).sum(axis=1))
