"""What every kind of workers is: a `concurrent.futures.Executor` that tells its slots."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import Executor
from types import TracebackType
from typing import Literal


class Workers(Executor):
    """Runs tasks somewhere. A task is a function of a module and its arguments, all picklable.

    What a task raises is raised by its future, with the worker's traceback as a note. A task whose
    worker dies is tried again by another; when that does not help, its future raises
    `archspec.errors.WorkerDied`. Where no worker can be started at all it raises RunError.

    `shutdown(wait=False, cancel_futures=True)` ends at once: what waits is cancelled, what runs is
    killed. So does leaving `with` by an exception, Ctrl-C among them.
    """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many tasks at once make sense now; may change where machines come and go."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        ends_at_once = kind is not None
        self.shutdown(wait=not ends_at_once, cancel_futures=ends_at_once)
        return False


__all__ = ["Workers"]
