from __future__ import annotations

import numpy as np
import pytest

from search.hypervolume import front, hypervolume, improvement


def test_two_steps_and_a_corner_by_hand() -> None:
    points = np.array([[1.0, 3.0], [2.0, 1.0], [2.5, 2.5], [5.0, 0.0]])
    # below (4, 4): 3 x 1 and beside it 2 x 3 with 2 x 1 of both
    assert hypervolume(points, np.array([4.0, 4.0])) == pytest.approx(3 + 6 - 2)
    assert hypervolume(points, np.array([0.5, 0.5])) == 0
    assert hypervolume(np.empty((0, 2)), np.array([1.0, 1.0])) == 0
    assert sorted(map(tuple, front(points))) == [(1.0, 3.0), (2.0, 1.0), (5.0, 0.0)]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_volumes_and_gains_equal_a_count_of_random_points(dimensions: int) -> None:
    rng = np.random.default_rng(7 + dimensions)
    points = rng.uniform(0.5, 1.1, (4, dimensions))
    candidates = rng.uniform(0.1, 1.1, (8, dimensions))
    reference, grid = np.ones(dimensions), rng.random((100_000, dimensions))

    def covered(some: np.ndarray) -> np.ndarray:
        return np.asarray((grid[:, None] >= some[None]).all(axis=2))

    held = np.any(covered(points), axis=1)
    assert hypervolume(points, reference) == pytest.approx(held.mean(), abs=0.01)
    gains = np.mean(covered(candidates) & ~held[:, None], axis=0)
    assert gains.max() > 0.02
    assert improvement(points, candidates, reference) == pytest.approx(gains, abs=0.01)
