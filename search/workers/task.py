"""A task on its way: to a worker as bytes, back as bytes, into its future."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import Any

from archspec.errors import RunError


class Task:
    """A call that somebody waits for. died: how often a worker died of it."""

    def __init__(self, call: Callable[..., Any], args: Any, named: Any) -> None:
        """Raises what pickle raises where the call cannot leave this process."""
        self.work = pickle.dumps((call, args, named))
        self.future: Future[Any] = Future()
        self.died = 0

    def starts(self) -> bool:
        """Whether it is still wanted; from then on it cannot be cancelled."""
        return self.future.set_running_or_notify_cancel()

    def answered(self, answer: bytes) -> None:
        """Hand what a worker's `answer` gave to who waits."""
        try:
            well, value = pickle.loads(answer)
        except Exception as error:
            self.fails(RunError(f"what the worker answered cannot be read: {_told(error)}"))
        else:
            if well:
                self.future.set_result(value)
            else:
                self.fails(value)

    def fails(self, error: BaseException) -> None:
        """Hand an error to who waits; one that comes too late is dropped."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def stopped(self) -> None:
        """Tell who waits that it will not be done: not begun, or killed."""
        if self.future.cancel():
            self.future.set_running_or_notify_cancel()
        else:
            self.fails(CancelledError())


def answer(work: bytes) -> bytes:
    """In the worker: do a task's work. Its value or its error, as bytes.

    What is no Exception (SystemExit) is not caught: it ends the worker.
    """
    try:
        call, args, named = pickle.loads(work)
        return pickle.dumps((True, call(*args, **named)))
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        error.add_note(f"in the worker:\n{trace}")
        try:
            # some errors can be written and not read: their classes ask for more than a text
            told = pickle.dumps((False, error))
            pickle.loads(told)
        except Exception:
            plain = RunError(_told(error))
            plain.add_note(f"in the worker:\n{trace}")
            told = pickle.dumps((False, plain))
        return told


def settle(folder: str, path: Sequence[str] = ()) -> None:
    """In the worker: modules are found as where the search was started.

    folder: its working folder, which may be absent on another machine. path: its `sys.path`. What
    the worker has not yet is appended, so that nothing stands in for what it has.
    """
    if os.path.isdir(folder):
        os.chdir(folder)
    sys.path += [place for place in (*path, folder) if place and place not in sys.path]


def _told(error: BaseException) -> str:
    """An error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


__all__ = ["Task", "answer", "settle"]
