"""Calibrations small enough for a test: networks of 8 pixels, and trainings with known ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from made_training import Fake

from archspec.runs import now
from search.budgets import Budget
from search.calibration.asked import CalibrationAsked, versions_here
from search.calibration.folder import CalibrationFolder
from search.calibration.run import Step, Watcher, run_calibration
from search.calibration.sample import sample
from search.protocol import make_protocol
from search.space import Space

SMALL = """\
name: small
input: {resolution: 8}
classes: 10
defaults: {norm: batch, act: relu}
stem: [{cna: {width: 8, kernel: 3}}]
stages:
- width: {range: [8, 64], step: 8}
  depth: {range: [1, 4]}
  block: {choice: {basic: [basic], mbconv: [{mbconv: {expansion: {range: [2.0, 4.0]}}}]}}
- width: {range: [8, 128], step: 8}
  stride: 2
  depth: {range: [1, 4]}
  block: {choice: {basic: [basic], mbconv: [{mbconv: {expansion: {range: [2.0, 4.0]}}}]}}
head: [{pool: global}, {linear: classes}]
"""
FLOPS = 1e6
BUDGET = Budget("flops", FLOPS)
#: several that cost nothing, and one that builds the network
SCORES = ("depth", "activations", "naswot")


def small_space(folder: Path) -> Path:
    """The small space as a file."""
    path = folder / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def made_calibration(path: Path, **changes: Any) -> CalibrationFolder:
    """A new sample of the small space with nothing done yet; `training` changes its protocol."""
    protocol = make_protocol(
        **{"epochs": 2, "seeds": 2, "prune": False, **changes.pop("training", {})}
    )
    space = Space.parse(changes.pop("space_text", SMALL), "small")
    values: dict[str, Any] = {
        "kind": "sample",
        "name": "small",
        "scores": SCORES,
        "data": "digits",
        "batch": 4,
        "seed": 0,
        "device": "cpu",
        "space": "small",
        "space_text": space.dump(),
        "budgets": (BUDGET,),
        "networks": 4,
        "protocol": protocol,
        "command": "archspec calibrate",
        "created": now(),
        "versions": versions_here(training=True),
    }
    asked = CalibrationAsked(**(values | changes))
    drawn = sample(space, asked.budgets, asked.networks or 4, asked.seed)
    return CalibrationFolder.create(path, asked, drawn.candidates)


def go(folder: CalibrationFolder, fake: Fake, watch: Watcher = lambda step: None) -> pd.DataFrame:
    """Go on with a run to its end, by the fake; returns the networks."""
    run_calibration(folder, watch, train=fake)
    return folder.frame()


def interrupt_after(count: int) -> Watcher:
    """A watcher that stands for Ctrl-C after so many pieces."""
    left = [count]

    def watch(step: Step) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return watch


def lasting(frame: pd.DataFrame) -> pd.DataFrame:
    """What must be equal in two runs of one calibration: all but the clock."""
    return frame.drop(columns=[one for one in frame if str(one).startswith("seconds")])
