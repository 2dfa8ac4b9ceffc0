"""Means and deviations by which scores are standardised in a sum: search/scores/constants.json.

    OMP_NUM_THREADS=1 python benchmarks/score_constants.py [--missing] [--networks 128] [-o FILE]

Random networks of the space hybrid_small, drawn as a search's random baseline draws them and each
moved onto one budget, are scored by every score that there is. They only give the scores one unit:
no accuracy is looked at. --missing keeps the constants that the file has, and measures the others.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from archspec.errors import FitError, SpecError
from archspec.plan import NetworkPlan
from archspec.quantities import parse_quantity
from archspec.spec import NetworkSpec
from search.folder import KINDS
from search.proposals import Proposals, suggest
from search.scores.az import together
from search.scores.catalog import SCORES
from search.scores.constants import FILE, Constants
from search.scores.scorer import Scorer
from search.space import Space

SPACE, BUDGET, SEED = "hybrid_small", "60MFLOPs", 0
DATA, BATCH = "digits", 16
#: what a budget fixes has no spread of its own: one doubling is its unit
FIXED = ("flops", "az_complexity")
#: a score of other scores' constants, measured once these are known
JOINED = "az_nas"
JOINS = ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=128)
    parser.add_argument("--missing", action="store_true", help="keep what the file has")
    parser.add_argument("-o", "--out", type=Path, default=FILE)
    asked = parser.parse_args()
    told = {
        "space": SPACE,
        "budget": BUDGET,
        "networks": asked.networks,
        "seed": SEED,
        "data": DATA,
        "batch": BATCH,
    }
    known: dict[str, Constants] = {}
    if asked.missing and asked.out.is_file():
        before = json.loads(asked.out.read_text("utf-8"))
        if {key: before.get(key) for key in told} != told:
            parser.error(f"{asked.out} is of another sample; leave --missing out")
        known = {name: Constants(*pair) for name, pair in before["scores"].items()}
    wanted = [name for name in SCORES if name not in known]
    measured = [name for name in wanted if name != JOINED]
    if JOINED in wanted:
        measured += [name for name in JOINS if name not in measured]
    values = scored(measured, asked.networks) if measured else {}
    for name in measured:
        known.setdefault(name, constants_of(name, values[name]))
    if JOINED in wanted:
        rows = zip(*(values[name] for name in JOINS), strict=True)
        joined = [together(dict(zip(JOINS, row, strict=True)), known) for row in rows]
        known[JOINED] = constants_of(JOINED, joined)
    write(asked.out, told, {name: known[name] for name in SCORES})


def networks() -> Iterator[tuple[NetworkSpec, NetworkPlan]]:
    """Fitted networks of the space, one after the other, without end."""
    space = Space.read(SPACE)
    quantity = parse_quantity(BUDGET)
    proposals = Proposals("random", (SEED, KINDS.index("random")), ["score"])
    while True:
        trial = proposals.ask()
        try:
            fitted = space.onto_budget(space.spec(suggest(trial)), {quantity.unit: quantity.value})
        except (FitError, SpecError):
            pass
        else:
            yield fitted.spec, fitted.plan
        proposals.tell(trial, None)


def scored(names: list[str], count: int) -> dict[str, list[float]]:
    """Each score of each network, nan where it is undefined."""
    scorer = Scorer("+".join(names), DATA, BATCH, SEED, "cpu")
    values: dict[str, list[float]] = {name: [] for name in names}
    for number, (spec, plan) in zip(range(1, count + 1), networks(), strict=False):
        each = scorer.each(spec, plan)
        for name in names:
            values[name].append(each.values.get(name, math.nan))
        for name, reason in each.reasons.items():
            print(f"network {number}, {name}: {reason}")
        if number % 16 == 0:
            print(f"{number} of {count} networks", flush=True)
    return values


def constants_of(name: str, values: list[float]) -> Constants:
    """Mean and deviation where the score is defined, to six digits."""
    defined = [value for value in values if math.isfinite(value)]
    sd = 1.0 if name in FIXED else stdev(defined)
    print(f"{name}: mean {fmean(defined):.6g}, sd {sd:.6g}, undefined {len(values) - len(defined)}")
    return Constants(float(f"{fmean(defined):.6g}"), float(f"{sd:.6g}"))


def write(path: Path, told: dict[str, Any], scores: dict[str, Constants]) -> None:
    """One score a line, so that a change is seen where it is."""
    head = ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in told.items())
    rows = ",\n".join(f'    "{name}": {json.dumps(list(pair))}' for name, pair in scores.items())
    path.write_text(f'{{\n{head},\n  "scores": {{\n{rows}\n  }}\n}}\n', "utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
