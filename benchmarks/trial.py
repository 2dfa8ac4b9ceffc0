"""Where the time of a default trial goes: propose, fit, build, score, write.

    python benchmarks/trial.py [--trials 12]

A search of a few default trials in a temporary folder; its finished trials are then written once
more, into a fresh run folder, with a clock on each write.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from archspec.cli.tables import Column, Table, numbers, print_table
from search.folder import RunFolder

ARCHSPEC = str(Path(sys.executable).with_name("archspec"))
SEARCH = [ARCHSPEC, "search", "--budget", "4.5GFLOPs", "--random", "0", "--no-shipped"]
PARTS = ("propose", "fit", "build", "score")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12, help="scored trials")
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        command = [*SEARCH, "--trials", str(trials), "--out", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        folder = RunFolder.open(run)
        frame = folder.frame()
        scored = frame[frame["state"] == "scored"]
        taken = {part: [float(value) for value in scored[f"seconds.{part}"]] for part in PARTS}
        taken["write"] = write(folder, Path(scratch) / "again")
    whole = sum(median(values) for values in taken.values())
    rows = [
        [part, *(f"{1000 * value:,.1f}" for value in (min(v), median(v), max(v))),
         f"{median(v) / whole:.1%}"]
        for part, v in taken.items()
    ]  # fmt: skip
    info = folder.info
    print(f"{len(scored)} scored trials of {info.space}, {info.score} on {info.device}")
    titles = ("min ms", "median ms", "max ms", "share")
    print_table(Table([Column("part"), *numbers(*titles)], rows))


def write(folder: RunFolder, path: Path) -> list[float]:
    """Seconds of each write of the folder's trials into a fresh run folder."""
    fresh = RunFolder.create(path, folder.info)
    study = fresh.study("search")
    seconds = []
    for trial in folder.trials("search"):
        started = time.perf_counter()
        study.add_trial(trial)
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
