"""What a search's page says of how well its score ranks: the latest calibration of its space."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from reports.arms import Span
from reports.rankings import Panel, decimal, panels
from reports.worth import named, score_words
from search.scores.catalog import TABLE

if TYPE_CHECKING:
    from search.folder import RunInfo

BASELINE = "activations"
BESIDE = (BASELINE, "depth", "flops", "params")
"""Counts that a score is shown beside, in this order."""


class Calibrated(NamedTuple):
    """A calibration as the page of a search shows it.

    words: sentences. command: what measures what is missing, or "". groups: of networks. rows: a
    score's name, and tau and interval in each group. path: the calibration's folder, or "".
    measured: whether the run's own score is among the rows.
    """

    words: tuple[str, ...]
    command: str = ""
    groups: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    path: str = ""
    measured: bool = False


def calibrated(info: RunInfo, calibration: Mapping[str, Any] | None) -> Calibrated:
    """The words, the table, and a command; `calibration` as search.calibration.find gives it."""
    if info.scaling is not None:
        return Calibrated(
            (
                "How well this score ranks rules by what their networks reach when trained is not "
                "known; one size up tells only how steady it is. Untrained scores were seen to put "
                "depth or resolution alone above all three together, against what training shows "
                "(Tan and Le, arXiv 1905.11946, table 7).",
            )
        )
    if info.score.startswith(TABLE):
        return Calibrated(("It is what others reached by training: nothing is guessed here.",))
    if calibration is None:
        unknown = "How well this score ranks trained networks of this space has not been measured."
        # where all limits are measured there is no one cost to compare networks at
        return Calibrated((unknown,), calibrate_command(info) if info.limits else "")
    frame = pd.DataFrame(list(calibration["rows"]))
    groups = [str(group) for group in frame["group"].unique()] if len(frame) else []
    shown = panels(frame, groups) if len(frame) else ()
    taus = score_words(shown, info.score, BASELINE)
    budget, own = str(calibration["budget"] or ""), " and ".join(map(str, info.budgets))
    source = "from a table" if calibration["kind"] == "table" else "trained for it"
    at = f" at {budget}" if budget else ""
    trained = f"{calibration['networks']} networks of this space{at}, {source}"
    words = [f"The latest calibration, of {calibration['created']}, has {trained}."]
    command = ""
    if taus:
        each = f", in its {len(shown)} groups," if len(shown) > 1 else ""
        words.append(f"There this score ranks{each} {taus}.")
    else:
        words.append("This score was not measured there; the counts beside it were.")
        command = shlex.join(
            ["archspec", "calibrate", str(calibration["path"]), "--score", info.score]
        )
    if budget and own and budget != own:
        words.append(f"This search was under {own}, where the order may be another.")
    rows = [(name, _taus(shown, name)) for name in dict.fromkeys((info.score, *BESIDE))]
    ceilings = tuple(_words(panel.ceiling) for panel in shown)
    if any(panel.ceiling is not None for panel in shown):
        rows.append(("seeds", ceilings))
    called = {info.score: "this score", "seeds": "two seeds of training"}
    return Calibrated(
        tuple(words),
        command,
        tuple(panel.group for panel in shown),
        tuple((called.get(name, named(name)), cells) for name, cells in rows if cells),
        str(calibration["path"]),
        bool(taus),
    )


def calibrate_command(info: RunInfo) -> str:
    """What measures how well scores rank networks of this search's space, under its budget."""
    given = shlex.split(info.command)[2:3] if info.command.startswith("archspec search ") else []
    space = given[0] if given and not given[0].startswith("-") else info.space
    command = ["archspec", "calibrate", space]
    for budget in info.budgets:
        # networks are compared at one cost that their texts tell
        if not budget.measured:
            command += ["--budget", budget.exact]
    return shlex.join([*command, "--data", info.data])


def _taus(shown: tuple[Panel, ...], score: str) -> tuple[tuple[str, str], ...]:
    """Tau and interval of a score in every panel; none where no panel has it."""
    found = [panel.of(score) for panel in shown]
    if not any(row is not None and row.tau is not None for row in found):
        return ()
    return tuple(_words(None if row is None else row.tau) for row in found)


def _words(span: Span | None) -> tuple[str, str]:
    if span is None:
        return decimal(None), ""
    if span.low is None or span.high is None:
        return decimal(span.value), "no interval"
    return decimal(span.value), f"{decimal(span.low)} to {decimal(span.high)}"
