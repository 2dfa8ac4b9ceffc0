"""No workers: a task is run where it is asked for, before `submit` returns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from search.workers.executor import Workers

P = ParamSpec("P")
T = TypeVar("T")


class Inline(Workers):
    """One slot in this process. Nothing is pickled, and Ctrl-C passes through `submit`."""

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """A future that is done."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            result = fn(*args, **kwargs)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future


__all__ = ["Inline"]
