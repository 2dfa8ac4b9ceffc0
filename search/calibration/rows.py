"""The rows of a table as they are written, and which of its columns say what."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from archspec.errors import DataError, did_you_mean
from archspec.strict import shown

#: columns that are looked for where none is named
ARCH, SPEC, NAME, GROUP = "arch", "spec", "name", "unique_group"
ACCURACIES = ("top1*", "test_acc_*", "accuracy*", "acc*", "*_acc*")
#: taken where no training stands by itself
MEANS = ("mean_*acc*", "*acc*_mean", "*acc*_avg")
#: a column of one of these words is said of other columns
_SUMS = re.compile(r"(^|_)(mean|avg|average|std|stdev|var|sem|err|error|min|max|epoch)(_|$)", re.I)
#: how the trainings of one network are numbered: test_acc_0, acc-seed1
_NUMBERED = re.compile(r"[_\-. ](seed|run|trial)?_?\d+$", re.I)


class TableError(DataError):
    """What is wrong inside a table, its cause and the ways out apart.

    cause: with the row (counted from 1) where there is one, without the file. remedy: for anybody
    who reads tables. option: for `archspec calibrate` in its place, whose options others have not.
    foreign: the networks are not those of the space whose picks they are told by.
    """

    def __init__(
        self, file: Path, cause: str, remedy: str = "", option: str = "", foreign: bool = False
    ) -> None:
        self.file, self.cause, self.foreign = file, cause, foreign
        #: for those who have no options
        self.plain = f"{file}: {cause}" + (f"; {remedy}" if remedy else "")
        super().__init__(f"{file}: {cause}; {option}" if option else self.plain)


class TableColumns(NamedTuple):
    """Which columns of a table say what; what is None is found by name.

    arch: of picks, else `spec`, else `arch`, else those named as the parameters. accuracy: names
    or patterns joined by commas, each column a training; else the first of ACCURACIES that is
    there. group: rows that are the same network, of which the first is kept; else `unique_group`,
    else rows of the same text are. name: else `name`, else the picks.
    """

    arch: str | None = None
    accuracy: str | None = None
    group: str | None = None
    name: str | None = None


def read_rows(file: Path) -> pd.DataFrame:
    """A table's rows; raises DataError where it cannot be read or has none.

    Cells of a CSV stay texts: `00102` is a name, not a number. Cells without a value are "".
    """
    read = READERS.get(file.suffix.lower())
    if read is None:
        raise DataError(f"a table is one of {', '.join(READERS)}, but got {file}")
    # a name that the system refuses is no file, either
    if not os.path.isfile(file):
        raise DataError(f"{file} is no file; check the name and the folder")
    try:
        rows = read(file)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file} cannot be read as a table: {reason}") from error
    if not len(rows):
        raise DataError(f"{file} has no rows")
    return rows.astype(object).where(rows.notna(), "")


def _csv(file: Path) -> pd.DataFrame:
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    if not isinstance(rows.index, pd.RangeIndex):
        # pandas takes what stands left of the header for names of rows
        raise ValueError("its rows have more cells than its header")
    return rows


def _parquet(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file).reset_index(drop=True)


def _json(file: Path) -> pd.DataFrame:
    told = json.loads(file.read_text("utf-8"))
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise ValueError("it is no list of objects")
    return pd.DataFrame(told)


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".json": _json,
}


def find_columns(rows: pd.DataFrame, file: Path, asked: TableColumns) -> TableColumns:
    """The columns that are taken, accuracies joined by commas; raises DataError."""
    columns = [str(column) for column in rows.columns]
    for wanted in (asked.arch, asked.group, asked.name):
        if wanted is not None and wanted not in columns:
            raise TableError(
                file, f"it has no column {shown(wanted)}: {did_you_mean(wanted, columns)}"
            )

    def found(wanted: str | None, *names: str) -> str | None:
        return wanted or next((name for name in names if name in columns), None)

    arch = found(asked.arch, SPEC, ARCH)
    accuracy = ",".join(_accuracies(columns, file, asked.accuracy))
    return TableColumns(arch, accuracy, found(asked.group, GROUP), found(asked.name, NAME))


def _accuracies(columns: list[str], file: Path, asked: str | None) -> list[str]:
    """The columns of accuracies: those asked for, else those of the first pattern that is there."""

    def like(pattern: str) -> list[str]:
        return [column for column in columns if fnmatchcase(column, pattern)]

    if asked is None:
        for pattern in ACCURACIES:
            # a mean or a deviation of other columns is no training
            single = [column for column in like(pattern) if not _SUMS.search(column)]
            if single:
                return _trainings(single, file)
        means = [column for pattern in MEANS for column in like(pattern)]
        if means:
            return means[:1]
        has = f"(its columns: {', '.join(columns)[:300]})"
        raise TableError(
            file,
            f"it has no column of accuracies such as {', '.join(ACCURACIES[:3])}",
            f"call one so {has}",
            f"name it by --accuracy {has}",
        )
    found: dict[str, None] = {}
    for pattern in (part.strip() for part in asked.split(",")):
        if not like(pattern):
            raise TableError(
                file,
                f"it has no column of accuracies {shown(pattern)}: "
                f"{did_you_mean(pattern, columns)}",
            )
        found |= dict.fromkeys(like(pattern))
    return list(found)


def _trainings(columns: list[str], file: Path) -> list[str]:
    """Columns that nobody named, where they are trainings of one kind: one, or several numbered
    ones. Top-1 and top-5, or two splits, are no two seeds."""
    stems = {_NUMBERED.sub("", column) for column in columns}
    if len(columns) > 1 and (len(stems) > 1 or not all(map(_NUMBERED.search, columns))):
        raise TableError(
            file,
            f"it has several columns of accuracies, {', '.join(columns)[:200]}",
            "leave in those that are trainings of the same kind",
            "name those that are trainings of the same kind by --accuracy",
        )
    return columns
