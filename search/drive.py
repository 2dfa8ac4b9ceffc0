"""Trials at work: each is a walk of its own, and a driver keeps as many going as there are slots.

A trial is a generator. It yields what it waits for, a `Job` for a worker or `Known` for another
trial's result, and is resumed with the outcome of its job. With one slot trials follow one
another, so that a resumed search proposes what an uninterrupted one would have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, NamedTuple

from archspec.errors import WorkerDied
from search.evaluate import Outcome

#: seconds until a trial that waits for another machine's result looks again
AGAIN = 1.0


class Job(NamedTuple):
    """Something for a worker. lone: it is to run while nothing else does, as what is timed."""

    call: Callable[[], Future[Outcome]]
    lone: bool = False


class Known(NamedTuple):
    """Wait until somebody else knows more."""


#: what a trial yields, is sent, and returns
Steps = Generator[Job | Known, Outcome, None]


def drive(start: Callable[[int], Steps | None], slots: Callable[[], int]) -> None:
    """Keep trials going until there are no more.

    start: the next trial, told how many are going on; None where none is to be started now. slots:
    how many make sense now; workers may come and go.
    """
    _Driver(start, slots).go()


class _Driver:
    def __init__(self, start: Callable[[int], Steps | None], slots: Callable[[], int]) -> None:
        self._start, self._slots = start, slots
        self._running: dict[Future[Outcome], Steps] = {}
        # what is timed goes first, one after the other, and what is not waits until all of it is
        # done: trials take turns at being timed, then are scored side by side
        self._lone: list[tuple[Steps, Job]] = []
        self._ready: list[tuple[Steps, Job]] = []
        self._waiting: list[Steps] = []
        self._timed: Future[Outcome] | None = None

    def _unfinished(self) -> list[Steps]:
        asked = [*self._lone, *self._ready]
        return [*self._running.values(), *(steps for steps, _ in asked), *self._waiting]

    def go(self) -> None:
        try:
            while self._fill() or self._unfinished():
                self._collect()
                self._submit()
        finally:
            for steps in self._unfinished():
                steps.close()

    def _fill(self) -> bool:
        """Start trials until all slots are taken; whether any was started."""
        started = False
        while (going := len(self._unfinished())) < max(1, self._slots()):
            steps = self._start(going)
            if steps is None:
                break
            started = True
            self._advance(steps, None)
            # a worker need not wait until the others' trials are proposed
            self._submit()
        return started

    def _submit(self) -> None:
        if self._timed in self._running:
            return
        if not self._lone:
            ready, self._ready = self._ready, []
            for steps, job in ready:
                self._running[job.call()] = steps
        elif not self._running:
            steps, job = self._lone.pop(0)
            self._timed = job.call()
            self._running[self._timed] = steps

    def _collect(self) -> None:
        """Until one job is done, or it is time to look again."""
        if self._running:
            pause = AGAIN if self._waiting else None
            done, _ = wait(self._running, timeout=pause, return_when=FIRST_COMPLETED)
            # one at a time: its worker gets the next trial before the others' are written
            for future in [future for future in self._running if future in done][:1]:
                self._advance(self._running.pop(future), _outcome(future))
        elif self._waiting:
            time.sleep(AGAIN)
        waiting, self._waiting = self._waiting, []
        for steps in waiting:
            self._advance(steps, None)

    def _advance(self, steps: Steps, outcome: Outcome | None) -> None:
        """Resume a trial, and see to what it asks for next."""
        try:
            asked = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration:
            return
        if isinstance(asked, Known):
            self._waiting.append(steps)
        else:
            (self._lone if asked.lone else self._ready).append((steps, asked))


def _outcome(future: Future[Any]) -> Outcome:
    """What a worker gave; one that died is a reason, any other error is ours."""
    try:
        return dict(future.result())
    except WorkerDied as error:
        return {"state": "failed", "reason": str(error)}


__all__ = ["Job", "Known", "Steps", "drive"]
