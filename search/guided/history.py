"""What a study's trials tell a sampler: which networks were had, and what came of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from search.guided.landscape import COSTS, Landscape, Name, name_of
from search.metrics import direction

Array = NDArray[np.float64]

#: the quantile of the values that stands for a network that has none, for it failed
POOR = 0.1


class History(NamedTuple):
    """points: of the networks that values are known of, each once, in order of their trials.
    costs: (n, COSTS). values: (n, objectives), all minimised. waiting: points that are being
    evaluated, waiting_costs: (m, COSTS). keys, names: of networks and points that need not be
    proposed again."""

    points: list[dict[str, Any]]
    costs: Array
    values: Array
    waiting: list[dict[str, Any]]
    waiting_costs: Array
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
    objectives: Sequence[str],
) -> History:
    """Read trials; `current` is the number of the one that is asked for."""
    history = History([], np.empty(0), np.empty(0), [], np.empty(0), set(), set())
    costs: list[tuple[float, ...]] = []
    waiting_costs: list[tuple[float, ...]] = []
    ended: list[FrozenTrial] = []
    for trial in trials:
        if trial.number == current or not trial.params:
            continue
        history.names.add(name_of(trial.params))
        if trial.user_attrs.get("state") == "pruned" and not trial.user_attrs.get("rungs"):
            # stopped as the trial before it that had the same network, which tells more
            continue
        if trial.state == TrialState.RUNNING:
            costed = landscape.cost(trial.params) if _whole(trial, landscape) else None
            if costed is not None and costed.key not in history.keys:
                history.keys.add(costed.key)
                history.waiting.append(trial.params)
                waiting_costs.append(costed.costs)
            continue
        costed = landscape.finished(trial.params, trial.user_attrs)
        if costed is None or costed.key in history.keys:
            continue
        history.keys.add(costed.key)
        history.points.append(trial.params)
        costs.append(costed.costs)
        ended.append(trial)
    return history._replace(
        costs=np.array(costs).reshape(-1, len(COSTS)),
        values=_values(ended, objectives),
        waiting_costs=np.array(waiting_costs).reshape(-1, len(COSTS)),
    )


def _whole(trial: FrozenTrial, landscape: Landscape) -> bool:
    """Whether a trial that goes on has all its parameters yet."""
    try:
        landscape.point(lambda name, _: trial.params[name])
    except KeyError:
        return False
    return True


def _values(trials: Sequence[FrozenTrial], objectives: Sequence[str]) -> Array:
    """Values (n, objectives) of ended trials, all minimised; nan where none is known."""
    signs = [-1.0 if direction(key) == "maximize" else 1.0 for key in objectives]
    found = np.full((len(trials), len(objectives)), np.nan)
    whole = [trial.user_attrs for trial in trials if trial.state == TrialState.COMPLETE]
    if not whole:
        return found
    stopped = Stopped(whole)
    for row, trial in enumerate(trials):
        attrs = trial.user_attrs
        if trial.state == TrialState.COMPLETE:
            found[row] = np.multiply(signs, trial.values)
        elif "key" in attrs:
            # stopped early, or failed: what its text tells of its network holds all the same
            pruned = attrs.get("state") == "pruned"
            for column, key in enumerate(objectives):
                guess = attrs.get(key)
                if key == "score":
                    guess = stopped.score(attrs) if pruned else None
                if guess is not None:
                    found[row, column] = signs[column] * float(guess)
    poor = np.nanquantile(found, 1 - POOR, axis=0)
    return np.where(np.isnan(found), poor, found)


class Stopped:
    """What trainings that were stopped early are worth, by those that came to their end.

    Most trainings of a search that prunes are stopped, so they are most of what is known; one value
    for all of them would say that none is better than another.

    whole: attributes of the trials that came to their end.
    """

    def __init__(self, whole: Sequence[Mapping[str, Any]]) -> None:
        self._whole = [attrs for attrs in whole if attrs.get("rungs")]
        #: by the share of a training that was over: what each had reached there, and its score
        self._at: dict[float, Array] = {}

    def score(self, attrs: Mapping[str, Any]) -> float | None:
        """The score of a training had it gone on; None where nothing tells.

        It is what it had reached and what the others gained from there, in the median; but no more
        than came of any that was ahead of it, and no more than the best has.
        """
        if not attrs.get("rungs") or not self._whole:
            return None
        curve = attrs["rungs"][0]
        over = len(curve) / attrs["epochs"]
        if over not in self._at:
            self._at[over] = np.array([_reached(one, over) for one in self._whole])
        reached, scores = self._at[over].T
        ahead = scores[reached >= curve[-1]]
        most = ahead.min() if len(ahead) else scores.max()
        return float(min(curve[-1] + np.median(scores - reached), most))


def _reached(attrs: Mapping[str, Any], over: float) -> tuple[float, float]:
    curve = attrs["rungs"][0]
    # networks that are trained for equal time have epochs of their own; a hair less than the
    # product, for it need not be exact
    place = max(0, math.ceil(over * len(curve) - 1e-9) - 1)
    return float(curve[place]), float(attrs["score"])
