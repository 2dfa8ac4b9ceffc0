"""Whether an answer about a network comes sooner than torch can be imported.

    python benchmarks/startup.py [--times 9]

Wall time of three commands, taken in turn so that a busy moment meets all of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from archspec.cli.tables import Column, Table, numbers, print_table

ARCHSPEC = str(Path(sys.executable).with_name("archspec"))
SHOW = "archspec show convnext_tiny"
TORCH = 'python -c "import torch"'
COMMANDS = {
    SHOW: [ARCHSPEC, "show", "convnext_tiny"],
    TORCH: [sys.executable, "-c", "import torch"],
    'python -c "pass"': [sys.executable, "-c", "pass"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=9, help="runs of each command")
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    rounds = parser.parse_args().times
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if number:  # the first round fills the disk's cache
                times[name].append(time.perf_counter() - started)
    rows = [
        [name, *(f"{value:.2f}" for value in (min(taken), median(taken), max(taken)))]
        for name, taken in times.items()
    ]
    print_table(Table([Column("seconds"), *numbers("min", "median", "max")], rows))
    ratio = median(show / torch for show, torch in zip(times[SHOW], times[TORCH], strict=True))
    print(f"show takes {ratio:.2f} of the time of importing torch (median of {rounds} pairs)")


if __name__ == "__main__":
    main()
