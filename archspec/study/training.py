"""One training of a study: a training folder like any other, inside the study's."""

from __future__ import annotations

import shutil
from pathlib import Path

from archspec.spec import NetworkSpec
from archspec.study.folder import StudyAsked
from archspec.study.run import RunOne
from archspec.train.devices import Setting
from archspec.train.folder import RECORD, TrainingFolder
from archspec.train.images import open_images
from archspec.train.prepare import prepare
from archspec.train.progress import watched
from archspec.train.recipe import Recipe
from archspec.train.unchanged import check_unchanged, counts_of


def study_trainer(asked: StudyAsked, device: str | None, quiet: bool = False) -> RunOne:
    """What trains the arms of a study on its data.

    device: None is the best at hand. What it returns takes recipes that are scaled to the data
    already.
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
            str(asked.data),
            as_written=True,
            subset=asked.images,
            test_subset=asked.test_images,
            keep_weights=asked.keep_weights,
            seed=seed,
            setting=Setting(device),
            command=asked.command,
        )
        watched(TrainingFolder.create(path, made.asked, made.spec, made.recipe), quiet)

    return run_one


def check_data(asked: StudyAsked) -> None:
    """Raise RunError where the data of a study is not what it was when the run began."""
    data = str(asked.data)
    images = open_images(data, images=asked.images, test_images=asked.test_images)
    check_unchanged(data, asked.counts, counts_of(images))


__all__ = ["check_data", "study_trainer"]
