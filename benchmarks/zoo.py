"""Load, cost and diff every shipped network, as a fresh process without torch.

python benchmarks/zoo.py [PROCESSES]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

STEPS = ("import", "load", "cost", "diff", "in all")


def once() -> list[float]:
    """Seconds of each step; load is reading, resolving and checking every YAML."""
    times = [time.perf_counter()]
    from itertools import pairwise

    from archspec.cli.main import collect_seldom
    from archspec.cost import totals
    from archspec.diff import cost_changes, differences
    from archspec.planning import plan_network
    from archspec.shipped import shipped_networks
    from archspec.spec import read_spec

    collect_seldom()  # as the command line does
    times.append(time.perf_counter())
    specs = [read_spec(path) for path in shipped_networks().values()]
    times.append(time.perf_counter())
    plans = [plan_network(spec) for spec in specs]
    for plan in plans:
        totals(plan)
    times.append(time.perf_counter())
    for (a, plan_a), (b, plan_b) in pairwise(zip(specs, plans, strict=True)):
        list(differences(a, b))
        cost_changes(plan_a, plan_b)
    times.append(time.perf_counter())
    assert "torch" not in sys.modules
    print(len(specs))
    return [b - a for a, b in zip(times, times[1:], strict=False)] + [times[-1] - times[0]]


def main(processes: int) -> None:
    runs = []
    for _ in range(processes):
        command = [sys.executable, __file__, "once"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        count, *seconds = text.split()
        runs.append([float(second) for second in seconds])
    print(f"{count} networks, seconds over {processes} fresh processes: min / median / max")
    for step, times in zip(STEPS, zip(*runs, strict=True), strict=True):
        print(f"{step:8} {min(times):.3f} / {statistics.median(times):.3f} / {max(times):.3f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        print(*once())
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5)
