"""How scores rank trained networks of about equal FLOPs, and in which units to add them up.

    python benchmarks/score_units.py [DATA] [--networks 60]

DATA: the folder that holds nas-bench-macro/, by default ../shared/data beside the checkout.
NAS-Bench-Macro (Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR
2021) has 6,561 networks of MBConv blocks trained on CIFAR-10. Of three narrow bands of FLOPs, so
many networks each: Kendall's tau between a score and the mean test accuracy. The last row is what
training itself allows: tau between the accuracies of two training seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import kendalltau

from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.cost import totals
from archspec.planning import plan_network
from archspec.spec import Memory, make_spec
from search.scores import Scorer

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLE = Path("nas-bench-macro") / "nas-bench-macro_cifar10.csv"
#: quantiles of FLOPs
BANDS = ((0.15, 0.22), (0.48, 0.52), (0.78, 0.82))
#: octaves of depth that weigh nothing, or 1/w as much as one unit of the other score
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
PLACES = {
    "1": [{"mbconv": {"expansion": 3, "kernel": 3}}],
    "2": [{"mbconv": {"expansion": 6, "kernel": 5}}],
}
STAGES = ((64, 2), (128, 3), (256, 3))

Score = Callable[[pd.DataFrame], pd.Series]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=BESIDE)
    parser.add_argument("--networks", type=int, default=60, help="networks a band")
    asked = parser.parse_args()
    if not (asked.data / TABLE).is_file():
        print(f"skipped: NAS-Bench-Macro is not there; give the folder that holds {TABLE}")
        return
    # its architectures are digits, not numbers
    table = pd.read_csv(asked.data / TABLE, dtype={"arch": str})
    different = table.drop_duplicates("unique_group")
    bands = []
    for low, high in BANDS:
        inside = different["flops"].between(*table["flops"].quantile([low, high]))
        sample = different[inside].sample(min(asked.networks, int(inside.sum())), random_state=1)
        bands.append(scored(sample))
    rows = [
        [name, *(f"{kendalltau(score(band), band['accuracy'])[0]:.2f}" for band in bands)]
        for name, score in SCORES.items()
    ]
    seeds = (f"{kendalltau(band['first'], band['second'])[0]:.2f}" for band in bands)
    rows.append(["two training seeds", *seeds])
    sizes = (
        f"{len(band)} at {low:.0%}-{high:.0%}"
        for band, (low, high) in zip(bands, BANDS, strict=True)
    )
    print(f"Kendall's tau with accuracy, in bands of FLOPs quantiles: {', '.join(sizes)}")
    print_table(Table([Column("score"), *numbers("low", "middle", "high")], rows))


def scored(sample: pd.DataFrame) -> pd.DataFrame:
    """Scores of some networks, log2 but for naswot, and their accuracy."""
    score = Scorer("naswot+depth+activations+params+flops", "digits", 16, 0, "cpu")
    memory, rows = Memory(), []
    for number, row in enumerate(sample.itertuples(), 1):
        spec = make_spec(network(row.arch), memory)
        plan = plan_network(spec)
        # the benchmark's own counts, made by others
        assert totals(plan)[:2] == (row.params, row.flops), row.arch
        rows.append({**score(spec, plan).parts, "accuracy": row.mean_acc,
                     "first": row.test_acc_0, "second": row.test_acc_1})  # fmt: skip
        print(f"\r{number}/{len(sample)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return pd.DataFrame(rows)


def network(arch: str) -> dict[str, Any]:
    """A network of the benchmark; arch has one digit a place: identity, MBConv 3 or 6."""
    digits = iter(arch)
    stages = []
    for width, places in STAGES:
        blocks = []
        for place in range(places):
            entry = [{"conv": {"width": "w_out", "stride": "stride"}}, "norm"] if not place else []
            blocks.append({"times": 1, "block": PLACES.get(next(digits), entry)})
        stages.append({"width": width, "stride": 2, "blocks": blocks})
    return {
        "name": arch,
        "input": {"resolution": 32},
        "classes": 10,
        "stem": [{"cna": {"width": 32, "kernel": 3}}],
        "stages": stages,
        "head": [{"cna": {"width": 1280}}, {"pool": "global"}, {"linear": "classes"}],
    }


def weighted(name: str, weight: float) -> Score:
    return lambda band: band[name] + weight * band["depth"]


SCORES: dict[str, Score] = {
    **{
        (name if not weight else f"{name} + {weight:g} log2 depth"): weighted(name, weight)
        for name in ("naswot", "activations")
        for weight in WEIGHTS
    },
    "depth": lambda band: band["depth"],
    "params": lambda band: band["params"],
    "FLOPs": lambda band: band["flops"],
}

if __name__ == "__main__":
    main()
