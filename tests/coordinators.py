"""Coordinators in tests: one here, or some in processes of their own that do not outlive a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from search.folder import RunFolder
from search.run import Search, Watcher

ROOT = Path(__file__).resolve().parents[1]
#: seconds after which something that should have happened has not
LATE = 240
#: the head of a module of scores. `tell` writes down which network is scored, and in which process,
#: then waits until so many processes have come that far: whoever is killed later was at work,
#: however long it took to begin
LOG = """\
import os, time
from pathlib import Path
from search.record import architecture_key

def tell(probe, *words):
    key, log = architecture_key(probe.spec), Path(__file__).with_name("scored")
    with log.open("a") as lines:
        lines.write(" ".join([*words, key, str(os.getpid())]) + "\\n")
    while len({line.split()[-1] for line in log.read_text().splitlines()}) < TOGETHER:
        time.sleep(0.01)
    return key
"""


def log_of(together: int = 1) -> str:
    """LOG, for so many coordinators."""
    return LOG.replace("TOGETHER", str(together))


def told(folder: Path) -> list[tuple[str, int]]:
    """What was scored by modules with LOG in a folder, and by which processes."""
    lines = (folder / "scored").read_text().splitlines()
    return [(scored, int(pid)) for scored, _, pid in (line.rpartition(" ") for line in lines)]


def go(folder: RunFolder, watch: Watcher = lambda event: None) -> None:
    """Go on with a run that others may be at, too."""
    with closing(folder.ledger(lambda text: None)) as ledger:
        Search(folder, watch, ledger=ledger).go()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LATE
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextmanager
def going(folder: RunFolder, **helpers: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A coordinator of its own, as `archspec resume` is; it does not outlive the test."""
    script = folder.path.parent / "go_on.py"
    script.write_text(
        "import sys, json; from pathlib import Path\n"
        "from archspec.cli.search_runs import resume_search\n"
        "from search.workers import WorkersAsked\n"
        "if __name__ == '__main__':\n"
        "    asked = WorkersAsked(**json.loads(sys.argv[2]))\n"
        "    resume_search(Path(sys.argv[1]), None, True, asked)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder.path), json.dumps(helpers)],
        cwd=folder.path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
