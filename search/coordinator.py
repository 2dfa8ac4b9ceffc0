"""Who sees trials through: from a network to a finished trial that is kept, whoever evaluates it.

Only the coordinator writes. Several may work on one study, each on its own machine: a ledger tells
them who is at what, so that no architecture is scored twice.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial

from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from search.descent import load_of, refusal
from search.drive import Job, Known, Steps, drive
from search.evaluate import Evaluator, MeasureJob, Outcome, ScoreJob, evaluate, evaluator
from search.folder import WALL, RunFolder, RunInfo
from search.grid import GRID
from search.ledger import Alone, Ledger
from search.metrics import direction
from search.record import Record, architecture_key, counts, facts, rule_facts
from search.scores.catalog import TABLE
from search.scores.training import Tell, Training
from search.scoring import Scoring, check_score
from search.shipped import shown_limits
from search.space import Candidate
from search.summary import ranked_by
from search.workers import Workers
from search.workers.inline import Inline

#: a kind of which so many trials ended and none counts is given up
HOPELESS = 40


class Event(NamedTuple):
    """What a watcher is told after each trial; done: trials that count, of those wanted. counted:
    whether this one does. best: of the score so far, or of the first objective where the score is
    none."""

    kind: str
    number: int
    state: str
    done: int
    wanted: int
    counted: bool
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


class At(NamedTuple):
    """Which trial of a kind: the number that people see, and how many are wanted; listed: whether
    each of a list is one of these, however it ends."""

    kind: str
    number: int
    wanted: int
    listed: bool = False


#: a network with its plan; None where there is none, and then why, in the record
Begin = Callable[[Record], tuple[NetworkSpec, NetworkPlan] | None]


class Item(NamedTuple):
    """A trial that nobody proposes. begin: its network. name: of one that is shown by it, however
    often the network is met."""

    number: int
    record: Record
    begin: Begin
    finished: Callable[[], bool]
    name: str | None = None


class Coordinator:
    """Sees the trials of a run through, by what it asks for.

    workers: who evaluates. training: what trains where training is the score, made from the run's
    protocol unless given.
    """

    def __init__(
        self,
        folder: RunFolder,
        info: RunInfo,
        watch: Watcher,
        listen: Listener,
        training: Training | None = None,
        workers: Workers | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.folder, self.info, self.watch, self.listen = folder, info, watch, listen
        self.workers: Workers = workers or Inline()
        self.ledger: Ledger = ledger or Alone()
        self.scoring = Scoring(info)
        setting = self.scoring.setting
        self.evaluator = evaluator(setting) if training is None else Evaluator(setting, training)
        #: of the objective that comes first
        self._best: dict[str, float] = {}
        #: trials of a kind that the storage had at the last look, and those of them that count
        self._heard: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        #: lists of kinds that nobody proposes, and how many of each are finished
        self._items: dict[str, Sequence[Item]] = {}
        self._ended: Counter[str] = Counter()
        #: those that say that the next one will hardly count
        self._vain: Counter[str] = Counter()
        #: search trials whose networks a kind has, as those of a ladder's rungs do
        self.of: dict[str, set[int]] = defaultdict(set)
        #: when the last trial ended, or the first began
        self._since = time.perf_counter()
        #: architectures that are scored now, by kind
        self._at_work: set[tuple[str, str]] = set()

    @property
    def shared(self) -> bool:
        """Whether others may work on the study, too."""
        return not isinstance(self.ledger, Alone)

    def check(self) -> None:
        """Raise where score, data or device is missing; keep what was counted of the data."""
        check_score(self.info, self.evaluator)
        if self.info.measuring is not None:
            self.info.measuring.check()
        if self.evaluator.training is not None:
            self.folder.record_data(self.evaluator.training.counts())

    def hopeless(self, kind: str) -> bool:
        """Whether so many trials of a kind have ended that one of them should count, and none does:
        no network is on the budget, or each fails. A grid comes to its end by itself."""
        if kind == "search" and self.info.sampler == GRID:
            return False
        return self._vain[kind] >= HOPELESS and self.done[kind] == 0

    def hear(self, kind: str) -> None:
        """Take into account what has been finished since the last look."""
        first = kind not in self._heard
        heard = self.folder.trials(kind)[self._heard[kind] :]
        self._heard[kind] += len(heard)
        for trial in heard:
            self.scoring.remember(kind, trial.user_attrs)
            self._count(kind, trial.user_attrs)
        failed = any(trial.user_attrs["state"] == "failed" for trial in heard)
        if first and failed and self.hopeless(kind):
            # whoever goes on with a search that was given up may have mended why all failed
            self._vain[kind] = 0

    def _count(self, kind: str, attrs: dict[str, Any]) -> None:
        self.done[kind] += counts(attrs)
        self.scoring.compete(kind, attrs)
        # that a table does not have one network says nothing of another
        self._vain[kind] += attrs["state"] != "failed" or not self.info.score.startswith(TABLE)
        if "of" in attrs:
            self.of[kind].add(int(attrs["of"]))
        if attrs["state"] == "scored":
            aim = ranked_by(self.info.objectives)[0]
            better = max if direction(aim) == "maximize" else min
            value = attrs[aim]
            self._best[kind] = better(value, self._best.get(kind, value))

    def drive(self, start: Callable[[int], Steps | None]) -> None:
        """Keep as many trials going as there are workers, until no more are started."""
        self._since = time.perf_counter()
        drive(start, lambda: self.workers.slots)

    def clock(self, record: Record) -> None:
        """Put into the record of a trial that ends what has passed since the one before it, whose
        write is in it: summed over a kind's trials that is what its sittings took, however many
        workers they had."""
        now = time.perf_counter()
        record.attrs.setdefault("seconds", {})[WALL] = now - self._since
        self._since = now

    def listed(self, kind: str, items: Sequence[Item]) -> bool:
        """See those of a list through that are not finished yet; whether all are by now, for others
        may still be at some, or have left them."""
        self._items[kind] = items
        self._ended[kind] = sum(item.finished() for item in items)
        waiting, gone = iter(items), set[int]()

        def start(_going: int) -> Steps | None:
            for item in waiting:
                with self.ledger.turn():
                    if self.shared:
                        self.hear(kind)
                    if item.finished():
                        continue
                    if not self.ledger.claim(kind, item.number, ""):
                        if self.ledger.written(kind, item.number):
                            # if it is not heard of in the end, it was written as another network,
                            # by a version with another list
                            gone.add(item.number)
                        continue
                return self._item(item, At(kind, item.number, len(items), listed=True))
            return None

        self.drive(start)
        if not self.shared:
            return True
        self.hear(kind)
        return all(item.finished() or item.number in gone for item in items)

    def _item(self, item: Item, at: At) -> Steps:
        record = item.record
        if (network := item.begin(record)) is not None:
            yield from self.scored(*network, record, at)
        if item.name is not None:
            record.attrs["name"] = item.name
            if record.state == "repeat":
                # what comes to one network under two names is shown twice
                record.attrs["state"] = "scored"
        self.clock(record)
        self.finish(record.frozen(), record, at)

    def scored(self, spec: NetworkSpec, plan: NetworkPlan, record: Record, at: At) -> Steps:
        """Put what a network is and what comes of it into its record."""
        record.attrs |= facts(spec, plan)
        key = record.attrs["key"]
        if "state" in record.attrs:
            return  # nothing could be measured of it
        if self.info.measuring is not None and "measure" not in record.attrs.get("seconds", {}):
            yield from self.measured(spec, record, {}, at)
            if "state" in record.attrs:
                return
        while not self.scoring.told(record, at.kind):
            if not self._takes(at, key):
                if not self.ledger.owns(at.kind, at.number):
                    # the connection was lost for a while, and another coordinator went on with it
                    record.attrs |= {"state": "failed", "reason": "another coordinator took it"}
                    return
                yield Known()
                continue
            try:
                outcome = yield self._job(self.scoring.job(spec, record, at.kind), at)
            finally:
                self._at_work.discard((at.kind, key))
            self.scoring.take(outcome, record, at.kind)
            break

    def measured(
        self, spec: NetworkSpec, record: Record, limits: Mapping[str, float], at: At
    ) -> Generator[Job | Known, Outcome, float]:
        """Put what is measured of a network into its record; returns the largest share of a limit,
        infinite where it does not fit the memory, and where one is broken there is a reason.

        limits: none where whoever asks has no way to a smaller network; then one that cannot be
        had is finished here, as is a shipped network far beyond the run's. Where nothing could be
        measured, the record's state says so. What is timed runs while nothing else does.
        """
        if "state" in record.attrs:
            return math.inf
        asked, final = self.info.measuring, not limits
        assert asked is not None
        if final and at.kind == "shipped":
            limits = shown_limits(self.info.measured)
        # what an earlier try of the candidate was told is not this network's
        for name in [name for name in record.attrs if name.startswith(asked.quantities)]:
            del record.attrs[name]
        spent = record.attrs.setdefault("seconds", {})
        known = self.scoring.measured(architecture_key(spec)) or {}
        reason = refusal(known, limits, asked.device)
        # one that was refused before is known in part
        if reason is not None or all(known.get(quantity) for quantity in asked.quantities):
            spent.setdefault("measure", 0.0)
            record.attrs |= known | {"reason": reason}
            loads = [load_of(known, {key: limit}) or 0.0 for key, limit in limits.items()]
            load = max(loads, default=0.0)
        else:
            outcome = yield self._job(MeasureJob(asked, spec, limits), at, lone=True)
            if "state" in outcome:
                spent["measure"] = spent.get("measure", 0.0) + outcome.pop("seconds", 0.0)
                record.attrs |= outcome
                return math.inf
            spent["measure"] = spent.get("measure", 0.0) + outcome["seconds"]
            record.attrs |= outcome["told"] | {"reason": outcome["reason"]}
            load = float(outcome["load"])
        if final and load > 1:
            record.attrs["state"] = "infeasible" if limits else "failed"
        return load

    def _takes(self, at: At, key: str) -> bool:
        """Whether this trial may score an architecture, which nobody else is at."""
        if (at.kind, key) in self._at_work:
            return False
        if self.shared:
            with self.ledger.turn():
                self.hear(at.kind)
                if self.scoring.knows(key, at.kind) or not self.ledger.claim(
                    at.kind, at.number, key
                ):
                    return False
        self._at_work.add((at.kind, key))
        return True

    def _job(self, job: ScoreJob | MeasureJob, at: At, lone: bool = False) -> Job:
        if isinstance(self.workers, Inline):
            return Job(lambda: self.workers.submit(self.evaluator, job, self._teller(at)), lone)
        return Job(lambda: self.workers.submit(evaluate, job), lone)

    def _teller(self, at: At) -> Tell:
        return lambda told: self.listen(
            Pulse(at.kind, at.number, self._progress(at), at.wanted, told)
        )

    def finish(self, finished: FrozenTrial, record: Record, at: At) -> bool:
        """Keep a finished trial, unless another coordinator was given it in the meantime; whether
        it was kept."""
        kept = self.ledger.write(at.kind, at.number, self.folder.study(at.kind), finished)
        if kept and not self.shared:
            self._heard[at.kind] += 1
            self._count(at.kind, record.attrs)
        elif self.shared:
            self.hear(at.kind)
        score = record.attrs.get("score") if record.state == "scored" else None
        if at.listed and self.shared:
            self._ended[at.kind] = sum(item.finished() for item in self._items[at.kind])
        elif at.listed:
            self._ended[at.kind] += 1
        counted = kept and (at.listed or counts(record.attrs))
        done, best = self._progress(at), self._best.get(at.kind)
        self.watch(Event(at.kind, at.number, record.state, done, at.wanted, counted, score, best))
        return kept

    def _progress(self, at: At) -> int:
        return self._ended[at.kind] if at.listed else self.done[at.kind]


def landed(found: Candidate, name: str, record: Record) -> tuple[NetworkSpec, NetworkPlan]:
    """A candidate as it is scored, under a name of its own; its record says how it was made."""
    record.attrs["used"] = found.used
    if found.rule is not None:
        record.attrs |= rule_facts(found.rule, len(found.spec.stages), found.phi)
    return found.spec.model_copy(update={"name": name, "doc": ""}), found.plan


__all__ = ["At", "Begin", "Coordinator", "Event", "Item", "Listener", "Pulse", "Watcher", "landed"]
