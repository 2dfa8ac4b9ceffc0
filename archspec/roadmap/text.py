"""The roadmap: a network to start from, and steps that each edit the network before.

A Roadmap is frozen. `read_roadmap` makes one from a file or shipped name;
`archspec.roadmap.steps` plans its steps. To train them it is a study, `Roadmap.study`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from archspec.dump import dump_yaml
from archspec.errors import LawError, SpecError
from archspec.load import parse_yaml
from archspec.marks import MarkedDict, MarkedList, copy_tree, find_mark, key_mark
from archspec.paths import KeyPath, put
from archspec.resolve import FORMAT, Kind, edit, locate, resolve
from archspec.shipped import shipped_roadmaps
from archspec.strict import Strict, law_of, shown
from archspec.study.text import (
    MOST_ARMS,
    RECIPE_NAME,
    ArmName,
    Name,
    Paper,
    Patch,
    Settings,
    Study,
    make_study,
)


def _not_a_number(name: str) -> str:
    if name.isdecimal():
        law = f"a step is also called by its number, so no name is one, but got {shown(name)}"
        raise LawError(law)
    return name


StepName = Annotated[ArmName, AfterValidator(_not_a_number)]


class Start(Strict):
    """The network that the first step edits.

    spec: a shipped name, or a file beside the roadmap. set: edits of it, as a mapping of path:
    value. recipe: what it is trained by; null is the roadmap's. recipe_set: edits of that.
    """

    name: StepName
    spec: Name
    set: Settings = {}
    recipe: Name | None = None
    recipe_set: Settings = {}
    paper: Paper = Paper()
    note: str = ""


class Step(Strict):
    """One change of the network, of its training, or of both.

    set, recipe_set: edits of both, as a mapping of path: value, on top of all before. recipe:
    another recipe from here on, without the edits of the one before. adopted: false says that the
    next step starts from what was before this one.
    """

    name: StepName
    adopted: bool = True
    set: Settings = {}
    recipe: Name | None = None
    recipe_set: Settings = {}
    paper: Paper = Paper()
    note: str = ""

    @model_validator(mode="after")
    def _changes(self) -> Step:
        if not self.set and self.recipe is None and not self.recipe_set:
            raise LawError(
                f"a step changes the network or its training, but {shown(self.name)} has no set, "
                "recipe or recipe_set"
            )
        return self


class Reference(Strict):
    """A network to compare with; it is no step, and never trained.

    spec: a shipped name, or a file beside the roadmap. set: edits of it.
    """

    name: StepName
    spec: Name
    set: Settings = {}
    paper: Paper = Paper()
    note: str = ""


class Roadmap(Strict):
    """From a network to another by steps.

    recipe: of the start, and of steps until one names its own. equal_epochs: whether `--epochs`
    are those of every step; if not, they are of the start, and steps keep their ratio to it.
    patch: side of the patches that the stem of small-image forms takes.
    """

    format: Literal[1] = FORMAT
    name: ArmName
    doc: str = ""
    source: str = ""
    recipe: Name = RECIPE_NAME
    equal_epochs: bool = True
    patch: Patch = 1
    start: Start
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_ARMS - 1)]
    references: Annotated[tuple[Reference, ...], Field(max_length=MOST_ARMS)] = ()

    _tree: Any = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # where a roadmap was read from is no part of it
        return isinstance(other, Roadmap) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _laws(self) -> Roadmap:
        counted = Counter(item.name.casefold() for _, item in self.rows())
        for place, item in self.rows():
            if counted[item.name.casefold()] > 1:
                law = f"each row has a name of its own, but two are called {shown(item.name)}"
                raise LawError(law, (*place, "name"))
        return self

    def rows(self) -> Iterator[tuple[KeyPath, Start | Step | Reference]]:
        """Each row in order, with its place in the text."""
        yield ("start",), self.start
        for index, step in enumerate(self.steps):
            yield ("steps", index), step
        for index, reference in enumerate(self.references):
            yield ("references", index), reference

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the start and the steps, in order: their numbers are 0, 1, ..."""
        return (self.start.name, *(step.name for step in self.steps))

    @property
    def tree(self) -> MarkedDict:
        """The tree that this roadmap was made from, with places."""
        known: MarkedDict = self._tree
        return known if known is not None else parse_yaml(self.dump(), self.name)

    def study(self, recipe_given: bool = False) -> Study:
        """The start and the steps as arms that build on each other.

        recipe_given: another recipe stands in the place of all that the text names. Edits of
        recipes stay; a step that only names a recipe is no arm then, for nothing is left of it.
        """
        arms = [copy_tree(self.tree["start"]), *copy_tree(self.tree["steps"])]
        if recipe_given:
            for arm in arms:
                arm.pop("recipe", None)
            arms = [arms[0], *(arm for arm in arms[1:] if arm.get("set") or arm.get("recipe_set"))]
        return self._study(arms, cumulative=True)

    def compared(self) -> Study | None:
        """The references as arms that stand alone; None where there are none."""
        arms = copy_tree(self.tree.get("references")) or []
        return self._study(arms, cumulative=False) if arms else None

    def _study(self, arms: Sequence[MarkedDict], cumulative: bool) -> Study:
        tree = MarkedDict(self.tree.mark)
        for key in ("name", "doc", "source", "recipe", "equal_epochs", "patch"):
            if key in self.tree:
                put(tree, key, self.tree[key], self.tree.marks.get(key))
        put(tree, "cumulative", cumulative, None)
        listed = MarkedList(self.tree.mark)
        for arm in arms:
            listed.append(arm)
            listed.marks.append(arm.mark)
        put(tree, "arms", listed, None)
        return make_study(tree)

    def dump(self) -> str:
        """The whole roadmap as YAML that reads back to an equal one."""
        return dump_yaml({"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)})


_FIELDS = tuple(Roadmap.model_fields)
ROADMAP = Kind(
    "roadmap",
    ("format", "name", "doc", "source", "extends", "set", *_FIELDS[4:]),
    merged=("start",),
    own=("format", "name", "doc", "source"),
    known=shipped_roadmaps,
    find=lambda name: shipped_roadmaps().get(name),
)


def read_roadmap(source: str | Path, edits: Sequence[tuple[str, str]] = ()) -> Roadmap:
    """A roadmap from a file or a shipped name; edits are (path, YAML value) pairs, and come last.

    Raises SpecError with file, line, column, path and law where the text is wrong. The networks
    and recipes that it names are not read yet.
    """
    path = source if isinstance(source, Path) else locate(source, ROADMAP)
    tree = resolve(path, (), ROADMAP)
    edit(tree, edits, ROADMAP)
    return make_roadmap(tree)


def parse_roadmap(text: str, name: str = "roadmap") -> Roadmap:
    """A roadmap from YAML text that extends nothing, as `dump` writes it."""
    tree = parse_yaml(text, name)
    tree.setdefault("name", name)
    return make_roadmap(tree)


def make_roadmap(tree: MarkedDict) -> Roadmap:
    """A checked roadmap from a resolved tree; raises SpecError with the place."""
    try:
        roadmap = Roadmap.model_validate(tree)
    except ValidationError as error:
        law = law_of(error)
        mark = (key_mark(tree, law.path) if law.at_key else None) or find_mark(tree, law.path)
        raise SpecError(law.problem, mark, ".".join(map(str, law.path))) from None
    roadmap._tree = tree
    return roadmap


__all__ = [
    "ROADMAP",
    "Reference",
    "Roadmap",
    "Start",
    "Step",
    "make_roadmap",
    "parse_roadmap",
    "read_roadmap",
]
