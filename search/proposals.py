"""Who proposes trial number n: a fresh sampler, seeded by (seed, n), from the trials before it.

So a search that was killed and resumed proposes what the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import optuna
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, TrialState

from archspec.domains import Choice, Domain, Range
from archspec.errors import ArchspecError, did_you_mean
from archspec.template import Pick
from search.folder import NUMBER, number_of
from search.generations import OrderedNSGAII
from search.grid import GRID, Point
from search.metrics import direction
from search.one_point import OnePoint
from search.quasi_random import sobol_point

if TYPE_CHECKING:
    from search.guided.landscape import Landscape


class Asked(NamedTuple):
    """What a sampler for one trial is made of.

    number: of the trial, from 0. seed: of this number alone. stream: what all numbers of one search
    share, and no other search does. objectives: keys of search.metrics, in the order of the values.
    landscape: what the laws tell of a point free of charge; None where nothing was told.
    """

    number: int
    seed: int
    stream: tuple[int, ...]
    objectives: tuple[str, ...]
    parameters: Mapping[str, Domain]
    landscape: Landscape | None


def _guided(asked: Asked) -> BaseSampler:
    from search.guided.sampler import GuidedSampler

    assert asked.landscape is not None, "who asks for `guided` gives a landscape"
    return GuidedSampler(asked.seed, asked.landscape, asked.objectives)


def _cmaes(asked: Asked) -> BaseSampler:
    # its own start is at chance; it restores its state from the finished trials
    return CmaEsSampler(seed=asked.seed, warn_independent_sampling=False)


#: the sampler of ours
GUIDED = "guided"
#: each takes what is asked for and makes a fresh sampler
SAMPLERS: dict[str, Callable[[Asked], BaseSampler]] = {
    GUIDED: _guided,
    # one parameter at a time: conditional ones need no padding, and with some 50 parameters and
    # 50 trials its fronts were no worse than the joint model's (benchmarks/README.md)
    "tpe": lambda asked: TPESampler(seed=asked.seed),
    "nsga2": lambda asked: OrderedNSGAII(seed=asked.seed, population_size=20),
    "gp": lambda asked: GPSampler(seed=asked.seed, warn_independent_sampling=False),
    "cmaes": _cmaes,
    "qmc": lambda asked: OnePoint(sobol_point(asked.parameters, asked.stream, asked.number)),
    "random": lambda asked: RandomSampler(seed=asked.seed),
}
#: and those that know one objective only
SINGLE = ("cmaes",)


def check_sampler(name: str, objectives: Sequence[str] = ()) -> None:
    """Raise where no sampler has this name, or it cannot have so many objectives."""
    known = [*SAMPLERS, GRID]
    if name not in known:
        raise ArchspecError(f"no sampler is called {name!r}: {did_you_mean(name, known)}")
    if name in SINGLE and len(objectives) > 1:
        raise ArchspecError(
            f"sampler {name} has one objective, but got {', '.join(objectives)}; add --iso, or "
            "take another, such as --sampler guided"
        )


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
        objectives: Sequence[str],
        finished: Sequence[FrozenTrial] = (),
        points: Sequence[Point] = (),
        parameters: Mapping[str, Domain] | None = None,
        landscape: Landscape | None = None,
    ) -> None:
        check_sampler(sampler, objectives)
        self._sampler, self._points = sampler, points
        self._asked = Asked(0, 0, tuple(seed), tuple(objectives), parameters or {}, landscape)
        self._order = np.random.default_rng(self._asked.stream).permutation(len(points))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = [direction(key) for key in objectives]
        self.study = optuna.create_study(directions=directions)
        self.study.add_trials(finished)
        self._numbers = {number_of(trial) for trial in finished}
        self._next, self._learned = 0, len(finished)

    def next_number(self, taken: Container[int] = ()) -> int:
        """The lowest number that is neither finished, nor asked for, nor taken by others."""
        while self._next in self._numbers:
            self._next += 1
        number = self._next
        while number in self._numbers or number in taken:
            number += 1
        return number

    def ask(self, number: int | None = None) -> optuna.Trial:
        """Trial `number`, by default the next; of a grid there are as many as it has points."""
        number = self.next_number() if number is None else number
        self._numbers.add(number)
        if self._sampler == GRID:
            self.study.sampler = OnePoint(self._points[self._order[number]])
        else:
            sequence = np.random.SeedSequence([*self._asked.stream, number])
            seed = int(sequence.generate_state(1)[0])
            asked = self._asked._replace(number=number, seed=seed)
            self.study.sampler = SAMPLERS[self._sampler](asked)
        trial = self.study.ask()
        trial.set_user_attr(NUMBER, number)
        return trial

    def tell(self, trial: optuna.Trial, values: Sequence[float] | None) -> FrozenTrial:
        """Finish a trial; values None: it was not fitted or not scored. Returns what is to be kept.

        A failed trial would be ignored, and the sampler would propose its like again and again; a
        pruned one that broke a constraint is learned from (TPE), read with its attributes (guided),
        or left out (the others).
        """
        if values is None:
            trial.set_constraint("scored", 1.0)
            return self.study.tell(trial, state=TrialState.PRUNED)
        return self.study.tell(trial, list(values))

    def forget(self, number: int) -> None:
        """Let `learn` take a trial over that another coordinator was given, and finished."""
        self._numbers.discard(number)
        self._learned = 0

    def learn(self, finished: Sequence[FrozenTrial]) -> None:
        """Take over what another coordinator finished; the list only grows from call to call."""
        for trial in finished[self._learned :]:
            if number_of(trial) not in self._numbers:
                self._numbers.add(number_of(trial))
                self.study.add_trial(trial)
        self._learned = len(finished)
