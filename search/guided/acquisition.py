"""What a point promises: how much better than all so far it is expected to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from search.guided.surrogate import Told
from search.hypervolume import front, improvement

Array = NDArray[np.float64]

#: with three objectives a point is taken to be this many deviations better than expected
HOPE = 1.0


def log_expected_improvement(told: Told, best: float) -> Array:
    """Logarithm of the expected amount by which each point is above the best, (m,).

    Jones, Schonlau and Welch, J. Global Optimization 13 (1998), equation 15; far below the best by
    its asymptote, so that points are told apart there (Ament et al., arXiv 2310.20708, section 4).
    """
    z = (told.mean - best) / told.deviation
    near = np.maximum(z, -5.0)
    height = np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi) + near * ndtr(near)
    tail = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(np.maximum(-z, 1.0))
    return np.asarray(np.log(told.deviation) + np.where(z > -5.0, np.log(height), tail))


def _shortfall(told: Told, edges: Array) -> Array:
    """Expected amount by which each point stays below each edge, (m, edges)."""
    z = (edges[None] - told.mean[:, None]) / told.deviation[:, None]
    height = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) + z * ndtr(z)
    return np.asarray(np.maximum(told.deviation[:, None] * height, 0.0))


def expected_hypervolume(objectives: tuple[Told, ...], points: Array, reference: Array) -> Array:
    """Expected gain in hypervolume of each candidate alone, (m,); all objectives are minimised.

    objectives: of the candidates; an exact one has next to no deviation. points: (n, d) so far. Of
    two independent objectives it is exact, a sum over the steps of the front (Emmerich, Deutz and
    Klinkenberg, CEC 2011, section III); of three it is the gain of the point that is a deviation
    better than expected (Ponweiser et al., PPSN 2008, section 3).
    """
    if len(objectives) == 2:
        held = front(points[(points < reference).all(axis=1)])
        held = held[np.argsort(held[:, 0])]
        edges = np.concatenate([held[:, 0], [reference[0]]])
        ceilings = np.concatenate([[reference[1]], held[:, 1]])
        below = _shortfall(objectives[0], edges)
        widths = np.diff(below, axis=1, prepend=0.0)
        return np.asarray((widths * _shortfall(objectives[1], ceilings)).sum(axis=1))
    hoped = np.stack([told.mean - HOPE * told.deviation for told in objectives], axis=1)
    return improvement(points, hoped, reference)


__all__ = ["expected_hypervolume", "log_expected_improvement"]
