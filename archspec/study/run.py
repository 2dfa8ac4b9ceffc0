"""A study run: every arm with every seed, or every arm at every resolution; what is done stays.

Whoever calls says how one arm is trained or measured, so that this file needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from archspec.errors import ArchspecError, DataError, RunError
from archspec.runs import locked
from archspec.spec import NetworkSpec
from archspec.study.folder import RunArm, StudyFolder, read_result, write_result
from archspec.study.text import Measure
from archspec.train.recipe import Recipe

#: trains one network, given with its own head, with one seed, and leaves `result.json` in the path;
#: a path that holds a training that was stopped is gone on with
RunOne = Callable[[NetworkSpec, Recipe, int, Path], None]


class Latency(NamedTuple):
    """Milliseconds of one forward pass: the median, and the 10th and 90th percentile of the
    passes; memory_mb: the most that was allocated on a GPU, None elsewhere; device: on what."""

    latency_ms: float
    latency_low: float
    latency_high: float
    memory_mb: float | None
    device: str


#: times the forward pass of a network at its own resolution
MeasureOne = Callable[[NetworkSpec, Measure], Latency]


class Step(NamedTuple):
    """What a watcher is told before an arm is run: `done` of `wanted` are finished."""

    arm: str
    what: str
    done: int
    wanted: int


class _Job(NamedTuple):
    """One training or measurement: it is finished when its file is there."""

    arm: str
    what: str
    file: Path
    run: Callable[[Path], None]


Watcher = Callable[[Step], None]


def run_study(
    folder: StudyFolder,
    run_one: RunOne,
    watch: Watcher = lambda step: None,
    retry: bool = False,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Train what is not finished, all arms with seed 0, then with seed 1, and so on.

    check: called once before the first of it, and not where nothing is left to train.
    An arm that fails is recorded with its reason, and the study goes on; `retry` runs it again.
    Errors of the data and of the folder end the study.
    """
    arms = list(folder.arms())
    jobs = []
    for seed in range(folder.asked.seeds):
        for arm in arms:
            file = folder.place(arm.name, seed) / "result.json"
            jobs.append(_Job(arm.name, f"seed {seed}", file, partial(_train, arm, seed, run_one)))
    with locked(folder.path):
        if any(_is_left(job, retry) for job in jobs):
            check()
        _each(jobs, watch, retry)


def _train(arm: RunArm, seed: int, run_one: RunOne, file: Path) -> None:
    assert arm.recipe is not None
    run_one(arm.spec, arm.recipe, seed, file.parent)
    if read_result(file) is None:
        raise RunError(f"{file.parent} holds no result.json after its training")


def measure_study(
    folder: StudyFolder,
    measure_one: MeasureOne,
    watch: Watcher = lambda step: None,
    retry: bool = False,
) -> None:
    """Measure what is not measured yet, each network built at each resolution."""
    measure = folder.study.measure
    if measure is None:
        raise RunError(f"{folder.path} is a study that trains; it measures nothing")
    jobs = []
    for arm in folder.arms():
        for shape in measure.shapes:
            file = measured_file(folder.path, arm.name, shape)
            run = partial(_time, arm, shape, measure, measure_one)
            jobs.append(_Job(arm.name, resolution_text(shape), file, run))
    with locked(folder.path):
        _each(jobs, watch, retry)


def _time(
    arm: RunArm, shape: tuple[int, int], measure: Measure, measure_one: MeasureOne, file: Path
) -> None:
    found = measure_one(arm.spec.at(shape), measure)
    write_result(file, {"state": "done", **found._asdict()})


def _is_left(job: _Job, retry: bool) -> bool:
    known = read_result(job.file)
    return known is None or (known["state"] != "done" and retry)


def _each(jobs: Sequence[_Job], watch: Watcher, retry: bool) -> None:
    for done, job in enumerate(jobs):
        if not _is_left(job, retry):
            continue
        watch(Step(job.arm, job.what, done, len(jobs)))
        job.file.unlink(missing_ok=True)
        try:
            job.run(job.file)
        except (DataError, RunError):
            raise
        except ArchspecError as error:
            if read_result(job.file) is None:
                write_result(job.file, {"state": "failed", "reason": str(error)})


def resolution_text(shape: tuple[int, int]) -> str:
    """`800x1280`, height first."""
    return f"{shape[0]}x{shape[1]}"


def measured_file(run: Path, arm: str, shape: tuple[int, int]) -> Path:
    """Where a measurement stands."""
    return run / arm / f"{resolution_text(shape)}.json"


__all__ = ["Latency", "MeasureOne", "RunOne", "Step", "measure_study", "run_study"]
