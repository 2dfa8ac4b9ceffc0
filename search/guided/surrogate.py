"""A Gaussian process of several kernels, whose shares the observations decide.

The covariance of two points is a weighted sum of given kernels and of noise; the weights are those
of the greatest posterior density under a log-normal prior about equal shares (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006, sections 2.2 and 5.4.1; equations 2.25,
2.26, 5.9). A kernel that explains nothing shrinks, so none has to be chosen for a space.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

#: deviation of the prior of a weight's logarithm
SPREAD = 1.5
#: the share of noise that is expected, of a variance of 1
NOISE = 1e-2
#: variance of the mean, which is not known
MEAN = 10.0
#: added to the diagonal, so that the factorisation holds
JITTER = 1e-6
#: steps of the search for weights
STEPS = 30


class Told(NamedTuple):
    """Mean and standard deviation of each point, (m,) each, in units of the observations."""

    mean: Array
    deviation: Array


class Surrogate:
    """Fitted to observations `y` (n,), of mean 0 and variance 1; grams: (kernels, n + m, n + m),
    the last m rows of points that are being evaluated: they are taken to come to what is expected
    of them, `believed` (m,), so that nothing more is hoped for near them (the kriging believer:
    Ginsbourger, Le Riche and Carraro, Kriging Is Well-Suited to Parallelize Optimization, 2010).

    fitted: which of the observations decide the weights, all unless told: it takes the cube of
    their number, some thirty times.
    """

    def __init__(self, grams: Array, y: Array, fitted: NDArray[np.int64] | None = None) -> None:
        count = len(y)
        some = np.arange(count) if fitted is None else fitted
        self._weights = _weights(grams[:, some[:, None], some], y[some])
        covariance = _covariance(self._weights, grams)
        self._factor = np.linalg.cholesky(covariance[:count, :count])
        self._alpha = cho_solve((self._factor, True), y)
        self.believed: Array = covariance[count:, :count] @ self._alpha
        if len(self.believed):
            self._factor = np.linalg.cholesky(covariance)
            self._alpha = cho_solve((self._factor, True), np.append(y, self.believed))

    def __call__(self, cross: Array, own: Array) -> Told:
        """What is expected of p points; cross: (kernels, n + m, p) with those that it rests on,
        own: (kernels, p) of each point with itself. A kernel of zeros in both is one that is not
        known yet."""
        shares = self._weights[:-1]
        k = np.tensordot(shares, cross, 1) + MEAN
        reduced = solve_triangular(self._factor, k, lower=True)
        variance = shares @ own + MEAN - (reduced * reduced).sum(axis=0)
        return Told(k.T @ self._alpha, np.sqrt(np.maximum(variance, 1e-9)))


def _covariance(weights: Array, grams: Array) -> Array:
    found: Array = np.tensordot(weights[:-1], grams, 1) + MEAN
    found[np.diag_indices_from(found)] += weights[-1] + JITTER
    return found


def _weights(grams: Array, y: Array) -> Array:
    """Weights of the kernels, then that of the noise."""
    kernels, count = len(grams), len(y)
    expected = np.log(np.append(np.full(kernels, 1 / kernels), NOISE))
    eye = np.eye(count)

    def loss(logs: Array) -> tuple[float, Array]:
        weights = np.exp(logs)
        factor = np.linalg.cholesky(_covariance(weights, grams))
        inverse = cho_solve((factor, True), eye)
        alpha = inverse @ y
        slope = inverse - np.outer(alpha, alpha)
        traces = np.append(np.tensordot(grams, slope, 2), np.trace(slope))
        off = (logs - expected) / SPREAD
        evidence = 0.5 * float(y @ alpha) + float(np.log(np.diag(factor)).sum())
        return evidence + 0.5 * float(off @ off), 0.5 * weights * traces + off / SPREAD

    bounds = [(-9.0, 4.0)] * kernels + [(math.log(1e-4), 1.0)]
    options = {"maxiter": STEPS}
    found = minimize(loss, expected, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(np.exp(found.x))
