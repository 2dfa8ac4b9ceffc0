"""Tables of trained networks as scores: what a network came to when others trained it.

For benchmarks of a search itself. A network is found by what it computes, so that texts that differ
but not in their layers have the row of either.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from statistics import fmean

from archspec.errors import DataError, ScoreError
from archspec.plan import NetworkPlan
from search.calibration.rows import TableError
from search.calibration.table import table_candidates
from search.guided.wiring import wiring
from search.scores.catalog import table_file
from search.scores.score import Score
from search.space import Space


def table_score(name: str, space_text: str | None, space: str | None = None) -> Score:
    """The score `table:FILE`, higher is better: mean accuracy in percent over the trainings.

    space_text: the space in whose picks the table names its networks; None where each row has its
    `spec`. space: what it is called. Reads the table, a millisecond a row. Raises ScoreError where
    no file is named, DataError where it cannot be read, with the row and the column where one is
    wrong, and with the space where the networks are not the space's.
    """
    file = table_file(name)
    try:
        table = _read(file, _changed(file), space_text)
    except TableError as error:
        if not error.foreign or space_text is None:
            raise DataError(error.plain) from error
        called = "the space that is searched" + ("" if space is None else f", {space}")
        raise DataError(
            f"{file} must hold trained networks of {called}: {error.cause}; search the space that "
            "the table was made of, or mend the table"
        ) from error

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


def _changed(file: Path) -> int:
    """When a file was written last; 0 of one that is none, which reading it says."""
    try:
        return file.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=2)
def _read(file: Path, changed: int, space_text: str | None) -> dict[str, float]:
    """Mean accuracies by wiring; `changed` tells a file that was written anew from the old one."""
    space = None if space_text is None else Space.parse(space_text, "the space")
    found: dict[str, list[float]] = {}
    for network in table_candidates(file, space, bands=()):
        found.setdefault(wiring(network.plan), []).extend(network.accuracies)
    return {key: fmean(values) for key, values in found.items()}
