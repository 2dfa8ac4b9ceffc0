"""What a study's trials tell a sampler: which networks were had, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.guided.landscape import COSTS, Landscape, Name, name_of

Array = NDArray[np.float64]

#: the quantile of the values that stands for a network that has none, for it failed or was pruned
POOR = 0.1


class History(NamedTuple):
    """points: of the networks that values are known of, each once, in order of their trials.
    costs: (n, COSTS). values: (n, objectives), all minimised. waiting: points that are being
    evaluated. keys, names: of networks and points that need not be proposed again."""

    points: list[dict[str, Any]]
    costs: Array
    values: Array
    waiting: list[dict[str, Any]]
    keys: set[str]
    names: set[Name]

    @property
    def had(self) -> int:
        """Networks that were proposed."""
        return len(self.points) + len(self.waiting)


def read_history(
    trials: Sequence[FrozenTrial],
    current: int,
    landscape: Landscape,
    directions: Sequence[StudyDirection],
) -> History:
    """Read trials; `current` is the number of the one that is asked for."""
    signs = np.array([-1.0 if way == StudyDirection.MAXIMIZE else 1.0 for way in directions])
    history = History([], np.empty(0), np.empty(0), [], set(), set())
    costs: list[list[float]] = []
    values: list[Array | None] = []
    for trial in trials:
        if trial.number == current or not trial.params:
            continue
        history.names.add(name_of(trial.params))
        if trial.state == TrialState.RUNNING:
            costed = landscape.cost(trial.params) if _whole(trial, landscape) else None
            if costed is not None and costed.key not in history.keys:
                history.keys.add(costed.key)
                history.waiting.append(trial.params)
            continue
        key = landscape.finished(trial.params, trial.user_attrs)
        if key is None or key in history.keys:
            continue
        history.keys.add(key)
        history.points.append(trial.params)
        costs.append([float(trial.user_attrs[name]) for name in COSTS])
        told = trial.state == TrialState.COMPLETE
        values.append(signs * np.array(trial.values) if told else None)
    return history._replace(
        costs=np.array(costs).reshape(-1, len(COSTS)), values=_filled(values, len(signs))
    )


def _whole(trial: FrozenTrial, landscape: Landscape) -> bool:
    """Whether a trial that goes on has all its parameters yet."""
    try:
        landscape.point(lambda name, _: trial.params[name])
    except KeyError:
        return False
    return True


def _filled(values: Sequence[Array | None], objectives: int) -> Array:
    known = [value for value in values if value is not None]
    if not known:
        return np.full((len(values), objectives), np.nan)
    poor = np.quantile(np.array(known), 1 - POOR, axis=0)
    return np.array([poor if value is None else value for value in values])
