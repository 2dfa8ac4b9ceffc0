"""What a worker does for a trial: score, train or measure one network, and say what came of it.

A job is plain data, so that it runs in this process, in another one or on another machine alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from archspec.errors import OutOfMemory, RunError, ScoreError, SpecError, TrainError
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, parse_spec
from search.measuring import Measuring
from search.protocol import Protocol
from search.pruning import Judge
from search.scores import TRAIN, Scored, Scorer
from search.scores.training import Tell, Training

#: what is kept of a training, beside the score
TRAINED = ("accuracies", "rungs", "epochs")
#: attributes of a trial, as far as its evaluation decides them
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What networks are scored under; the same for all of a run, or of one of its rungs.

    table: the space in whose terms a table of trained networks is read, where that is the score.
    """

    score: str
    data: str
    batch: int
    seed: int
    device: str | None
    training: Protocol | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if (self.score == TRAIN) != (self.training is not None):
            raise RunError(f"run.json is damaged: score {TRAIN} and `training` go together")


@dataclass(frozen=True)
class ScoreJob:
    """Score or train one network. judge: may stop its training early."""

    setting: Setting
    spec: NetworkSpec
    judge: Judge | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _score_job, (self.setting, *_text(self.spec), self.judge)


@dataclass(frozen=True)
class MeasureJob:
    """Measure one network, until a limit is broken for certain. limits: as search.measuring has
    them."""

    measuring: Measuring
    spec: NetworkSpec
    limits: Mapping[str, float]

    def __reduce__(self) -> tuple[Any, ...]:
        return _measure_job, (self.measuring, *_text(self.spec), dict(self.limits))


# A network goes to another process as its text: as objects it is two hundred times as large, for it
# holds on to what it shares with the other networks of its space.


def _text(spec: NetworkSpec) -> tuple[str, str]:
    return spec.without_files().dump(), spec.name


def _score_job(setting: Setting, text: str, name: str, judge: Judge | None) -> ScoreJob:
    return ScoreJob(setting, parse_spec(text, name), judge)


def _measure_job(
    measuring: Measuring, text: str, name: str, limits: Mapping[str, float]
) -> MeasureJob:
    return MeasureJob(measuring, parse_spec(text, name), limits)


class Evaluator:
    """One setting with its data on its device, ready for one network after another."""

    def __init__(self, setting: Setting, training: Training | None = None) -> None:
        """training: what trains where training is the score, made from the setting unless given."""
        self.setting = setting
        self.training, self.scorer = training, None
        if setting.training is None:
            self.scorer = Scorer(
                setting.score,
                setting.data,
                setting.batch,
                setting.seed,
                setting.device,
                table=setting.table,
            )
        elif training is None:
            self.training = Training(setting.training, setting.data, setting.device)

    def check(self) -> str:
        """Raise where a score, data or device is missing: that is no failure of a trial. Returns
        the device's name, `text` where nothing is built."""
        if self.training is not None:
            return self.training.check()
        assert self.scorer is not None
        return self.scorer.check()

    def __call__(self, job: ScoreJob | MeasureJob, tell: Tell = lambda text: None) -> Outcome:
        """What a trial records of its score: its state, and the reason where there is none; of a
        measurement see `measure`."""
        if isinstance(job, MeasureJob):
            return measure(job)
        try:
            if self.training is not None:
                return self._trained(self.training, job, tell)
            assert self.scorer is not None
            return _scored(self.scorer(job.spec, plan_network(job.spec)))
        except (ScoreError, SpecError) as error:
            # SpecError: too large to be built
            return {"state": "failed", "reason": str(error)}
        except MemoryError:
            return {"state": "failed", "reason": "out of memory on this machine"}

    def _trained(self, training: Training, job: ScoreJob, tell: Tell) -> Outcome:
        judge = job.judge
        trained = training(job.spec, judge or (lambda *_: True), tell)
        told = {name: getattr(trained, name) for name in TRAINED}
        if trained.scored is not None:
            return told | _scored(trained.scored)
        reason = None if judge is None else judge.reason
        return told | {"state": "pruned", "reason": reason, "seconds": {"train": trained.seconds}}


def _scored(scored: Scored) -> Outcome:
    return {
        "state": "scored",
        "score": scored.value,
        "parts": scored.parts,
        "seconds": scored.seconds,
    }


@lru_cache(maxsize=4)
def evaluator(setting: Setting) -> Evaluator:
    """A process's evaluator of a setting, made once: its data and device are dear."""
    return Evaluator(setting)


@lru_cache(maxsize=4)
def _foreign(measuring: Measuring) -> str | None:
    """Why this process's device is not the run's; None where it is. Each worker has its own."""
    try:
        measuring.check()
    except (RunError, TrainError) as error:
        return str(error)
    return None


def measure(job: MeasureJob) -> Outcome:
    """What was measured: `load`, the largest share of a limit; what a trial records, under `told`;
    and the reason where a limit is broken. What does not fit the memory has an infinite load, for
    a smaller network may. Where nothing could be measured, state and reason. `seconds` it took."""
    from search.measuring import measured

    if (foreign := _foreign(job.measuring)) is not None:
        return {"state": "failed", "reason": foreign}
    started = time.perf_counter()
    try:
        found = measured(job.spec, job.measuring, job.limits)
    except (OutOfMemory, SpecError, TrainError) as error:
        told = {"reason": str(error), "seconds": time.perf_counter() - started}
        if isinstance(error, OutOfMemory):
            return {"load": math.inf, "told": {}, **told}
        return {"state": "failed", **told}
    spreads = {f"{name}_tenths": list(ends) for name, ends in found.spreads.items()}
    told = {**found.values, **spreads}
    return {"load": found.load, "told": told, "reason": found.reason, "seconds": found.seconds}


def evaluate(job: ScoreJob | MeasureJob) -> Outcome:
    """Run a job in this process."""
    return measure(job) if isinstance(job, MeasureJob) else evaluator(job.setting)(job)


__all__ = [
    "MeasureJob",
    "TRAINED",
    "Evaluator",
    "Outcome",
    "ScoreJob",
    "Setting",
    "evaluate",
    "evaluator",
]
