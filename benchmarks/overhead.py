"""What a trial costs beside its score and its sampler: fitting, recording, one write to SQLite.

    python benchmarks/overhead.py [--trials 10000] [--space hybrid]

A search by chance under a score that is read off the text; from the wall time of each trial its
recorded seconds of proposing and scoring are taken away. Told for the first and the last
thousand, so that what grows with the study shows. Fitting is told apart: it is no overhead but the
budget's own work.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from archspec.cli.main import collect_seldom
from archspec.cli.tables import Column, Table, numbers, print_table
from search.budgets import budgets_of
from search.coordinator import Event
from search.folder import RunFolder, RunInfo
from search.run import Search
from search.space import Space

#: trials of a window
WINDOW = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10 * WINDOW)
    parser.add_argument("--space", default="hybrid")
    parser.add_argument("--budget", default="4.5GFLOPs")
    asked = parser.parse_args()
    collect_seldom()
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder.create(Path(place) / "run", asked_for(asked))
        ends = [time.perf_counter()]

        def watch(_event: Event) -> None:
            ends.append(time.perf_counter())

        Search(folder, watch).go()
        walls = [after - before for before, after in zip(ends, ends[1:], strict=False)]
        spent = [trial.user_attrs.get("seconds", {}) for trial in folder.trials("search")]
        size = (folder.path / "study.db").stat().st_size
        started = time.perf_counter()
        frame = RunFolder.open(folder.path).frame()
        read = time.perf_counter() - started
    rows = []
    for first in sorted({0, max(0, len(walls) - WINDOW)}):
        window = range(first, min(first + WINDOW, len(walls)))
        others = [
            1000 * (walls[n] - sum(spent[n].get(part, 0.0) for part in ("propose", "fit", "score")))
            for n in window
        ]
        fits = [1000 * spent[n].get("fit", 0.0) for n in window]
        named = f"{first + 1:,} to {window[-1] + 1:,}"
        rows.append([named, *(f"{value:.1f}" for value in (*spread(others), median(fits)))])
    print(f"{asked.space}, {len(walls):,} trials; milliseconds a trial")
    titles = ("min", "median", "mean", "max", "fit, median")
    print_table(Table([Column("trials"), *numbers(*titles)], rows))
    print(f"study.db {size / 1e6:.0f} MB; {len(frame):,} rows read as a frame in {read:.1f} s")


def asked_for(asked: argparse.Namespace) -> RunInfo:
    space = Space.read(asked.space)
    return RunInfo(
        space=space.name,
        space_text=space.dump(),
        command="benchmarks/overhead.py",
        budgets=budgets_of([asked.budget]),
        iso=False,
        seed=0,
        sampler="random",
        score="activations",
        score_label="log2 activations",
        data="digits",
        batch=16,
        device="text",
        trials=asked.trials,
        random_trials=0,
        shipped=False,
    )


def spread(values: list[float]) -> tuple[float, float, float, float]:
    return min(values), median(values), sum(values) / len(values), max(values)


if __name__ == "__main__":
    main()
