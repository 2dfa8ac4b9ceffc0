"""How close fitted candidates land on their budget, and why some have no fit.

    python benchmarks/fit.py [--specs 500]

Random candidates of the hybrid space; nothing is built. Each case runs in a process of its own,
with nothing warmed up; rates are by its CPU time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import time
from collections import Counter
from statistics import median

from cost import SPACE, random_pick

from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.cost import totals
from archspec.errors import FitError, SpecError
from archspec.fit import ENOUGH, used_share
from search.run import TARGETS
from search.space import Space

FLOPS = 4.5e9
CASES: dict[str, tuple[dict[str, float], bool]] = {
    "4.5 GFLOPs": ({"flops": FLOPS}, False),
    "a target below 4.5 GFLOPs": ({"flops": FLOPS}, True),
    "4.5 GFLOPs and 30 Mparams": ({"flops": FLOPS, "params": 30e6}, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specs", type=int, default=500, help="candidates a case")
    specs = parser.parse_args().specs
    rows, reasons = [], []
    fresh = multiprocessing.get_context("spawn")
    for name, (limits, below) in CASES.items():
        with fresh.Pool(1) as process:
            row, why = process.apply(measure, (specs, limits, below))
        rows.append([name, *row])
        reasons += [f"  {name}: {count} x {reason}" for reason, count in why.most_common(4)]
    titles = ("min", "median", "max", "no fit", "fitted/s", "plans a fit: median", "max")
    print(f"{SPACE}: used/target of {specs} random candidates; a fit uses {ENOUGH:.0%} to 100%")
    print_table(Table([Column("budget"), *numbers(*titles)], rows))
    print("\n".join(["without a fit:", *(reasons or ["  none"])]))


def measure(specs: int, limits: dict[str, float], below: bool) -> tuple[list[str], Counter[str]]:
    """A row of the table, and why candidates had no fit; below: aim as a search does."""
    space, rng = Space.read(SPACE), random.Random(0)
    pick = random_pick(rng)
    used: list[float] = []
    tries: list[int] = []
    why: Counter[str] = Counter()
    taken = 0.0
    for _ in range(specs):
        # even in the logarithm, as the search's own dimension
        share = TARGETS.low ** rng.random() if below else 1.0
        aim = {**limits, "flops": share * limits["flops"]}
        spec = space.spec(pick)
        started = time.process_time()
        try:
            fitted = space.onto_budget(spec, aim)
        except (FitError, SpecError) as error:
            why[re.sub(r"[0-9.]+(?= ?[kMGT]?(FLOPs|params))", "N", str(error))] += 1
        else:
            used.append(fitted.used)
            tries.append(fitted.tries)
            # told by the solver, checked here
            assert fitted.used == used_share(totals(fitted.plan), aim) <= 1
        taken += time.process_time() - started
    assert min(used) >= ENOUGH
    row = [f"{value:.4f}" for value in (min(used), median(used), max(used))]
    row += [f"{(specs - len(used)) / specs:.1%}", f"{len(used) / taken:.0f}"]
    return [*row, f"{median(tries):.0f}", f"{max(tries)}"], why


if __name__ == "__main__":
    main()
