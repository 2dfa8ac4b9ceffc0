"""Which of Optuna's samplers finds the better fronts of the hybrid space in one default budget.

    python benchmarks/sampler.py [--trials 48] [--seeds 16]

The score is read off the text (depth+activations), so that a search takes seconds; targets, fit
and objectives are those of `archspec search --budget 4.5GFLOPs`. Compared by the area between the
front and one corner, the ceiling and the lowest score that any sampler met, in the plane of score
and log2 FLOPs; and by the best score.
"""

from __future__ import annotations

import argparse
import time
import warnings
from math import log2
from statistics import mean, stdev

import optuna
from optuna.samplers import TPESampler

from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.cost import totals
from archspec.errors import FitError, SpecError
from search.proposals import SAMPLERS, Proposals, suggest
from search.run import TARGETS
from search.scores import Scorer
from search.space import TARGET, Space

SPACE, CEILING, SCORE = "hybrid", 4.5e9, "depth+activations"
JOINT = "tpe, multivariate and group"
COMPARED = ("tpe", JOINT, "nsga2", "random")

Point = tuple[float, float]  # log2 FLOPs, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=48, help="scored trials a search")
    parser.add_argument("--seeds", type=int, default=16, help="searches a sampler")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    SAMPLERS[JOINT] = lambda seed: TPESampler(seed=seed, multivariate=True, group=True)
    found: dict[str, list[list[Point]]] = {}
    taken: dict[str, float] = {}
    for name in COMPARED:
        started = time.perf_counter()
        found[name] = [searched(name, seed, asked.trials) for seed in range(asked.seeds)]
        taken[name] = (time.perf_counter() - started) / asked.seeds
    floor = min(score for runs in found.values() for run in runs for _, score in run)
    rows = []
    for name, runs in found.items():
        areas = [area(run, floor) for run in runs]
        best = [max(score for _, score in run) for run in runs]
        rows.append([name, *spread(areas), *spread(best), f"{taken[name]:.1f}"])
    print(f"{SPACE}, {SCORE}, {asked.trials} trials a search, {asked.seeds} seeds; mean, deviation")
    titles = ("area", "+-", "best score", "+-", "s a search")
    print_table(Table([Column("sampler"), *numbers(*titles)], rows))


def searched(sampler: str, seed: int, trials: int) -> list[Point]:
    """One search; what could not be fitted counts for nothing."""
    space, score = Space.read(SPACE), Scorer(SCORE)
    proposals = Proposals(sampler, (seed, 0), ["score", "flops"])
    points: list[Point] = []
    while len(points) < trials:
        trial = proposals.ask()
        pick = suggest(trial)
        share = pick(TARGET, TARGETS)
        try:
            fitted = space.onto_budget(space.spec(pick), {"flops": share * CEILING})
        except (FitError, SpecError):
            proposals.tell(trial, None)
            continue
        flops, value = totals(fitted.plan).flops, score(fitted.spec, fitted.plan).value
        proposals.tell(trial, (value, flops))
        points.append((log2(flops), value))
    return points


def area(points: list[Point], floor: float) -> float:
    """Area under the front from its first point to the ceiling, octaves of FLOPs times score."""
    ordered = sorted(points)
    ends = [flops for flops, _ in ordered[1:]] + [log2(CEILING)]
    best, whole = floor, 0.0
    for (flops, score), end in zip(ordered, ends, strict=True):
        best = max(best, score)
        whole += (best - floor) * (end - flops)
    return whole


def spread(values: list[float]) -> tuple[str, str]:
    """Mean and deviation over the seeds."""
    return f"{mean(values):.3f}", f"{stdev(values) if len(values) > 1 else 0:.3f}"


if __name__ == "__main__":
    main()
