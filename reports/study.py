"""The page of a study: its arms beside each other, with what their differences are worth.

Frame and summary are those of archspec.study.frame. `info` holds the study's words (name,
doc, source, cumulative, measure, ...) and what was asked of it (data, train_count, classes, side,
epochs, seeds, device, command, created, versions); recipes: each arm's whole text, or None;
left_out: the study's arms that were not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from archspec.quantities import several
from archspec.train.recipe import parse_recipe
from reports.arms import Arm, arms, text
from reports.comparison import comparison_figure, cost_figure
from reports.latencies import latencies, latency_figure
from reports.numbers import data_name, lasting, number, percent, significant
from reports.sheet import Drawing, Fact, Sheet, write_sheet
from reports.study_table import Table, latency_table, training_table


def write_study_page(
    info: Mapping[str, Any], frame: pd.DataFrame, summary: pd.DataFrame, path: Path
) -> Path:
    """Write the page of a study to `path` and return it; the same input gives the same bytes."""
    if info.get("measure"):
        return _write(info, frame, path, *_measured(info, frame, summary))
    return _write(info, frame, path, *_trained(info, frame, summary))


def _write(
    info: Mapping[str, Any],
    frame: pd.DataFrame,
    path: Path,
    facts: tuple[Fact, ...],
    table: Table,
    words: Mapping[str, object],
    drawings: Mapping[str, Drawing],
) -> Path:
    versions = info.get("versions") or {}
    sheet = Sheet(
        eyebrow="archspec study",
        title=str(info.get("name") or "study"),
        lede=tuple(str(info[key]) for key in ("doc", "source") if info.get(key)),
        facts=facts,
        notices=_notices(info, frame),
        command=str(info.get("command") or ""),
        remark=f"Created {info.get('created')}, on {info.get('device')}.",
        versions={str(name): str(version) for name, version in versions.items()},
        texts=_recipes(info),
    )
    shared = {
        "measures": bool(info.get("measure")),
        "ladder": _is_ladder(info),
        "table": table,
        "failures": _failures(frame),
        "protocol": _protocol(info, frame),
    }
    return write_sheet(path, "study.html", sheet, {**shared, **words}, drawings)


Parts = tuple[tuple[Fact, ...], Table, Mapping[str, object], Mapping[str, Drawing]]


def _trained(info: Mapping[str, Any], frame: pd.DataFrame, summary: pd.DataFrame) -> Parts:
    found = arms(frame, summary)
    data, ladder = data_name(info.get("data")), _is_ladder(info)
    skipped = list(info.get("left_out") or ()) if ladder else []
    drawings: dict[str, Drawing] = {}
    reached = [arm for arm in found if arm.mean is not None]
    if reached:
        drawings["arms"] = lambda palette: comparison_figure(found, palette, data, ladder)
    costs = [arm.flops for arm in reached if arm.flops]
    apart = len(costs) > 1 and max(costs) > 1.03 * min(costs)
    if apart:
        drawings["cost"] = lambda palette: cost_figure(found, palette, data)
    counts = [len(arm.seeds) for arm in found]
    words = {
        "figure": bool(reached),
        "cost": apart,
        "alike": significant(costs[0] / 1e9) if costs and not apart else "",
        "published": any(arm.paper is not None for arm in found),
        "diamonds": any(arm.paper_difference is not None for arm in found),
        "alone": sum(count == 1 for count in counts),
        "intervals": sum(
            arm.difference is not None and arm.difference.holds_zero is not None for arm in found
        ),
        "trained_on": data,
        "skipped": ", ".join(skipped),
    }
    table = training_table(found, ladder, named=bool(skipped))
    return _trained_facts(frame, found), table, words, drawings


def _is_ladder(info: Mapping[str, Any]) -> bool:
    """Whether each arm is compared with the one before it."""
    return bool(info.get("cumulative")) and not info.get("baseline")


def _trained_facts(frame: pd.DataFrame, found: Sequence[Arm]) -> tuple[Fact, ...]:
    done = int((frame["state"] == "done").sum())
    failed = int((frame["state"] == "failed").sum())
    remark = f"of {len(frame)}" + (f", {failed} failed" if failed else "")
    counts = sorted({len(arm.seeds) for arm in found})
    seeds = (
        f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "0"
    )
    bases = [arm for arm in found if arm.against is None and arm.mean is not None]
    facts = [
        Fact("Arms", str(len(found))),
        Fact("Trainings done", str(done), remark),
        Fact("Seeds an arm", seeds),
    ]
    if len(bases) == 1 and bases[0].mean is not None:
        facts.append(Fact("Baseline", f"{percent(bases[0].mean.value)}%", bases[0].name))
    clear = sum(arm.difference is not None and arm.difference.holds_zero is False for arm in found)
    told = sum(
        arm.difference is not None and arm.difference.holds_zero is not None for arm in found
    )
    if told:
        facts.append(Fact("Differences apart from 0", str(clear), f"of {told}"))
    facts.append(Fact("Time in training", lasting(frame["seconds"].sum() if done else None)))
    return tuple(facts)


def _measured(info: Mapping[str, Any], frame: pd.DataFrame, summary: pd.DataFrame) -> Parts:
    rows = latencies(summary)
    shown = any(row.latency is not None for row in rows)
    devices = list(dict.fromkeys(filter(None, map(text, frame["device"].tolist()))))
    done = int((frame["state"] == "done").sum())
    failed = int((frame["state"] == "failed").sum())
    remark = f"of {len(frame)}" + (f", {failed} failed" if failed else "")
    facts = (
        Fact("Arms", str(frame["arm"].nunique())),
        Fact("Resolutions", str(frame["resolution"].nunique())),
        Fact("Measured", str(done), remark),
        Fact("Device", ", ".join(devices) or str(info.get("device"))),
    )
    drawings: dict[str, Drawing] = {}
    groups = list(dict.fromkeys(row.group for row in rows)) if shown else []
    for place, group in enumerate(groups):
        members = [row for row in rows if row.group == group]
        drawings[f"latency-{place}"] = partial(latency_figure, members)
    words = {
        "figure": shown,
        "groups": [group or "" for group in groups],
        "several": len(devices) > 1,
    }
    return facts, latency_table(rows), words, drawings


def _notices(info: Mapping[str, Any], frame: pd.DataFrame) -> tuple[str, ...]:
    missing = int((frame["state"] == "missing").sum())
    if not missing:
        return ()
    what = "measurements" if info.get("measure") else "trainings"
    return (f"Not finished: {missing} of {len(frame)} {what} have not been run yet.",)


def _failures(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Arm, which of its runs, and the reason; runs of an arm that failed alike stand together."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in frame[frame["state"] == "failed"].to_dict(orient="records"):
        reason = text(row.get("reason")) or "no reason was recorded"
        what = f"seed {row['seed']}" if "seed" in row else str(row["resolution"])
        found.setdefault((str(row["arm"]), reason), []).append(what)
    return [(arm, ", ".join(whats), reason) for (arm, reason), whats in found.items()]


def _recipes(info: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each recipe's whole text once, and which arms were trained by it."""
    by_text: dict[str, list[str]] = {}
    for arm, recipe in (info.get("recipes") or {}).items():
        if text(recipe):
            by_text.setdefault(recipe, []).append(str(arm))
    alone = len(by_text) == 1
    return tuple(
        (f"The recipe, as trained: {'all arms' if alone else ', '.join(names)}", recipe)
        for recipe, names in by_text.items()
    )


def _protocol(info: Mapping[str, Any], frame: pd.DataFrame) -> list[tuple[str, str]]:
    """What was done, in words: pairs of a heading and a sentence."""
    measure = info.get("measure")
    if measure:
        passes = f"{measure.get('repeats')} forward passes, batch {measure.get('batch')}"
        order = ", channels last" if measure.get("channels_last") else ""
        return [
            ("Latency", f"{passes} in evaluation, {measure.get('precision', 'fp32')}{order}: the "
             "median, and from the 10th to the 90th percentile of the passes"),
            ("Costs", "FLOPs (multiply-adds), activations (elements put out by convolutions, "
             "linear layers and matrix products) and memory traffic (bytes, each tensor once) by "
             "law, for one image"),
        ]  # fmt: skip
    seeds = int(frame["seed"].nunique()) if len(frame) else 0
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
    base = "the arm before it" if _is_ladder(info) else "its baseline"
    return [
        ("Data", ", ".join(told)),
        ("Networks", form),
        ("Recipe", _lengths(info)),
        ("Seeds", f"{several(seeds, 'training')} of each arm; seeds are the same in all arms"),
        ("Accuracy", "top-1 in tests after the last epoch, of the averaged weights where "
         "the recipe averages them; no epoch was chosen by its test result"),
        ("Interval", "95%, by Student’s t over seeds: how far the mean moves with other seeds, "
         "not with other images or other settings"),
        ("Difference", f"to {base}, in percentage points, seed by seed"),
    ]  # fmt: skip


def _lengths(info: Mapping[str, Any]) -> str:
    """Name, epochs and batch of each recipe, once."""
    said = []
    for recipe in (info.get("recipes") or {}).values():
        if text(recipe):
            made = parse_recipe(recipe)
            said.append(f"{made.name}, {several(made.all_epochs, 'epoch')}, batch {made.batch}")
    found = list(dict.fromkeys(said))
    return "; ".join(found) + ("; scaled to the data" if found else "")
