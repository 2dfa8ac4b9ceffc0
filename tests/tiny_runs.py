"""Runs small enough for a test: a space of 32x32 networks, scored from the text in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from search.budgets import Budget
from search.folder import RunFolder, RunInfo, versions_here
from search.run import Event, Search, Watcher
from search.scores import SCORES, Scorer

TINY = """\
name: tiny
input: {resolution: 32}
classes: 10
defaults: {norm: batch, act: relu}
stem: [{cna: {width: 16, kernel: 3}}]
each_stage: {stride: 2, down: [{conv: {width: w_out, kernel: 2, stride: 2}}]}
stages:
- width: {range: [16, 96], step: 8}
  depth: {range: [1, 4]}
  block:
    choice:
      basic: [basic]
      convnext: [{convnext: {kernel: {choice: [3, 5, 7]}, expansion: {range: [1.0, 4.0]}}}]
- width: {range: [32, 192], step: 8}
  depth: {range: [1, 6]}
  block:
    choice:
      mbconv: [{mbconv: {expansion: {range: [2.0, 4.0]}}}]
      cmt: [lpu, lmhsa, {irffn: {expansion: {range: [2.0, 4.0]}}}]
head: [norm, {pool: global}, {linear: classes}]
"""
BUDGET = 12e6
#: three networks of one cost, and nothing for the fit to move
FEW = """\
name: few
input: {resolution: 16}
classes: 10
stem: [{cna: {width: 16, kernel: 3, act: {choice: [relu, gelu, silu]}}}]
head: [{pool: global}, {linear: classes}]
"""
FEW_FLOPS = 9 * 3 * 16 * 16**2 + 16 * 10


def tiny_space(folder: Path) -> Path:
    """The tiny space as a file."""
    path = folder / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def made_info(space_text: str, **changes: Any) -> RunInfo:
    """What a small search is asked; `budgets` by quantity."""
    budgets: dict[str, float] = changes.pop("budgets", {"flops": BUDGET})
    values: dict[str, Any] = {
        "space": "tiny",
        "space_text": space_text,
        "command": "archspec search",
        "budgets": tuple(Budget(quantity, limit) for quantity, limit in budgets.items()),
        "iso": False,
        "seed": 0,
        "sampler": "tpe",
        "score": "depth+activations",
        "data": "digits",
        "batch": 4,
        "device": "cpu",
        "trials": 12,
        "random_trials": 4,
        "shipped": False,
        "versions": versions_here(),
        "created": "2026-01-31 14:05",
    }
    values |= changes
    # what the command line writes: the constants of a sum stand in it
    named = values["score"] in SCORES or "+" in values["score"]
    values.setdefault("score_label", Scorer(values["score"]).label if named else values["score"])
    return RunInfo(**values)


def made_run(path: Path, space_text: str | None = None, **changes: Any) -> RunFolder:
    """A new run folder with nothing done yet."""
    from search.space import Space

    text = Space.read(tiny_space(path.parent)).dump() if space_text is None else space_text
    return RunFolder.create(path, made_info(text, **changes))


def finished_run(path: Path, space_text: str | None = None, **changes: Any) -> RunFolder:
    """A new run that went on to its end."""
    folder = made_run(path, space_text, **changes)
    Search(folder).go()
    return folder


def interrupt_after(count: int) -> Watcher:
    """A watcher that stands for Ctrl-C after so many trials."""
    left = [count]

    def watch(event: Event) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return watch


def lasting(frame: pd.DataFrame) -> pd.DataFrame:
    """What must be equal in two runs of one search: all but the clock."""
    clocks = [column for column in frame if str(column).startswith(("seconds", "finished"))]
    return frame.drop(columns=clocks)
