"""The search: propose, fit, score, write; again until enough is scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import optuna

from archspec.domains import Range
from archspec.errors import FitError, SpecError
from archspec.runs import locked
from archspec.scaling.rule import Rule, parse_rule
from search.folder import KINDS, RunFolder, RunInfo
from search.grid import GRID, Point
from search.larger import ONE_SIZE, chosen
from search.proposals import Proposals, suggest
from search.published import published, published_names
from search.record import Record, counts, rule_facts
from search.rule_space import RuleSpace
from search.scores.training import Tell, Training
from search.scoring import Scoring
from search.shipped import shipped_within
from search.space import TARGET, Candidate, Space

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


def space_of(info: RunInfo) -> Space | RuleSpace:
    """What a run searches: networks, or rules for one network."""
    kind = Space if info.scaling is None else RuleSpace
    return kind.parse(info.space_text, info.space)


def grid_of(space: Space | RuleSpace, sampler: str, iso: bool) -> list[Point]:
    """The points that a sampler goes through, none where it is not the grid's; raises SpecError."""
    if sampler != GRID:
        return []
    if not iso:
        raise SpecError(
            "a grid has steps, but without --iso a target below the ceiling is searched, too; add "
            "--iso"
        )
    return list(space.points)


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
        self.space = space_of(self.info)
        self.points = grid_of(self.space, self.info.sampler, self.info.iso)
        self._chance = "random"
        if isinstance(self.space, RuleSpace) and self.space.rules.near is not None:
            # few points count, and drawing them by chance is to go through them in any order; a
            # continuous domain has none to go through
            with suppress(SpecError):
                self.points, self._chance = list(self.space.points), GRID
        self.scoring = Scoring(self.info, training)
        self._best: dict[str, float] = {}

    def go(self) -> None:
        """Whatever is missing: the search, its random baseline, what is shipped, one size up."""
        self.scoring.check()
        with locked(self.folder.path):
            if self.scoring.training is not None:
                self.folder.record_data(self.scoring.training.counts())
            for kind in self.info.kinds:
                for trial in self.folder.trials(kind):
                    self.scoring.remember(kind, trial.user_attrs)
                    if trial.user_attrs["state"] == "scored":
                        score = trial.user_attrs["score"]
                        self._best[kind] = max(score, self._best.get(kind, score))
            self._propose("search", self.info.sampler, self.info.trials)
            self._propose("random", self._chance, self.info.random_trials)
            if self.info.shipped:
                if isinstance(self.space, RuleSpace):
                    self._score_published(self.space)
                else:
                    self._score_shipped()
            if isinstance(self.space, RuleSpace):
                self._score_larger(self.space)

    # Proposed trials -----------------------------------------------------------------------------

    def _propose(self, kind: str, sampler: str, wanted: int) -> None:
        finished = self.folder.trials(kind)
        study = self.folder.study(kind)
        # each kind draws its own numbers, so that the baseline is no copy of the search's start
        seed = (self.info.seed, KINDS.index(kind))
        proposals = Proposals(sampler, seed, study.directions, finished, self.points)
        most = len(self.points) if sampler == GRID else MOST_PROPOSALS * wanted
        done = sum(counts(trial.user_attrs) for trial in finished)
        while done < wanted and proposals.number < most:
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
            land = self.space.propose(pick)
            proposed = time.perf_counter()
            found = land(limits)
        except (FitError, SpecError) as error:
            record.attrs |= {"state": "infeasible", "reason": str(error)}
            return record
        record.attrs["seconds"] = {
            "propose": proposed - started,
            "fit": time.perf_counter() - proposed,
        }
        self._score(found, f"{self.info.space}_{kind}{trial.number}", record, kind, tell)
        return record

    def _score(self, found: Candidate, name: str, record: Record, kind: str, tell: Tell) -> None:
        record.attrs["used"] = found.used
        if found.rule is not None:
            record.attrs |= rule_facts(found.rule, len(found.spec.stages), found.phi)
        named = found.spec.model_copy(update={"name": name, "doc": ""})
        self.scoring.score(named, found.plan, record, kind, tell)

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

    # Scaling rules -------------------------------------------------------------------------------

    def _score_published(self, space: RuleSpace) -> None:
        finished = {trial.user_attrs["name"] for trial in self.folder.trials("shipped")}
        wanted = published_names(space)
        for number, (rule, name) in enumerate(wanted.items()):
            if name not in finished:
                tell = self._teller("shipped", number, number, len(wanted))
                record = self._published(published(space, rule, self.info.limits), name, tell)
                self.folder.study("shipped").add_trial(record.frozen())
                self._tell("shipped", number, record, number + 1, len(wanted))

    def _published(self, found: Candidate | str, name: str, tell: Tell) -> Record:
        record = Record({"reason": None, "target": next(iter(self.info.limits.values()))})
        if isinstance(found, str):
            record.attrs |= {"state": "infeasible", "reason": found}
        else:
            self._score(found, name.replace(" ", "_"), record, "shipped", tell)
            if record.state == "repeat":
                # two rules that come to one network are both shown
                record.attrs["state"] = "scored"
        record.attrs["name"] = name
        return record

    def _score_larger(self, space: RuleSpace) -> None:
        """Some of the scored rules one size up: the same constants, phi solved anew."""
        assert self.info.scaling is not None
        trials = self.folder.trials("search")
        scores = [
            trial.user_attrs["score"] if trial.user_attrs["state"] == "scored" else None
            for trial in trials
        ]
        wanted = [trials[place] for place in chosen(scores, self.info.scaling.larger)]
        finished = {trial.user_attrs["of"] for trial in self.folder.trials("larger")}
        for place, trial in enumerate(wanted):
            if trial.number in finished:
                continue
            tell = self._teller("larger", trial.number, place, len(wanted))
            rule = parse_rule(str(trial.user_attrs["rule"]))
            record = self._larger(space, rule, trial.number, tell)
            self.folder.study("larger").add_trial(record.frozen())
            self._tell("larger", trial.number, record, place + 1, len(wanted))

    def _larger(self, space: RuleSpace, rule: Rule, number: int, tell: Tell) -> Record:
        limits = {key: ONE_SIZE * limit for key, limit in self.info.limits.items()}
        record = Record({"reason": None, "target": next(iter(limits.values())), "of": number})
        try:
            found = space.land(rule, limits)
        except (FitError, SpecError) as error:
            record.attrs |= {"state": "infeasible", "reason": str(error)}
            return record
        self._score(found, f"{self.info.space}_larger{number}", record, "larger", tell)
        return record

    # What watchers hear --------------------------------------------------------------------------

    def _teller(self, kind: str, number: int, done: int, wanted: int) -> Tell:
        return lambda told: self.listen(Pulse(kind, number, done, wanted, told))

    def _tell(self, kind: str, number: int, record: Record, done: int, wanted: int) -> None:
        score = record.attrs.get("score")
        if score is not None and record.state == "scored":
            self._best[kind] = max(score, self._best.get(kind, score))
        best = self._best.get(kind)
        self.watch(Event(kind, number, record.state, done, wanted, score, best))
