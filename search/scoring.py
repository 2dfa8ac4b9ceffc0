"""What is known of networks already: scores that are told again, what failed, who competes."""

from __future__ import annotations

from typing import Any

from archspec.errors import RunError
from archspec.spec import NetworkSpec
from search.evaluate import TRAINED, Evaluator, Outcome, ScoreJob, Setting
from search.folder import RunInfo
from search.pruning import Curve, Judge, curve_of
from search.record import Record
from search.scores.catalog import TABLE


def setting_of(info: RunInfo) -> Setting:
    """What the networks of a run are scored under."""
    table = info.space_text if info.score.startswith(TABLE) else None
    return Setting(info.score, info.data, info.batch, info.seed, info.device, info.training, table)


def check_score(info: RunInfo, evaluator: Evaluator) -> None:
    """Raise where a run's score, data or device is missing, or no longer what it was."""
    evaluator.check()
    if evaluator.scorer is None or "+" not in info.score:
        return
    if info.score_label != evaluator.scorer.label:
        raise RunError(
            f"the constants of {info.score} have changed since the run began, "
            f"{info.score_label!r} then and {evaluator.scorer.label!r} now: its trials cannot "
            "be compared with new ones; begin another run"
        )


#: what a network that was met before is told
TOLD = ("score", "parts", *TRAINED)


class Scoring:
    """Remembers finished trials of a run, and tells what follows from them for the next ones."""

    def __init__(self, info: RunInfo) -> None:
        self.info, self.setting = info, setting_of(info)
        #: scores by architecture: one that was scored before is told, not scored again
        self._known: dict[str, dict[str, Any]] = {}
        #: (kind, architecture) of what a kind has had: a repeat within a kind does not count
        self._had: set[tuple[str, str]] = set()
        #: by the same, what was scored or trained in vain: it would be again
        self._lost: dict[tuple[str, str], dict[str, Any]] = {}
        #: attributes by architecture of what was measured
        self._measured: dict[str, dict[str, Any]] = {}
        #: trainings by kind, against which later ones of the kind are judged
        self._curves: dict[str, list[Curve]] = {}

    def told(self, record: Record, kind: str) -> bool:
        """Whether the record's network is known; then put what is known of it."""
        key = record.attrs["key"]
        if (known := self._known.get(key)) is not None:
            # what another kind scored counts here, so that neither depends on the other's order
            repeat = (kind, key) in self._had
            told = {name: known[name] for name in TOLD if name in known}
            if repeat or not self._prunes(told, record, kind):
                record.attrs |= {"state": "repeat" if repeat else "scored", **told}
        elif (lost := self._lost.get((kind, key))) is not None:
            record.attrs |= {"state": lost["state"], "reason": f"as before: {lost['reason']}"}
        else:
            return False
        self.close(record, kind)
        return True

    def knows(self, key: str, kind: str) -> bool:
        """Whether an architecture would be told rather than scored."""
        return key in self._known or (kind, key) in self._lost

    def measured(self, key: str) -> dict[str, Any] | None:
        """What was measured of an architecture before; None where it was not."""
        asked = self.info.measuring
        known = self._measured.get(key)
        if asked is None or known is None:
            return None
        return {name: known[name] for name in known if name.startswith(asked.quantities)}

    def job(self, spec: NetworkSpec, record: Record, kind: str) -> ScoreJob:
        """What a worker is asked."""
        judge = None if self.info.training is None else self._judge(record.attrs, kind)
        return ScoreJob(self.setting, spec, judge)

    def take(self, outcome: Outcome, record: Record, kind: str) -> None:
        """Put what a worker found."""
        seconds = {**record.attrs.get("seconds", {}), **outcome.get("seconds", {})}
        record.attrs |= outcome | ({"seconds": seconds} if seconds else {})
        self.close(record, kind)

    def close(self, record: Record, kind: str) -> None:
        """Give the record its values, and take it into account."""
        if "score" in record.attrs:
            record.values = tuple(float(record.attrs[key]) for key in self.info.objectives)
        self.remember(kind, record.attrs)

    # Pruning -------------------------------------------------------------------------------------

    def _prunes(self, told: dict[str, Any], record: Record, kind: str) -> bool:
        """Whether what another kind trained to its end is pruned in this one; then puts so."""
        if self.info.training is None:
            return False
        judge, (first, *_) = self._judge(record.attrs, kind), told["rungs"]
        for epoch, accuracy in enumerate(first, 1):
            if not judge(epoch, told["epochs"], accuracy):
                record.attrs |= {"state": "pruned", "reason": judge.reason, "accuracies": []}
                record.attrs |= {"rungs": [first[:epoch]], "epochs": told["epochs"]}
                return True
        return False

    def _judge(self, attrs: dict[str, Any], kind: str) -> Judge:
        """Who may prune this trial: the trainings of its kind that finished before it.

        Shipped networks and rules one size up are few, and shown as they are.
        """
        protocol = self.info.training
        assert protocol is not None
        pruned = protocol.prune and kind not in ("shipped", "larger")
        return Judge(
            float(attrs[self.info.first]),
            tuple(self._curves.get(kind, ())) if pruned else None,
            self.info.iso,
            protocol.minutes is not None,
        )

    def remember(self, kind: str, attrs: dict[str, Any]) -> None:
        """Take a finished trial into account, one of this sitting or of an earlier one."""
        key, state = attrs.get("key"), attrs.get("state")
        if self.info.measuring is not None and self.info.measuring.quantities[0] in attrs:
            self._measured.setdefault(str(key), attrs)
        if state == "scored":
            self._known.setdefault(str(key), attrs)
            self._had.add((kind, str(key)))
        if state in ("pruned", "failed") and key is not None:
            self._lost.setdefault((kind, str(key)), attrs)

    def compete(self, kind: str, attrs: dict[str, Any]) -> None:
        """Let later trainings of a kind be judged by this finished one; told of each once."""
        protocol = self.info.training
        if protocol is not None and attrs["state"] in ("scored", "pruned") and attrs.get("rungs"):
            by_time = protocol.minutes is not None
            cost, epochs = float(attrs[self.info.first]), attrs["epochs"]
            curve = curve_of(cost, attrs["rungs"][0], epochs, by_time)
            self._curves.setdefault(kind, []).append(curve)
