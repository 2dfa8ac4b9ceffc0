"""Who proposes trial number n: a fresh sampler, seeded by (seed, n), from the trials before it.

So a search that was killed and resumed proposes what the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from archspec.domains import Choice, Domain, Range
from archspec.errors import ArchspecError, did_you_mean
from archspec.template import Pick
from search.grid import GRID, Point


class OrderedNSGAII(NSGAIISampler):
    """NSGA-II whose parents come by their numbers.

    Optuna gives the parents of a generation in the order of their selection to the trial that
    selects them, and by number to those after it, which find them remembered. A resumed search
    selects them once more, at another trial: it would pair others.
    """

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation, by number."""
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


class OnePoint(BaseSampler):
    """Proposes one point and nothing else."""

    def __init__(self, point: Point) -> None:
        self._point = point

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: every parameter is looked up by itself."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The point's value."""
        return self._point[param_name]


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    # one parameter at a time: conditional ones need no padding, and with some 50 parameters and
    # 50 trials its fronts were no worse than the joint model's (benchmarks/README.md)
    "tpe": lambda seed: TPESampler(seed=seed),
    "nsga2": lambda seed: OrderedNSGAII(seed=seed, population_size=20),
    "gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "random": lambda seed: RandomSampler(seed=seed),
}


def check_sampler(name: str) -> None:
    """Raise where no sampler has this name."""
    known = [*SAMPLERS, GRID]
    if name not in known:
        raise ArchspecError(f"no sampler is called {name!r}: {did_you_mean(name, known)}")


def suggest(trial: optuna.trial.BaseTrial) -> Pick:
    """Picks by asking a trial; works with optuna.trial.FixedTrial, too."""

    def pick(name: str, domain: Domain) -> Any:
        if isinstance(domain, Choice):
            return trial.suggest_categorical(name, domain.tags)
        assert isinstance(domain, Range)
        if domain.whole:
            step = int(domain.step or 1)
            return trial.suggest_int(
                name, int(domain.low), int(domain.high), step=step, log=domain.log
            )
        step_or_none = None if domain.step is None else float(domain.step)
        return trial.suggest_float(
            name, float(domain.low), float(domain.high), step=step_or_none, log=domain.log
        )

    return pick


class Proposals:
    """Asks and tells in memory; what is finished is kept elsewhere by its owner.

    points: of a grid, each of which is proposed once, in an order that the seed decides.
    """

    def __init__(
        self,
        sampler: str,
        seed: Sequence[int],
        directions: Sequence[Any],
        finished: Sequence[FrozenTrial] = (),
        points: Sequence[Point] = (),
    ) -> None:
        check_sampler(sampler)
        self._sampler, self._seed, self._points = sampler, tuple(seed), points
        self._order = np.random.default_rng(self._seed).permutation(len(points))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(directions=list(directions))
        self.study.add_trials(finished)
        self.number = len(finished)

    def ask(self) -> optuna.Trial:
        """The next trial; of a grid there are as many as it has points."""
        if self._sampler == GRID:
            self.study.sampler = OnePoint(self._points[self._order[self.number]])
        else:
            seed = np.random.SeedSequence([*self._seed, self.number]).generate_state(1)[0]
            self.study.sampler = SAMPLERS[self._sampler](int(seed))
        return self.study.ask()

    def tell(self, trial: optuna.Trial, values: Sequence[float] | None) -> FrozenTrial:
        """Finish a trial; values None: it was not fitted or not scored. Returns what is to be kept.

        A failed trial would be ignored, and the sampler would propose its like again and again; a
        pruned one that broke a constraint is learned from (TPE) or left out (the others).
        """
        if values is None:
            trial.set_constraint("scored", 1.0)
            finished = self.study.tell(trial, state=TrialState.PRUNED)
        else:
            finished = self.study.tell(trial, list(values))
        self.number += 1
        return finished
