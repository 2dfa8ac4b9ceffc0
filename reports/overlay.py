"""The page that overlays several searches: fronts, hypervolume over evaluations, random search."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from archspec.quantities import several
from reports.metrics import Metric, costs
from reports.numbers import significant
from reports.overlay_figures import best_figure, fronts_figure, volume_figure
from reports.overlay_progress import Comparison, corner
from reports.overlay_table import TO_MATCH, groups_table, runs_table
from reports.plane import first_cost
from reports.sheet import Drawing, Fact, Sheet, write_sheet


def write_overlay_page(comparison: Comparison, command: str, created: str, path: Path) -> Path:
    """Write the page of a comparison to `path` and return it; the same input, the same bytes."""
    runs, groups = comparison.runs, comparison.groups
    metrics, axis = _axes(comparison), first_cost(groups[0].info, runs[0].frame).key
    sheet = Sheet(
        eyebrow="archspec report",
        title=f"{len(runs)} searches compared",
        lede=(
            f"Score: {comparison.score.unit}.",
            "Objectives: " + ", ".join(_told(metric) for metric in comparison.objectives) + ".",
        ),
        facts=_facts(comparison),
        notices=comparison.notices,
        command=command,
        remark=f"Created {created}; the searches between {min(run.info.created for run in runs)} "
        f"and {max(run.info.created for run in runs)}.",
        versions=_versions(comparison),
        texts=(("The commands of the searches", "\n".join(run.info.command for run in runs)),),
    )
    words = {
        "groups": groups_table(comparison),
        "searches": runs_table(comparison),
        "volumes": comparison.box is not None,
        "reference": _reference(comparison),
        "metrics": metrics,
        "axis": axis if axis in {metric.key for metric in metrics} else metrics[0].key,
        "protocol": _protocol(comparison),
    }
    drawings: dict[str, Drawing] = {"best": partial(best_figure, comparison)}
    if comparison.box is not None:
        drawings["volume"] = partial(volume_figure, comparison)
    for metric in metrics:
        drawings[f"front-{metric.key}"] = partial(fronts_figure, comparison, metric)
    return write_sheet(path, "overlay.html", sheet, words, drawings, ("overlay.js",))


def _axes(comparison: Comparison) -> tuple[Metric, ...]:
    """The costs that any search has."""
    return costs(*(run.frame for run in comparison.runs))


def _told(metric: Metric) -> str:
    label = metric.label if metric.label == "FLOPs" else metric.label.lower()
    return f"{label} ({metric.better} is better)"


def _facts(comparison: Comparison) -> tuple[Fact, ...]:
    rows = [row for row in comparison.rows if row.kind == "search"]
    evaluations = sum(len(run) for row in rows for run in row.best.runs)
    everything = sum(len(run) for row in comparison.rows for run in row.best.runs)
    facts = [
        Fact("Searches", str(len(comparison.runs)), f"in {several(len(rows), 'group')}"),
        Fact("Evaluations", f"{evaluations:,}", f"and {everything - evaluations:,} random"),
    ]
    ends = [(end, row.name) for row in rows if (end := row.best.end) is not None]
    if ends:
        end, name = max(ends)
        facts.append(Fact("Best mean score", significant(end, 4), name))
    ends = [
        (end, row.name)
        for row in rows
        if row.volume is not None and (end := row.volume.end) is not None
    ]
    if ends:
        end, name = max(ends)
        facts.append(Fact("Highest mean hypervolume", significant(end, 4), name))
    return tuple(facts)


def _versions(comparison: Comparison) -> dict[str, str]:
    """Of each package the versions that the searches ran with."""
    found: dict[str, list[str]] = {}
    for run in comparison.runs:
        for name, version in run.info.versions.items():
            found.setdefault(name, []).append(version)
    return {name: ", ".join(dict.fromkeys(versions)) for name, versions in found.items()}


def _reference(comparison: Comparison) -> str:
    """What hypervolume is measured from and to, in words."""
    if comparison.box is None:
        return ""
    ends = [
        corner(comparison.objectives, end) for end in (comparison.box.worst, comparison.box.best)
    ]
    worst, best = (
        ", ".join(_shown(metric, end[metric.key]) for metric in comparison.objectives)
        for end in ends
    )
    return (
        f"The share of the box that is dominated: from the reference, the worst of each objective "
        f"that any search or its random trials met ({worst}), to the best of each ({best}), where "
        "it would be 1. The box is one for all. Lines are means over seeds; bands reach one "
        "standard deviation to either side, cut off at 0 and 1, where a hypervolume ends."
    )


def _shown(metric: Metric, value: float) -> str:
    words = significant(value / metric.divisor, 4)
    return f"score {words}" if metric.key == "score" else f"{words} {metric.short}"


def _protocol(comparison: Comparison) -> list[tuple[str, str]]:
    """What was done, in words: pairs of a heading and a sentence."""
    told = [
        ("Groups", "searches that differ in their seed and in nothing else that was asked are one "
         "group; a curve ends with the shortest of its searches"),
        ("Evaluations", "trials that count, in the order in which they ended: scored ones, and "
         "those that were trained until they were pruned; repeats, infeasible and failed trials do "
         "not"),
        ("Lines and bands", "means over seeds, and one standard deviation of the sample to either "
         "side; a group of one seed has no band, and says little"),
        ("Fronts", "the 50% attainment surface of the groups’ fronts (Fonseca and Fleming, PPSN "
         "1996), of search trials alone, against one cost at a time"),
        ("Random baseline", "the random trials that searches keep beside their own, each seed once "
         "for all searches of the same space, budgets, score and images"),
    ]  # fmt: skip
    aim = "hypervolume" if comparison.box is not None else "best score"
    told.append(
        (TO_MATCH, f"after how many evaluations a search’s {aim} is at least what random search "
         "has on average after all of its own; the median over seeds, and how many evaluations "
         "random search took")
    )  # fmt: skip
    if comparison.box is not None:
        told.append(
            ("Hypervolume", "exact (Zitzler and Thiele, PPSN 1998), over all objectives at once, "
             "each in shares of the box; a network at the reference in any of them adds nothing")
        )  # fmt: skip
    return told
