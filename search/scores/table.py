"""Tables of trained networks as scores: what a network came to when others trained it.

For benchmarks of a search itself. A network is found by what it computes, so that texts that differ
but not in their layers have the row of either.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from statistics import fmean

from archspec.errors import ScoreError
from archspec.plan import NetworkPlan
from search.calibration.table import table_candidates
from search.guided.wiring import wiring
from search.scores.catalog import TABLE
from search.scores.score import Score
from search.space import Space


def table_score(name: str, space_text: str | None) -> Score:
    """The score `table:FILE`, higher is better: mean accuracy in percent over the trainings.

    space_text: the space in whose picks the table names its networks; None where each row has its
    `spec`. Reads the table, a millisecond a row. Raises DataError with the file, row and column.
    """
    file = Path(name.removeprefix(TABLE))
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    table = _read(file, changed, space_text)

    def looked_up(plan: NetworkPlan) -> float:
        known = table.get(wiring(plan))
        if known is None:
            raise ScoreError(
                f"{file} has no such network: a table scores what is in it; search the space that "
                "it was made of"
            )
        return known

    return Score(
        name,
        f"mean accuracy in {file.name}, %",
        "the table's",
        "a look into the table",
        "says nothing of networks that are not in the table",
        looked_up,
    )


@lru_cache(maxsize=2)
def _read(file: Path, changed: int, space_text: str | None) -> dict[str, float]:
    """Mean accuracies by wiring; `changed` tells a file that was written anew from the old one."""
    space = None if space_text is None else Space.parse(space_text, "space")
    found: dict[str, list[float]] = {}
    for network in table_candidates(file, space, bands=()):
        found.setdefault(wiring(network.plan), []).extend(network.accuracies)
    return {key: fmean(values) for key, values in found.items()}
