"""How fast a GPU scores networks, how busy it is, and whether its settings change the order.

    python benchmarks/score_rates.py [--networks 64] [--timed 8] [--json FILE]

Random candidates of a space at one budget. Milliseconds a network of each score, single and half
precision; networks a minute with one builder and with as many as are the default, channels-last or
not, half or not, and the share of time in which a kernel runs; Kendall's tau between these
settings; and the rate of the machine's CPU. Without a GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from training import busy

from archspec.cli.main import collect_seldom
from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.planning import plan_network
from archspec.quantities import parse_quantity
from archspec.train.devices import cores
from search.budgets import Budget
from search.calibration.agreement import kendall
from search.calibration.candidates import Candidate
from search.calibration.sample import sample
from search.scores import probe as probes
from search.scores.catalog import DEFAULT, SCORES
from search.scores.scorer import Each, Scorer
from search.space import Space

#: scores that half precision changes
HALVED = ("concave_naswot", "naswot")
LAYOUTS = {True: "channels-last", False: "contiguous"}
PRECISIONS = {False: "single", True: "half"}
#: of each setting, whether half precision and whether channels-last
Setting = tuple[bool, bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="hybrid")
    parser.add_argument("--budget", default="4.5GFLOPs")
    parser.add_argument("--networks", type=int, default=64, help="for rates and orders")
    parser.add_argument("--timed", type=int, default=8, help="of them, for each score's time")
    parser.add_argument("--on-cpu", type=int, default=16, help="of them, for the CPU's rate")
    parser.add_argument("--score", default=DEFAULT, help="for rates and orders")
    parser.add_argument("--scores", default=None, help="names to time; default: all that build")
    parser.add_argument("--anywhere", action="store_true", help="run it without a GPU, too")
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not asked.anywhere:
        print("there is no GPU here, and nothing to measure")
        return
    collect_seldom()
    quantity = parse_quantity(asked.budget)
    budget = Budget(quantity.unit, quantity.value)
    drawn = sample(Space.read(asked.space), (budget,), asked.networks, 0).candidates
    told = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{told}, torch {torch.__version__}, {len(drawn)} networks of {asked.space} at {budget}")
    names = [name for name, score in SCORES.items() if score.builds]
    timed = times(asked.scores.split(",") if asked.scores else names, drawn[: asked.timed], device)
    rates, values = rated(asked.score, drawn, device)
    print(f"{asked.score}, networks a minute by Scorer.many; busy: share of time kernels run")
    columns = [Column("precision"), Column("layout"), *numbers("builders", "a minute", "busy")]
    print_table(Table(columns, [list(row.values()) for row in rates]))
    orders = ordered(values)
    print_table(Table([Column("order of"), *numbers("tau", "largest difference")], orders))
    few = drawn[: asked.on_cpu]
    rate, on_cpu = once(Scorer(asked.score, device="cpu", half=False), few)
    same = tau(on_cpu, values[False, True][: len(few)])
    print(f"on the CPU, {cores()} cores: {rate:.1f} a minute; tau with single there: {same:.3f}")
    if asked.json is not None:
        found = {"device": told, "times": timed, "rates": rates, "orders": orders, "cpu": rate}
        asked.json.write_text(json.dumps(found, indent=1))


def times(names: Sequence[str], drawn: Sequence[Candidate], device: str) -> list[list[str]]:
    """Milliseconds a network of each score, without the build, which has a row of its own."""
    rows, builds = [], []
    for name in names:
        cells = []
        for half in PRECISIONS:
            if half and name not in HALVED:
                cells.append("-")
                continue
            scorer = Scorer(name, device=device, half=half)
            scorer.each(drawn[0].spec, drawn[0].plan)
            found = [scorer.each(one.spec, one.plan) for one in drawn]
            builds += [each.seconds["build"] for each in found]
            cells.append(f"{1000 * median(each.seconds[name] for each in found):,.1f}")
        undefined = sum(name in each.reasons for each in found)
        rows.append([name, *cells, str(undefined)])
    rows.append(["building", f"{1000 * median(builds):,.1f}", "-", "-"])
    columns = [Column("score"), *numbers("ms, single", "ms, half", "undefined")]
    print_table(Table(columns, rows))
    return rows


def rated(
    name: str, drawn: Sequence[Candidate], device: str
) -> tuple[list[dict[str, str]], dict[Setting, list[float]]]:
    """Rates of every setting, and the scores by setting."""
    rows: list[dict[str, str]] = []
    values: dict[Setting, list[float]] = {}
    for half, last in itertools.product(PRECISIONS, LAYOUTS):
        usual = Scorer(name, device=device).conditions.builders
        for builders in dict.fromkeys((1, usual)):
            scorer = Scorer(name, device=device, half=half)
            scorer.conditions.builders = builders
            with laid_out(last):
                # the first networks wait for CUDA itself
                once(scorer, drawn[:2])
                rate, values[half, last] = once(scorer, drawn)
                share = math.nan if device == "cpu" else kernels(scorer, drawn)
            rows.append(
                {
                    "precision": PRECISIONS[half],
                    "layout": LAYOUTS[last],
                    "builders": str(builders),
                    "rate": f"{rate:,.1f}",
                    "busy": "-" if math.isnan(share) else f"{share:.2f}",
                }
            )
    return rows, values


def once(scorer: Scorer, drawn: Sequence[Candidate]) -> tuple[float, list[float]]:
    """Networks a minute, planning included, and their scores (nan where undefined)."""
    began = time.perf_counter()
    found = list(scored(scorer, drawn))
    rate = 60 * len(drawn) / (time.perf_counter() - began)
    return rate, [each.values.get(scorer.name, math.nan) for each in found]


def scored(scorer: Scorer, drawn: Sequence[Candidate]) -> Iterator[Each]:
    return scorer.many((one.spec, plan_network(one.spec)) for one in drawn)


def kernels(scorer: Scorer, drawn: Sequence[Candidate]) -> float:
    """The share of time in which a kernel runs on the GPU."""

    def step() -> torch.Tensor:
        for _ in scored(scorer, drawn):
            pass
        return torch.zeros(())

    return busy(step, 1)


@contextmanager
def laid_out(last: bool) -> Iterator[None]:
    """While open, networks are scored channels-last or contiguous, whatever their kernels."""
    usual = probes.Probe

    class Laid(usual):  # type: ignore[misc, valid-type]
        """A probe of one layout."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.layout = torch.channels_last if last else torch.contiguous_format

    probes.Probe = Laid  # type: ignore[misc]
    try:
        yield
    finally:
        probes.Probe = usual  # type: ignore[misc]


def ordered(values: dict[Setting, list[float]]) -> list[list[str]]:
    """Kendall's tau and the largest difference between each setting and the plainest."""
    plain = values[False, False]
    rows = []
    for (half, last), found in values.items():
        if (half, last) == (False, False):
            continue
        apart = np.abs(np.array(found) - np.array(plain))
        words = f"{PRECISIONS[half]}, {LAYOUTS[last]} and single, contiguous"
        rows.append([words, f"{tau(found, plain):.3f}", f"{np.nanmax(apart):.2g}"])
    return rows


def tau(one: Sequence[float], other: Sequence[float]) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    return kendall(np.array(one)[both], np.array(other)[both])


if __name__ == "__main__":
    main()
