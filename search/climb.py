"""Going up a ladder: the best networks of each rung are scored anew, by the next rung's score.

The lowest rung is the search itself, trials of kind `search`; those of kind rung2, rung3, ... name
the search trial whose network they are. Every rung has a memory and a score of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from optuna.trial import FrozenTrial

from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, parse_spec
from search.coordinator import Coordinator, Item, Listener, Watcher
from search.folder import RunFolder, number_of
from search.kept import Standing, kept
from search.ledger import Ledger
from search.metrics import MEASURED
from search.record import Record
from search.scoring import check_score
from search.workers import Workers

#: what the names of measured attributes begin with
_MEASURED = tuple(metric.key for metric in MEASURED)


class Climb:
    """The rungs above the search, seen through by the same workers."""

    def __init__(
        self,
        folder: RunFolder,
        watch: Watcher,
        listen: Listener,
        workers: Workers | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.folder, self.info = folder, folder.info
        self._outside = (watch, listen, None, workers, ledger)
        self._rungs: dict[str, Coordinator] = {}

    def go(self) -> None:
        """Climb as far as rungs are done; those that others are at wait for the next call."""
        below, asked = "search", [trial.user_attrs for trial in self.folder.trials("search")]
        numbers = [number_of(trial) for trial in self.folder.trials("search")]
        standings = _standings(zip(numbers, asked, strict=True), self.info.objectives)
        specs = {of: str(attrs.get("spec")) for of, attrs in zip(numbers, asked, strict=True)}
        for kind, rung in zip(self.info.rungs, self.info.ladder, strict=True):
            trials = self._trials(kind)
            if trials.others(below):
                return
            climbing = kept(standings, self.info.objectives, rung.count)
            self._see_through(trials, kind, climbing, specs)
            standings = self._reached(kind, climbing)
            below = kind

    def _trials(self, kind: str) -> Coordinator:
        """A rung's own coordinator, which knows what the rung has finished."""
        if kind not in self._rungs:
            # it sees to one kind alone, and has no rungs above it
            info = replace(self.info.rung(kind), ladder=())
            self._rungs[kind] = Coordinator(self.folder, info, *self._outside)
        self._rungs[kind].hear(kind)
        return self._rungs[kind]

    def _see_through(
        self, trials: Coordinator, kind: str, climbing: list[int], specs: dict[int, str]
    ) -> None:
        had = self._had(kind)
        if all(of in had for of in climbing):
            return
        check_score(trials.info, trials.evaluator)
        if trials.evaluator.training is not None:
            self.folder.record_data(trials.evaluator.training.counts(), kind)
        below = {number_of(trial): trial for trial in self.folder.trials("search")}
        items = []
        for of in climbing:

            def begin(record: Record, text: str = specs[of]) -> tuple[NetworkSpec, NetworkPlan]:
                spec = parse_spec(text)
                return spec, plan_network(spec)

            def finished(of: int = of) -> bool:
                return of in (self._had(kind) if trials.shared else had)

            items.append(Item(of, Record(_handed(below[of], of)), begin, finished))
        trials.listed(kind, items)

    def _had(self, kind: str) -> set[int]:
        return {int(trial.user_attrs["of"]) for trial in self.folder.trials(kind)}

    def _reached(self, kind: str, climbing: Iterable[int]) -> list[Standing]:
        """What became of those that climbed; a run asked for more has others beside them."""
        wanted = set(climbing)
        told = ((int(trial.user_attrs["of"]), trial) for trial in self.folder.trials(kind))
        here = [(of, trial.user_attrs) for of, trial in told if of in wanted]
        return _standings(here, self.info.objectives)


def _standings(
    trials: Iterable[tuple[int, dict[str, object]]], objectives: tuple[str, ...]
) -> list[Standing]:
    found = []
    for of, attrs in trials:
        scored = attrs["state"] == "scored"
        values = tuple(float(str(attrs[key])) for key in objectives) if scored else None
        found.append(Standing(of, values))
    return found


def _handed(trial: FrozenTrial, of: int) -> dict[str, object]:
    """What a network keeps when it climbs: where it aimed, and what was measured of it."""
    attrs = trial.user_attrs
    told = {name: attrs[name] for name in attrs if name.startswith(_MEASURED)}
    # who has seconds of it is not measured again
    if told:
        told["seconds"] = {"measure": 0.0}
    aimed = {name: attrs[name] for name in ("target", "used") if name in attrs}
    return {"reason": None, "of": of} | aimed | told


__all__ = ["Climb"]
