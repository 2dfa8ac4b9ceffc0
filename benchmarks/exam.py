"""The exam: a search on a budget against published families scaled to it, and random search.

    python benchmarks/exam.py --data cifar10/ --out runs/exam [--minutes 9] [--size small]

One command in as many sittings as it takes: given again, it goes on where it stopped or was killed,
and each time prints the table of what is there. In order: every family is scaled to 100 MFLOPs at
32 x 32 pixels; the space hybrid_small is searched up a ladder, on training images alone; random
search trains networks of the same space for as long; all are trained by one recipe with three seeds
and tested on the test split. --size small does the same with a tenth of the FLOPs and of the
images, for two cores and some hours; --size tiny in minutes, to see that it works. docs/exam.md
says what it asks and what came of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from exam_parts.asked import SIZES, open_exam, size_words
from exam_parts.parts import Exam, NoTime
from exam_parts.told import report

from archspec.cli.main import collect_seldom, wait_quietly
from archspec.errors import ArchspecError, RunError
from archspec.runs import locked
from archspec.train.devices import checked_device
from archspec.train.sources import DIGITS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=None, help="CIFAR-10, or what is like it")
    parser.add_argument("--out", type=Path, default=Path("runs/exam"))
    parser.add_argument("--minutes", type=float, default=None, help="of this sitting; no end")
    parser.add_argument("--device", default=None, help="cuda, mps or cpu")
    parser.add_argument("--seed", type=int, default=0, help="of both searches")
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: in minutes, on digits")
    asked = parser.parse_args()
    collect_seldom()
    wait_quietly()
    try:
        sys.exit(sitting(asked))
    except ArchspecError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        sys.exit(130)


def sitting(asked: argparse.Namespace) -> int:
    """One sitting; the exit code: 0 where the exam is complete, 3 where there is more to do."""
    data = DIGITS if asked.data is None and asked.size == "tiny" else asked.data
    if data is not None and Path(data).exists():
        # the next sitting may begin in another folder
        data = str(Path(data).resolve())
    if asked.minutes is not None and not asked.minutes > 0:
        raise RunError(f"--minutes > 0 must hold, but got {asked.minutes:g}; drop it for no end")
    checked_device(asked.device)
    ends = time.monotonic() + 60 * (asked.minutes or float("inf"))
    exam = Exam(asked.out, open_exam(asked.out, data, asked.size, asked.seed), ends, asked.device)
    print(f"the exam in {asked.out}: {size_words(exam.asked.size)}", flush=True)
    with locked(asked.out):
        try:
            exam.go()
            over = True
        except NoTime:
            over = False
        told = report(exam)
        print(told)
    if not over:
        print("there is more to do: the same command goes on", file=sys.stderr)
    return 0 if over else 3


if __name__ == "__main__":
    main()
