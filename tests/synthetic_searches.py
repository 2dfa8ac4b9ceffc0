"""Searches whose trials are given one by one: for the tests of what compares them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from reports.overlay_groups import Run
from search.budgets import Budget
from search.folder import RunFolder, RunInfo

LABEL = "NASWOT plus log depth"
COUNTS = ("flops", "activations", "params", "depth", "traffic")
#: score and FLOPs of a scored trial, or the state of another
Trial = tuple[float, float] | str


def made_search(
    search: Sequence[Trial],
    random: Sequence[Trial] = (),
    folder: str = "",
    order: Sequence[int] | None = None,
    **asked: Any,
) -> Run:
    """A search with these trials, by number; order: their numbers as they ended."""
    budgets: dict[str, float] = asked.pop("budgets", {"flops": 12e6})
    values: dict[str, Any] = {
        "space": "tiny",
        "space_text": "name: tiny",
        "command": "archspec search tiny",
        "budgets": tuple(Budget(quantity, limit) for quantity, limit in budgets.items()),
        "iso": False,
        "seed": 0,
        "sampler": "tpe",
        "score": "naswot",
        "score_label": LABEL,
        "data": "digits",
        "batch": 4,
        "device": "cpu",
        "trials": 3,
        "random_trials": 2,
        "shipped": False,
        "versions": {"torch": "2.13.0"},
        "created": "2026-01-31 14:05",
    }
    info = RunInfo(**(values | asked))
    rows = [_row("search", number, trial) for number, trial in enumerate(search)]
    for ended, number in enumerate(order or ()):
        rows[number]["finished"] = _moment(ended)
    rows += [_row("random", number, trial) for number, trial in enumerate(random)]
    return Run(folder or f"runs/{info.sampler}-{info.seed}", info, pd.DataFrame(rows))


def _row(kind: str, number: int, trial: Trial) -> dict[str, Any]:
    state, score, flops = ("scored", *trial) if isinstance(trial, tuple) else (trial, None, None)
    row = dict.fromkeys(COUNTS, flops)
    return row | {
        "number": number,
        "kind": kind,
        "state": state,
        "name": None,
        "score": score,
        "rungs": [[[50.0]]] if state == "pruned" else None,
        "finished": _moment(number),
    }


def _moment(seconds: int) -> datetime:
    return datetime(2026, 1, 31, 14, 5) + timedelta(seconds=seconds)


def stored(run: Run, path: Path) -> Path:
    """The search as a run folder on disk; returns its path."""
    import optuna

    folder = RunFolder.create(path, run.info)
    for row in run.frame.to_dict(orient="records"):
        state = str(row["state"])
        attrs = {key: row[key] for key in ("state", "name", "score", "rungs", *COUNTS)}
        attrs |= {"spec": "name: made\n", "stages": "", "reason": None, "resolution": "32x32"}
        if state != "scored":
            trial = optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL,
                user_attrs=attrs | dict.fromkeys(("score", *COUNTS)),
            )
        else:
            values = [float(row[key]) for key in run.info.objectives]
            trial = optuna.trial.create_trial(values=values, user_attrs=attrs)
        folder.study(str(row["kind"])).add_trial(trial)
    return path
