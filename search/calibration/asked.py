"""What a calibration was asked to do: calibration.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from archspec.runs import versions_of
from search.budgets import Budget
from search.calibration.summary import BASELINE
from search.folder import WATCHED, WATCHED_IN_TRAINING
from search.protocol import Protocol
from search.scores.catalog import DEFAULT, find_score
from search.scores.score import Score

#: where the accuracies are from: networks trained here, a table, or publications
Kind = Literal["sample", "table", "zoo"]

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class CalibrationAsked:
    """What a calibration was asked to do; enough to go on with it.

    scores: as they were asked for, sums included. device: `text` where nothing is built. space,
    space_text: null for the zoo. networks: so many of a sample are wanted; the space may hold
    fewer. protocol: how a sample is trained. table: the file; columns: what was said of its
    columns; bands: quantiles of its FLOPs, as shares; limit: networks a band.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    kind: Kind
    name: str
    scores: tuple[str, ...]
    data: str
    batch: Annotated[int, Field(ge=2)]
    seed: int
    device: str
    space: str | None = None
    space_text: str | None = None
    budgets: tuple[Budget, ...] = ()
    networks: Annotated[int, Field(ge=3)] | None = None
    protocol: Protocol | None = None
    table: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    bands: tuple[tuple[Share, Share], ...] = ()
    limit: Annotated[int, Field(ge=1)] | None = None
    command: str = ""
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, float]:
        """Ceilings by quantity."""
        return {budget.quantity: budget.limit for budget in self.budgets}

    @property
    def seeds(self) -> int:
        """Trainings a network; none where the accuracies are known."""
        return 0 if self.protocol is None else self.protocol.seeds

    @property
    def parts(self) -> tuple[Score, ...]:
        """The scores that are measured: those asked for, and the parts of sums."""
        parts = [part for name in self.scores for part in find_score(name)]
        return tuple({part.name: part for part in parts}.values())

    @property
    def sums(self) -> tuple[str, ...]:
        """The sums that are asked for."""
        return tuple(name for name in self.scores if "+" in name)

    def info(self) -> dict[str, Any]:
        """What the page says of it: these fields, budgets and protocol in words, the table by its
        file's name, and which score is a search's default and which is the baseline."""
        return {
            **asdict(self),
            "budgets": [str(budget) for budget in self.budgets],
            "protocol": "" if self.protocol is None else self.protocol.words(),
            "table": "" if self.table is None else Path(self.table).name,
            "default": DEFAULT,
            "baseline": BASELINE,
        }


def versions_here(training: bool) -> dict[str, str]:
    """Versions of what the result depends on; of a calibration that trains, or of another."""
    return versions_of((*WATCHED, *WATCHED_IN_TRAINING) if training else WATCHED)


__all__ = ["CalibrationAsked", "Kind", "versions_here"]
