"""Workers on a Ray cluster: an actor a slot, which keeps its process, its GPU and what it read.

Ray's plain tasks would not do: a process that is used again keeps the GPU that CUDA began with,
whichever one Ray says next, and one that is not starts torch anew for each network.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import chdir, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from archspec.errors import RunError, WorkerDied
from search.workers.executor import Workers
from search.workers.task import Task, answer, settle

P = ParamSpec("P")
T = TypeVar("T")
Actor = Any

#: a task is given to so many actors: a node may be lost, and the next one, by no fault of its own
TRIES = 4
#: so many actors in a row that do not start, and none will
FAILED_STARTS = 4
#: seconds between looks at what nodes the cluster has
LOOK = 2.0
#: seconds that a cluster may take to take a call
ANSWERS = 5.0
#: seconds that actors may take to be killed
LEAVE = 10.0
#: the port of Ray's own client, and that of a cluster
CLIENT_PORT, PORT = 10001, 6379


class RayWorkers(Workers):
    """As many slots as the cluster's nodes have room for, one CPU and `gpus` GPUs each.

    address: `local` starts Ray on this machine, for as long as these workers; `auto` joins what
    runs here; `HOST:PORT` a cluster that this machine is a node of; `ray://HOST:PORT` one that it
    is not. gpus: may be a fraction, then several tasks share a GPU. Raises RunError.
    """

    def __init__(self, address: str, gpus: float = 0.0) -> None:
        self._ray, self._gpus = _ray(), gpus
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _join(self._ray, address)
        try:
            self._slots = self._room()
            if self._slots == 0:
                raise RunError(
                    f"no node of the Ray cluster at {address} has a CPU"
                    + (f" and {gpus:g} GPUs" if gpus else "")
                    + "; `ray status` tells what the nodes have"
                )
        except BaseException:
            self._quit()
            raise
        self._actor = self._ray.remote(Runner).options(
            num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        # all that follows is touched by the keeper alone, which does one event after the other
        self._queue: deque[Task] = deque()
        self._starting: list[Actor] = []
        self._idle: list[Actor] = []
        self._busy: dict[Actor, Task] = {}
        self._failed_starts, self._last, self._killed = 0, time.monotonic(), False
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._closed, self._lock = False, threading.Lock()
        self._keeper = threading.Thread(target=self._keep, daemon=True, name="archspec-ray")
        self._keeper.start()

    @property
    def slots(self) -> int:
        """What the nodes that are alive have room for, at least 1: nodes may come back."""
        return max(1, self._slots)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Raises what pickle raises where the call cannot leave this process."""
        task = Task(fn, args, kwargs)
        with self._lock:
            if self._closed:
                raise RuntimeError("these workers were shut down")
            self._events.put(partial(self._queue.append, task))
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `wait=False, cancel_futures=True` kill what runs.

        A cluster that was joined goes on.
        """
        with self._lock:
            self._closed = True
        if cancel_futures:
            self._events.put(self._cancel)
        if cancel_futures and not wait:
            self._events.put(self._kill)
        self._events.put(lambda: None)
        if wait or cancel_futures:
            self._keeper.join(None if wait else LEAVE)
            self._quit()

    def _quit(self) -> None:
        if self._ours:
            self._ours = False
            self._ray.shutdown()

    # The keeper ----------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not (self._closed and not self._queue and not self._busy and self._events.empty()):
            try:
                with suppress(Empty):
                    self._events.get(timeout=LOOK)()
                self._look()
                self._feed()
            except Exception as error:  # whoever waits is told, whatever happened
                self._lost(error)
        for actor in (*self._starting, *self._idle):
            self._end(actor)

    def _look(self) -> None:
        if time.monotonic() - self._last >= LOOK:
            self._slots, self._last = self._room(), time.monotonic()

    def _room(self) -> int:
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        return room((node["Resources"] for node in nodes), self._gpus)

    def _feed(self) -> None:
        """Give tasks to actors that are ready, and start others while there is room."""
        while self._queue and self._idle:
            task = self._queue.popleft()
            if task.died or task.starts():
                self._give(self._idle.pop(), task)
        here = len(self._idle) + len(self._busy)
        wanted = min(len(self._queue) + len(self._busy), self.slots) - here
        while len(self._starting) < wanted:
            actor = self._actor.remote(os.getcwd(), sys.path)
            self._starting.append(actor)
            self._when(actor.ready.remote(), self._started, actor)
        while len(self._starting) > max(0, self.slots - here):
            # a node was lost: what was to start there would wait in vain
            self._end(self._starting.pop())

    def _give(self, actor: Actor, task: Task) -> None:
        self._busy[actor] = task
        self._when(actor.run.remote(task.work), self._answered, actor)

    def _when(self, asked: Any, then: Callable[[Actor, Future[Any]], None], actor: Actor) -> None:
        asked.future().add_done_callback(
            lambda future: self._events.put(partial(then, actor, future))
        )

    def _started(self, actor: Actor, future: Future[Any]) -> None:
        if actor not in self._starting:
            return
        self._starting.remove(actor)
        if (error := future.exception()) is None:
            self._failed_starts = 0
            self._idle.append(actor)
            return
        self._end(actor)
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS:
            self._failed_starts = 0
            self._give_up(
                RunError(
                    f"workers on the Ray cluster do not start: {_cause(error)}; each node needs "
                    "the same Python, Ray and archspec-vision"
                )
            )

    def _answered(self, actor: Actor, future: Future[Any]) -> None:
        task = self._busy.pop(actor, None)
        if task is None:
            return
        if (error := future.exception()) is None:
            self._idle.append(actor)
            task.answered(future.result())
            return
        # it may be that only the way to its node was lost, and that it is at work still
        self._end(actor)
        task.died += 1
        if task.died < TRIES:
            self._queue.appendleft(task)
        else:
            task.fails(
                WorkerDied(
                    f"each of the {TRIES} Ray workers that worked on it died, the last by "
                    f"{type(error).__name__}; was memory short?"
                )
            )

    def _give_up(self, error: RunError) -> None:
        """Tell everybody who waits for a worker."""
        while self._queue:
            self._queue.popleft().fails(error)

    def _lost(self, error: Exception) -> None:
        """Tell everybody who waits: nothing can be said of the cluster any more."""
        told = RunError(f"the Ray cluster does not answer: {_line(error)}")
        self._give_up(told)
        for actor, task in self._busy.items():
            self._end(actor)
            task.fails(told)
        self._busy.clear()

    def _cancel(self) -> None:
        while self._queue:
            self._queue.popleft().stopped()

    def _kill(self) -> None:
        for actor, task in self._busy.items():
            self._end(actor)
            task.stopped()
        self._busy.clear()

    def _end(self, actor: Actor) -> None:
        with suppress(Exception):  # it may be gone
            self._ray.kill(actor, no_restart=True)


class Runner:
    """What an actor does."""

    def __init__(self, folder: str, path: list[str]) -> None:
        settle(folder, path)

    def ready(self) -> None:
        """Answered when the actor runs."""

    def run(self, work: bytes) -> bytes:
        """The answer to a task."""
        return answer(work)


def room(nodes: Iterable[Mapping[str, float]], gpus: float) -> int:
    """How many tasks of one CPU and `gpus` GPUs fit nodes with these resources.

    A fraction of a GPU is a fraction of one: two halves of two GPUs are no whole.
    """
    fits = 0
    for node in nodes:
        here = math.floor(node.get("CPU", 0.0))
        if gpus:
            owned = math.floor(node.get("GPU", 0.0))
            many = owned * math.floor(1 / gpus + 1e-9) if gpus < 1 else math.floor(owned / gpus)
            here = min(here, many)
        fits += here
    return fits


def _ray() -> Any:
    """The library, told to report to nobody; raises RunError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # the meaning of num_gpus=0 that will be: Ray warns of the change, and nothing here minds it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray = import_module("ray")
    except ImportError:
        raise RunError(
            "Ray is not installed; `pip install 'archspec-vision[ray]'` brings it"
        ) from None
    return ray


def _join(ray: Any, address: str) -> None:
    """Start or join a cluster; raises RunError."""
    # Ray 2 prints what becomes of workers to standard output, log_to_driver=False or not, and that
    # is where `--json` prints; goes when its `listen_error_messages` minds the option
    inside: Any = import_module("ray._private.worker")
    inside.print_to_stdstream = lambda *args, **named: None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        options["include_dashboard"] = False
    check_address(address)
    try:
        # Ray puts the folder that it is called in first on its workers' path, where a file of a
        # person's could stand in for a library; `settle` appends it
        with chdir(Path(__file__).parents[2]):
            ray.init(address=address, **options)
    except Exception as error:
        raise RunError(
            f"Ray at {address} cannot be joined: {_line(error)}; has it the same Python and Ray, "
            "and where it asks for a token, is RAY_AUTH_MODE=token set?"
        ) from None


def check_address(address: str) -> None:
    """Raise RunError where Ray is not installed, or nobody listens: it would try for minutes."""
    _ray()
    if address in ("local", "auto"):
        return
    client = address.startswith("ray://")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        example = f"ray://HOST:{CLIENT_PORT}" if client else f"HOST:{PORT}"
        raise RunError(f"{address!r} is no address of a Ray cluster: local, auto or {example}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS).close()
    except OSError as error:
        raise RunError(
            f"no Ray cluster answers at {address}: {error.strerror or error}; `ray start --head` "
            "starts one there"
        ) from None


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _cause(error: BaseException) -> str:
    """What Ray tells over many lines, in one: the last that names an error."""
    named = [line.strip() for line in str(error).splitlines() if "Error: " in line]
    return (named[-1] if named else _line(error))[:300]


__all__ = ["RayWorkers", "Runner", "room"]
