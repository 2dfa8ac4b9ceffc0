"""The search: propose, fit, evaluate, write; again until enough is scored."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import optuna

from archspec.cost import totals
from archspec.domains import Domain, Range
from archspec.errors import FitError, SpecError
from archspec.plan import NetworkPlan
from archspec.runs import locked
from archspec.scaling.rule import parse_rule
from archspec.spec import NetworkSpec
from search.climb import Climb
from search.coordinator import (
    At,
    Begin,
    Coordinator,
    Event,
    Item,
    Listener,
    Pulse,
    Watcher,
    landed,
)
from search.descent import Descent, Seen, below, calibrated, first_flops, samples, seen_of
from search.drive import AGAIN, Job, Known, Steps
from search.evaluate import Outcome
from search.folder import KINDS, RunFolder, RunInfo, number_of
from search.grid import GRID, Point
from search.larger import ONE_SIZE, chosen
from search.ledger import Ledger
from search.measuring import measured
from search.metrics import direction
from search.proposals import GUIDED, Proposals, check_sampler, suggest
from search.published import published, published_names
from search.record import Record
from search.rule_space import RuleSpace
from search.scores.training import Training
from search.shipped import Shown, shipped_within
from search.space import TARGET, Candidate, Landing, Space
from search.workers import Workers

if TYPE_CHECKING:
    from search.guided.landscape import SpaceLandscape

#: by default candidates aim between this share of the ceiling and the ceiling
TARGETS = Range(0.25, 1.0, log=True)
#: a coordinator that waits for others looks again after `AGAIN` seconds, then less and less often
SELDOM = 10.0
#: so many proposals for each trial that counts, then the space is called exhausted
MOST_PROPOSALS = 20


def space_of(info: RunInfo) -> Space | RuleSpace:
    """What a run searches: networks, or rules for one network."""
    kind = Space if info.scaling is None else RuleSpace
    return kind.parse(info.space_text, info.space)


def grid_of(space: Space | RuleSpace, sampler: str, iso: bool) -> list[Point]:
    """The points that a sampler goes through, none where it is not the grid's; raises SpecError."""
    if sampler != GRID:
        return []
    if not iso and space.fits:
        raise SpecError(
            "a grid has steps, but without --iso a target below the ceiling is searched, too; add "
            "--iso"
        )
    return list(space.points)


class Search:
    """A run going on; every finished trial is one write.

    workers: who evaluates, by default this process. ledger: who else works on the run's study;
    nobody by default. training: what trains where training is the score, made from the run's
    protocol unless given.
    """

    def __init__(
        self,
        folder: RunFolder,
        watch: Watcher = lambda event: None,
        listen: Listener = lambda pulse: None,
        training: Training | None = None,
        workers: Workers | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.folder, self.info = folder, folder.info
        self.space = space_of(self.info)
        self.points = grid_of(self.space, self.info.sampler, self.info.iso)
        self._chance = "random"
        if isinstance(self.space, RuleSpace) and self.space.rules.near is not None:
            # few points count, and drawing them by chance is to go through them in any order; a
            # continuous domain has none to go through
            with suppress(SpecError):
                self.points, self._chance = list(self.space.points), GRID
        #: trials that this process saw end
        self._watched = 0

        def watched(event: Event) -> None:
            self._watched += 1
            watch(event)

        self.trials = Coordinator(folder, self.info, watched, listen, training, workers, ledger)
        self._climb = Climb(folder, watched, listen, workers, ledger)
        #: kinds that are done for as many trials as the run is asked for
        self._done: set[str] = set()
        #: whose scores compare with each other: those of the ladder's rungs do not
        self._kinds = [kind for kind in self.info.kinds if kind not in self.info.rungs]

    def go(self) -> None:
        """Whatever is missing: the search, its random baseline, what is shipped, one size up, then
        the rungs of a ladder."""
        with locked(self.folder.path):
            self.trials.check()
            for kind in self._kinds:
                self.trials.hear(kind)
            # what others have in work is theirs to finish, unless they are lost
            pause, watched = AGAIN, 0
            while not self._pass() or self._hears():
                pause = AGAIN if self._watched > watched else min(2 * pause, SELDOM)
                watched = self._watched
                time.sleep(pause)

    def _hears(self) -> bool:
        """Whether another machine asked the run for more trials since, or for fewer; then so does
        this one."""
        if not self.trials.shared:
            return False
        from search.joining import hear

        changed = hear(self.folder)
        if changed:
            self._done.clear()
        return changed

    def _pass(self) -> bool:
        """All that nobody else is at; whether nothing is left to do."""
        self._hears()
        space = self.space
        done = [self._through("search", self._searched)]
        if not self.trials.hopeless("search"):
            done.append(self._through("random", lambda: self._propose("random", self._chance)))
        if self.info.shipped:
            if isinstance(space, RuleSpace):
                done.append(self._through("shipped", lambda: self._score_published(space)))
            else:
                done.append(self._through("shipped", self._score_shipped))
        # who is chosen of the search follows from all of it; more may be asked for by now
        if "search" in self._done:
            if isinstance(space, RuleSpace):
                done.append(self._through("larger", lambda: self._score_larger(space)))
            done.append(self._climb.go())
        return all(done) and "search" in self._done

    def _through(self, kind: str, see: Callable[[], bool]) -> bool:
        """Whether a kind is done, seen to unless it was."""
        if kind not in self._done and see():
            self._done.add(kind)
        return kind in self._done

    def _searched(self) -> bool:
        """The search, whether it is all there; and then nobody who was lost adds to it."""
        if not self._propose("search", self.info.sampler):
            return False
        with self.trials.ledger.turn():
            return self.trials.ledger.settled("search")

    def _wanted(self, kind: str) -> int:
        return self.folder.info.trials if kind == "search" else self.info.random_trials

    # Proposed trials -----------------------------------------------------------------------------

    def _propose(self, kind: str, sampler: str) -> bool:
        """Trials of a kind until so many count; whether that is all, and nobody is at one."""
        check_sampler(sampler, self.info.objectives)
        ledger = self.trials.ledger

        def by_others() -> dict[int, str]:
            """What others have in work, when all that they have finished is heard of."""
            # claims first: what is written in between is then heard of
            claimed = ledger.claimed(kind)
            if self.trials.shared:
                self.trials.hear(kind)
            return claimed

        with ledger.turn():
            others = by_others()
        if self.trials.done[kind] + len(others) >= self._wanted(kind):
            return not others
        proposals = Proposals(
            sampler,
            # each kind draws its own numbers, so that the baseline is no copy of the search's start
            (self.info.seed, KINDS.index(kind)),
            self.info.objectives,
            self.folder.trials(kind),
            self.points,
            self._parameters,
            self._landscape if sampler == GUIDED else None,
        )

        def start(going: int) -> Steps | None:
            nonlocal others
            with ledger.turn():
                while True:
                    self._hears()
                    others, wanted = by_others(), self._wanted(kind)
                    most = len(self.points) if sampler == GRID else MOST_PROPOSALS * wanted
                    if self.trials.shared:
                        proposals.learn(self.folder.trials(kind))
                    number = proposals.next_number(others)
                    at_work = going + len(others)
                    if self.trials.done[kind] + at_work >= wanted or number >= most:
                        return None
                    if self.trials.hopeless(kind):
                        return None
                    if ledger.claim(kind, number, ""):
                        break
                began = time.perf_counter()
                asked = proposals.ask(number)
                record = Record({"reason": None, "seconds": {}})
                record.attrs["seconds"]["propose"] = time.perf_counter() - began
            return self._proposed(proposals, asked, record, At(kind, number, wanted))

        self.trials.drive(start)
        return not others

    def _proposed(self, proposals: Proposals, trial: optuna.Trial, record: Record, at: At) -> Steps:
        """From a sampler's picks to a finished trial."""
        try:
            found = yield from self._candidate(trial, record, at)
        except (FitError, SpecError) as error:
            record.attrs |= {"state": "infeasible", "reason": str(error)}
        else:
            network = landed(found, f"{self.info.space}_{at.kind}{at.number}", record)
            yield from self.trials.scored(*network, record, at)
        self.trials.clock(record)
        for key, value in record.attrs.items():
            trial.set_user_attr(key, value)
        if not self.trials.finish(proposals.tell(trial, record.values), record, at):
            proposals.forget(at.number)

    def _candidate(
        self, trial: optuna.Trial, record: Record, at: At
    ) -> Generator[Job | Known, Outcome, Candidate]:
        """The network that a trial picks, on its limits; raises FitError or SpecError where there
        is none."""
        started = time.perf_counter()
        pick = suggest(trial)
        share = pick(TARGET, TARGETS) if TARGET in self._parameters else 1.0
        aimed = self.info.budgets[0]
        # throughput is a floor: half of the time is twice the images a second
        floor = direction(aimed.quantity) == "maximize"
        record.attrs["target"] = aimed.limit / share if floor else share * aimed.limit
        land = self.space.propose(pick)
        spent = record.attrs["seconds"]
        spent["propose"] += time.perf_counter() - started
        spent["fit"] = 0.0
        laws = dict(self.info.limits)
        if not aimed.measured:
            laws[aimed.quantity] *= share
        if not self.info.measured:
            if at.kind == "search" and self.info.sampler == GUIDED:
                # the sampler has just fitted it
                return _timed(lambda _: self._landscape.candidate(trial.params), laws, spent)
            return _timed(land, laws, spent)
        # what only a measurement tells: fitted, measured, and fitted again to less where it is slow
        nearest = below(self.space, pick)
        descent = Descent(laws, self._seen, share if aimed.measured else 1.0, self.space.fits)
        while (limits := descent.limits()) is not None:
            try:
                found = _timed(nearest if descent.guesses else land, limits, spent)
            except (FitError, SpecError) as error:
                descent.missed(str(error))
                continue
            load = yield from self.trials.measured(found.spec, record, self.info.measured, at)
            if "state" in record.attrs:
                # nothing could be measured: that says nothing of the budget
                return found
            flops = totals(found.plan).flops
            if load < math.inf:
                # kept where it is refused, too: later candidates learn from it
                record.attrs["flops"] = flops
                self._seen.append(Seen(flops, load))
            if descent.met(flops, load, record.attrs["reason"]):
                return found
        raise FitError(descent.reason)

    @cached_property
    def _seen(self) -> list[Seen]:
        """What is known of how FLOPs become time: from finished trials, else some are measured."""
        if seen := self._seen_by(*self._kinds):
            return seen
        asked = self.info.measuring
        assert asked is not None, "a measured budget comes with how it is measured"

        def load(spec: NetworkSpec) -> float:
            return measured(spec, asked, self.info.measured).load

        return calibrated(samples(self.space), load)

    def _seen_by(self, *kinds: str) -> list[Seen]:
        finished = (trial.user_attrs for kind in kinds for trial in self.folder.trials(kind))
        return seen_of(finished, self.info.measured)

    @cached_property
    def _parameters(self) -> dict[str, Domain]:
        """All that a trial may pick: the space's, and where below the ceiling it aims."""
        aims: dict[str, Domain] = {TARGET: TARGETS} if self.space.fits and not self.info.iso else {}
        return aims | self.space.parameters

    @cached_property
    def _landscape(self) -> SpaceLandscape:
        from search.guided.landscape import SpaceLandscape

        # where all limits are measured, what is proposed is looked at near them
        limits = self.info.limits or {"flops": first_flops(self._seen)}
        first = self.info.budgets[0]
        aim: str | None = first.quantity
        if first.measured:
            # a share of the time is one of its guess, not one of a law's limit
            aim = None if self.info.limits else "flops"
        return SpaceLandscape(
            self.space, self._parameters, limits, aim, guess=bool(self.info.measured)
        )

    # Shipped networks ----------------------------------------------------------------------------

    def _score_shipped(self) -> bool:
        items = []
        for number, spec, plan in self._shipped:

            def begin(
                record: Record, spec: NetworkSpec = spec, plan: NetworkPlan = plan
            ) -> tuple[NetworkSpec, NetworkPlan]:
                return spec, plan

            record = Record({"reason": None, "target": None})
            items.append(self._named(number, record, begin, spec.name))
        return self.trials.listed("shipped", items)

    @cached_property
    def _shipped(self) -> list[Shown]:
        flops = None
        if not self.info.limits:
            # of trials that are kept, so that a resumed run shows the same networks
            flops = first_flops(self._seen_by("search", "random") or self._seen)
        return list(shipped_within(self.info, self.space.side, flops))

    def _named(self, number: int, record: Record, begin: Begin, name: str) -> Item:
        """An item of the shipped ones, which are told apart by their names."""
        return Item(number, record, begin, lambda: name in self._finished("shipped", "name"), name)

    def _finished(self, kind: str, attr: str) -> set[object]:
        return {trial.user_attrs[attr] for trial in self.folder.trials(kind)}

    # Scaling rules -------------------------------------------------------------------------------

    def _score_published(self, space: RuleSpace) -> bool:
        items = []
        for number, (rule, name) in enumerate(published_names(space).items()):

            def begin(
                record: Record, rule: str = rule, name: str = name
            ) -> tuple[NetworkSpec, NetworkPlan] | None:
                found = published(space, rule, self.info.limits)
                if isinstance(found, str):
                    record.attrs |= {"state": "infeasible", "reason": found}
                    return None
                return landed(found, name.replace(" ", "_"), record)

            record = Record({"reason": None, "target": self.info.budgets[0].limit})
            items.append(self._named(number, record, begin, name))
        return self.trials.listed("shipped", items)

    def _score_larger(self, space: RuleSpace) -> bool:
        """Some of the scored rules one size up: the same constants, phi solved anew."""
        assert self.info.scaling is not None
        limits = {key: ONE_SIZE * limit for key, limit in self.info.limits.items()}
        trials = self.folder.trials("search")
        scores = [
            trial.user_attrs["score"] if trial.user_attrs["state"] == "scored" else None
            for trial in trials
        ]
        items = []
        for place in chosen(scores, self.info.scaling.larger):
            number = number_of(trials[place])

            def begin(
                record: Record, text: str = str(trials[place].user_attrs["rule"])
            ) -> tuple[NetworkSpec, NetworkPlan] | None:
                try:
                    found = space.land(parse_rule(text), limits)
                except (FitError, SpecError) as error:
                    record.attrs |= {"state": "infeasible", "reason": str(error)}
                    return None
                return landed(found, f"{self.info.space}_larger{record.attrs['of']}", record)

            record = Record(
                {"reason": None, "target": ONE_SIZE * self.info.budgets[0].limit, "of": number}
            )

            def finished(number: int = number) -> bool:
                return number in self._finished("larger", "of")

            items.append(Item(number, record, begin, finished))
        return self.trials.listed("larger", items)


def _timed(land: Landing, limits: Mapping[str, float], spent: dict[str, float]) -> Candidate:
    """The network on these limits; what it took is added to what was spent on fitting."""
    started = time.perf_counter()
    try:
        return land(limits)
    finally:
        spent["fit"] += time.perf_counter() - started


__all__ = [
    "MOST_PROPOSALS",
    "TARGETS",
    "Event",
    "Pulse",
    "Search",
    "Watcher",
    "grid_of",
    "space_of",
]
