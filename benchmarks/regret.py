"""How far the best network found lies below the best there is, on a table of trained networks.

    python benchmarks/regret.py --data nas-bench-macro_cifar10.csv [--seeds 100] [--samplers ...]

The table is NAS-Bench-Macro's (Su et al., CVPR 2021): 6,561 networks, three trainings each. Budgets
are the 25% and the 50% quantile of its FLOPs, the one objective is the mean accuracy, and regret is
in points of it after 10, 30 and 100 evaluations, with the standard error over the seeds. Each
sampler proposes by asking and telling an Optuna study, as a search does; what exceeds the budget is
told so and is no evaluation, what was evaluated before is told its value again and counts neither.
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import optuna
import pandas as pd

from archspec.cli.tables import Column, Table, numbers, print_table
from search.guided.landscape import COSTS, SpaceLandscape
from search.proposals import Proposals, suggest
from search.space import Space

SPACE = "nas_bench_macro"
QUANTILES = (0.25, 0.5)
AT = (10, 30, 100)
#: proposals of one search, after which it stands where it stands
MOST = 4_000
#: of the regularised evolution: Real et al., arXiv 1802.01548, sizes for some hundred evaluations
POPULATION, SAMPLE = 20, 5

Tag = tuple[str, ...]


class Trained:
    """The table: accuracy and FLOPs by the tags of a network."""

    def __init__(self, file: Path) -> None:
        rows = pd.read_csv(file, dtype={"arch": str})
        self.space = Space.read(SPACE)
        self.names = list(self.space.parameters)
        self.accuracy = {tuple(a): v for a, v in zip(rows.arch, rows.mean_acc, strict=True)}
        self.flops = {tuple(a): v for a, v in zip(rows.arch, rows.flops, strict=True)}
        self.landscapes: dict[float, SpaceLandscape] = {}

    def limit(self, quantile: float) -> float:
        """The budget in FLOPs."""
        return float(np.quantile(list(self.flops.values()), quantile))

    def within(self, limit: float) -> list[Tag]:
        """Networks in the budget."""
        return [tag for tag, flops in self.flops.items() if flops <= limit]

    def landscape(self, limit: float) -> SpaceLandscape:
        """One for all seeds: it remembers what networks cost."""
        if limit not in self.landscapes:
            space = self.space
            self.landscapes[limit] = SpaceLandscape(space, space.parameters, {"flops": limit})
        return self.landscapes[limit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the table as CSV")
    parser.add_argument("--seeds", type=int, default=100, help="searches a sampler and budget")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--samplers",
        default="guided,tpe,nsga2,gp,random,evolution,largest",
        help="names, by commas",
    )
    asked = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table = Trained(asked.data)
    rows = []
    for name in asked.samplers.split(","):
        for quantile in QUANTILES:
            started = time.process_time()
            seeds = range(asked.first, asked.first + asked.seeds)
            found = [regrets(table, name, quantile, seed) for seed in seeds]
            took = (time.process_time() - started) / asked.seeds / max(AT)
            columns = [spread([run[count - 1] for run in found]) for count in AT]
            rows.append([name, f"{quantile:.0%}", *columns, f"{1e3 * took:.1f}"])
            print(*rows[-1], flush=True)
    print(f"{SPACE}, {asked.seeds} seeds: mean regret in points of accuracy, standard error")
    titles = (*(f"at {count}" for count in AT), "ms a trial")
    print_table(Table([Column("sampler"), Column("budget"), *numbers(*titles)], rows))


def regrets(table: Trained, name: str, quantile: float, seed: int) -> list[float]:
    """Regret after each evaluation, up to the last of AT."""
    limit = table.limit(quantile)
    within = table.within(limit)
    best = max(table.accuracy[tag] for tag in within)
    if name == "evolution":
        tags = evolved(table, within, random.Random(seed))
    elif name == "largest":
        shuffled = random.Random(seed).sample(within, len(within))
        tags = iter(sorted(shuffled, key=lambda tag: -table.flops[tag]))
    else:
        tags = proposed(table, name, limit, seed)
    found: list[float] = []
    for tag in tags:
        found.append(min(best - table.accuracy[tag], *found[-1:] or [float("inf")]))
        if len(found) == max(AT):
            break
    return found + found[-1:] * (max(AT) - len(found))


def proposed(table: Trained, name: str, limit: float, seed: int) -> Iterator[Tag]:
    """What a sampler has evaluated, one after the other."""
    landscape = table.landscape(limit)
    proposals = Proposals(name, (seed, 0), ["score"], (), (), table.space.parameters, landscape)
    had: set[Tag] = set()
    for _ in range(MOST):
        trial = proposals.ask()
        point = landscape.point(suggest(trial))
        tag = tuple(point[name] for name in table.names)
        costed = landscape.cost(point)
        if costed is None:
            trial.set_user_attr("state", "infeasible")
            proposals.tell(trial, None)
            continue
        record(trial, tag, costed.costs, tag in had)
        proposals.tell(trial, (table.accuracy[tag],))
        if tag not in had:
            had.add(tag)
            yield tag


def record(trial: optuna.Trial, tag: Tag, costs: tuple[float, ...], repeat: bool) -> None:
    """What a search records of a network, as far as samplers look at it."""
    for key, value in zip(COSTS, costs, strict=True):
        trial.set_user_attr(key, value)
    trial.set_user_attr("key", "".join(tag))
    trial.set_user_attr("state", "repeat" if repeat else "scored")


def evolved(table: Trained, within: list[Tag], rng: random.Random) -> Iterator[Tag]:
    """Regularised evolution that rejects: children outside the budget are drawn again."""
    inside, had = set(within), set[Tag]()
    population: list[Tag] = []
    while True:
        if len(population) < POPULATION:
            child = rng.choice(within)
        else:
            parent = max(rng.sample(population, SAMPLE), key=lambda tag: table.accuracy[tag])
            child = mutated(parent, rng)
            while child not in inside:
                child = mutated(parent, rng)
        if child not in had:
            had.add(child)
            yield child
        population = [*population, child][-POPULATION:]


def mutated(tag: Tag, rng: random.Random) -> Tag:
    """One place changed."""
    place = rng.randrange(len(tag))
    other = rng.choice([option for option in "012" if option != tag[place]])
    return (*tag[:place], other, *tag[place + 1 :])


def spread(values: list[float]) -> str:
    """Mean and its standard error."""
    error = stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{mean(values):.3f} +- {error:.3f}"


if __name__ == "__main__":
    main()
