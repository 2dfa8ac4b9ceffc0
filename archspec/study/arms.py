"""The arms of a study, planned: each network read, edited and opened, each recipe read.

No torch from here down: `archspec check` plans every arm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from archspec.errors import Mark, SpecError, did_you_mean
from archspec.marks import MarkedDict, find_mark
from archspec.paths import KeyPath, put
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.quantities import several
from archspec.resolve import NETWORK, YAML, Kind, beside, locate, resolve
from archspec.small import small_images
from archspec.spec import NetworkSpec, make_spec
from archspec.strict import shown
from archspec.study.text import SMALL_UP_TO, Arm, Paper, Study, read_study
from archspec.train.recipe import RECIPE, Recipe, at_own_resolution, read_recipe

#: sides that a common small-image form is tried at, from the data's side up
MOST_SIDE = 128


class PlannedArm(NamedTuple):
    """An arm ready to run.

    recipe is None where the study measures. spec has its own head.
    """

    name: str
    group: str | None
    spec: NetworkSpec
    plan: NetworkPlan
    recipe: Recipe | None
    paper: Paper
    note: str


def plan_arms(
    study: Study,
    side: int | None = None,
    spec: str | None = None,
    recipe: str | None = None,
) -> tuple[PlannedArm, ...]:
    """Every arm, planned.

    side: of the small-image form; None leaves networks at their own resolution, unless the study
    states a side. spec, recipe: in the place of the study's, as given on a command line. Raises
    SpecError with the place, the arm and the law.
    """
    if isinstance(study.small, int) and not isinstance(study.small, bool) and side is None:
        side = study.small
    return tuple(_Planner(study, side, spec, recipe).arms())


def check_study(path: Path) -> str:
    """What a study's text is, in a few words, with every arm planned; raises SpecError."""
    study = read_study(path)
    arms = several(len(plan_arms(study)), "arm")
    if study.measure is not None:
        sizes = several(len(study.measure.shapes), "resolution")
        return f"study {study.name}, {arms} at {sizes}"
    return f"study {study.name}, {arms}, {several(study.seeds, 'seed')}"


def common_side(study: Study, data_side: int, spec: str | None = None) -> int:
    """The data's side, or the nearest above it by doubling at which every arm can be planned.

    Raises SpecError where none up to 128 works.
    """
    plan_arms(study, spec=spec)  # what is wrong at any side is told first
    side, first = data_side, None
    while side <= max(MOST_SIDE, data_side):
        try:
            plan_arms(study, side, spec=spec)
        except SpecError as error:
            first, side = first or error, 2 * side
        else:
            return side
    assert first is not None
    raise first


def takes_small_form(study: Study, data_side: int | None) -> bool:
    """Whether networks take the small-image form for images of this side (None: of many)."""
    if study.measure is not None or study.small is False:
        return False
    if study.small != "auto":
        return True
    return data_side is not None and data_side <= SMALL_UP_TO


def lengths(study: Study, recipes: Sequence[Recipe], epochs: int | None) -> list[int]:
    """Epochs of each arm, by the recipes of all arms; `epochs` in the place of the study's."""
    asked = epochs or study.epochs
    own = [recipe.epochs for recipe in recipes]
    if asked is None:
        return own
    if study.equal_epochs:
        return [asked for _ in own]
    return [max(1, round(asked * count / own[0])) for count in own]


class _Planner:
    """Reads arm after arm; under `cumulative` the edits of adopted ones before are kept."""

    def __init__(
        self,
        study: Study,
        side: int | None,
        spec: str | None,
        recipe: str | None,
    ) -> None:
        self.study, self.side = study, side
        self.tree: Any = study.tree or MarkedDict(Mark(study.name, 1, 1))
        if spec is not None and all(arm.spec is not None for arm in study.arms):
            raise SpecError(f"every arm of {study.name} names its own spec; --spec changes none")
        self.spec = locate(spec) if spec else self._path(study.spec, NETWORK, ("spec",))
        self.recipe: Path | None = None
        if study.measure is None:
            own = None if recipe else self._path(study.recipe, RECIPE, ("recipe",))
            self.recipe = own or locate(recipe or "", RECIPE)

    def arms(self) -> Iterator[PlannedArm]:
        spec, recipe = self.spec, self.recipe
        edits: list[MarkedDict] = []
        recipe_edits: list[MarkedDict] = []
        for index, arm in enumerate(self.study.arms):
            here = ("arms", index)
            kept = spec, edits, recipe, recipe_edits
            try:
                if arm.spec is not None or not self.study.cumulative:
                    spec, edits = self._path(arm.spec, NETWORK, (*here, "spec")) or self.spec, []
                if arm.recipe is not None or not self.study.cumulative:
                    recipe = self._path(arm.recipe, RECIPE, (*here, "recipe")) or self.recipe
                    recipe_edits = []
                edits = [*edits, self._marked(arm.set)]
                recipe_edits = [*recipe_edits, self._marked(arm.recipe_set)]
                yield self._arm(arm, spec, edits, recipe, recipe_edits)
                if not arm.adopted:
                    spec, edits, recipe, recipe_edits = kept
            except SpecError as error:
                mark, own = error.mark, find_mark(self.tree, here)
                if mark is None or (own is not None and any(edits) and mark.file != own.file):
                    # an edit broke a law that is written elsewhere
                    mark = own
                where = ": ".join(part for part in (f"arms.{index}", error.path) if part)
                raise SpecError(error.problem, mark, where) from None

    def _arm(
        self,
        arm: Arm,
        path: Path | None,
        edits: Sequence[MarkedDict],
        recipe_path: Path | None,
        recipe_edits: Sequence[MarkedDict],
    ) -> PlannedArm:
        assert path is not None  # a law of the study
        spec = make_spec(resolve(path, settings=edits))
        recipe = None if recipe_path is None else _recipe(recipe_path, recipe_edits, spec.name)
        if self.side is not None:
            spec = small_images(spec, self.side, arm.patch or self.study.patch)
            recipe = None if recipe is None else at_own_resolution(recipe)
        measure = self.study.measure
        for shape in () if measure is None else measure.shapes:
            plan_network(spec.at(shape))
        plan = plan_network(spec)
        return PlannedArm(arm.name, arm.group, spec, plan, recipe, arm.paper, arm.note)

    def _path(self, name: str | None, kind: Kind, key: KeyPath) -> Path | None:
        """The file that the study names: shipped, or in the folder of the text that names it."""
        if name is None:
            return None
        mark = find_mark(self.tree, key)
        if name.endswith(YAML) and mark is not None:
            return beside(Path(mark.file).parent, name, str(key[-1]), mark)
        found = kind.find(name)
        if found is None:
            near = did_you_mean(name, kind.known())
            law = f"no shipped {kind.noun} is called {shown(name)}: {near}; a path ends in .yaml"
            raise SpecError(law, mark, str(key[-1]))
        return found

    def _marked(self, settings: Any) -> MarkedDict:
        """Edits with their places; those of a study made in Python have the study's."""
        if isinstance(settings, MarkedDict):
            return settings
        marked = MarkedDict(self.tree.mark)
        for where, value in settings.items():
            put(marked, where, value, None)
        return marked


def _recipe(path: Path, edits: Sequence[MarkedDict], network: str) -> Recipe:
    """A recipe with a study's edits; errors in these get their place in the study."""
    marks = {str(where): settings.key_marks[where] for settings in edits for where in settings}
    # JSON is YAML of one line
    pairs = [(str(key), json.dumps(value)) for given in edits for key, value in given.items()]
    try:
        return read_recipe(path, pairs, network)
    except SpecError as error:
        for where, mark in marks.items():
            words = f"--set {where}"
            if error.mark is not None and error.mark.file == words:
                raise SpecError(error.problem, mark, f"recipe_set.{where}") from None
            if error.mark is None and error.problem.startswith(f"{words}: "):
                law = error.problem.removeprefix(f"{words}: ")
                raise SpecError(law, mark, f"recipe_set.{where}") from None
        raise


__all__ = ["PlannedArm", "common_side", "lengths", "plan_arms", "takes_small_form"]
