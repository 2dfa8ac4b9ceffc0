"""The page of a roadmap: each step's costs and accuracy as a staircase, and what it changes.

`steps` has one row a step as archspec.roadmap.steps.rows makes them, `trained` one row a step that
was trained (reports.roadmap_steps). `info` holds name, doc, source, command, created, versions and,
where steps were trained: data, train_count, classes, side, epochs, seeds, device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from archspec.quantities import several
from reports.numbers import data_name, number, percent, points, significant, unit
from reports.roadmap_steps import FLOPS_TOLERANCE, Step, read_steps
from reports.roadmap_table import change, roadmap_table
from reports.sheet import Drawing, Fact, Sheet, write_sheet
from reports.staircase import relative_figure, staircase_figure

IMAGENET = (1_281_167, 1000)
"""Training images and classes of ImageNet-1k, whose top-1 papers print."""


def write_roadmap_page(
    info: Mapping[str, Any], steps: pd.DataFrame, trained: pd.DataFrame | None, path: Path
) -> Path:
    """Write the page of a roadmap to `path` and return it; the same input gives the same bytes."""
    seeds = _seeds(info.get("seeds"))
    found = read_steps(steps, trained, seeds)
    data = data_name(info.get("data"))
    apart = (number(info.get("train_count")), number(info.get("classes"))) != IMAGENET
    drawings: dict[str, Drawing] = {
        "staircase": lambda palette: staircase_figure(found, palette, data, apart),
        "relative": lambda palette: relative_figure(found, palette),
    }
    reached = any(step.mean is not None for step in found)
    printed = any(step.paper_top1 is not None for step in found)
    words = {
        "trained": trained is not None,
        "reached": reached,
        "printed": printed,
        "deviation": any(step.paper_std is not None for step in found),
        "apart": apart,
        "trained_on": data,
        "looks": _looks(found),
        "rejected": any(step.is_rejected for step in found),
        "references": any(step.is_reference for step in found),
        "singles": reached and all(_count(step) < 2 for step in found),
        "gaps": [step.name for step in found if step.flops_gap is not None],
        "tolerance": f"{100 * FLOPS_TOLERANCE:g}%",
        "table": roadmap_table(found, seeds),
        "failures": [
            (step.name, step.reached.reason)
            for step in found
            if step.reached is not None and step.reached.reason
        ],
        "networks": _networks(found),
        "protocol": _protocol(info, found, seeds) if trained is not None else [],
    }
    device = f", on {info['device']}" if info.get("device") else ""
    sheet = Sheet(
        eyebrow="archspec roadmap",
        title=str(info.get("name") or "roadmap"),
        lede=tuple(str(info[key]) for key in ("doc", "source") if info.get(key)),
        facts=_facts(found, trained is not None),
        notices=_notices(found, seeds),
        command=str(info.get("command") or ""),
        remark=f"Created {info.get('created')}{device}.",
        versions={str(key): str(value) for key, value in (info.get("versions") or {}).items()},
        texts=(),
    )
    return write_sheet(path, "roadmap.html", sheet, words, drawings)


def _notices(steps: Sequence[Step], seeds: int) -> tuple[str, ...]:
    """How many trainings are still to come; one that failed is none of them."""
    asked = [step.reached for step in steps if step.reached is not None]
    missing = sum(max(0, seeds - len(one.tops)) for one in asked if not one.reason)
    if not missing:
        return ()
    total = several(seeds * len(asked), "training")
    return (f"Not finished: {missing} of {total} are still to be done.",)


def _facts(steps: Sequence[Step], trained: bool) -> tuple[Fact, ...]:
    """From the start to the last adopted step."""
    taken = [step for step in steps if step.adopted]
    made = [step for step in steps if step.kind == "step"]
    start, end = taken[0], taken[-1]
    rejected = sum(step.is_rejected for step in made)
    facts = [Fact("Steps", str(len(made)), f"{rejected} not adopted" if rejected else "")]
    for label, key in (
        ("FLOPs", "flops"),
        ("Parameters", "params"),
        ("Activations", "activations"),
    ):
        ends = [getattr(step, key) for step in (start, end)]
        size, sign = unit(ends)
        told = [significant(value / size) for value in ends if value is not None]
        facts.append(Fact(f"{label}, {sign}", " → ".join(told), change(ends[1], ends[0])))
    tops = (start.paper_top1, end.paper_top1)
    facts += _climb("Printed top-1, percent", *tops)
    if trained:
        facts += _climb("Reached top-1, percent", start.mean, end.mean)
        failed = sum(bool(step.reached and step.reached.reason) for step in steps)
        asked = sum(not step.is_reference for step in steps)
        done = sum(step.mean is not None for step in steps)
        remark = f"of {asked}" + (f", {failed} failed" if failed else "")
        facts.append(Fact("Trained", str(done), remark))
    return tuple(facts)


def _climb(label: str, start: float | None, end: float | None) -> list[Fact]:
    if start is None or end is None:
        return []
    return [Fact(label, f"{percent(start)} → {percent(end)}", points(end - start))]


def _looks(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """The legend: CSS class and words of each kind of row that is there."""
    edits = {(bool(step.changes), bool(step.recipe_changes)) for step in steps}
    found = [("start", "the start")]
    found += [("network", "changes the network")] * ((True, False) in edits)
    found += [("recipe", "changes the recipe")] * ((False, True) in edits)
    found += [("both", "changes both")] * ((True, True) in edits)
    found += [("rejected", "not adopted")] * any(step.is_rejected for step in steps)
    return found


def _networks(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """Each network's whole text once, and the rows that have it."""
    by_text: dict[str, list[str]] = {}
    for step in steps:
        if step.spec:
            by_text.setdefault(step.spec, []).append(f"{step.number} {step.name}")
    return [(", ".join(names), spec) for spec, names in by_text.items()]


def _seeds(asked: object) -> int:
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        return len(asked)
    return int(number(asked) or 0)


def _count(step: Step) -> int:
    return 0 if step.reached is None else sum(top is not None for top in step.reached.tops)


def _protocol(info: Mapping[str, Any], steps: Sequence[Step], seeds: int) -> list[tuple[str, str]]:
    """How the steps were trained, in words: pairs of a heading and a sentence."""
    told = [data_name(info.get("data"))]
    if number(info.get("train_count")) is not None:
        told.append(f"{info['train_count']:,} training images")
    if number(info.get("classes")) is not None:
        told.append(f"{info['classes']} classes")
    form = "as written, at their own resolution"
    if info.get("side"):
        form = (
            f"in small-image form at {info['side']} pixels: the stem is one convolution of stride "
            "1, strides of stages are kept, windows shrink to the map"
        )
    told_epochs = (step.reached.epochs for step in steps if step.reached is not None)
    lengths = sorted({int(epochs) for epochs in told_epochs if epochs is not None})
    length = ""
    if lengths:
        span = f"{lengths[0]} to " if len(lengths) > 1 else ""
        length = f"{span}{several(lengths[-1], 'epoch')} each; "
    return [
        ("Data", ", ".join(told)),
        ("Networks", f"{form}; the head has the data’s classes"),
        ("Recipe", f"{length}each step trains by its own recipe, with the edits before it"),
        ("Seeds", f"{several(seeds, 'training')} of each step; seeds are the same in all steps"),
        ("Accuracy", "top-1 in tests after the last epoch, of the averaged weights where the "
         "recipe averages them; no epoch was chosen by its test result"),
        ("±", "the sample’s standard deviation over seeds, here as in the papers"),
        ("Difference", "to the row that a step starts from, in percentage points, seed by seed; "
         "its 95% interval by Student’s t tells how far it moves with other seeds"),
    ]  # fmt: skip
