"""What a worker process does, from its start to its end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any

from search.workers.task import answer, settle

#: prctl(2): the signal that this process gets when the thread that started it is gone
PR_SET_PDEATHSIG = 1


class Log:
    """An open file that goes with a process that is being started."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (DupFd(self.number),)


def _opened(sent: Any) -> Log:
    return Log(sent.detach())


def serve(pipe: Connection, log: Log, environment: Mapping[str, str], folder: str) -> None:
    """Answer one task after the other until the pipe is closed.

    An empty message says that the process is ready, and one more that a task is begun. What a task
    prints goes into `log`, which is emptied before each, and keeps what was said last when the
    process dies.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the coordinator decides
    _die_with_parent()
    os.environ.update(environment)
    settle(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log.number, 1)
    os.dup2(log.number, 2)
    _share_threads()
    pipe.send_bytes(b"")
    while True:
        try:
            work = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        os.ftruncate(log.number, 0)
        os.lseek(log.number, 0, os.SEEK_SET)
        pipe.send_bytes(b"")
        pipe.send_bytes(answer(work))


def _die_with_parent() -> None:
    """Leave no orphan, even of a coordinator that was killed while a task runs here."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # the parent may have gone before prctl, and other systems have none
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _share_threads() -> None:
    """A script that imports torch at its top has it imported here, too, before its share of the
    threads was known."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"].split(",")[0]))


__all__ = ["Log", "serve"]
