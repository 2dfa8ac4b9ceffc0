"""From what was asked to the workers that do it."""

from __future__ import annotations

from dataclasses import dataclass

from archspec.errors import RunError
from search.workers.executor import Workers
from search.workers.inline import Inline

#: more processes than that are a slip of the finger
MOST = 1024


@dataclass(frozen=True)
class WorkersAsked:
    """count: processes on this machine. ray: a Ray cluster's address. Neither: this process.

    gpus_each: of a Ray task, a fraction where several share one; by default 1 on `cuda`, else 0.
    device: what networks are built on, as asked or found (`cuda`, `cuda:1`, `cpu`, `mps`).
    """

    count: int | None = None
    ray: str | None = None
    gpus_each: float | None = None
    device: str | None = None


def open_workers(asked: WorkersAsked) -> Workers:
    """The workers, to be left by `with`; raises RunError."""
    check_workers(asked)
    if asked.ray is not None:
        from search.workers.ray_actors import RayWorkers

        on_gpu = (asked.device or "").startswith("cuda")
        return RayWorkers(asked.ray, asked.gpus_each or (1.0 if on_gpu else 0.0))
    if asked.count is None:
        return Inline()
    from search.workers.processes import Processes

    return Processes(asked.count, asked.device)


def check_workers(asked: WorkersAsked) -> None:
    """Raise RunError where what is asked for is at odds, before anything is begun."""
    if asked.count is not None and asked.ray is not None:
        raise RunError(
            "workers are processes here or on Ray, not both; leave out one: a Ray cluster has as "
            "many workers as it has room for"
        )
    if asked.gpus_each is not None:
        if asked.ray is None:
            raise RunError("GPUs a task are Ray's; without Ray processes take turns at the GPUs")
        each = asked.gpus_each
        if not (0 < each < 1 or (each >= 1 and each == int(each) and each <= MOST)):
            raise RunError(f"GPUs a task are a fraction of one, or whole, but got {each:g}")
    if asked.count is not None and not 1 <= asked.count <= MOST:
        raise RunError(f"workers are 1 to {MOST}, but got {asked.count}")
    if asked.ray is not None:
        from search.workers.ray_actors import check_address

        check_address(asked.ray)


__all__ = ["WorkersAsked", "check_workers", "open_workers"]
