"""A roadmap whose steps are trained: the run folder of a study, and what its page needs besides.

RUN/study.json, study.yaml, ARM/...   as `archspec.study.folder` has them; an arm is a row
RUN/roadmap.yaml                      the roadmap's whole text
RUN/roadmap.json                      its rows, as they were when the run began
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict

from archspec.cost import totals
from archspec.roadmap.steps import PlannedStep, rows
from archspec.roadmap.text import Roadmap
from archspec.runs import locked, read_record, write_whole
from archspec.study.folder import StudyFolder
from archspec.study.frame import interval

if TYPE_CHECKING:
    import pandas as pd

RECORD = "roadmap.json"
TRAINED = (
    "number", "name", "accuracies", "mean", "std", "low", "high", "epochs", "flops", "params",
    "reason",
)  # fmt: skip


@dataclass(frozen=True)
class RoadmapRecord:
    """What a run keeps of its roadmap. rows: as `archspec.roadmap.steps.rows` makes them."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: str
    doc: str
    source: str
    rows: list[dict[str, Any]]

    @classmethod
    def of(cls, roadmap: Roadmap, steps: Sequence[PlannedStep]) -> RoadmapRecord:
        """That of a roadmap and its planned rows."""
        return cls(roadmap.name, roadmap.doc, roadmap.source, rows(steps))

    @classmethod
    def open(cls, run: Path) -> RoadmapRecord:
        """That of a run; raises RunError where there is none."""
        return read_record(run, RECORD, cls, "run of a roadmap")


def keep(run: Path, roadmap: Roadmap, record: RoadmapRecord) -> None:
    """Leave the roadmap in the run folder of its study; raises RunError where that is worked on."""
    with locked(run):
        write_whole(run / "roadmap.yaml", roadmap.dump())
        write_whole(run / RECORD, json.dumps(asdict(record), indent=1, ensure_ascii=False))


def trained_frame(folder: StudyFolder, record: RoadmapRecord) -> pd.DataFrame:
    """One row a row of the roadmap that is trained, finished or not.

    accuracies: percents of the seeds that are done; std: of the sample, nan for one seed; low,
    high: the mean's 95% interval by Student's t. params, flops: of the network that is trained.
    reason: why a seed failed, else an empty text.
    """
    import pandas as pd

    numbers = {row["name"]: row["number"] for row in record.rows}
    made = []
    for arm in folder.arms():
        results = [folder.result(arm.name, seed) or {} for seed in range(folder.asked.seeds)]
        accuracies = [result["top1"] for result in results if result.get("state") == "done"]
        reasons = [result["reason"] for result in results if result.get("reason")]
        mean, std, _, low, high = interval(accuracies)
        cost = totals(arm.plan)
        epochs = math.nan if arm.recipe is None else arm.recipe.epochs
        made.append(
            (numbers[arm.name], arm.name, accuracies, mean, std, low, high, epochs)
            + (cost.flops, cost.params, reasons[0] if reasons else "")
        )
    return pd.DataFrame(made, columns=list(TRAINED))


__all__ = ["RECORD", "RoadmapRecord", "keep", "trained_frame"]
