"""What becomes of one fitted network: scored or trained, known already, pruned, or failed."""

from __future__ import annotations

from typing import Any

from archspec.errors import RunError, ScoreError, SpecError
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from search.folder import RunInfo
from search.pruning import Curve, Judge, curve_of
from search.record import Record, facts
from search.scores import TRAIN, Scored, Scorer
from search.scores.training import Tell, Training

#: what is kept of a training, beside the score
TRAINED = ("accuracies", "rungs", "epochs")


class Scoring:
    """Scores networks by what the run asks for, and remembers them.

    training: what trains where training is the score, made from the run's protocol unless given.
    """

    def __init__(self, info: RunInfo, training: Training | None = None) -> None:
        if (info.score == TRAIN) != (info.training is not None):
            raise RunError(f"run.json is damaged: score {TRAIN} and `training` go together")
        self.info, self.training = info, training
        if info.training is not None and training is None:
            self.training = Training(info.training, info.data, info.device)
        #: scores by architecture: one that was scored before is told, not scored again
        self._known: dict[str, dict[str, Any]] = {}
        #: (kind, architecture) of what a kind has had: a repeat within a kind does not count
        self._had: set[tuple[str, str]] = set()
        #: by the same, what was trained in vain: it would be again
        self._lost: dict[tuple[str, str], dict[str, Any]] = {}
        #: trainings by kind, against which later ones of the kind are judged
        self._curves: dict[str, list[Curve]] = {}

    def check(self) -> None:
        """Raise where a score, data or device is missing: that is no failure of a trial."""
        if self.training is not None:
            self.training.check()
            return
        self._scorer = Scorer(
            self.info.score, self.info.data, self.info.batch, self.info.seed, self.info.device
        )
        self._scorer.check()
        if "+" in self.info.score and self.info.score_label != self._scorer.label:
            raise RunError(
                f"the constants of {self.info.score} have changed since the run began, "
                f"{self.info.score_label!r} then and {self._scorer.label!r} now: its trials cannot "
                "be compared with new ones; begin another run"
            )

    def score(
        self,
        spec: NetworkSpec,
        plan: NetworkPlan,
        record: Record,
        kind: str,
        tell: Tell,
    ) -> None:
        """Put what the network is and what comes of it into its record."""
        record.attrs |= facts(spec, plan)
        key = record.attrs["key"]
        if (known := self._known.get(key)) is not None:
            # what another kind scored counts here, so that neither depends on the other's order
            repeat = (kind, key) in self._had
            told = {name: known[name] for name in ("score", "parts", *TRAINED) if name in known}
            if repeat or not self._prunes(told, record, kind):
                record.attrs |= {"state": "repeat" if repeat else "scored", **told}
        elif (lost := self._lost.get((kind, key))) is not None:
            record.attrs |= {"state": lost["state"], "reason": f"as before: {lost['reason']}"}
        else:
            try:
                self._score_anew(spec, plan, record, kind, tell)
            except (ScoreError, SpecError) as error:
                # SpecError: too large to be built
                record.attrs |= {"state": "failed", "reason": str(error)}
        if "score" in record.attrs:
            record.values = self._values(record.attrs)
        self.remember(kind, record.attrs)

    def _score_anew(
        self, spec: NetworkSpec, plan: NetworkPlan, record: Record, kind: str, tell: Tell
    ) -> None:
        if self.training is None:
            self._put(record, self._scorer(spec, plan))
            return
        judge = self._judge(record.attrs, kind)
        trained = self.training(spec, judge, tell)
        record.attrs |= {name: getattr(trained, name) for name in TRAINED}
        if trained.scored is not None:
            self._put(record, trained.scored)
        else:
            record.attrs |= {"state": "pruned", "reason": judge.reason}
            self._spent(record, {"train": trained.seconds})

    def _prunes(self, told: dict[str, Any], record: Record, kind: str) -> bool:
        """Whether what another kind trained to its end is pruned in this one; then puts so."""
        if self.training is None:
            return False
        judge, (first, *_) = self._judge(record.attrs, kind), told["rungs"]
        for epoch, accuracy in enumerate(first, 1):
            if not judge(epoch, told["epochs"], accuracy):
                record.attrs |= {"state": "pruned", "reason": judge.reason, "accuracies": []}
                record.attrs |= {"rungs": [first[:epoch]], "epochs": told["epochs"]}
                return True
        return False

    def _put(self, record: Record, scored: Scored) -> None:
        record.attrs |= {"state": "scored", "score": scored.value, "parts": scored.parts}
        self._spent(record, scored.seconds)

    def _spent(self, record: Record, seconds: dict[str, float]) -> None:
        record.attrs["seconds"] = {**record.attrs.get("seconds", {}), **seconds}

    def _values(self, attrs: dict[str, Any]) -> tuple[float, ...]:
        """Objectives: the score, and by default the quantity of the first budget."""
        if self.info.iso:
            return (attrs["score"],)
        return (attrs["score"], float(attrs[self._first]))

    @property
    def _first(self) -> str:
        return next(iter(self.info.limits))

    # Pruning -------------------------------------------------------------------------------------

    def _judge(self, attrs: dict[str, Any], kind: str) -> Judge:
        """Who may prune this trial: the trainings of its kind that finished before it.

        Shipped networks and rules one size up are few, and shown as they are.
        """
        protocol = self.info.training
        assert protocol is not None
        pruned = protocol.prune and kind in ("search", "random")
        return Judge(
            float(attrs[self._first]),
            self._curves.get(kind, ()) if pruned else None,
            self.info.iso,
            protocol.minutes is not None,
        )

    def remember(self, kind: str, attrs: dict[str, Any]) -> None:
        """Take a finished trial into account, one of this sitting or of an earlier one."""
        key, state = attrs.get("key"), attrs.get("state")
        if state == "scored":
            self._known.setdefault(str(key), attrs)
            self._had.add((kind, str(key)))
        protocol = self.info.training
        if protocol is None:
            return
        if state in ("pruned", "failed"):
            self._lost.setdefault((kind, str(key)), attrs)
        if state in ("scored", "pruned") and attrs.get("rungs"):
            by_time = protocol.minutes is not None
            cost, epochs = float(attrs[self._first]), attrs["epochs"]
            curve = curve_of(cost, attrs["rungs"][0], epochs, by_time)
            self._curves.setdefault(kind, []).append(curve)
