"""The search: propose, fit, score, write; again until enough is scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import optuna

from archspec.domains import Range
from archspec.errors import FitError, SpecError
from archspec.runs import locked
from search.folder import KINDS, RunFolder
from search.proposals import Proposals, suggest
from search.record import Record, counts
from search.scores.training import Tell, Training
from search.scoring import Scoring
from search.shipped import shipped_within
from search.space import TARGET, Space

#: by default candidates aim between this share of the ceiling and the ceiling
TARGETS = Range(0.25, 1.0, log=True)
#: so many proposals for each trial that counts, then the space is called exhausted
MOST_PROPOSALS = 20


class Event(NamedTuple):
    """What a watcher is told after each trial; done: trials that count, of those wanted."""

    kind: str
    number: int
    state: str
    done: int
    wanted: int
    score: float | None
    best: float | None


class Pulse(NamedTuple):
    """What a listener is told while a network is trained; told: its epoch and accuracy."""

    kind: str
    number: int
    done: int
    wanted: int
    told: str


Watcher = Callable[[Event], None]
Listener = Callable[[Pulse], None]


class Search:
    """A run going on; every finished trial is one write.

    training: what trains where training is the score, made from the run's protocol unless given.
    """

    def __init__(
        self,
        folder: RunFolder,
        watch: Watcher = lambda event: None,
        listen: Listener = lambda pulse: None,
        training: Training | None = None,
    ) -> None:
        self.folder, self.info, self.watch, self.listen = folder, folder.info, watch, listen
        self.space = Space.parse(self.info.space_text, self.info.space)
        self.scoring = Scoring(self.info, training)
        self._best: dict[str, float] = {}

    def go(self) -> None:
        """Whatever is missing: the search, its random baseline, the shipped networks."""
        self.scoring.check()
        with locked(self.folder.path):
            if self.scoring.training is not None:
                self.folder.record_data(self.scoring.training.counts())
            for kind in KINDS:
                for trial in self.folder.trials(kind):
                    self.scoring.remember(kind, trial.user_attrs)
                    if trial.user_attrs["state"] == "scored":
                        score = trial.user_attrs["score"]
                        self._best[kind] = max(score, self._best.get(kind, score))
            self._propose("search", self.info.sampler, self.info.trials)
            self._propose("random", "random", self.info.random_trials)
            if self.info.shipped:
                self._score_shipped()

    # Proposed trials -----------------------------------------------------------------------------

    def _propose(self, kind: str, sampler: str, wanted: int) -> None:
        finished = self.folder.trials(kind)
        study = self.folder.study(kind)
        # each kind draws its own numbers, so that the baseline is no copy of the search's start
        seed = (self.info.seed, KINDS.index(kind))
        proposals = Proposals(sampler, seed, study.directions, finished)
        done = sum(counts(trial.user_attrs) for trial in finished)
        while done < wanted and proposals.number < MOST_PROPOSALS * wanted:
            trial = proposals.ask()
            record = self._candidate(trial, kind, self._teller(kind, trial.number, done, wanted))
            for key, value in record.attrs.items():
                trial.set_user_attr(key, value)
            study.add_trial(proposals.tell(trial, record.values))
            done += counts(record.attrs)
            self._tell(kind, trial.number, record, done, wanted)

    def _candidate(self, trial: optuna.Trial, kind: str, tell: Tell) -> Record:
        limits = self.info.limits
        record = Record({"reason": None})
        started = time.perf_counter()
        pick = suggest(trial)
        first = next(iter(limits))
        if not self.info.iso:
            share = pick(TARGET, TARGETS)
            limits = {**limits, first: share * limits[first]}
        record.attrs["target"] = limits[first]
        try:
            spec = self.space.spec(pick)
            proposed = time.perf_counter()
            fitted = self.space.onto_budget(spec, limits)
        except (FitError, SpecError) as error:
            record.attrs |= {"state": "infeasible", "reason": str(error)}
            return record
        record.attrs["used"] = fitted.used
        record.attrs["seconds"] = {
            "propose": proposed - started,
            "fit": time.perf_counter() - proposed,
        }
        named = fitted.spec.model_copy(
            update={"name": f"{self.info.space}_{kind}{trial.number}", "doc": ""}
        )
        self.scoring.score(named, fitted.plan, record, kind, tell)
        return record

    # Shipped networks ----------------------------------------------------------------------------

    def _score_shipped(self) -> None:
        study = self.folder.study("shipped")
        finished = {trial.user_attrs["name"] for trial in self.folder.trials("shipped")}
        wanted = list(shipped_within(self.info, self.space.side))
        for number, (spec, plan) in enumerate(wanted):
            if spec.name in finished:
                continue
            record = Record({"reason": None, "target": None})
            tell = self._teller("shipped", number, number, len(wanted))
            self.scoring.score(spec, plan, record, "shipped", tell)
            record.attrs["name"] = spec.name
            if record.state == "repeat":
                # the same architecture shipped under two names is shown twice
                record.attrs["state"] = "scored"
            study.add_trial(record.frozen())
            self._tell("shipped", number, record, number + 1, len(wanted))

    # What watchers hear --------------------------------------------------------------------------

    def _teller(self, kind: str, number: int, done: int, wanted: int) -> Tell:
        return lambda told: self.listen(Pulse(kind, number, done, wanted, told))

    def _tell(self, kind: str, number: int, record: Record, done: int, wanted: int) -> None:
        score = record.attrs.get("score")
        if score is not None and record.state == "scored":
            self._best[kind] = max(score, self._best.get(kind, score))
        best = self._best.get(kind)
        self.watch(Event(kind, number, record.state, done, wanted, score, best))
