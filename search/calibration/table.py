"""Networks of a table that others trained, as candidates.

A row is a network by a column `spec` (its YAML, a file or a shipped name), by a column of picks
(`arch`: the tags of the space's parameters in their order, one character each, or parted by one of
`, - | /` or spaces), or by columns that are named as the parameters. What a row says of its costs
must be what they are: a table whose networks are built otherwise says nothing about ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from archspec.cost import totals
from archspec.domains import Choice, Domain
from archspec.errors import ArchspecError, DataError, did_you_mean
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.resolve import YAML
from archspec.spec import NetworkSpec, parse_spec, read_spec
from archspec.strict import shown
from search.calibration.candidates import Candidate
from search.calibration.rows import (
    ARCH,
    SPEC,
    TableColumns,
    TableError,
    find_columns,
    read_rows,
)
from search.record import architecture_key
from search.space import Space

#: from and below which quantile of the distinct networks' FLOPs, as shares
Band = tuple[float, float]
BANDS: tuple[Band, ...] = ((0.15, 0.22), (0.48, 0.52), (0.78, 0.82))
#: the group of a table that is not cut into bands
WHOLE = "all FLOPs"

_PARTED = re.compile(r"[,\-|/ ]")


def read_bands(text: str) -> tuple[Band, ...]:
    """Bands as people write them, in percent: `15-22,48-52`; raises DataError."""
    bands = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*%?\s*", part)
        if found is None:
            raise DataError(f"bands are percents such as 15-22,48-52, but got {shown(text)}")
        bands.append((float(found[1]) / 100, float(found[2]) / 100))
    _check_bands(bands)
    return tuple(bands)


def table_candidates(
    file: Path,
    space: Space | None,
    columns: TableColumns | None = None,
    bands: Sequence[Band] = BANDS,
    limit: int | None = None,
    seed: int = 0,
    check_counts: bool = True,
) -> list[Candidate]:
    """The distinct networks of a table (.csv, .parquet, or a .json list), band by band.

    space: what picks name; None where each row has its `spec`. bands: shares of the quantiles of
    the distinct networks' FLOPs, from the low one and below the high one; with none all are one
    group. limit: so many networks of a band, drawn by the seed. check_counts: whether columns
    `params` and `flops` must be the costs (parameters, multiply-adds). Accuracies are percent, or
    all of them shares of 1.

    Raises DataError with the file, the row (counted from 1) and the column.
    """
    _check_bands(bands)
    rows = read_rows(file)
    taken = find_columns(rows, file, columns or TableColumns())
    networks = _Rows(file, space, rows, taken)
    found: dict[object, Candidate] = {}
    for number, name in enumerate(networks.names):
        # a blank cell groups nothing
        group = (networks.groups[number] or None) if networks.groups else None
        if group is not None and group in found:
            continue
        spec, plan = networks.network(number)
        if check_counts:
            networks.check_counts(number, plan)
        key = architecture_key(spec) if group is None else group
        if key not in found:
            found[key] = Candidate(name, WHOLE, spec, plan, networks.accuracies(number))
    return list(_banded(list(found.values()), bands, file, limit, seed))


class _Rows:
    """The rows of a table, each a network; numbers count from 0."""

    def __init__(
        self, file: Path, space: Space | None, rows: pd.DataFrame, taken: TableColumns
    ) -> None:
        self._file, self._space = file, space
        self._texts = {str(column): list(rows[column]) for column in rows.columns}
        self._arch = taken.arch
        self._parameters: dict[str, Domain] = {} if space is None else space.parameters
        named = [name for name in self._parameters if name in self._texts]
        if self._arch is None and not named:
            has = did_you_mean(ARCH, self._texts)
            raise TableError(
                file,
                f"it has no column {SPEC!r} of specs, none {ARCH!r} of picks and none that is "
                "named as a parameter of the space",
                "give it one of these",
                f"name the column of picks by --arch ({has})",
                foreign=True,
            )
        if self._arch not in (None, SPEC) and space is None:
            raise TableError(
                file,
                f"it tells its networks by the picks of a space (column {self._arch!r})",
                f"name the space, or give a column {SPEC!r}",
            )
        #: the parameters that have columns, where there is no column of picks
        self._named = named
        self.names = self._names(taken.name)
        #: what rows that are the same network share, none where it is told by their texts
        self.groups = self._texts[taken.group] if taken.group is not None else []
        assert taken.accuracy is not None
        self._trainings = taken.accuracy.split(",")
        values = [self._percents(column) for column in self._trainings]
        self._accuracies = np.array(values).T
        shares = self._accuracies <= 1
        if shares[~np.isnan(self._accuracies)].all():
            self._accuracies *= 100
        elif (mixed := np.argwhere(shares & (self._accuracies > 0))).size:
            raise self.wrong(
                int(mixed[0][0]),
                "accuracies are all percent or all shares of 1, but got "
                f"{self._accuracies[tuple(mixed[0])]:g} beside {np.nanmax(self._accuracies):g}",
            )

    def _names(self, column: str | None) -> list[str]:
        if column is not None:
            return [str(text) for text in self._texts[column]]
        if self._arch is None:
            parts = zip(*(self._texts[name] for name in self._named), strict=True)
            return ["-".join(map(str, part)) for part in parts]
        texts = [str(text) for text in self._texts[self._arch]]
        if self._arch != SPEC:
            return texts
        # a whole YAML is no name
        return [
            f"row {number}" if "\n" in text else text for number, text in enumerate(texts, start=1)
        ]

    def _percents(self, column: str) -> list[float]:
        percents = []
        for number, text in enumerate(self._texts[column]):
            try:
                value = float("nan") if text == "" else float(text)
            except (TypeError, ValueError):
                value = -1.0
            if value < 0 or value > 100:
                raise self.wrong(
                    number, f"an accuracy is 0 to 100 percent, but {column} is {shown(text)}"
                )
            percents.append(value)
        return percents

    def accuracies(self, number: int) -> tuple[float, ...]:
        """Percent by training, without those that are blank."""
        known = tuple(float(value) for value in self._accuracies[number] if not np.isnan(value))
        if not known:
            blank = ", ".join(self._trainings)
            raise self.wrong(number, f"it has no accuracy in {blank}", "remove the row")
        return known

    def network(self, number: int) -> tuple[NetworkSpec, NetworkPlan]:
        """The network of a row, with its plan."""
        try:
            spec = self._spec(number)
            return spec, plan_network(spec)
        except DataError:
            raise
        except ArchspecError as error:
            foreign = self._arch != SPEC
            raise self.wrong(number, str(error), foreign=foreign) from error

    def _spec(self, number: int) -> NetworkSpec:
        if self._arch == SPEC:
            text = str(self._texts[self._arch][number])
            if "\n" in text:
                return parse_spec(text, self.names[number])
            beside = self._file.parent / text
            return read_spec(beside if text.endswith(YAML) else text)
        assert self._space is not None
        return self._space.spec(self._picks(number).pick)

    def _picks(self, number: int) -> _Picks:
        if self._arch is None:
            texts = {name: str(self._texts[name][number]) for name in self._named}
            return _Picks(texts, self, number)
        text = str(self._texts[self._arch][number])
        parts = [part for part in _PARTED.split(text) if part]
        if len(parts) != len(self._parameters):
            parts = list(text)
        if len(parts) != len(self._parameters):
            assert self._space is not None
            raise self.wrong(
                number,
                f"{self._arch} has a tag for each of the {len(self._parameters)} parameters of "
                f"{self._space.name}, but is {shown(text)}",
                foreign=True,
            )
        return _Picks(dict(zip(self._parameters, parts, strict=True)), self, number)

    def check_counts(self, number: int, plan: NetworkPlan) -> None:
        """Raise DataError where a row's costs are not those of its network."""
        total = totals(plan)
        for count, ours in (("params", total.params), ("flops", total.flops)):
            text = self._texts[count][number] if count in self._texts else ""
            if text == "":
                continue
            try:
                same = float(text) == ours
            except (TypeError, ValueError):
                same = False
            if not same:
                raise self.wrong(
                    number,
                    f"{count} must be those of the network, {ours}, but the table says "
                    f"{shown(text)}",
                    "mend the table",
                    "mend the space, or leave the costs unchecked by --no-check-counts",
                    # what a spec says is no matter of the space
                    foreign=self._arch != SPEC,
                )

    def wrong(
        self,
        number: int,
        problem: str,
        remedy: str = "",
        option: str = "",
        foreign: bool = False,
    ) -> TableError:
        """What is wrong with a row, with its place; the ways out as `TableError` has them."""
        name = self.names[number]
        called = "" if name == f"row {number + 1}" else f" ({name[:100]})"
        cause = f"row {number + 1}{called}: {problem}"
        return TableError(self._file, cause, remedy, option, foreign)


class _Picks(NamedTuple):
    """What a row picks, by parameter."""

    texts: dict[str, str]
    rows: _Rows
    number: int

    def pick(self, name: str, domain: Domain) -> Any:
        """The tag or number that a parameter takes; raises DataError."""
        if name not in self.texts:
            raise self._wrong(f"it needs a column {name!r} for its pick")
        text = self.texts[name]
        if isinstance(domain, Choice):
            for tag in domain.tags:
                if str(tag).lower() == text.lower() or _number(tag) == _number(text) is not None:
                    return tag
            legal = ", ".join(map(str, domain.tags))
            raise self._wrong(f"{name} is one of {legal}, but got {shown(text)}")
        value = _number(text)
        if value is None or domain.nearest(value) != value:
            step = "" if domain.step is None else f" in steps of {domain.step:g}"
            raise self._wrong(
                f"{name} is {domain.low:g} to {domain.high:g}{step}, but got {shown(text)}"
            )
        return int(value) if domain.whole else value

    def _wrong(self, problem: str) -> TableError:
        return self.rows.wrong(self.number, problem, foreign=True)


def _number(text: object) -> float | None:
    if isinstance(text, bool):
        return None
    try:
        return float(str(text))
    except ValueError:
        return None


def _check_bands(bands: Sequence[Band]) -> None:
    for low, high in bands:
        if not 0 <= low < high <= 1:
            raise DataError(
                "0 <= low < high <= 100 must hold for a band of FLOPs in percent, but got "
                f"{100 * low:g}-{100 * high:g}"
            )


def _banded(
    networks: list[Candidate], bands: Sequence[Band], file: Path, limit: int | None, seed: int
) -> Iterator[Candidate]:
    flops = np.array([totals(network.plan).flops for network in networks], dtype=np.float64)
    for number, (low, high) in enumerate(bands or [(0.0, 1.0)]):
        from_, below = np.quantile(flops, [low, high])
        inside = flops >= from_
        # the largest network is below no quantile
        inside &= (flops < below) if high < 1 else True
        chosen = np.flatnonzero(inside)
        group = f"{100 * low:g} to {100 * high:g}% of FLOPs" if bands else WHOLE
        if not chosen.size:
            raise DataError(
                f"{file} has no network in the band of {group}; give wider ones, such as "
                "--bands 0-100"
            )
        if limit is not None and limit < len(chosen):
            generator = np.random.default_rng((seed, number))
            chosen = np.sort(generator.choice(chosen, limit, replace=False))
        yield from (networks[index]._replace(group=group) for index in chosen)


__all__ = ["BANDS", "WHOLE", "Band", "TableColumns", "read_bands", "table_candidates"]
