"""What became of the networks of a ladder: who reached which rung, who was dropped where, and how
well each rung's order agreed with the next one's.

Columns are those of `RunFolder.frame()`; `of` is the search trial whose network climbed. A rung's
first kind is `search`, the others are rung2, rung3, ...
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reports.frames import scored
from search.calibration.agreement import Ranking, draw
from search.kept import Standing, kept
from search.larger import ENOUGH, LEAST, RESAMPLES

if TYPE_CHECKING:
    from search.folder import RunInfo

#: multiply-adds that one interval may take: resamples of many networks are fewer
MOST = 2e9


class Agreed(NamedTuple):
    """Kendall's tau between a rung's scores and the next one's, with its 95% interval.

    networks: how many have both. tau is nan where it is undefined; low and high also where
    networks are few, or in perfect order, which no resample breaks.
    """

    networks: int
    tau: float
    low: float
    high: float

    def words(self) -> str:
        """`0.31 (0.12 to 0.48) of 200`."""
        if not math.isfinite(self.tau):
            return "–"
        between = f" ({self.low:.2f} to {self.high:.2f})" if math.isfinite(self.low) else ""
        return f"{self.tau:.2f}{between} of {self.networks:,}".replace("-", "−")


class Rung(NamedTuple):
    """A rung and what happened there.

    kind: of its trials; number: from 1; wanted: networks that it is for; came: that were sent
    there. said: its score in the ladder's words; label: what it is. rows: places in the frame of
    the networks that are done here, by their search trial. ranks: by search trial, 1 the best
    score; of those alone that have one. states: how many came to what end. seconds: that passed
    while it was worked on, over all sittings; what several coordinators do at once counts once.
    on: search trials that went on, None on the last rung and where the next one has not begun.
    """

    kind: str
    number: int
    wanted: int
    came: int
    said: str
    label: str
    rows: dict[int, int]
    scores: dict[int, float]
    ranks: dict[int, int]
    states: dict[str, int]
    seconds: float
    on: tuple[int, ...] | None
    agreed: Agreed | None

    @property
    def ended(self) -> tuple[int, ...]:
        """Search trials that came here and have no score: pruned, failed, or told again."""
        return tuple(of for of in self.rows if of not in self.ranks)


def by_search_trial(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with rows of higher rungs numbered by the search trial whose network they are."""
    higher = frame["kind"].astype(str).str.startswith("rung")
    if not higher.any():
        return frame
    return frame.assign(number=frame["number"].where(~higher, frame["of"]).astype(int))


def top(info: RunInfo, frame: pd.DataFrame) -> str:
    """The kind of the highest rung that has a score: what a run found is found there."""
    present = set(scored(frame)["kind"])
    return next((kind for kind in reversed(info.rungs) if kind in present), "search")


def rungs(info: RunInfo, frame: pd.DataFrame) -> list[Rung]:
    """The rungs from the lowest, none where a run has no ladder.

    frame: of `by_search_trial`. Of a run that was asked for more trials, only those networks count
    on a higher rung that climb by what is known now.
    """
    if not info.ladder:
        return []
    frame = frame.assign(row=np.arange(len(frame)))
    kinds = ("search", *info.rungs)
    of_kind = {kind: frame[frame["kind"] == kind].sort_values("number") for kind in kinds}
    found: list[Rung] = []
    climbing: Sequence[int] | None = None
    for number, kind in enumerate(kinds, 1):
        here = of_kind[kind]
        came = len(here)
        if climbing is not None:
            # of a rung that nobody has come to yet, it is not known who will
            came = len(climbing) if came else 0
            here = here[here["number"].isin(climbing)]
        above = of_kind[kinds[number]] if number < len(kinds) else None
        goes_on = None
        if above is not None:
            standings = _standings(here, info.objectives)
            climbing = kept(standings, info.objectives, info.ladder[number - 1].count)
            goes_on = tuple(climbing) if len(above) else None
        found.append(_rung(info, kind, number, came, here, goes_on, above))
    return found


def _rung(
    info: RunInfo,
    kind: str,
    number: int,
    came: int,
    here: pd.DataFrame,
    goes_on: tuple[int, ...] | None,
    above: pd.DataFrame | None,
) -> Rung:
    asked = info.rung(kind)
    ranked = scored(here).sort_values(["score", "number"], ascending=[False, True])
    scores = {
        int(of): float(value) for of, value in zip(ranked["number"], ranked["score"], strict=True)
    }
    agreed = None
    if goes_on is not None and above is not None:
        reached = scored(above)
        upper = {
            int(of): float(value)
            for of, value in zip(reached["number"], reached["score"], strict=True)
        }
        both = sorted(of for of in goes_on if of in upper)
        agreed = agreement([scores[of] for of in both], [upper[of] for of in both], info.seed)
    return Rung(
        kind,
        number,
        asked.trials,
        came,
        info.said(kind),
        asked.score_label,
        {int(of): int(row) for of, row in zip(here["number"], here["row"], strict=True)},
        scores,
        {of: rank for rank, of in enumerate(scores, 1)},
        {str(state): int(count) for state, count in here["state"].value_counts().items()},
        _wall(here),
        goes_on,
        agreed,
    )


def _wall(here: pd.DataFrame) -> float:
    """Seconds in which a rung was worked on: each trial stands for those up to its end since its
    coordinator's last one, and where coordinators overlap they count once. Trials of old runs do
    not tell; they add the sum of their parts."""
    none = pd.Series(index=here.index, dtype=float)
    wall = here.get("seconds.wall", none).astype(float)
    ends = pd.to_datetime(here.get("finished", none))
    told = wall.notna() & ends.notna()
    passed = float(wall.fillna(here["seconds"].astype(float))[~told].sum())
    if not told.any():
        return passed
    last = (ends[told] - ends[told].min()).dt.total_seconds()
    counted = -math.inf
    for start, end in sorted(zip(last - wall[told], last, strict=True)):
        passed += max(0.0, end - max(start, counted))
        counted = max(counted, end)
    return passed


def _standings(here: pd.DataFrame, objectives: Sequence[str]) -> list[Standing]:
    valued = here["state"] == "scored"
    columns = [here[key].tolist() for key in objectives]
    return [
        Standing(int(of), tuple(map(float, values)) if known else None)
        for of, known, *values in zip(here["number"], valued, *columns, strict=True)
    ]


def agreement(one: Sequence[float], other: Sequence[float], seed: int) -> Agreed | None:
    """Kendall's tau-b between two scores of the same networks; None of fewer than three."""
    count = len(one)
    if count < LEAST:
        return None
    resamples = int(max(200, min(RESAMPLES, MOST / (count * count / 2))))
    ranking = Ranking(np.array(other), draw(count, resamples, seed))
    found = ranking.agreement(np.array(one))
    told = count >= ENOUGH and abs(found.value) < 1
    return Agreed(count, found.value, *(found.interval() if told else (math.nan, math.nan)))


__all__ = ["Agreed", "Rung", "agreement", "by_search_trial", "rungs", "top"]
