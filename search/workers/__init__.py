"""Workers: where the evaluations of a search run, all as one `concurrent.futures.Executor`."""

from __future__ import annotations

from search.workers.executor import Workers
from search.workers.opening import WorkersAsked, check_workers, open_workers

__all__ = ["Workers", "WorkersAsked", "check_workers", "open_workers"]
