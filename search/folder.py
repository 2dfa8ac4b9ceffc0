"""The run folder: the only thing that a search leaves and that reports read.

    RUN/run.json     what was asked: space, budgets, seed, score, versions
    RUN/study.db     every finished trial, in an Optuna storage (SQLite)
    RUN/front/*.yaml the best specs
    RUN/rules/*.yaml their rules, where scaling rules are searched
    RUN/report.html  the page

Studies in the storage, one a kind of trial: `search`, `random` (the baseline) and `shipped`; where
rules are searched `shipped` holds the published ones, and `larger` some that were found, one size
up.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from archspec.errors import RunError
from archspec.quantities import Quantity, format_quantity, parse_quantity
from archspec.runs import locked, make_folder, read_record, versions_of, write_whole, written
from archspec.train.unchanged import Counts
from search.protocol import Protocol

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Direction = Literal["minimize", "maximize"]
KINDS = ("search", "random", "shipped", "larger")
#: how a trial may end; a scored one counts, and one that was pruned in training
STATES = ("scored", "repeat", "pruned", "infeasible", "failed")
VALUED = ("scored", "repeat")
#: whose versions decide whether two runs can be the same
WATCHED = ("archspec-vision", "torch", "optuna", "numpy", "pydantic")
#: and those of a search that trains
WATCHED_IN_TRAINING = ("accelerate", "kornia", "pytorch-optimizer")


@dataclass(frozen=True)
class Budget:
    """A ceiling on one quantity of a network, for one image."""

    quantity: Annotated[str, Field(pattern="^(flops|params|activations|traffic)$")]
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def __str__(self) -> str:
        return format_quantity(Quantity(self.limit, self.quantity))

    @property
    def exact(self) -> str:
        """The ceiling as an option takes it, with every digit: `4.5GFLOPs`."""
        short = str(self).replace(" ", "")
        unit = "bytes" if self.quantity == "traffic" else self.quantity
        same = parse_quantity(short).value == self.limit
        return short if same else f"{self.limit!r}{unit}"


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

    training: how networks are trained, where that is the score. scaling: where rules are searched;
    `space_text` then holds `base` and `rule`.
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
    trials: int
    random_trials: int
    shipped: bool
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    training: Protocol | None = None
    scaling: Scaling | None = None

    @property
    def title(self) -> str:
        """What is searched, in words."""
        if self.scaling is None:
            return self.space
        return f"rules for {self.scaling.base} ({self.scaling.rules})"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of trials that the run has."""
        return KINDS if self.scaling is not None else KINDS[:3]

    @property
    def limits(self) -> dict[str, float]:
        """Ceilings by quantity."""
        return {budget.quantity: budget.limit for budget in self.budgets}


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
        with written(path):
            write_whole(path / "run.json", json.dumps(asdict(info), indent=1))
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A run that is there."""
        return cls(path, read_record(path, "run.json", RunInfo, "run folder"))

    def ask_for(self, trials: int) -> None:
        """Ask the run for another number of counted trials; what is there stays."""
        with locked(self.path):
            self._record(replace(self.info, trials=trials))

    def record_data(self, counts: Counts) -> None:
        """Keep what was counted of the data that networks are trained on."""
        protocol = self.info.training
        if protocol is not None and protocol.counts != counts:
            train, test, classes, fingerprint = counts
            met = replace(
                protocol,
                train_count=train,
                test_count=test,
                classes=classes,
                fingerprint=fingerprint,
            )
            self._record(replace(self.info, training=met))

    def _record(self, info: RunInfo) -> None:
        self.info = info
        write_whole(self.path / "run.json", json.dumps(asdict(info), indent=1))

    def study(self, kind: str) -> optuna.Study:
        """The stored study of one kind of trial, made where missing."""
        if kind not in self._studies:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)
            directions: list[Direction] = (
                ["maximize"] if self.info.iso else ["maximize", "minimize"]
            )
            from sqlalchemy import URL

            # a path may hold what means something in an address, such as ? and #
            file = URL.create("sqlite", database=str(self.path.resolve() / "study.db"))
            try:
                self._studies[kind] = optuna.create_study(
                    study_name=kind,
                    storage=file.render_as_string(),
                    directions=directions,
                    load_if_exists=True,
                )
            except Exception as error:
                # SQLAlchemy's errors for a damaged, foreign or unwritable file
                raise self._unusable(error) from error
        return self._studies[kind]

    def _unusable(self, error: Exception) -> RunError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return RunError(f"{self.path / 'study.db'} cannot be used: {reason}")

    def trials(self, kind: str) -> list[optuna.trial.FrozenTrial]:
        """Finished trials of one kind, by number."""
        study = self.study(kind)
        try:
            trials = study.get_trials(deepcopy=False)
        except Exception as error:
            # SQLAlchemy's and Optuna's errors for a file that was damaged later
            raise self._unusable(error) from error
        for number, trial in enumerate(trials):
            state = trial.user_attrs.get("state")
            whole = state in STATES and (trial.values is not None) == (state in VALUED)
            if trial.number != number or not trial.state.is_finished() or not whole:
                raise RunError(f"{self.path / 'study.db'} is damaged: {kind} trial {number} is odd")
        return trials

    def frame(self) -> pd.DataFrame:
        """One row a trial: counts, score and its parts, state, spec and reason, and a column
        `knob.<path>` a parameter. Shipped networks and the random baseline are told by `kind`.
        Where rules are searched also `rule`, its text, `phi`, a column `factor.<knob>` a constant
        (FLOPs double a phi), and of kind `larger` `of`, the search trial whose rule it repeats.
        Of trained networks also `accuracies`, a list by seed, `rungs`, a list by seed of lists by
        epoch, both in percent, and `epochs`."""
        import pandas as pd

        rows = [self._row(kind, trial) for kind in self.info.kinds for trial in self.trials(kind)]
        columns = [
            "number", "kind", "state", "name", "params", "flops", "activations", "depth",
            "traffic", "resolution", "score", "target", "used", "spec", "stages", "reason",
            "seconds", "finished",
        ]  # fmt: skip
        frame = pd.DataFrame(rows)
        for column in columns:
            if column not in frame:
                frame[column] = None
        return frame[[*columns, *(column for column in frame if column not in columns)]]

    def _row(self, kind: str, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
        told = dict(trial.user_attrs)
        parts = told.pop("parts", {})
        seconds = told.pop("seconds", {})
        factors = told.pop("factors", None) or {}
        told.pop("key", None)
        return {
            "number": trial.number,
            "kind": kind,
            **told,
            "seconds": sum(seconds.values()),
            "finished": trial.datetime_complete,
            **{f"part.{name}": value for name, value in parts.items()},
            **{f"seconds.{name}": value for name, value in seconds.items()},
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
