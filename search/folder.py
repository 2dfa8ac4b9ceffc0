"""The run folder: the only thing that a search leaves and that reports read.

    RUN/run.json     what was asked: space, budgets, seed, score, versions
    RUN/study.db     every finished trial, in an Optuna storage: SQLite, where run.json names no
                     PostgreSQL database
    RUN/front/*.yaml the best specs
    RUN/rules/*.yaml their rules, where scaling rules are searched
    RUN/report.html  the page

Studies in the storage, one a kind of trial: `search`, `random` (the baseline) and `shipped`; where
rules are searched `shipped` holds the published ones, and `larger` some that were found, one size
up; `rung2`, `rung3`, ... those that climbed a ladder. On PostgreSQL, where many runs may share a
database, names begin with the run's: `RUN/search`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from archspec.errors import ArchspecError, RunError
from archspec.runs import locked, make_folder, read_record, versions_of, write_whole, written
from archspec.train.unchanged import Counts
from search.budgets import MEASURABLE, Budget, law_limits, measured_limits
from search.measuring import Measuring
from search.metrics import check_objectives
from search.protocol import Protocol
from search.rungs import RungInfo, rung_kinds

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from search.ledger import Ledger
    from search.trial_storage import TrialStorage

#: of trials; the rungs of a ladder above the search have kinds of their own, rung2, rung3, ...
KINDS = ("search", "random", "shipped", "larger")
#: how a trial may end; a scored one counts, and one that was pruned in training
STATES = ("scored", "repeat", "pruned", "infeasible", "failed")
VALUED = ("scored", "repeat")
#: the file of a run that holds its trials, unless they are on a server
STUDY = "study.db"
#: the user attribute of the number by which a trial was asked for
NUMBER = "number"
#: of a trial's seconds those that passed since the one before it; the others are its parts
WALL = "wall"
#: whose versions decide whether two runs can be the same
WATCHED = ("archspec-vision", "torch", "optuna", "numpy", "pydantic")
#: and those of a search that trains
WATCHED_IN_TRAINING = ("accelerate", "kornia", "pytorch-optimizer")


@dataclass(frozen=True)
class Scaling:
    """That a search is of scaling rules: of which network, by which text, and how many of its rules
    are scored one size up, too. source: the network as the command names it."""

    base: str
    rules: str
    source: str
    larger: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class RunInfo:
    """What a search was asked to do; enough to go on with it.

    iso: candidates land at the ceiling, not below it. training: how networks are trained, where
    that is the score. scaling: where rules are searched; `space_text` then holds `base` and `rule`.
    objectives: keys of search.metrics; none is the score, and unless iso the first budget's
    quantity. measuring: how networks are measured, where a budget or an objective asks for it.
    storage, study: the PostgreSQL database, without a password, and the run's name there;
    null is SQLite in the run folder. ladder: the rungs above the search, which is the lowest.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    space: str
    space_text: str
    command: str
    budgets: tuple[Budget, ...]
    iso: bool
    seed: int
    sampler: str
    score: str
    score_label: str
    data: str
    batch: int
    device: str
    trials: Annotated[int, Field(ge=0)]
    random_trials: Annotated[int, Field(ge=0)]
    shipped: bool
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    training: Protocol | None = None
    scaling: Scaling | None = None
    objectives: tuple[str, ...] = ()
    measuring: Measuring | None = None
    storage: str | None = None
    study: str | None = None
    ladder: tuple[RungInfo, ...] = ()

    def __post_init__(self) -> None:
        if not self.budgets:
            raise RunError("run.json is damaged: a search has a budget")
        if not self.objectives:
            chosen = ("score",) if self.iso else ("score", self.first)
            object.__setattr__(self, "objectives", chosen)
        check_objectives(self.objectives)
        measured = [budget.quantity for budget in self.budgets if budget.measured]
        asked = {*measured, *self.objectives} & set(MEASURABLE)
        if asked - set(self.measuring.quantities if self.measuring else ()):
            raise RunError(f"run.json is damaged: {' and '.join(sorted(asked))} without measuring")

    @property
    def title(self) -> str:
        """What is searched, in words."""
        if self.scaling is None:
            return self.space
        return f"rules for {self.scaling.base} ({self.scaling.rules})"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of trials that the run has."""
        return (KINDS if self.scaling is not None else KINDS[:3]) + self.rungs

    @property
    def rungs(self) -> tuple[str, ...]:
        """The kinds of the rungs above the search, from the lowest; none without a ladder."""
        return rung_kinds(self.ladder)

    def rung(self, kind: str) -> RunInfo:
        """The run as trials of a kind see it: with the score and training of their rung."""
        if kind not in self.rungs:
            return self
        rung = self.ladder[self.rungs.index(kind)]
        return replace(
            self,
            trials=rung.count,
            score=rung.score,
            score_label=rung.score_label,
            batch=rung.batch,
            device=rung.device,
            training=rung.training,
        )

    def said(self, kind: str) -> str:
        """The score of a rung, `search` being the first one's kind, in a ladder's words."""
        from search.ladder import Rung, words

        if kind in self.rungs:
            return self.ladder[self.rungs.index(kind)].said
        told = self.training
        if told is None:
            return self.score
        seeds = told.seeds if told.seeds > 1 else None
        return words(
            Rung(
                count=self.trials,
                score=self.score,
                epochs=told.epochs,
                minutes=told.minutes,
                seeds=seeds,
                images=told.images,
            )
        )

    @property
    def places(self) -> tuple[str, ...]:
        """The devices of all rungs, the last one first; `text` where nothing is built."""
        return tuple(rung.device for rung in reversed(self.ladder)) + (self.device,)

    def moved(self, device: str) -> RunInfo:
        """The same run on another device, where it builds networks; rungs that read the text
        stay."""

        def there(now: str) -> str:
            return now if now == "text" else device

        rungs = tuple(replace(rung, device=there(rung.device)) for rung in self.ladder)
        return replace(self, device=there(self.device), ladder=rungs)

    @property
    def first(self) -> str:
        """The quantity that candidates are fitted to first; FLOPs where all limits are measured."""
        return next(iter(self.limits), "flops")

    @property
    def limits(self) -> dict[str, float]:
        """Ceilings by quantity of what the text tells."""
        return law_limits(self.budgets)

    @property
    def measured(self) -> dict[str, float]:
        """Limits by quantity of what only a measurement tells."""
        return measured_limits(self.budgets)


def number_of(trial: optuna.trial.FrozenTrial) -> int:
    """By which number a finished trial was asked for; those of several workers end in any order."""
    return int(trial.user_attrs.get(NUMBER, trial.number))


def on_storage(info: RunInfo, url: str, study: str) -> RunInfo:
    """The same run with its trials on PostgreSQL; raises RunError for another address."""
    from search.storage import postgresql_url, without_password

    password = postgresql_url(url).password
    if password is not None:
        # for this process alone: it is written nowhere
        os.environ["PGPASSWORD"] = str(password)
    return replace(info, storage=without_password(url), study=study)


def versions_here(training: bool = False) -> dict[str, str]:
    """Versions of what the result depends on; of a search that trains, or of another."""
    return versions_of((*WATCHED, *WATCHED_IN_TRAINING) if training else WATCHED)


class RunFolder:
    """A run on disk."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path, self.info = path, info
        self._studies: dict[str, optuna.Study] = {}

    @classmethod
    def create(cls, path: Path, info: RunInfo) -> RunFolder:
        """A new run; refuses a folder that holds one already."""
        make_folder(path, "run.json")
        folder = cls(path, info)
        with written(path):
            if info.storage is None:
                # with its tables, before anybody takes the folder for a run: two that made them at
                # once would meet each other's halves; and where it is missing later, trials are
                folder.study("search")
            write_whole(path / "run.json", json.dumps(asdict(info), indent=1))
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A run that is there; raises RunError where its record or its trials are missing."""
        info = read_record(path, "run.json", RunInfo, "run folder")
        if info.storage is None and not (path / STUDY).is_file():
            raise RunError(
                f"{path / STUDY} is missing, which holds the trials of the run; copy it there, or "
                "begin anew with archspec search"
            )
        return cls(path, info)

    def ask_for(self, trials: int) -> None:
        """Ask the run for another number of counted trials; what is there stays."""
        least = self.info.ladder[0].count if self.info.ladder else 0
        if trials <= least:
            raise RunError(
                f"the second rung of the run's ladder has {least:,} networks, and the first has "
                f"more, but got --trials {trials}; give more"
            )
        from search.record import counts

        with locked(self.path):
            had = sum(counts(trial.user_attrs) for trial in self.trials("search"))
            if trials < had:
                raise RunError(
                    f"{had:,} trials of the run are done, but got --trials {trials:,}; give as "
                    "many or more"
                )
            self.asked_for(trials)

    def asked_for(self, trials: int) -> None:
        """Keep that the run was asked for another number of trials, by whoever has its lock."""
        self._record(replace(self.info, trials=trials))

    def record_data(self, counts: Counts, kind: str = "search") -> None:
        """Keep what was counted of the data that networks of a kind are trained on."""
        protocol = self.info.rung(kind).training
        if protocol is not None and protocol.counts != counts:
            train, test, classes, fingerprint = counts
            met = replace(
                protocol,
                train_count=train,
                test_count=test,
                classes=classes,
                fingerprint=fingerprint,
            )
            if kind not in self.info.rungs:
                self._record(replace(self.info, training=met))
                return
            ladder = list(self.info.ladder)
            place = self.info.rungs.index(kind)
            ladder[place] = replace(ladder[place], training=met)
            self._record(replace(self.info, ladder=tuple(ladder)))

    def _record(self, info: RunInfo) -> None:
        self.info = info
        write_whole(self.path / "run.json", json.dumps(asdict(info), indent=1))

    @property
    def storage_url(self) -> str:
        """Where the trials are, as SQLAlchemy takes it; no password is in it."""
        if self.info.storage is not None:
            return self.info.storage
        from sqlalchemy import URL

        # a path may hold what means something in an address, such as ? and #
        file = URL.create("sqlite", database=str(self.path.resolve() / STUDY))
        return file.render_as_string()

    @cached_property
    def _storage(self) -> TrialStorage:
        from search.storage import open_storage

        return open_storage(self.storage_url)

    def ledger(self, tell: Callable[[str], None]) -> Ledger:
        """Who else works on the run's study. tell: hears what is waited for."""
        from search.ledger import open_ledger

        return open_ledger(self.storage_url, self.info.study, self._storage, tell)

    def study(self, kind: str) -> optuna.Study:
        """The stored study of one kind of trial, made where missing."""
        if kind not in self._studies:
            import optuna

            from search.metrics import direction
            from search.storage import steady

            optuna.logging.set_verbosity(optuna.logging.WARNING)
            try:
                self._studies[kind] = steady(
                    lambda: optuna.create_study(
                        study_name=kind if self.info.study is None else f"{self.info.study}/{kind}",
                        storage=self._storage,
                        directions=[direction(key) for key in self.info.objectives],
                        load_if_exists=True,
                    )
                )
            except ArchspecError:
                raise
            except Exception as error:
                # SQLAlchemy's errors for a damaged, foreign or unwritable file
                raise self._unusable(error) from error
        return self._studies[kind]

    def _unusable(self, error: Exception) -> RunError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return RunError(f"{self._where} cannot be used: {reason}")

    @property
    def _where(self) -> str:
        return str(self.path / STUDY) if self.info.storage is None else self.info.storage

    def trials(self, kind: str) -> list[optuna.trial.FrozenTrial]:
        """Finished trials of one kind, in the order in which they ended."""
        from search.storage import steady

        study = self.study(kind)
        try:
            trials = steady(lambda: study.get_trials(deepcopy=False))
        except ArchspecError:
            raise
        except Exception as error:
            # SQLAlchemy's and Optuna's errors for a file that was damaged later
            raise self._unusable(error) from error
        for number, trial in enumerate(trials):
            state = trial.user_attrs.get("state")
            whole = state in STATES and (trial.values is not None) == (state in VALUED)
            if trial.number != number or not trial.state.is_finished() or not whole:
                raise RunError(f"{self._where} is damaged: {kind} trial {number} is odd")
        return trials

    def frame(self) -> pd.DataFrame:
        """One row a trial: counts, score and its parts, state, spec and reason, and a column
        `knob.<path>` a parameter. Shipped networks and the random baseline are told by `kind`.
        `seconds` is the sum of the trial's parts, `seconds.propose` and others; `seconds.wall` is
        what passed since the trial before it had ended, over a kind the time that its sittings
        took, each coordinator's for itself.
        Where rules are searched also `rule`, its text, `phi`, a column `factor.<knob>` a constant
        (FLOPs double a phi), and of kind `larger` `of`, the search trial whose rule it repeats;
        kinds of a ladder's rungs have it, too: whose network they are.
        Of trained networks also `accuracies`, a list by seed, `rungs`, a list by seed of lists by
        epoch, both in percent, and `epochs`."""
        import pandas as pd

        rows = [
            self._row(kind, trial)
            for kind in self.info.kinds
            for trial in sorted(self.trials(kind), key=number_of)
        ]
        columns = [
            "number", "kind", "state", "name", "params", "flops", "activations", "depth",
            "traffic", "resolution", "score", "target", "used", "spec", "stages", "reason",
            "seconds", "finished",
        ]  # fmt: skip
        frame = pd.DataFrame(rows)
        # of a run that has not begun, too
        columns += [key for key in self.info.objectives if key not in columns]
        for column in columns:
            if column not in frame:
                frame[column] = None
        return frame[[*columns, *(column for column in frame if column not in columns)]]

    def _row(self, kind: str, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
        told = dict(trial.user_attrs)
        parts = told.pop("parts", {})
        seconds = dict(told.pop("seconds", {}))
        wall = seconds.pop(WALL, None)
        factors = told.pop("factors", None) or {}
        told.pop("key", None)
        return {
            "number": number_of(trial),
            "kind": kind,
            **told,
            "seconds": sum(seconds.values()),
            "finished": trial.datetime_complete,
            **{f"part.{name}": value for name, value in parts.items()},
            **{f"seconds.{name}": value for name, value in seconds.items()},
            f"seconds.{WALL}": wall,
            **{f"factor.{name}": value for name, value in factors.items()},
            **{f"knob.{name}": value for name, value in trial.params.items()},
        }

    def write_front(self, specs: list[tuple[str, str]]) -> list[Path]:
        """The best specs as files front/NAME.yaml, older ones replaced; (name, text) pairs."""
        return self._write("front", specs)

    def write_rules(self, rules: list[tuple[str, str]]) -> list[Path]:
        """The best rules as files rules/NAME.yaml, older ones replaced; (name, text) pairs."""
        return self._write("rules", rules)

    def _write(self, name: str, texts: list[tuple[str, str]]) -> list[Path]:
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
        paths = []
        for stem, text in texts:
            paths.append(folder / f"{stem}.yaml")
            write_whole(paths[-1], text)
        return paths
