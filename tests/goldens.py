"""Costs of every committed network, read by a person whenever they change.

`python -m tests.goldens` writes tests/goldens.json again; look at the diff before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archspec.cost import totals
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.resolve import resolve
from archspec.shipped import shipped_networks, shipped_spaces, specs_folder
from archspec.spec import read_spec
from archspec.template import Template

FILE = Path(__file__).with_name("goldens.json")


def measured() -> dict[str, dict[str, Any]]:
    """What each shipped network costs, merged too where that differs, and each space's knobs."""
    costs: dict[str, dict[str, Any]] = {}
    for path in shipped_networks().values():
        name = str(path.relative_to(specs_folder()))
        costs[name] = cost_of(plan_network(read_spec(path)))
        merged = cost_of(plan_network(read_spec(path, [("form", "merged")])))
        if merged != costs[name]:
            costs[f"{name} merged"] = merged
    for path in shipped_spaces().values():
        name = str(path.relative_to(specs_folder()))
        costs[name] = {"parameters": len(Template(resolve(path)).parameters())}
    return dict(sorted(costs.items()))


def cost_of(plan: NetworkPlan) -> dict[str, Any]:
    sums = totals(plan)
    return {
        "params": sums.params,
        "flops": sums.flops,
        "fvcore_total": sums.fvcore_total,
        "activations": sums.activations,
        "depth": sums.depth,
        "traffic": sums.traffic,
        "receptive_field": sums.receptive_field,
    }


if __name__ == "__main__":
    rows = [f"{json.dumps(name)}: {json.dumps(cost)}" for name, cost in measured().items()]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"{len(rows)} rows in {FILE}")
