"""From a study and a data set to a run that can begin: sizes met, recipes scaled, arms picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from archspec.errors import DataError, SpecError, did_you_mean
from archspec.runs import now, numbered, versions_of
from archspec.study.arms import (
    PlannedArm,
    common_side,
    lengths,
    plan_arms,
    takes_small_form,
)
from archspec.study.folder import StudyAsked, StudyFolder
from archspec.study.text import Study
from archspec.train.devices import checked_device
from archspec.train.folder import WATCHED
from archspec.train.images import open_images
from archspec.train.scaling import scaled
from archspec.train.unchanged import Counts, counts_of


@dataclass(frozen=True)
class StudyWish:
    """What a command asks of a study; None is what the study says.

    data: a path that means the same from another folder, or a name. images, test_images: so many
    of a split. epochs: of every recipe. arms: names of those to run. spec, recipe: for the arms
    that name none. device: None is the best at hand. keep_weights: leave them with each training.
    """

    data: str | None = None
    images: int | None = None
    test_images: int | None = None
    epochs: int | None = None
    seeds: int | None = None
    arms: tuple[str, ...] | None = None
    spec: str | None = None
    recipe: str | None = None
    device: str | None = None
    keep_weights: bool = False
    command: str = ""


def begin_study(study: Study, wish: StudyWish, out: Path | None = None) -> StudyFolder:
    """The folder of a run: new, or the one where the same was asked before.

    out: None is the first of runs/STUDY-DATA, runs/STUDY-DATA-2, ... that is free or was asked the
    same. Everything is planned before anything is written. Raises SpecError, DataError, TrainError
    or RunError in one line.
    """
    device = str(checked_device(wish.device))
    ready = _ready(study, wish)
    asked = StudyAsked(
        study=study.name,
        data=wish.data if study.measure is None else None,
        images=wish.images,
        test_images=wish.test_images,
        keep_weights=wish.keep_weights,
        train_count=ready.counts.train,
        test_count=ready.counts.test,
        classes=ready.counts.classes,
        side=ready.side,
        spec=wish.spec,
        recipe=wish.recipe,
        epochs=wish.epochs,
        seeds=wish.seeds or study.seeds,
        arms=tuple(arm.name for arm in ready.arms),
        device=device,
        command=wish.command,
        created=now(),
        versions=versions_of(WATCHED),
    )
    if out is not None:
        return StudyFolder.create(out, asked, study, ready.arms)
    data = "" if asked.data is None else f"-{Path(asked.data).name.replace(':', '-')}"
    for path in numbered(study.name + data):
        there = (path / "study.json").exists()
        if not path.exists() or (there and not StudyFolder.open(path).differs(asked, study)):
            return StudyFolder.create(path, asked, study, ready.arms)
    raise AssertionError("there is always another number")


class _Ready(NamedTuple):
    arms: tuple[PlannedArm, ...]
    counts: Counts = Counts(None, None, None)
    side: int | None = None


def _ready(study: Study, wish: StudyWish) -> _Ready:
    if study.measure is not None:
        return _Ready(_picked(plan_arms(study, spec=wish.spec), wish.arms))
    if wish.data is None:
        raise DataError(f"{study.name} trains networks; it needs --data, such as --data digits")
    images = open_images(wish.data, images=wish.images, test_images=wish.test_images)
    side = _side(study, None if images.side is None else max(images.side), wish)
    arms = plan_arms(study, side, wish.spec, wish.recipe)
    recipes = [arm.recipe for arm in arms if arm.recipe is not None]
    ready = tuple(
        arm._replace(recipe=scaled(recipe, images.train_count, epochs))
        for arm, recipe, epochs in zip(
            arms, recipes, lengths(study, recipes, wish.epochs), strict=True
        )
    )
    return _Ready(_picked(ready, wish.arms), counts_of(images), side)


def _side(study: Study, data_side: int | None, wish: StudyWish) -> int | None:
    """The side of the small-image form, or None for networks at their own resolution."""
    if not takes_small_form(study, data_side):
        return None
    if not isinstance(study.small, (bool, str)):
        return study.small
    if data_side is None:
        raise SpecError(
            f"the images of {wish.data} differ in size; name the side of small networks, --side N"
        )
    return common_side(study, data_side, wish.spec)


def _picked(arms: Sequence[PlannedArm], names: tuple[str, ...] | None) -> tuple[PlannedArm, ...]:
    known = [arm.name for arm in arms]
    for name in names or ():
        if name not in known:
            raise SpecError(f"--arms: no arm is called {name!r}: {did_you_mean(name, known)}")
    return tuple(arm for arm in arms if names is None or arm.name in names)


__all__ = ["StudyWish", "begin_study"]
