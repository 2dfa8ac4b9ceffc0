"""The kernels of a surrogate over points and what the laws tell of their networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.guided.encoding import Encoding

Array = NDArray[np.float64]

#: the place of the kernel of the laws, the last
LAWS = 3
#: how fast likeness falls where several knobs differ at once: in this share of a point
BLEND = 0.25
#: logarithms of costs that differ by less than this are nearly equal
LITTLE = 0.05


class Features:
    """Four kernels, each 1 or about 1 between a point and itself.

    Knob by knob: each adds its own. All knobs at once: a point like another in everything. Kind by
    kind: what knobs of one kind in several places come to. Laws: linear in the logarithms of the
    costs, so that larger may be better, or worse.
    """

    def __init__(self, encoding: Encoding, costs: Array) -> None:
        """costs: (n, laws) of the networks observed, by which costs are scaled."""
        self._encoding = encoding
        logs = np.log(np.maximum(costs, 1.0))
        self._middle, self._scale = logs.mean(axis=0), logs.std(axis=0) + LITTLE

    def laws(self, costs: Array) -> Array:
        """(n, laws), scaled."""
        scaled = (np.log(np.maximum(costs, 1.0)) - self._middle) / self._scale
        return np.asarray(scaled / np.sqrt(costs.shape[1]))

    def grams(self, a: Array, laws_a: Array, b: Array, laws_b: Array) -> Array:
        """(4, n, m), of codes (n, knobs), (m, knobs) and laws (n, laws), (m, laws)."""
        alike = self._encoding.likeness(a, b)
        shared = self._encoding.shared(a) @ self._encoding.shared(b).T
        return np.stack([alike, np.exp((alike - 1) / BLEND), shared, laws_a @ laws_b.T])

    def own(self, codes: Array, laws: Array) -> Array:
        """(4, n): each point with itself."""
        ones = np.ones(len(codes))
        shared = (self._encoding.shared(codes) ** 2).sum(axis=1)
        return np.stack([ones, ones, shared, (laws**2).sum(axis=1)])
