"""The study: networks and recipes to compare, as written, checked.

A Study is frozen. `read_study` makes one from a file or shipped name;
`archspec.study.arms` plans its arms, `archspec.study.run` runs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from archspec.dump import dump_yaml
from archspec.errors import LawError, SpecError, did_you_mean
from archspec.load import parse_yaml
from archspec.marks import MarkedDict, find_mark, key_mark
from archspec.resolve import FORMAT, Kind, edit, locate, resolve
from archspec.shipped import shipped_studies
from archspec.spec import Count, Input
from archspec.strict import Strict, law_of, shown

MOST_ARMS = 500
#: the recipe of a study that names none
RECIPE_NAME = "quick"
#: images up to this side are small: `auto` gives networks the small-image form
SMALL_UP_TO = 64

Name = Annotated[str, Field(min_length=1, max_length=100)]


def _folder_name(name: str) -> str:
    # some systems take names of one spelling for the same file, whatever their case
    plain = name.lower()
    ending = Path(plain).suffix in (".yaml", ".json", ".html", ".csv")
    if plain == "lock":
        raise LawError(
            f"this name is a folder's, and a run has a file lock, but got {shown(name)}; "
            "choose another name"
        )
    # a comma parts names on the command line
    if not name.isprintable() or set(name) & set("/\\,") or name[0] in ". " or ending:
        raise LawError(
            "this name is a folder's: printable, without slashes, commas, a leading dot or blank, "
            f"or the ending of a file, but got {shown(name)}"
        )
    return name


def _settings(raw: object) -> object:
    # kept as it is, with the places of its values
    if not isinstance(raw, Mapping):
        raise LawError(f"a mapping of path: value is needed, but got {shown(raw)}")
    return raw


def _small(raw: object) -> object:
    if raw == "auto" or isinstance(raw, bool):
        return raw
    if not isinstance(raw, int) or not 1 <= raw <= 512:
        raise LawError(f"small is auto, true, false or a side of 1 to 512, but got {shown(raw)}")
    return raw


ArmName = Annotated[Name, AfterValidator(_folder_name)]
Settings = Annotated[Any, BeforeValidator(_settings)]
Small = Annotated[bool | int | Literal["auto"], BeforeValidator(_small)]
Patch = Annotated[int, Field(strict=True, ge=1, le=64)]


class Paper(Strict):
    """What a paper prints of an arm: top-1 in percent, counts, and where.

    top1_std: its standard deviation over the paper's seeds, in percentage points.
    """

    top1: Annotated[float, Field(ge=0, le=100)] | None = None
    top1_std: Annotated[float, Field(ge=0, le=100)] | None = None
    params: Count | None = None
    flops: Count | None = None
    source: str = ""


class Arm(Strict):
    """One network under one recipe.

    group: arms of a group are compared with each other. spec, recipe: names or paths; null is the
    study's. set, recipe_set: edits of both, as a mapping of path: value. patch: as the study's.
    adopted: false leaves this arm's edits out of those after it, where the study is cumulative.
    """

    name: ArmName
    group: Name | None = None
    spec: Name | None = None
    set: Settings = {}
    recipe: Name | None = None
    recipe_set: Settings = {}
    patch: Patch | None = None
    adopted: bool = True
    paper: Paper = Paper()
    note: str = ""


class Measure(Strict):
    """What is measured instead of training: a forward pass in evaluation, at each resolution.

    resolutions: a side, or [height, width], in pixels. batch: images of a pass. repeats: timed
    passes, after one fifth as many that are not counted.
    """

    resolutions: Annotated[tuple[Any, ...], Field(min_length=1, max_length=50)]
    batch: Annotated[int, Field(strict=True, ge=1, le=4096)] = 1
    repeats: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 20
    channels_last: bool = False
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"

    @model_validator(mode="after")
    def _sides(self) -> Measure:
        for index, side in enumerate(self.resolutions):
            try:
                Input(resolution=side)
            except ValidationError as error:
                raise LawError(law_of(error).problem, ("resolutions", index)) from None
        if len(set(self.shapes)) < len(self.resolutions):
            raise LawError("each resolution is listed once", ("resolutions",))
        return self

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Heights and widths."""
        inputs = (Input(resolution=side).shape for side in self.resolutions)
        return tuple((shape.height, shape.width) for shape in inputs)


class Study(Strict):
    """Arms to compare.

    spec, recipe: those of arms that name none. small: whether networks take the small-image form
    (`archspec.small`): at the data's side (true), at a side of its own, or, `auto`, where the
    data's images are of 64 pixels or less; patch: side of the patches that the stem takes then.
    epochs: of every arm, or null for each recipe's own; where not equal_epochs, of the first arm,
    and the others keep their ratio to it. seeds: trainings of each arm. cumulative: an arm's edits
    come on top of all before it that are adopted. baseline: the arm that differences are taken
    from; null is the first of each group, or the previous adopted arm where cumulative. measure:
    cost and latency instead of accuracy.
    """

    format: Literal[1] = FORMAT
    name: Name
    doc: str = ""
    source: str = ""
    spec: Name | None = None
    small: Small = "auto"
    patch: Patch = 1
    recipe: Name = RECIPE_NAME
    epochs: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    equal_epochs: bool = True
    seeds: Annotated[int, Field(strict=True, ge=1, le=1000)] = 3
    cumulative: bool = False
    baseline: Name | None = None
    arms: Annotated[tuple[Arm, ...], Field(min_length=1, max_length=MOST_ARMS)]
    measure: Measure | None = None

    _tree: Any = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # where a study was read from is no part of it
        return isinstance(other, Study) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _laws(self) -> Study:
        # folders of two names may be one on a disk that does not tell large letters from small
        counted = Counter(arm.name.casefold() for arm in self.arms)
        for index, arm in enumerate(self.arms):
            if counted[arm.name.casefold()] > 1:
                law = f"each arm has a name of its own, but two are called {shown(arm.name)}"
                raise LawError(law, ("arms", index, "name"))
            if self.measure is not None and (arm.recipe is not None or arm.recipe_set):
                key = "recipe" if arm.recipe is not None else "recipe_set"
                law = "an arm that is measured is not trained; remove it"
                raise LawError(law, ("arms", index, key), True)
            if not arm.adopted and not self.cumulative:
                law = "adopted: false is of a cumulative study, whose arms build on each other"
                raise LawError(law, ("arms", index, "adopted"), True)
            if arm.spec is None and self.spec is None and not (self.cumulative and index):
                law = "an arm needs a spec, its own or the study's"
                raise LawError(law, ("arms", index))
        if self.baseline is not None and self.baseline not in self.names:
            known = did_you_mean(self.baseline, self.names)
            law = f"baseline names no arm, {shown(self.baseline)}: {known}"
            raise LawError(law, ("baseline",))
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arms, in order."""
        return tuple(arm.name for arm in self.arms)

    @property
    def tree(self) -> Any:
        """The tree that this study was made from, with places."""
        return self._tree

    def baselines(self) -> dict[str, str | None]:
        """By arm, the one that its difference is taken from; None for those themselves."""
        found: dict[str, str | None] = {}
        firsts: dict[str | None, str] = {}
        previous: str | None = None
        for arm in self.arms:
            first = firsts.setdefault(arm.group, arm.name)
            against = self.baseline or (previous if self.cumulative else first)
            found[arm.name] = against if against != arm.name else None
            previous = arm.name if arm.adopted else previous
        return found

    def dump(self) -> str:
        """The whole study as YAML that reads back to an equal one."""
        return dump_yaml({"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)})


_FIELDS = tuple(Study.model_fields)
STUDY = Kind(
    "study",
    ("format", "name", "doc", "source", "extends", "set", *_FIELDS[4:]),
    merged=("measure",),
    own=("format", "name", "doc", "source"),
    known=shipped_studies,
    find=lambda name: shipped_studies().get(name),
)


def read_study(source: str | Path, edits: Sequence[tuple[str, str]] = ()) -> Study:
    """A study from a file or a shipped name; edits are (path, YAML value) pairs, and come last.

    Raises SpecError with file, line, column, path and law where the text is wrong. The networks
    and recipes that it names are not read yet.
    """
    path = source if isinstance(source, Path) else locate(source, STUDY)
    tree = resolve(path, (), STUDY)
    edit(tree, edits, STUDY)
    return make_study(tree)


def make_study(tree: MarkedDict) -> Study:
    """A checked study from a resolved tree; raises SpecError with the place."""
    try:
        study = Study.model_validate(tree)
    except ValidationError as error:
        raise _placed(law_of(error), tree) from None
    study._tree = tree
    return study


def _placed(error: LawError, tree: MarkedDict) -> SpecError:
    """A broken law with its place; arms are numbered from 0, for they are no nodes."""
    mark = (key_mark(tree, error.path) if error.at_key else None) or find_mark(tree, error.path)
    return SpecError(error.problem, mark, ".".join(map(str, error.path)))


def parse_study(text: str, name: str = "study") -> Study:
    """A study from YAML text that extends nothing, as `dump` writes it."""
    tree = parse_yaml(text, name)
    tree.setdefault("name", name)
    return make_study(tree)


__all__ = [
    "STUDY",
    "Arm",
    "ArmName",
    "Measure",
    "Name",
    "Paper",
    "Patch",
    "Settings",
    "Study",
    "make_study",
    "parse_study",
    "read_study",
]
