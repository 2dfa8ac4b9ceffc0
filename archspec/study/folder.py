"""The folder of a study that runs: what was asked, every arm as it is run, every result.

RUN/study.json            what was asked: data, epochs, seeds, arms
RUN/study.yaml            the study's whole text
RUN/ARM/spec.yaml         the network, with its own head
RUN/ARM/recipe.yaml       the recipe as trained, scaled to the data
RUN/ARM/seed-K/           the run folder of one training; finished with its result.json
RUN/ARM/HEIGHTxWIDTH.json what was measured, where the study measures
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import ConfigDict, Field

from archspec.errors import RunError
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.runs import make_folder, read_record, write_whole, written
from archspec.spec import NetworkSpec, parse_spec
from archspec.strict import shown
from archspec.study.arms import PlannedArm
from archspec.study.text import Arm, Study, parse_study
from archspec.train.recipe import Recipe, parse_recipe
from archspec.train.unchanged import Counts

STATES = ("done", "failed")


@dataclass(frozen=True)
class StudyAsked:
    """What a study was asked to do; enough to go on with it.

    images, test_images: so many of a split, null for all; keep_weights: whether trainings leave
    theirs; train_count, test_count: how many that are, null where an older run did not record it.
    arms: those that are run. side: of the small-image form, null for networks at their own
    resolution. spec, recipe: in the place of the study's.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    study: str
    data: str | None
    images: int | None
    train_count: int | None
    classes: int | None
    side: int | None
    spec: str | None
    recipe: str | None
    epochs: int | None
    seeds: Annotated[int, Field(ge=1, le=1000)]
    arms: tuple[str, ...]
    device: str
    command: str = ""
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    test_images: int | None = None
    keep_weights: bool = False
    test_count: int | None = None

    @property
    def counts(self) -> Counts:
        """What was counted of the data when the run began."""
        return Counts(self.train_count, self.test_count, self.classes)

    def replaces(self, arm: Arm) -> bool:
        """Whether another spec or recipe stands in the place of the study's in this arm."""
        own_spec, own_recipe = arm.spec is not None, arm.recipe is not None
        return not (self.spec is None or own_spec) or not (self.recipe is None or own_recipe)


#: what may differ where a run is gone on with
_FREE = ("seeds", "device", "command", "created", "versions")


class RunArm(NamedTuple):
    """An arm of a run, read back.

    spec has its own head, plan that of the data; recipe is None where the study measures.
    """

    name: str
    spec: NetworkSpec
    plan: NetworkPlan
    recipe: Recipe | None


class StudyFolder:
    """A run of a study on disk."""

    def __init__(self, path: Path, asked: StudyAsked) -> None:
        self.path, self.asked = path, asked

    @classmethod
    def create(
        cls, path: Path, asked: StudyAsked, study: Study, arms: Sequence[PlannedArm]
    ) -> StudyFolder:
        """A new run, or the one that is there where the same was asked; seeds may be more.

        arms: those that are run, their recipes scaled to the data. Raises RunError where the folder
        holds something else.
        """
        if (path / "study.json").exists():
            known = cls.open(path)
            differs = known.differs(asked, study)
            if differs:
                raise RunError(f"{path} was asked otherwise: {differs}; --out names another folder")
            return known.ask_for(asked.seeds)
        make_folder(path, "study.json")
        with written(path):
            for arm in arms:
                folder = path / arm.name
                folder.mkdir(parents=True)
                write_whole(folder / "spec.yaml", arm.spec.dump())
                if arm.recipe is not None:
                    write_whole(folder / "recipe.yaml", arm.recipe.dump())
            write_whole(path / "study.yaml", study.dump())
            # last: a folder that has it is whole
            write_whole(path / "study.json", json.dumps(asdict(asked), indent=1))
        return cls(path, asked)

    @classmethod
    def open(cls, path: Path) -> StudyFolder:
        """A run that is there; raises RunError."""
        return cls(path, read_record(path, "study.json", StudyAsked, "run of a study"))

    def differs(self, asked: StudyAsked, study: Study) -> str:
        """What was asked otherwise, so that this run cannot be gone on with; else nothing."""
        before, now = asdict(self.asked), asdict(asked)
        if before["test_count"] is None:
            before["test_count"] = now["test_count"]
        for key in before:
            if key not in _FREE and before[key] != now[key]:
                return f"{key} {shown(before[key])}, not {shown(now[key])}"
        return "" if self.study == study else f"the text of {study.name} has changed since"

    def ask_for(self, seeds: int) -> StudyFolder:
        """Ask the run for so many seeds, if these are more; what is there stays."""
        if seeds > self.asked.seeds:
            self.asked = replace(self.asked, seeds=seeds)
            write_whole(self.path / "study.json", json.dumps(asdict(self.asked), indent=1))
        return self

    @property
    def study(self) -> Study:
        """The study as it was asked."""
        file = self.path / "study.yaml"
        return parse_study(self._text(file), str(file))

    def arms(self) -> Iterator[RunArm]:
        """The arms that are run, in the study's order."""
        for name in self.asked.arms:
            folder = self.path / name
            spec = parse_spec(self._text(folder / "spec.yaml"), str(folder / "spec.yaml"))
            recipe = None
            if self.study.measure is None:
                file = folder / "recipe.yaml"
                recipe = parse_recipe(self._text(file), str(file))
            trained = spec
            if self.asked.classes is not None:
                trained = spec.model_copy(update={"classes": self.asked.classes})
            side = None if recipe is None else recipe.resolution.train
            if side is not None:
                trained = trained.at((side, side))
            yield RunArm(name, spec, plan_network(trained), recipe)

    def _text(self, file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{file} cannot be read: {error}; the run is damaged") from None

    def place(self, arm: str, seed: int) -> Path:
        """The folder of one training."""
        return self.path / arm / f"seed-{seed}"

    def result(self, arm: str, seed: int) -> dict[str, Any] | None:
        """What a training left in its result.json; None where it is not finished."""
        return read_result(self.place(arm, seed) / "result.json")


def read_result(file: Path) -> dict[str, Any] | None:
    """A result, or None where there is none yet; raises RunError for one that is damaged."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        told = None
    if not isinstance(told, Mapping) or told.get("state") not in STATES:
        raise RunError(f"{file} is damaged; remove it to run that arm again")
    return dict(told)


def write_result(file: Path, told: Mapping[str, object]) -> None:
    """A result, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(told, indent=1))


__all__ = ["RunArm", "StudyAsked", "StudyFolder", "read_result", "write_result"]
