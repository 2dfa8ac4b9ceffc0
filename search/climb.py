"""Going up a ladder: the best networks of each rung are scored anew, by the next rung's score.

The lowest rung is the search itself, trials of kind `search`; those of kind rung2, rung3, ... name
the search trial whose network they are. Every rung has a memory and a score of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from optuna.trial import FrozenTrial

from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, parse_spec
from search.coordinator import Coordinator, Item, Listener, Watcher
from search.folder import RunFolder, number_of
from search.kept import Standing, kept, standings_of
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
        #: rungs whose score and data are there, which is looked at once
        self._checked: set[str] = set()

    def go(self) -> bool:
        """Climb from a search that is done; whether to the top. A rung of which others have
        networks in work, or left some, waits for the next call: who is kept there follows from all
        of it."""
        if not self.info.ladder:
            return True
        below = {number_of(trial): trial for trial in self.folder.trials("search")}
        standings = standings_of(below.items(), self.info.objectives)
        for kind, rung in zip(self.info.rungs, self.info.ladder, strict=True):
            climbing = kept(standings, self.info.objectives, rung.count)
            if not self._see_through(self._trials(kind), kind, climbing, below):
                return False
            standings = self._reached(kind, climbing)
        return True

    def _trials(self, kind: str) -> Coordinator:
        """A rung's own coordinator, which knows what the rung has finished."""
        if kind not in self._rungs:
            # it sees to one kind alone, and has no rungs above it
            info = replace(self.info.rung(kind), ladder=())
            self._rungs[kind] = Coordinator(self.folder, info, *self._outside)
        self._rungs[kind].hear(kind)
        return self._rungs[kind]

    def _see_through(
        self, trials: Coordinator, kind: str, climbing: list[int], below: Mapping[int, FrozenTrial]
    ) -> bool:
        """Score those who came to a rung; whether all of them are done there."""
        had = trials.of[kind]
        if had.issuperset(climbing):
            return True
        if kind not in self._checked:
            check_score(trials.info, trials.evaluator)
            if trials.evaluator.training is not None:
                self.folder.record_data(trials.evaluator.training.counts(), kind)
            self._checked.add(kind)
        items = []
        for of in climbing:
            text = str(below[of].user_attrs["spec"])

            def begin(record: Record, text: str = text) -> tuple[NetworkSpec, NetworkPlan]:
                spec = parse_spec(text)
                return spec, plan_network(spec)

            def finished(of: int = of) -> bool:
                return of in had

            items.append(Item(of, Record(_handed(below[of], of)), begin, finished))
        return trials.listed(kind, items)

    def _reached(self, kind: str, climbing: Iterable[int]) -> list[Standing]:
        """What became of those that climbed; a run asked for more has others beside them."""
        wanted = set(climbing)
        told = ((int(trial.user_attrs["of"]), trial) for trial in self.folder.trials(kind))
        return standings_of(
            ((of, trial) for of, trial in told if of in wanted), self.info.objectives
        )


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
