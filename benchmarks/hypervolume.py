"""How much of the best front of a table of trained networks a search of two objectives finds.

    python benchmarks/hypervolume.py --data nas-bench-macro_cifar10.csv [--seeds 30] [--trials 200]

The table and the evaluations are those of regret.py; accuracy up, FLOPs down, no budget but the
table's largest. The hypervolume lies below the lowest accuracy and the most FLOPs of the table, in
points of accuracy times FLOPs, and is given in percent of that of the table's own front; what is
left to it is what to compare. `nsga2` and `tpe` are Optuna's, as it ships them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import optuna
from optuna.samplers import NSGAIISampler, TPESampler
from regret import MOST, Trained, record

from archspec.cli.tables import Column, Table, numbers, print_table
from search.hypervolume import hypervolume
from search.proposals import SAMPLERS, Proposals, suggest

COMPARED = ("guided", "nsga2, population 50", "tpe", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the table as CSV")
    parser.add_argument("--seeds", type=int, default=30, help="searches a sampler")
    parser.add_argument("--trials", type=int, default=200, help="evaluations a search")
    parser.add_argument("--samplers", default=";".join(COMPARED), help="names, by semicolons")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    SAMPLERS["nsga2, population 50"] = lambda asked: NSGAIISampler(seed=asked.seed)
    SAMPLERS["tpe"] = lambda asked: TPESampler(seed=asked.seed)
    table = Trained(asked.data)
    whole = np.array([[-table.accuracy[tag], table.flops[tag]] for tag in table.flops])
    reference = whole.max(axis=0)
    full = hypervolume(whole, reference)
    marks = [count for count in (50, 100) if count < asked.trials] + [asked.trials]
    rows = []
    for name in asked.samplers.split(";"):
        started = time.process_time()
        shares = np.array(
            [
                [hypervolume(points[:count], reference) / full for count in marks]
                for points in (
                    searched(table, name, seed, asked.trials) for seed in range(asked.seeds)
                )
            ]
        )
        took = (time.process_time() - started) / asked.seeds / asked.trials
        columns = [f"{100 * mean(part):.3f} +- {100 * stdev(part):.3f}" for part in shares.T]
        rows.append([name, *columns, f"{1e3 * took:.1f}"])
        print(*rows[-1], flush=True)
    print(f"{asked.seeds} seeds: percent of the table's hypervolume, deviation over the seeds")
    titles = (*(f"at {count}" for count in marks), "ms a trial")
    print_table(Table([Column("sampler"), *numbers(*titles)], rows))


def searched(table: Trained, name: str, seed: int, trials: int) -> np.ndarray:
    """What a search evaluated, in order: (trials, 2), minus the accuracy and FLOPs."""
    landscape = table.landscape(max(table.flops.values()))
    proposals = Proposals(
        name, (seed, 0), ["score", "flops"], (), (), table.space.parameters, landscape
    )
    found: dict[tuple[str, ...], list[float]] = {}
    for _ in range(MOST):
        trial = proposals.ask()
        point = landscape.point(suggest(trial))
        tag = tuple(point[name] for name in table.names)
        costed = landscape.cost(point)
        assert costed is not None, "every network of the table is within its largest"
        record(trial, tag, costed.costs, tag in found)
        proposals.tell(trial, (table.accuracy[tag], table.flops[tag]))
        found.setdefault(tag, [-table.accuracy[tag], table.flops[tag]])
        if len(found) == trials:
            break
    return np.array(list(found.values()))


if __name__ == "__main__":
    main()
