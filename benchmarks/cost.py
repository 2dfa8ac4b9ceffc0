"""How many random candidates of the hybrid space are costed a second, validation included.

    python benchmarks/cost.py [--specs 10000] [--repeats 3] [--traced 10]

Counted: tree to NetworkSpec to plan to totals. Each way of doing it runs in fresh processes of one
thread, with random candidates of its own and nothing warmed up, and is timed by the CPU, so that a
busy machine does less harm. The last rows count some candidates again by building the module and
tracing it with fvcore, in the same process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from archspec.cli.main import collect_seldom
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


SHARED = "specs/s, parts shared as in a search"
LATER = "specs/s, the next as many of the same search"
FILLED = "specs/s, drawing the candidate included"
ALONE = "specs/s, node lists not shared between specs"
TEXT = "ms to cost one candidate from its text"
BUILT = "ms to build its module"
TRACED = "ms to trace it with fvcore"
FASTER = "times faster than the trace"
FASTER_BUILT = "times faster than building and tracing"
DIGITS = {SHARED: 0, LATER: 0, FILLED: 0, ALONE: 0, TEXT: 2, BUILT: 0, TRACED: 0, FASTER: 0,
          FASTER_BUILT: 0}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specs", type=int, default=10000, help="candidates a process")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes of each kind")
    parser.add_argument("--traced", type=int, default=10, help="candidates given to fvcore")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way is not None:
        collect_seldom()  # as the command line does
        print(json.dumps(WAYS[asked.way](asked.specs, asked.traced, asked.seed)))
        return
    values: dict[str, list[float]] = {name: [] for name in DIGITS}
    for seed, way in itertools.product(range(asked.repeats), WAYS):
        command = [sys.executable, __file__, "--way", way, "--seed", str(seed)]
        command += ["--specs", str(asked.specs), "--traced", str(asked.traced)]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=one_thread, check=True, stdout=subprocess.PIPE)
        for name, value in json.loads(done.stdout).items():
            values[name].append(value)
    rows = [
        [name, *(f"{value:,.{digits}f}" for value in (min(v), median(v), max(v)))]
        for name, digits in DIGITS.items()
        for v in [values[name]]
    ]
    print(
        f"{SPACE}: {asked.specs} candidates a process, {asked.repeats} processes, one core each; "
        f"{asked.traced} of them built and traced"
    )
    print_table(Table([Column("measured"), *numbers("min", "median", "max")], rows))


def as_in_a_search(specs: int, traced: int, seed: int) -> dict[str, float]:
    """Candidates drawn beforehand, parts shared; then the trace of some of them."""
    template, pick = space(seed)
    memory = Memory()
    rates = []
    for _ in range(2):
        trees = [template.fill(pick) for _ in range(specs)]
        rates.append(specs / timed(lambda trees=trees: [cost(tree, memory) for tree in trees]))
    text = 1000 / rates[0]
    built, counted = trace(trees[:traced])
    return {
        SHARED: rates[0],
        LATER: rates[1],
        TEXT: text,
        BUILT: built,
        TRACED: counted,
        FASTER: counted / text,
        FASTER_BUILT: (built + counted) / text,
    }


def drawn_too(specs: int, _traced: int, seed: int) -> dict[str, float]:
    """The same, with the time that it takes to draw a candidate."""
    template, pick = space(seed)
    memory = Memory()
    return {
        FILLED: specs / timed(lambda: [cost(template.fill(pick), memory) for _ in range(specs)])
    }


def not_shared(specs: int, _traced: int, seed: int) -> dict[str, float]:
    """Each candidate's node lists are read and tied to their units anew."""
    template, pick = space(seed)
    trees = [template.fill(pick) for _ in range(specs)]
    return {ALONE: specs / timed(lambda: [cost(tree, None) for tree in trees])}


WAYS = {"search": as_in_a_search, "drawn": drawn_too, "alone": not_shared}


def space(seed: int) -> tuple[Template, Pick]:
    """The space, and random picks in it."""
    return Template(resolve(locate(SPACE))), random_pick(random.Random(seed))


def cost(tree: Any, memory: Memory | None) -> int:
    """FLOPs of one candidate, from its tree."""
    return totals(plan_network(make_spec(tree, memory))).flops


def trace(trees: list[Any]) -> tuple[float, float]:
    """Mean CPU milliseconds to build and to trace; both roads must agree."""
    import torch

    from archspec.build import build
    from archspec.referee import referee

    torch.set_num_threads(1)
    building = counting = 0.0
    for tree in trees:
        spec = make_spec(tree)
        plan = plan_network(spec)
        started = time.process_time()
        model = build(spec, plan)
        built = time.process_time()
        count = referee(model, plan.shape)
        building += built - started
        counting += time.process_time() - built
        total = totals(plan)
        assert (count.flops, count.activations) == (total.flops, total.activations), spec.dump()
    return 1000 * building / len(trees), 1000 * counting / len(trees)


def timed(work: Callable[[], object]) -> float:
    """CPU seconds that the work takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
