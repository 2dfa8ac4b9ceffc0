"""One training of a study: a training folder like any other, inside the study's."""

from __future__ import annotations

import shutil
from pathlib import Path

from archspec.spec import NetworkSpec
from archspec.study.run import RunOne
from archspec.train.devices import Setting
from archspec.train.folder import RECORD, TrainingFolder
from archspec.train.prepare import prepare
from archspec.train.progress import watched
from archspec.train.recipe import Recipe


def study_trainer(
    data: str, subset: int | None, device: str | None, command: str = "", quiet: bool = False
) -> RunOne:
    """What trains the arms of a study on `data`, or on a `subset` of so many of its images.

    device: None is the best at hand. command: as it was given, for the record. What it returns
    takes recipes that are scaled to the data already.
    """

    def run_one(spec: NetworkSpec, recipe: Recipe, seed: int, path: Path) -> None:
        if (path / RECORD).exists():
            watched(TrainingFolder.open(path), quiet)
            return
        # a folder without its record was stopped while it was made
        shutil.rmtree(path, ignore_errors=True)
        made = prepare(
            spec,
            recipe,
            data,
            as_written=True,
            subset=subset,
            seed=seed,
            setting=Setting(device),
            command=command,
        )
        watched(TrainingFolder.create(path, made.asked, made.spec, made.recipe), quiet)

    return run_one


__all__ = ["study_trainer"]
