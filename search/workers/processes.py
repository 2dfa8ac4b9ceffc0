"""Workers on this machine: processes, each alone in its slot, so that one that dies takes nobody
else's task with it."""

from __future__ import annotations

import atexit
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import Empty, SimpleQueue
from typing import NamedTuple, ParamSpec, TypeVar

from archspec.errors import RunError, WorkerDied
from search.workers.child import Log, serve
from search.workers.executor import Workers
from search.workers.shares import gpus_at_hand, shares
from search.workers.task import Task

P = ParamSpec("P")
T = TypeVar("T")

#: a task is given to so many processes, one after the other
TRIES = 2
#: seconds between looks at a silent process: its end may be hidden by children that hold its pipe
LOOK = 1.0
#: seconds that a process may take to end by itself
LEAVE = 5.0


class Processes(Workers):
    """`count` processes on this machine, each started when it has its first task.

    Each gets its share of the cores and, where the device is `cuda`, one GPU in turn. Processes
    are spawned, not forked, for CUDA's sake: a script needs `if __name__ == "__main__":`.
    """

    def __init__(self, count: int, device: str | None = None) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._closed, self._lock = False, threading.Lock()
        self._slots = [_Slot(self._tasks, mine) for mine in shares(count, gpus_at_hand(device))]
        for slot in self._slots:
            slot.start()
        # multiprocessing's own exit waits for every process
        atexit.register(self._kill)

    @property
    def slots(self) -> int:
        """As many as processes."""
        return len(self._slots)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Raises what pickle raises where the call cannot leave this process."""
        task = Task(fn, args, kwargs)
        with self._lock:
            if self._closed:
                raise RuntimeError("these workers were shut down")
            self._tasks.put(task)
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `wait=False, cancel_futures=True` kill what runs."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if cancel_futures:
                    self._cancel()
                for _ in self._slots:
                    self._tasks.put(None)
        if cancel_futures and not wait:
            self._kill()
        elif wait:
            for slot in self._slots:
                slot.join()
            atexit.unregister(self._kill)

    def _cancel(self) -> None:
        with suppress(Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task.stopped()

    def _kill(self) -> None:
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.join(LEAVE)
        atexit.unregister(self._kill)


class _Died(Exception):
    """How a process ended that should not have."""


class _Running(NamedTuple):
    process: SpawnProcess
    pipe: Connection
    log: int


class _Slot(threading.Thread):
    """Sees to one process: hands it tasks, and starts another when it dies."""

    def __init__(self, tasks: SimpleQueue[Task | None], environment: Mapping[str, str]) -> None:
        super().__init__(daemon=True, name="archspec-slot")
        self._tasks, self._environment = tasks, environment
        self._running: _Running | None = None
        self._killed, self._lock = False, threading.Lock()

    def run(self) -> None:
        # what is started by this thread is born deaf to Ctrl-C, and stays so
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (task := self._tasks.get()) is not None:
            if self._killed:
                task.stopped()
            elif task.starts():
                try:
                    self._do(task)
                except BaseException as error:  # whoever waits is told, whatever happened
                    task.fails(error)
        self._leave()

    def kill(self) -> None:
        """End the process at once; what it works on is told to be stopped."""
        with self._lock:
            self._killed = True
            if self._running is not None:
                self._running.process.kill()

    def _do(self, task: Task) -> None:
        how = ""
        while task.died < TRIES:
            try:
                task.answered(self._ask(task.work))
                return
            except _Died as error:
                if self._killed:
                    task.stopped()
                    return
                how = str(error)
                task.died += 1
        task.fails(WorkerDied(f"the process that worked on it died twice, {how}"))

    def _ask(self, work: bytes) -> bytes:
        running = self._running
        if running is None or not self._begins(running, work):
            # where one died while it had nothing to do, that is nobody's fault
            running = self._start()
            if not self._begins(running, work):
                raise _Died("before they began")
        return self._hear(running)

    def _begins(self, running: _Running, work: bytes) -> bool:
        """Hand a process its task; whether it lived to begin it."""
        try:
            running.pipe.send_bytes(work)
        except OSError:
            self._bury(running)
            return False
        try:
            self._hear(running)
        except _Died:
            return False
        return True

    def _start(self) -> _Running:
        here, there = get_context("spawn").Pipe()
        with tempfile.TemporaryFile() as log:
            process = get_context("spawn").Process(
                target=serve,
                args=(there, Log(log.fileno()), self._environment, os.getcwd()),
                name="archspec-worker",
            )
            with self._lock:
                if self._killed:
                    raise _Died("stopped")
                try:
                    process.start()
                except OSError as error:
                    raise RunError(f"no worker process can be started: {error.strerror}") from None
                running = self._running = _Running(process, here, os.dup(log.fileno()))
        there.close()
        try:
            self._hear(running)
        except _Died as died:
            if (running.process.exitcode or 0) < 0:
                raise
            # no task is to blame, and none would fare better
            raise RunError(f"a worker process ended before its first task, {died}") from None
        return running

    def _hear(self, running: _Running) -> bytes:
        """The next message, however long it takes; raises _Died."""
        try:
            while not running.pipe.poll(LOOK):
                if not running.process.is_alive() and not running.pipe.poll():
                    raise EOFError
            return running.pipe.recv_bytes()
        except (EOFError, OSError):
            raise self._bury(running) from None

    def _bury(self, running: _Running) -> _Died:
        """What is left to say of a process whose pipe has closed, or that is dead."""
        running.pipe.close()
        running.process.join(LEAVE)
        running.process.kill()
        while (code := running.process.exitcode) is None:
            running.process.join(0.1)
        with self._lock:
            self._running = None
        last = _last_line(running.log)
        os.close(running.log)
        if code >= 0:
            return _Died(f"with exit code {code}" + (f": {last}" if last else ""))
        told = f"by signal {-code}"
        if -code == signal.SIGKILL:
            return _Died(f"{told}; was memory short?")
        with suppress(ValueError):
            told += f" ({signal.Signals(-code).name})"
        return _Died(told + (f": {last}" if last else ""))

    def _leave(self) -> None:
        if self._running is not None:
            # the process ends by itself when nobody can send it anything
            self._bury(self._running)


def _last_line(log: int) -> str:
    """The last line of a file that says anything."""
    size = os.fstat(log).st_size
    text = os.pread(log, 2_000, max(0, size - 2_000)).decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


__all__ = ["Processes"]
