"""Tasks and trials an hour with 1, 2, 4 and 8 workers, when all that they do is sleep.

    python benchmarks/workers.py [--seconds 0.5] [--rounds 20] [--ray]

First the workers alone, then a whole search whose score sleeps: proposing, fitting, driving and
writing included. What is told is the rate from when every worker has done its first to the last,
for starting them (importing torch among it) is paid once; how long the start took is told, too,
and what of the processor's time the coordinator takes for each: the bound when nothing else is.
--ray adds the same on Ray, started here.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from typing import TYPE_CHECKING

from archspec.cli.main import collect_seldom, wait_quietly
from archspec.cli.tables import Column, Table, numbers, print_table
from search.workers import Workers
from search.workers.processes import Processes

if TYPE_CHECKING:
    # this file is imported by each worker, too: what only the coordinator needs waits
    from search.coordinator import Event
    from search.folder import RunInfo

SLEEPER = """
import time

def sleep(probe):
    time.sleep({seconds})
    return float(len(str(probe.spec)))
"""
#: beginning, ends of tasks
Ends = tuple[float, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="that each sleeps")
    parser.add_argument("--rounds", type=int, default=20, help="tasks a worker")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8], help="of workers")
    parser.add_argument("--ray", action="store_true", help="Ray, too")
    asked = parser.parse_args()
    collect_seldom()
    wait_quietly()
    rows = list(measured("processes", Processes, asked))
    if asked.ray:
        rows += measured("Ray", on_ray, asked)
    print(f"each sleeps {asked.seconds:g} s, {asked.rounds} a worker, {os.cpu_count()} cores")
    titles = ("workers", "an hour", "times the first", "start, s", "CPU ms each")
    print_table(Table([Column("what"), *numbers(*titles)], rows))


def measured(
    name: str,
    opened: Callable[[int], AbstractContextManager[Workers]],
    asked: argparse.Namespace,
) -> list[list[str]]:
    rows = []
    for what, measure in (("tasks", tasks), ("trials", trials)):
        ones = 0.0
        for count in asked.counts:
            with opened(count) as workers:
                spent = time.process_time()
                began, ends = measure(workers, asked.seconds, asked.rounds * count)
                each = (time.process_time() - spent) / len(ends)
            ends.sort()
            first, last = ends[count - 1], ends[-1]
            rate = 3600 * (len(ends) - count) / (last - first)
            ones = ones or rate
            start = first - began - asked.seconds
            told = (
                f"{count}",
                f"{rate:,.0f}",
                f"{rate / ones:.2f}",
                f"{start:.1f}",
                f"{1000 * each:.1f}",
            )
            rows.append([f"{what}, {name}", *told])
    return rows


def tasks(workers: Workers, seconds: float, count: int) -> Ends:
    began = time.perf_counter()
    jobs = [workers.submit(time.sleep, seconds) for _ in range(count)]
    return began, [time.perf_counter() for _ in as_completed(jobs)]


def trials(workers: Workers, seconds: float, count: int) -> Ends:
    ends = []

    def watch(event: Event) -> None:
        if event.state == "scored":
            ends.append(time.perf_counter())

    from search.folder import RunFolder
    from search.run import Search

    with tempfile.TemporaryDirectory() as place, chdir(place):
        Path("sleeper.py").write_text(SLEEPER.format(seconds=seconds))
        folder = RunFolder.create(Path("run"), info(count))
        began = time.perf_counter()
        Search(folder, watch, workers=workers).go()
    return began, ends


def info(count: int) -> RunInfo:
    from search.budgets import budgets_of
    from search.folder import RunInfo
    from search.space import Space

    space = Space.read("hybrid_small")
    return RunInfo(
        space=space.name,
        space_text=space.dump(),
        command="benchmarks/workers.py",
        budgets=budgets_of(["100MFLOPs"]),
        iso=False,
        seed=0,
        sampler="random",
        score="sleeper:sleep",
        score_label="sleeper:sleep",
        data="digits",
        batch=16,
        device="cpu",
        trials=count,
        random_trials=0,
        shipped=False,
    )


def on_ray(count: int) -> AbstractContextManager[Workers]:
    """Ray with as many CPUs as slots: what sleeps needs none."""
    import ray

    from search.workers.ray_actors import RayWorkers

    ray.shutdown()
    ray.init(address="local", num_cpus=count, include_dashboard=False, log_to_driver=False)
    return RayWorkers("local")


if __name__ == "__main__":
    main()
