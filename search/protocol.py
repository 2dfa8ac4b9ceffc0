"""How every network of a search is trained, where training is the score: one fixed protocol.

It is written to run.json whole, so that a run goes on without the recipe's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from archspec.errors import ArchspecError
from archspec.quantities import several
from archspec.train.recipe import Recipe, at_own_resolution, parse_recipe, read_recipe
from archspec.train.unchanged import Counts

#: the share of the training images that networks are judged on; the test split is never seen
HOLDOUT = 0.1
#: the recipe that is taken where none is named
RECIPE = "quick"

Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Protocol:
    """What all candidates have in common.

    recipe: its whole text, before it is scaled to the data. epochs: null is the recipe's. seeds:
    a network is trained with seeds 0, 1, ... up to so many. holdout: share of the training images
    that it is judged on. images: so many of the others are trained on, null is all. minutes: equal
    wall time a network and seed, in place of equal epochs. slowest: seconds that one training may
    take before its trial is given up. train_count, test_count, classes: what the data came to when
    the search began; null before that, and where an older one did not record it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    recipe: str
    epochs: Count | None = None
    seeds: Count = 1
    holdout: Annotated[float, Field(gt=0, lt=1)] = HOLDOUT
    images: Count | None = None
    minutes: Amount | None = None
    prune: bool = True
    slowest: Amount | None = None
    train_count: Count | None = None
    test_count: Count | None = None
    classes: Count | None = None
    fingerprint: str | None = None

    @property
    def counts(self) -> Counts:
        """What was counted of the data when the search began."""
        return Counts(self.train_count, self.test_count, self.classes, self.fingerprint)

    def read(self) -> Recipe:
        """The recipe, before it is scaled; raises SpecError where the text is wrong.

        Without its resolutions: a candidate is trained and tested at the one that its budget
        counts.
        """
        return at_own_resolution(parse_recipe(self.recipe))

    @property
    def label(self) -> str:
        """What the score is, in words."""
        return "top-1 accuracy, %" + (f", mean of {self.seeds} seeds" if self.seeds > 1 else "")

    def words(self) -> str:
        """The protocol in one line."""
        recipe = self.read()
        time = (
            f"{self.minutes:g} minutes" if self.minutes else several(self._epochs(recipe), "epoch")
        )
        seeds = f"seeds 0 to {self.seeds - 1}" if self.seeds > 1 else "seed 0"
        images = f", {self.images} images" if self.images else ""
        held = f"{100 * self.holdout:g}% of the training images held out to judge by"
        pruned = ", pruned by successive halving" if self.prune else ""
        return f"recipe {recipe.name}, {time}, {seeds}{images}, {held}{pruned}"

    def _epochs(self, recipe: Recipe) -> int:
        return self.epochs or recipe.epochs


def make_protocol(
    recipe: str | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    minutes: float | None = None,
    holdout: float | None = None,
    images: int | None = None,
    slowest: float | None = None,
    prune: bool | None = None,
) -> Protocol:
    """The protocol that was asked for; what is None takes its default.

    Raises ArchspecError where what was asked for is at odds, SpecError where the recipe is wrong.
    """
    if epochs is not None and minutes is not None:
        raise ArchspecError(
            f"networks are trained for equal epochs or for equal time, but got (epochs={epochs}, "
            f"minutes={minutes:g}); drop one"
        )
    for name, value in (("minutes", minutes), ("slowest", slowest)):
        if value is not None and not value > 0:
            raise ArchspecError(f"{name} > 0 must hold, but got {value:g}")
    share = HOLDOUT if holdout is None else holdout
    if not 0 < share < 1:
        raise ArchspecError(f"0 < holdout < 1 must hold, a share, but got {share:g}")
    found = read_recipe(recipe or RECIPE)
    return Protocol(
        recipe=found.dump(),
        epochs=epochs,
        seeds=seeds or 1,
        holdout=share,
        images=images,
        minutes=minutes,
        prune=prune is not False,
        slowest=slowest,
    )


def refuse_training_options(given: Mapping[str, object]) -> None:
    """Raise where an option of training was given to a score that trains nothing."""
    for name, value in given.items():
        if value is not None:
            option = f"--no-{name}" if value is False else f"--{name}"
            raise ArchspecError(f"{option} is of `--score train`, which was not asked for")
