"""The driver of trials, by trials whose jobs the test finishes itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest

from archspec.errors import WorkerDied
from search.drive import Job, Known, Steps, drive
from search.evaluate import Outcome


class Bench:
    """Jobs that end when the driver waits for them: the oldest first, or the newest."""

    def __init__(self, newest_first: bool = False) -> None:
        self.log: list[str] = []
        self.open: list[tuple[str, Future[Outcome]]] = []
        self.most = 0
        self._newest_first = newest_first

    def job(self, name: str, lone: bool = False) -> Job:
        def call() -> Future[Outcome]:
            self.log.append(f"begin {name}")
            future: Future[Outcome] = Future()
            self.open.append((name, future))
            self.most = max(self.most, len(self.open))
            return future

        return Job(call, lone)

    def wait(self, futures: object, **_: object) -> tuple[set[Future[Outcome]], set[object]]:
        """Stands for concurrent.futures.wait: one job is done."""
        name, future = self.open.pop(-1 if self._newest_first else 0)
        self.log.append(f"end {name}")
        future.set_result({"name": name})
        return {future}, set()


def scored(bench: Bench, name: str, *jobs: str, lone: tuple[str, ...] = ()) -> Steps:
    for job in jobs:
        outcome = yield bench.job(f"{name}.{job}", job in lone)
        assert outcome["name"] == f"{name}.{job}"
    bench.log.append(f"finish {name}")


def starting(trials: list[Steps]) -> Callable[[int], Steps | None]:
    waiting = iter(trials)
    return lambda going: next(waiting, None)


def test_with_one_slot_trials_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr("search.drive.wait", bench.wait)
    drive(starting([scored(bench, "a", "one", "two"), scored(bench, "b", "one")]), lambda: 1)
    assert bench.log == [
        *("begin a.one", "end a.one", "begin a.two", "end a.two", "finish a"),
        *("begin b.one", "end b.one", "finish b"),
    ]


def test_as_many_jobs_run_as_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(newest_first=True)
    monkeypatch.setattr("search.drive.wait", bench.wait)
    drive(starting([scored(bench, name, "one") for name in "abcdefg"]), lambda: 3)
    assert bench.most == 3
    assert sorted(line for line in bench.log if line.startswith("finish")) == [
        f"finish {name}" for name in "abcdefg"
    ]


def test_what_is_timed_runs_while_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr("search.drive.wait", bench.wait)
    trials = [scored(bench, name, "time", "score", lone=("time",)) for name in "abcd"]
    drive(starting(trials), lambda: 2)
    running: set[str] = set()
    for line in bench.log:
        word, _, name = line.partition(" ")
        if word == "begin":
            assert not running or not (name.endswith("time") or any("time" in r for r in running))
            running.add(name)
        elif word == "end":
            running.remove(name)
    # and yet scores run side by side
    assert bench.most == 2


def test_a_trial_that_waits_for_another_is_resumed_when_that_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, known = Bench(), []
    monkeypatch.setattr("search.drive.wait", bench.wait)

    def first() -> Steps:
        yield bench.job("first")
        known.append("first")

    def second() -> Steps:
        while not known:
            yield Known()
        bench.log.append("second knows")

    drive(starting([first(), second()]), lambda: 2)
    assert bench.log == ["begin first", "end first", "second knows"]


def test_a_worker_that_died_is_a_reason_and_not_the_end() -> None:
    told: list[Outcome] = []

    def trial(error: Exception) -> Steps:
        future: Future[Outcome] = Future()
        future.set_exception(error)
        told.append((yield Job(lambda: future)))

    drive(starting([trial(WorkerDied("by signal 9"))]), lambda: 1)
    assert told == [{"state": "failed", "reason": "by signal 9"}]
    with pytest.raises(ZeroDivisionError):
        drive(starting([trial(ZeroDivisionError())]), lambda: 1)


def test_what_is_cut_off_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def trial(name: str) -> Steps:
        try:
            yield Job(Future)
        finally:
            closed.append(name)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.drive.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drive(starting([trial("a"), trial("b")]), lambda: 2)
    assert closed == ["a", "b"]
