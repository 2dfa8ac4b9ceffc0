"""What a study found, as pandas frames: one row a training, and one row an arm. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec.cost import totals
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.study.folder import StudyFolder, read_result
from archspec.study.run import measured_file, resolution_text
from archspec.study.text import Study

if TYPE_CHECKING:
    import pandas as pd

#: of what is expected beyond the interval of a mean or difference
OUTSIDE = 0.05
#: percentage points: a smaller deviation is that of rounding, of values that are equal
NOISE = 1e-9

_TOLD = ("top1", "last_top1", "best_top1", "seconds", "images_per_second")
_TIMED = ("latency_ms", "latency_low", "latency_high", "memory_mb")
TRAINED = (
    "arm", "group", "seed", "state", "top1", "last_top1", "best_top1", "params", "flops",
    "activations", "traffic", "seconds", "images_per_second", "reason", "paper_top1", "note",
)  # fmt: skip
MEASURED = (
    "arm", "group", "resolution", "state", "params", "flops", "activations", "traffic",
    "latency_ms", "latency_low", "latency_high", "memory_mb", "device", "reason", "note",
)  # fmt: skip
SUMMARY = (
    "arm", "group", "mean", "sd", "n", "low", "high", "baseline", "difference", "difference_low",
    "difference_high", "pairs", "params", "flops", "activations", "traffic", "paper_top1",
    "paper_difference", "note",
)  # fmt: skip
MEASURED_SUMMARY = (
    "arm", "group", "resolution", "latency_ms", "latency_low", "latency_high", "baseline", "ratio",
    "params", "flops", "activations", "traffic", "memory_mb", "note",
)  # fmt: skip


def frame(run: Path) -> pd.DataFrame:
    """One row an arm and seed, or an arm and resolution, of a run folder, finished or not.

    top1 and its like are percents, counts are of one image and of the network as trained, traffic
    is in bytes, latency in milliseconds, memory_mb in 10^6 bytes. state is done, failed (with its
    reason) or missing. Raises RunError where the folder is damaged.
    """
    import pandas as pd

    folder = StudyFolder.open(run)
    measures = folder.study.measure is not None
    rows = list(_measured(folder) if measures else _trained(folder))
    columns = list(MEASURED if measures else TRAINED)
    made = pd.DataFrame(rows, columns=columns)
    numbers = {*_TOLD, *_TIMED, "paper_top1"} & set(columns)
    return made.astype(dict.fromkeys(numbers, float))


def _trained(folder: StudyFolder) -> Iterator[dict[str, Any]]:
    known = {arm.name: arm for arm in folder.study.arms}
    for arm in folder.arms():
        written = known[arm.name]
        for seed in range(folder.asked.seeds):
            result = folder.result(arm.name, seed) or {"state": "missing"}
            done = result["state"] == "done"
            yield {
                "arm": arm.name,
                "group": written.group,
                "seed": seed,
                "state": result["state"],
                **{key: result.get(key) if done else None for key in _TOLD},
                **_costs(arm.plan),
                "reason": result.get("reason") or "",
                # --spec and --recipe put another network or training in the place of the paper's
                "paper_top1": None if folder.asked.replaces(written) else written.paper.top1,
                "note": written.note,
            }


def _measured(folder: StudyFolder) -> Iterator[dict[str, Any]]:
    study = folder.study
    assert study.measure is not None
    known = {arm.name: arm for arm in study.arms}
    for arm in folder.arms():
        for shape in study.measure.shapes:
            result = read_result(measured_file(folder.path, arm.name, shape))
            result = result or {"state": "missing"}
            yield {
                "arm": arm.name,
                "group": known[arm.name].group,
                "resolution": resolution_text(shape),
                "state": result["state"],
                **_costs(plan_network(arm.spec.at(shape))),
                **{key: result.get(key) for key in _TIMED},
                "device": result.get("device") or "",
                "reason": result.get("reason") or "",
                "note": known[arm.name].note,
            }


def _costs(plan: NetworkPlan) -> dict[str, int]:
    cost = totals(plan)
    return {
        "params": cost.params,
        "flops": cost.flops,
        "activations": cost.activations,
        "traffic": cost.traffic,
    }


def summary(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    """One row an arm (and resolution, where the study measures), in the frame's order.

    mean, sd (of the sample) and the 95% interval of the mean, by Student's t with n - 1 degrees of
    freedom; difference: to the baseline, over the seeds that both have, paired by seed, with the
    interval of its mean. An interval needs two seeds that differ; nan where there is none. Under
    `cumulative` the baseline is the adopted arm before, of those that were run. The paper's
    difference is to the paper's figure of the same baseline.
    """
    import pandas as pd

    if study.measure is not None:
        rows = list(_measured_rows(frame, study))
        return pd.DataFrame(rows, columns=list(MEASURED_SUMMARY))
    baselines = _present(study, list(dict.fromkeys(frame["arm"])))
    scores = {
        name: part.loc[part["state"] == "done"].set_index("seed")["top1"].dropna()
        for name, part in frame.groupby("arm", sort=False)
    }
    papers = frame.groupby("arm", sort=False)["paper_top1"].first()
    rows = []
    for name, part in frame.groupby("arm", sort=False):
        first, against = part.iloc[0], baselines[str(name)]
        mean, sd, count, low, high = interval(scores[name].tolist())
        paired: list[float] = []
        paper = math.nan
        if against is not None:
            paired = (scores[name] - scores[against]).dropna().tolist()
            paper = papers[name] - papers[against]
        change = interval(paired)
        rows.append(
            {
                **{key: first[key] for key in ("arm", "group", "paper_top1", "note")},
                **{key: first[key] for key in ("params", "flops", "activations", "traffic")},
                "mean": mean,
                "sd": sd,
                "n": count,
                "low": low,
                "high": high,
                "baseline": against,
                "difference": change[0],
                "difference_low": change[3],
                "difference_high": change[4],
                "pairs": change[2],
                "paper_difference": paper,
            }
        )
    return pd.DataFrame(rows, columns=list(SUMMARY))


def _measured_rows(frame: pd.DataFrame, study: Study) -> Iterator[dict[str, Any]]:
    baselines = _present(study, list(dict.fromkeys(frame["arm"])))
    times = frame.set_index(["arm", "resolution"])["latency_ms"]
    for _, row in frame.iterrows():
        against = baselines[row["arm"]]
        ratio = math.nan
        if against is not None:
            ratio = row["latency_ms"] / times[against, row["resolution"]]
        told = {key: row[key] for key in MEASURED_SUMMARY if key in row}
        yield {**told, "baseline": against, "ratio": ratio}


def _present(study: Study, arms: list[str]) -> dict[str, str | None]:
    """Baselines among the arms that were run."""
    ran = study.model_copy(update={"arms": tuple(a for a in study.arms if a.name in arms)})
    against = ran.baselines()
    return {name: base if base in arms else None for name, base in against.items()}


def interval(values: list[float]) -> tuple[float, float, int, float, float]:
    """Mean, deviation of the sample, count, and both ends of the mean's 95% interval.

    Student's t with n - 1 degrees of freedom. No interval, nan, where there are too few values, or
    where all are equal: that they are is chance, and a width of 0 would claim certainty.
    """
    from scipy.stats import t

    count = len(values)
    mean = math.fsum(values) / count if count else math.nan
    if count < 2:
        return mean, math.nan, count, math.nan, math.nan
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    if sd < NOISE:
        return mean, 0.0, count, math.nan, math.nan
    half = float(t.ppf(1 - OUTSIDE / 2, count - 1)) * sd / math.sqrt(count)
    return mean, sd, count, mean - half, mean + half


__all__ = ["frame", "interval", "summary"]
