"""Which trainings are stopped early: asynchronous successive halving (ASHA).

Li et al., arXiv 1810.05934, algorithm 2: at a rung a trial goes on if it is in the top third of all
that reached the rung so far. The decision is Optuna's `SuccessiveHalvingPruner`, asked in a study
of its own for each decision, for Optuna does not prune studies of several objectives. So it is a
pure function of the trials that finished before, and a resumed search decides as an uninterrupted
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import RandomSampler

#: of the trials at a rung, one in so many goes on; rungs are so many times as far apart
REDUCTION = 3
#: a trial competes with those that cost up to so much more than it does
SLACK = 1.05


class Curve(NamedTuple):
    """A trial as its competitors see it: its cost, and its accuracy in percent at each rung that
    it reached, from the lowest."""

    cost: float
    rungs: tuple[float, ...]


def rung_epochs(epochs: int, by_time: bool = False) -> tuple[int, ...]:
    """The epochs after which a training of `epochs` is judged, from the lowest rung.

    m, 3m, 9m, ... below `epochs`, with m = max(1, epochs // 9). by_time: networks are trained for
    different numbers of epochs in equal time, so rungs are at equal shares of it, 1/9 and 1/3.
    """
    if by_time:
        shares = (-(-epochs // 9), -(-epochs // 3))
        return tuple(epoch for epoch in shares if epoch < epochs)
    found, epoch = [], max(1, epochs // 9)
    while epoch < epochs:
        found.append(epoch)
        epoch *= REDUCTION
    return tuple(found)


def curve_of(cost: float, accuracies: Sequence[float], epochs: int, by_time: bool) -> Curve:
    """A trial's curve from its accuracy after each epoch of its first seed."""
    reached = (epoch for epoch in rung_epochs(epochs, by_time) if epoch <= len(accuracies))
    return Curve(cost, tuple(accuracies[epoch - 1] for epoch in reached))


def goes_on(accuracy: float, rivals: Sequence[float]) -> bool:
    """Whether a trial goes on from a rung where `rivals` had these accuracies before it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(0), pruner=pruner)
    for rival in rivals:
        _judged(study, rival)
    return not _judged(study, accuracy)


def _judged(study: optuna.Study, accuracy: float) -> bool:
    """Whether the study's next trial would be pruned; it stays there as a rival of the others."""
    trial = study.ask()
    trial.report(accuracy, step=1)
    return trial.should_prune()


class Judge:
    """Decides on one trial while it is trained, and keeps the reason.

    cost: of the trial. earlier: curves of the trials that finished before it; None: nothing is
    stopped. all_compete: against all of them, whatever they cost; else against those that cost at
    most SLACK times as much, so that a small network is not measured by large ones.
    """

    def __init__(
        self, cost: float, earlier: Sequence[Curve] | None, all_compete: bool, by_time: bool
    ) -> None:
        self.asked = earlier is not None
        self.rivals = [one for one in earlier or () if all_compete or one.cost <= SLACK * cost]
        self.all_compete, self.by_time = all_compete, by_time
        self.reason: str | None = None

    def __call__(self, epoch: int, epochs: int, accuracy: float) -> bool:
        """Whether the training goes on after `epoch` of `epochs`, counted from 1."""
        for rung, judged in enumerate(rung_epochs(epochs, self.by_time)):
            if judged != epoch or not self.asked:
                continue
            rivals = [one.rungs[rung] for one in self.rivals if len(one.rungs) > rung]
            if not goes_on(accuracy, rivals):
                self.reason = self._reason(epoch, accuracy, len(rivals) + 1)
                return False
        return True

    def _reason(self, epoch: int, accuracy: float, count: int) -> str:
        kept = max(1, count // REDUCTION)
        best = "the best" if kept == 1 else f"the best {kept}"
        who = "trials" if self.all_compete else f"trials that cost at most {SLACK - 1:.0%} more"
        after = f"{epoch} epoch" + ("" if epoch == 1 else "s")
        return f"{accuracy:.1f}% after {after}, below {best} of {count} {who}"
