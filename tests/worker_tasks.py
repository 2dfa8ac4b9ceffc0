"""What workers are given to do in tests; in a module of its own, for they import it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def here() -> tuple[int, str, list[str]]:
    """The process, its working folder, where it looks for modules."""
    return os.getpid(), os.getcwd(), sys.path


def environment(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


def ray_node(seconds: float) -> str:
    """The Ray node that this runs on, after a while."""
    import ray

    time.sleep(seconds)
    return str(ray.get_runtime_context().get_node_id())


def note_pid(folder: Path, seconds: float) -> None:
    """Leave the process's number in a folder, then be busy."""
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)


def meet(folder: Path, others: int) -> int:
    """Return when so many processes do this at the same time."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < others:
        time.sleep(0.02)
    return os.getpid()


def die_once(marker: Path) -> int:
    """Be killed the first time, and answer the second time."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die(number: int = signal.SIGKILL) -> None:
    os.kill(os.getpid(), number)


def fork_and_die(seconds: float) -> None:
    """Be killed, and leave a child that holds whatever was open."""
    if os.fork() == 0:
        time.sleep(seconds)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def leave(code: int) -> None:
    print("nothing left to do", file=sys.stderr, flush=True)
    os._exit(code)


def exhaust() -> None:
    raise MemoryError("no room for 10 GB")


class Awkward(Exception):
    """It can be written by pickle, and not read."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def awkward() -> None:
    raise Awkward(1, 2)


def print_much() -> None:
    print("printed by a task")
    print("warned by a task", file=sys.stderr)
