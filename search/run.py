"""The search: propose, fit, score, write; again until enough is scored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from archspec.cost import totals
from archspec.domains import Range
from archspec.errors import FitError, ScoreError, SpecError
from archspec.fit import BOUNDED
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.resolve import YAML
from archspec.shipped import shipped_networks
from archspec.spec import NetworkSpec, read_spec
from search.folder import KINDS, RunFolder, RunInfo
from search.proposals import Proposals, suggest
from search.scores import Scored, Scorer
from search.space import TARGET, Space
from search.summary import stage_words

#: by default candidates aim between this share of the ceiling and the ceiling
TARGETS = Range(0.25, 1.0, log=True)
#: shipped networks are shown beside a search up to this multiple of its ceiling
SHOWN_UP_TO = 1.25
#: so many proposals for each scored trial, then the space is called exhausted
MOST_PROPOSALS = 20


class Event(NamedTuple):
    """What a watcher is told after each trial."""

    kind: str
    number: int
    state: str
    done: int
    wanted: int
    score: float | None
    best: float | None


Watcher = Callable[[Event], None]


@dataclass
class _Record:
    """What one trial leaves in the storage, beside its parameters and values."""

    attrs: dict[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] | None = None

    @property
    def state(self) -> str:
        return str(self.attrs["state"])


class Search:
    """A run going on; every finished trial is one write."""

    def __init__(self, folder: RunFolder, watch: Watcher = lambda event: None) -> None:
        self.folder, self.info, self.watch = folder, folder.info, watch
        self.space = Space.parse(self.info.space_text, self.info.space)
        self.scorer = Scorer(
            self.info.score, self.info.data, self.info.batch, self.info.seed, self.info.device
        )
        #: scores by architecture: one that was scored before is told, not scored again
        self._known: dict[str, dict[str, Any]] = {}
        #: (kind, architecture) of what a kind has had: a repeat within a kind does not count
        self._had: set[tuple[str, str]] = set()
        self._best: dict[str, float] = {}

    def go(self) -> None:
        """Whatever is missing: the search, its random baseline, the shipped networks."""
        if self.scorer.needs_forward:
            # a score, data or device that is missing here is no failure of a trial
            _ = self.scorer.forward
        with self.folder.locked():
            for kind in KINDS:
                for trial in self.folder.trials(kind):
                    self._remember(kind, trial.user_attrs)
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
        done = sum(trial.user_attrs["state"] == "scored" for trial in finished)
        while done < wanted and proposals.number < MOST_PROPOSALS * wanted:
            trial = proposals.ask()
            record = self._candidate(trial, kind)
            for key, value in record.attrs.items():
                trial.set_user_attr(key, value)
            study.add_trial(proposals.tell(trial, record.values))
            done += record.state == "scored"
            self._tell(kind, trial.number, record, done, wanted)

    def _candidate(self, trial: optuna.Trial, kind: str) -> _Record:
        limits = self.info.limits
        record = _Record({"reason": None})
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
        self._score(named, fitted.plan, record, kind)
        return record

    def _score(self, spec: NetworkSpec, plan: NetworkPlan, record: _Record, kind: str) -> None:
        record.attrs |= _facts(spec, plan)
        key = record.attrs["key"]
        known = self._known.get(key)
        if known is not None:
            # what another kind scored counts here, so that neither depends on the other's order
            state = "repeat" if (kind, key) in self._had else "scored"
            record.attrs |= {"state": state, "score": known["score"], "parts": known["parts"]}
            record.values = self._values(record.attrs)
        else:
            try:
                scored: Scored = self.scorer(spec, plan)
            except (ScoreError, SpecError) as error:
                # SpecError: too large to be built
                record.attrs |= {"state": "failed", "reason": str(error)}
            else:
                record.attrs |= {"state": "scored", "score": scored.value, "parts": scored.parts}
                record.attrs["seconds"] = {**record.attrs.get("seconds", {}), **scored.seconds}
                record.values = self._values(record.attrs)
        self._remember(kind, record.attrs)

    def _values(self, attrs: dict[str, Any]) -> tuple[float, ...]:
        """Objectives: the score, and by default the quantity of the first budget."""
        if self.info.iso:
            return (attrs["score"],)
        return (attrs["score"], float(attrs[next(iter(self.info.limits))]))

    def _remember(self, kind: str, attrs: dict[str, Any]) -> None:
        if attrs.get("state") == "scored":
            self._known.setdefault(attrs["key"], attrs)
            self._had.add((kind, attrs["key"]))

    # Shipped networks ----------------------------------------------------------------------------

    def _score_shipped(self) -> None:
        study = self.folder.study("shipped")
        finished = {trial.user_attrs["name"] for trial in self.folder.trials("shipped")}
        wanted = list(_shipped_within(self.info))
        for number, (spec, plan) in enumerate(wanted):
            if spec.name in finished:
                continue
            record = _Record({"reason": None, "target": None})
            self._score(spec, plan, record, "shipped")
            record.attrs["name"] = spec.name
            if record.state == "repeat":
                # the same architecture shipped under two names is shown twice
                record.attrs["state"] = "scored"
            study.add_trial(_frozen(record))
            self._tell("shipped", number, record, number + 1, len(wanted))

    def _tell(self, kind: str, number: int, record: _Record, done: int, wanted: int) -> None:
        score = record.attrs.get("score")
        if score is not None and record.state == "scored":
            self._best[kind] = max(score, self._best.get(kind, score))
        best = self._best.get(kind)
        self.watch(Event(kind, number, record.state, done, wanted, score, best))


def _facts(spec: NetworkSpec, plan: NetworkPlan) -> dict[str, Any]:
    """What a trial records of its network."""
    total = totals(plan)
    # a file beside the space is not beside what the search writes
    own = spec.weights is not None and spec.weights.endswith(YAML)
    text = (spec.model_copy(update={"weights": None}) if own else spec).dump()
    shape = plan.shape
    return {
        "spec": text,
        "key": architecture_key(spec),
        "name": None,
        "params": total.params,
        "flops": total.flops,
        "activations": total.activations,
        "depth": total.depth,
        "traffic": total.traffic,
        "resolution": f"{shape.height}x{shape.width}",
        "stages": " | ".join(stage_words(stage) for stage in plan.stages),
    }


def architecture_key(spec: NetworkSpec) -> str:
    """The same architecture, the same key: names, notes and figures do not count."""
    plain = spec.model_copy(update={"name": "x", "doc": "", "weights": None, "reference": None})
    return hashlib.sha256(plain.dump().encode()).hexdigest()[:24]


def _shipped_within(info: RunInfo) -> Iterator[tuple[NetworkSpec, NetworkPlan]]:
    """Of each family the largest network with a published accuracy that is not too large."""
    for _, paths in groupby(shipped_networks().values(), key=lambda path: path.parent):
        fitting: list[tuple[int, NetworkSpec, NetworkPlan]] = []
        for path in paths:
            spec = read_spec(path)
            if spec.reference is None or spec.reference.top1 is None:
                continue
            plan = plan_network(spec)
            total = totals(plan)
            sizes = ((BOUNDED[key](total), limit) for key, limit in info.limits.items())
            if all(size <= SHOWN_UP_TO * limit for size, limit in sizes):
                fitting.append((total.flops, spec, plan))
        if fitting:
            yield max(fitting, key=lambda item: item[0])[1:]


def _frozen(record: _Record) -> FrozenTrial:
    if record.values is None:
        return create_trial(state=TrialState.FAIL, user_attrs=record.attrs)
    return create_trial(values=record.values, user_attrs=record.attrs)
