"""Which sampler finds the better networks of a space: whole searches, each by its own command.

    python benchmarks/sampler.py [--seeds 9] [--samplers guided tpe] [--out DIR] [SEARCH OPTIONS]

What is not named here goes to `archspec search`; without any, it is `hybrid --budget 4.5GFLOPs
--score depth+activations --trials 48`, a score that is read off the text, so that a search takes
seconds. Given again, it goes on. `archspec report DIR/*` draws the searches over each other.

best: the best score of a search, on the highest rung of a ladder. area: between the front and one
corner, the ceiling and the lowest best score of any search, in octaves of FLOPs times score; of
searches that trade off FLOPs. Both as mean and deviation over the seeds. before random: how far the
mean best is before that of random search, with the 95% interval of Welch's t.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import pandas as pd
from exam_parts.table import lead

from archspec.cli.tables import Column, Table, numbers, print_table
from reports.frames import scored
from search.folder import RunFolder

ARCHSPEC = [sys.executable, "-m", "archspec.cli.main"]
ASKED = ["hybrid", "--budget", "4.5GFLOPs", "--score", "depth+activations", "--trials", "48"]
#: of baselines a search has none here: random search is a sampler like the others
ALONE = ("--random", "0", "--no-shipped")
COMPARED = ("guided", "tpe", "nsga2", "random")


class Found(NamedTuple):
    """What a search came to. rows: of its highest rung, scored; ceiling: of FLOPs, None where they
    are no objective."""

    rows: pd.DataFrame
    ceiling: float | None

    @property
    def best(self) -> float:
        """The highest score."""
        return float(self.rows["score"].max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=9, help="searches a sampler")
    parser.add_argument("--samplers", nargs="+", default=COMPARED)
    parser.add_argument("--out", type=Path, default=Path("runs/sampler"))
    asked, options = parser.parse_known_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Found]] = {name: [] for name in asked.samplers}
    # seed by seed, so that an early end leaves as many searches of each
    for seed in range(asked.seeds):
        for name in asked.samplers:
            run = searched(asked.out / f"{name}-{seed}", name, seed, options or ASKED)
            found[name].append(run)
    floor = min(run.best for runs in found.values() for run in runs)
    chance = [run.best for run in found.get("random", ())]
    rows = []
    for name, runs in found.items():
        best = [run.best for run in runs]
        areas = [area(run, floor) for run in runs]
        rows.append([name, spread(best), spread(areas), before(best, chance, name)])
    print(f"{' '.join(options or ASKED)}; {asked.seeds} searches a sampler")
    titles = ("best", "area", "before random")
    print_table(Table([Column("sampler"), *numbers(*titles)], rows))


def searched(run: Path, sampler: str, seed: int, options: list[str]) -> Found:
    """Begin a search or go on with it; what it prints is in a file beside its run folder."""
    if (run / "run.json").exists():
        words = ["resume", str(run)]
    else:
        words = ["search", *options, *ALONE, "--sampler", sampler, "--seed", str(seed)]
        words += ["--out", str(run)]
    with run.with_suffix(".log").open("a") as log:
        ended = subprocess.run([*ARCHSPEC, *words], stdout=log, stderr=subprocess.STDOUT)
    if ended.returncode:
        sys.exit(f"archspec {' '.join(words)} ended with {ended.returncode}; {log.name} says why")
    folder = RunFolder.open(run)
    ceiling = folder.info.limits["flops"] if "flops" in folder.info.objectives else None
    return Found(scored(folder.frame(), ("search", *folder.info.rungs)[-1]), ceiling)


def area(run: Found, floor: float) -> float:
    """Area under the front from its first point to the ceiling, octaves of FLOPs times score; nan
    where FLOPs are no objective."""
    if run.ceiling is None:
        return math.nan
    points = sorted((math.log2(row.flops), float(row.score)) for row in run.rows.itertuples())
    ends = [flops for flops, _ in points[1:]] + [math.log2(run.ceiling)]
    best, whole = floor, 0.0
    for (flops, score), end in zip(points, ends, strict=True):
        best = max(best, score)
        whole += (best - floor) * (end - flops)
    return whole


def spread(values: list[float]) -> str:
    """Mean and deviation over the seeds."""
    if any(map(math.isnan, values)):
        return "–"
    return f"{mean(values):.2f} ± {stdev(values) if len(values) > 1 else 0:.2f}"


def before(best: list[float], chance: list[float], name: str) -> str:
    """How far a sampler is before random search."""
    if name == "random" or not chance:
        return "–"
    found = lead(best, chance)
    return f"{found.points:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


if __name__ == "__main__":
    main()
