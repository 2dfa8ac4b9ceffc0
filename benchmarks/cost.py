"""How many random candidates of the hybrid space are costed a second, validation included.

    python benchmarks/cost.py [--specs 3000] [--repeats 3] [--traced 10]

Each repeat is a fresh process on one core with its own random candidates, nothing warmed up.
Counted: tree to NetworkSpec to plan to totals. The last rows count some of the candidates again by
tracing the built module with fvcore, in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.cost import totals
from archspec.domains import Choice, Domain
from archspec.planning import plan_network
from archspec.resolve import locate, resolve
from archspec.spec import Memory, make_spec
from archspec.template import Pick, Template

SPACE = "hybrid"


def random_pick(rng: random.Random) -> Pick:
    """Picks that are uniform over each domain's values."""

    def pick(_name: str, domain: Domain) -> Any:
        if isinstance(domain, Choice):
            return rng.choice(domain.tags)
        return domain.nearest(rng.uniform(domain.low, domain.high))

    return pick


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specs", type=int, default=3000, help="candidates a repeat")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes")
    parser.add_argument("--traced", type=int, default=10, help="candidates given to fvcore")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure is not None:
        print(json.dumps(measure(asked.specs, asked.traced, asked.measure)))
        return
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, __file__, f"--specs={asked.specs}", f"--traced={asked.traced}",
                 f"--measure={seed}"],
                env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.PIPE,
            ).stdout
        )
        for seed in range(asked.repeats)
    ]  # fmt: skip
    rows = []
    for name, digits in ROWS.items():
        values = [run[name] for run in runs]
        spread = (min(values), median(values), max(values))
        rows.append([name, *(f"{value:,.{digits}f}" for value in spread)])
    print(f"{SPACE}: {asked.specs} candidates a repeat, {asked.repeats} repeats, one core;")
    print(f"{asked.traced} of each repeat's candidates built and traced")
    print_table(Table([Column("measured"), *numbers("min", "median", "max")], rows))


SHARED = "specs/s, parts shared as in a search"
FILLED = "specs/s, drawing the candidate included"
ALONE = "specs/s, nothing shared between specs"
TEXT = "ms to cost one candidate from its text"
BUILT = "ms to build its module"
TRACED = "ms to trace it with fvcore"
FASTER = "times faster than the trace"
FASTER_BUILT = "times faster than building and tracing"
ROWS = {SHARED: 0, FILLED: 0, ALONE: 0, TEXT: 2, BUILT: 0, TRACED: 0, FASTER: 0, FASTER_BUILT: 0}


def measure(specs: int, traced: int, seed: int) -> dict[str, float]:
    """One repeat, in a process of its own."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    template = Template(resolve(locate(SPACE)))
    pick = random_pick(random.Random(seed))
    trees = [template.fill(pick) for _ in range(specs)]
    memory = Memory()
    shared = specs / timed(lambda: [cost(tree, memory) for tree in trees])
    filled = specs / timed(lambda: [cost(template.fill(pick), memory) for _ in range(specs)])
    few = trees[: max(1, specs // 10)]
    alone = len(few) / timed(lambda: [cost(tree, None) for tree in few])
    built, counted = trace([template.fill(pick) for _ in range(traced)])
    once = 1000 / shared
    return {
        SHARED: shared,
        FILLED: filled,
        ALONE: alone,
        TEXT: once,
        BUILT: built,
        TRACED: counted,
        FASTER: counted / once,
        FASTER_BUILT: (built + counted) / once,
    }


def cost(tree: Any, memory: Memory | None) -> int:
    """FLOPs of one candidate, from its tree."""
    return totals(plan_network(make_spec(tree, memory))).flops


def trace(trees: list[Any]) -> tuple[float, float]:
    """Mean milliseconds to build and to trace; the two roads must agree."""
    import torch

    from archspec.build import build
    from archspec.referee import referee

    torch.set_num_threads(1)
    building = counting = 0.0
    for tree in trees:
        spec = make_spec(tree)
        plan = plan_network(spec)
        started = time.perf_counter()
        model = build(spec, plan)
        built = time.perf_counter()
        count = referee(model, plan.shape)
        building += built - started
        counting += time.perf_counter() - built
        assert (count.flops, count.activations) == totals(plan)[1:3], spec.dump()
    return 1000 * building / len(trees), 1000 * counting / len(trees)


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
