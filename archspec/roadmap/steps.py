"""The rows of a roadmap, planned: each network opened and costed, and what its step changed.

No torch from here down: `archspec check` plans every row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from archspec.cost import totals
from archspec.diff import Difference, differences
from archspec.dump import dump_yaml
from archspec.errors import SpecError, did_you_mean
from archspec.load import parse_yaml
from archspec.marks import find_mark
from archspec.plan import NetworkPlan
from archspec.quantities import several
from archspec.roadmap.text import Reference, Roadmap, Start, Step, read_roadmap
from archspec.spec import NetworkSpec
from archspec.spec import Reference as Figures
from archspec.strict import shown
from archspec.study.arms import PlannedArm, plan_arms
from archspec.study.text import Paper, Study
from archspec.train.recipe import Recipe

#: fields of a recipe that train nothing
_WORDS = ("format", "doc", "source")
_STAGE = re.compile(r"^stages\.\d+\.")


class RecipeChange(NamedTuple):
    """A field of the recipe that differs, by its path."""

    path: str
    before: Any
    after: Any


class PlannedStep(NamedTuple):
    """A row of a roadmap: start, step or reference, by its number from 0.

    base: name of the row that a step starts from, the last adopted one before it. changes,
    recipe_changes: to that row. recipe: None for references. paper: its source is the roadmap's
    where it names none.
    """

    number: int
    name: str
    kind: Literal["start", "step", "reference"]
    adopted: bool
    base: str | None
    changes: tuple[Difference, ...]
    recipe_changes: tuple[RecipeChange, ...]
    spec: NetworkSpec
    plan: NetworkPlan
    recipe: Recipe | None
    paper: Paper
    note: str


def plan_roadmap(roadmap: Roadmap) -> tuple[PlannedStep, ...]:
    """Every row, planned: the start, the steps, then the references.

    Raises SpecError with the place, the step and the law; a step that changes neither the network
    nor the recipe is one.
    """
    found: list[PlannedStep] = []
    base: PlannedStep | None = None
    written: list[Start | Step] = [roadmap.start, *roadmap.steps]
    for number, (arm, item) in enumerate(zip(_arms(roadmap, compared=False), written, strict=True)):
        kind: Literal["start", "step"] = "start" if base is None else "step"
        step = _step(roadmap, number, kind, item, arm, base)
        if base is not None and not (step.changes or _train_otherwise(step.recipe_changes)):
            raise SpecError(
                f"{shown(item.name)} changes neither the network nor the recipe of "
                f"{shown(base.name)}; mend what it sets, or remove the step",
                find_mark(roadmap.tree, ("steps", number - 1)),
                f"steps.{number - 1}",
            )
        found.append(step)
        base = step if step.adopted else base
    for arm, reference in zip(_arms(roadmap, compared=True), roadmap.references, strict=True):
        found.append(_step(roadmap, len(found), "reference", reference, arm, None))
    return tuple(found)


def check_roadmap(path: Path) -> str:
    """What a roadmap's text is, in a few words, with every row planned; raises SpecError."""
    roadmap = read_roadmap(path)
    plan_roadmap(roadmap)
    told = f"roadmap {roadmap.name}, {several(len(roadmap.steps), 'step')}"
    references = several(len(roadmap.references), "reference")
    return f"{told}, {references}" if roadmap.references else told


def _arms(roadmap: Roadmap, compared: bool) -> tuple[PlannedArm, ...]:
    """Start and steps, or references, planned; errors tell the row as the roadmap calls it."""
    study = roadmap.compared() if compared else roadmap.study()
    if study is None:
        return ()
    with told_as_rows(roadmap, study):
        return plan_arms(study)


@contextmanager
def told_as_rows(roadmap: Roadmap, study: Study) -> Iterator[None]:
    """While open, an error in an arm of a study of this roadmap names the row as the text does."""
    try:
        yield
    except SpecError as error:
        path = re.fullmatch(r"arms\.(\d+)(.*)", error.path, re.DOTALL)
        if path is None:
            raise
        name = study.arms[int(path[1])].name
        places = {row.name: ".".join(map(str, place)) for place, row in roadmap.rows()}
        raise SpecError(error.problem, error.mark, places[name] + path[2]) from None


def _step(
    roadmap: Roadmap,
    number: int,
    kind: Literal["start", "step", "reference"],
    written: Start | Step | Reference,
    arm: PlannedArm,
    base: PlannedStep | None,
) -> PlannedStep:
    paper = written.paper
    if not paper.source and paper.model_dump(exclude_defaults=True):
        paper = paper.model_copy(update={"source": roadmap.source})
    return PlannedStep(
        number=number,
        name=written.name,
        kind=kind,
        adopted=written.adopted if isinstance(written, Step) else kind == "start",
        base=None if base is None else base.name,
        changes=() if base is None else tuple(differences(base.spec, arm.spec)),
        recipe_changes=() if base is None else tuple(_recipes(base.recipe, arm.recipe)),
        spec=arm.spec if not written.set and kind != "step" else _own(roadmap, number, arm, paper),
        plan=arm.plan,
        recipe=None if kind == "reference" else arm.recipe,
        paper=paper,
        note=written.note,
    )


def _own(roadmap: Roadmap, number: int, arm: PlannedArm, paper: Paper) -> NetworkSpec:
    """An edited network is not the one that it was: not its name, weights or published figures."""
    figures = paper.model_dump(exclude={"top1_std"})
    published = any(figures[key] is not None for key in ("params", "flops", "top1"))
    return arm.spec.model_copy(
        update={
            "name": f"{roadmap.name}_{number}",
            "doc": f"{arm.name}, row {number} of the roadmap {roadmap.name}.",
            "weights": None,
            "scaling": None,
            "reference": Figures(**figures) if published else None,
        }
    )


def _recipes(before: Recipe | None, after: Recipe | None) -> Iterator[RecipeChange]:
    if before is not None and after is not None:
        trees = [recipe.model_dump(mode="json", exclude={*_WORDS}) for recipe in (before, after)]
        yield from _fields("", *trees)


def _fields(path: str, before: Any, after: Any) -> Iterator[RecipeChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _fields(f"{path}.{key}".lstrip("."), before.get(key), after.get(key))
    elif before != after:
        yield RecipeChange(path, before, after)


def _train_otherwise(changes: Sequence[RecipeChange]) -> bool:
    return any(change.path != "name" for change in changes)


def find_step(steps: Sequence[PlannedStep], called: str) -> PlannedStep:
    """The row of a number or a name; raises SpecError naming the legal ones."""
    for step in steps:
        if called == step.name or (called.isdecimal() and int(called) == step.number):
            return step
    if called.isdecimal():
        law = f"rows are numbered from 0 to {len(steps) - 1}"
    else:
        law = did_you_mean(called, [step.name for step in steps])
    raise SpecError(f"no step is called {shown(called)}: {law}")


def rows(steps: Sequence[PlannedStep]) -> list[dict[str, Any]]:
    """One dict a row, as `archspec roadmap --json` prints it; every key is always there.

    params, flops (multiply-adds), activations: counts of one image; traffic: bytes at 4 a number;
    paper_top1, paper_top1_std: percents. Values in `changes` are YAML on one line, null on the
    side where nothing is; spec is the whole YAML text of the network.
    """
    return [_row(step) for step in steps]


def _row(step: PlannedStep) -> dict[str, Any]:
    cost, side, paper = totals(step.plan), step.spec.input.resolution, step.paper
    return {
        "number": step.number,
        "name": step.name,
        "kind": step.kind,
        "adopted": step.adopted,
        "from": step.base,
        "changes": [_change(item) | {"kind": item.kind} for item in step.changes],
        "recipe_changes": [
            {"path": item.path, "before": value_text(item.before), "after": value_text(item.after)}
            for item in step.recipe_changes
        ],
        "params": cost.params,
        "flops": cost.flops,
        "activations": cost.activations,
        "traffic": cost.traffic,
        "depth": cost.depth,
        "resolution": list(side) if isinstance(side, tuple) else side,
        "paper_top1": paper.top1,
        "paper_top1_std": paper.top1_std,
        "paper_params": paper.params,
        "paper_flops": paper.flops,
        "paper_source": paper.source,
        "note": step.note,
        "recipe": None if step.recipe is None else step.recipe.name,
        "spec": step.spec.dump(),
    }


def _change(item: Difference) -> dict[str, str | None]:
    before = None if item.kind == "added" else value_text(item.before)
    after = None if item.kind == "removed" else value_text(item.after)
    return {"path": item.path, "before": before, "after": after}


def value_text(value: object) -> str:
    """A value as YAML writes it, on one line; what is long is cut."""
    text = dump_yaml({"": value}).rstrip().partition(": ")[2]
    return text if text and "\n" not in text else shown(value)


def changes_text(row: Mapping[str, Any]) -> str:
    """What a row changed, on one line: stages that change alike are told once.

    row: as `rows` makes it.
    """
    merged: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for item in row["changes"]:
        # values that differ by stage are told one after the other, unless they are whole nodes
        alike = "" if item["kind"] == "changed" else f"{item['before']}{item['after']}"
        merged.setdefault((_STAGE.sub("", item["path"]), alike), []).append(item)
    count = len(parse_yaml(row["spec"], "spec").get("stages", ())) if merged else 0
    told = []
    for items in merged.values():
        befores, afters = ([item[side] for item in items] for side in ("before", "after"))
        told.append(_told(_places([item["path"] for item in items], count), befores, afters))
    told += [
        f"recipe{_field(item['path'])}: {item['before']} -> {item['after']}"
        for item in row["recipe_changes"]
    ]
    return "; ".join(told)


def _field(path: str) -> str:
    return "" if path == "name" else f" {path}"


def _places(paths: Sequence[str], stages: int) -> str:
    """Paths that differ in their stage alone, as one: `stages.*.depth`, `stages.1,2.depth`."""
    if len(paths) == 1:
        return paths[0]
    numbers = [path.split(".")[1] for path in paths]
    every = "*" if len(numbers) == stages else ",".join(numbers)
    return f"stages.{every}.{_STAGE.sub('', paths[0])}"


def _told(path: str, befores: Sequence[str | None], afters: Sequence[str | None]) -> str:
    if None in befores:
        return f"{path}: added {afters[0]}"
    if None in afters:
        return f"{path}: removed {befores[0]}"
    before, after = (
        ", ".join(str(value) for value in (values if len(set(values)) > 1 else values[:1]))
        for values in (befores, afters)
    )
    return f"{path}: {before} -> {after}"


__all__ = [
    "PlannedStep",
    "RecipeChange",
    "changes_text",
    "check_roadmap",
    "find_step",
    "plan_roadmap",
    "rows",
    "value_text",
]
