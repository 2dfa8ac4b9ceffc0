"""What becomes of trials: searches that come to nothing, and what a trial took."""

from __future__ import annotations

import itertools
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ladder_runs import made_ladder
from tiny_runs import BUDGET, interrupt_after, lasting, made_run, tiny_space
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, read_spec
from search.coordinator import HOPELESS, At, Coordinator, Event, Item
from search.folder import RunFolder
from search.ledger import Alone
from search.measuring import Measuring, hardware_of
from search.record import Record
from search.run import Search
from search.workers.inline import Inline

#: a score that no network has, until it is mended
NEVER = """\
from pathlib import Path

def score(probe):
    if not Path(__file__).with_name("mended").exists():
        raise ValueError("no score")
    return 1.0
"""


@pytest.fixture
def never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """NEVER in the working folder, in a module that no test had before."""
    name = f"scores_never_{next(_COUNT)}"
    (tmp_path / f"{name}.py").write_text(NEVER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return f"{name}:score"


_COUNT = itertools.count()


def test_a_search_whose_trials_all_fail_ends_with_the_reason(tmp_path: Path, never: str) -> None:
    command = ["search", str(tiny_space(tmp_path)), "--budget", f"{BUDGET:.0f}FLOPs"]
    command += ["--score", never, "--trials", "500", "--random", "100"]
    command += [
        "--sampler",
        "random",
        "--no-shipped",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "run"),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1, done.output
    assert re.search(r"^\d\d failed, such as: .*ValueError: no score$", done.stdout, re.M)
    frame = RunFolder.open(tmp_path / "run").frame()
    assert list(frame["kind"]) == ["search"] * HOPELESS
    assert set(frame["state"]) <= {"failed", "infeasible"}
    # whoever mends the score goes on to what was asked for
    (tmp_path / "mended").touch()
    again = CliRunner().invoke(app, ["resume", str(tmp_path / "run"), "--trials", "3"])
    assert again.exit_code == 0, again.output
    assert (RunFolder.open(tmp_path / "run").frame()["state"] == "scored").sum() >= 3


@pytest.mark.slow
def test_stopped_and_gone_on_with_it_ends_at_the_same_trial(tmp_path: Path, never: str) -> None:
    changes: dict[str, Any] = {
        "score": never,
        "device": "cpu",
        "trials": 100,
        "sampler": "random",
    }
    whole = made_run(tmp_path / "whole", **changes)
    Search(whole).go()
    assert set(whole.frame()["state"]) <= {"failed", "infeasible"}
    parts = made_run(tmp_path / "parts", **changes)
    for count in (7, 20):
        with pytest.raises(KeyboardInterrupt):
            Search(RunFolder.open(parts.path), interrupt_after(count)).go()
    Search(RunFolder.open(parts.path)).go()
    pd.testing.assert_frame_equal(lasting(parts.frame()), lasting(whole.frame()))


def test_the_seconds_of_all_measurements_of_a_trial_add_up(tmp_path: Path) -> None:
    """Too slow, made smaller, and then the device was lost."""
    folder = made_run(
        tmp_path / "run", budgets={"latency": 0.04}, objectives=("score", "latency"), iso=True,
        score="depth", measuring=Measuring(("latency",), "cpu", hardware_of("cpu"), threads=1),
    )  # fmt: skip
    trials, record = Search(folder).trials, Record({"reason": None})
    at, limits = At("search", 0, 6), {"latency": 0.04}
    told = {"told": {"latency": 0.06}, "reason": "latency: 60 ms", "load": 1.5, "seconds": 2.0}
    for name, outcome in (("mobilenetv2_050", told), ("resnet18", {**told, "seconds": 0.5})):
        steps = trials.measured(read_spec(name), record, limits, at)
        next(steps)
        with pytest.raises(StopIteration):
            steps.send(outcome)
    assert record.attrs["seconds"] == {"measure": 2.5}
    steps = trials.measured(read_spec("resnet34"), record, limits, at)
    next(steps)
    with pytest.raises(StopIteration):
        steps.send({"state": "failed", "reason": "lost"})
    assert record.attrs["seconds"] == {"measure": 2.5}
    # and such a trial is not measured once more when it is to be scored
    spec = read_spec("resnet34")
    assert list(trials.scored(spec, plan_network(spec), record, at)) == []
    assert (record.state, record.attrs["name"]) == ("failed", None)


class Crowd(Inline):
    """Three workers, of whom always the last to begin ends next, once all three have begun and the
    trial of whoever ended before is counted."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._begun: list[threading.Event] = []

    @property
    def slots(self) -> int:
        return 3

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        ended = threading.Event()
        self._begun.append(ended)

        def late() -> Any:
            assert ended.wait(60), "one that ended was not counted"
            return fn(*args, **kwargs)

        future = self._pool.submit(late)
        if len(self._begun) == 3:
            self.end_one()
        return future

    def end_one(self) -> None:
        if self._begun:
            self._begun.pop().set()


def test_those_of_a_list_are_counted_as_they_end(tmp_path: Path) -> None:
    """Whatever their places, and those of an earlier sitting, too."""
    folder = made_run(tmp_path / "run", score="params", trials=1, random_trials=0, sampler="random")
    spec = read_spec("resnet20")
    items = []
    for number in range(7):
        narrower = spec.model_copy(update={"classes": 10 + number})

        def begin(
            record: Record, spec: NetworkSpec = narrower
        ) -> tuple[NetworkSpec, NetworkPlan] | None:
            return spec, plan_network(spec)

        had = number == 3
        items.append(
            Item(number, Record({"reason": None}), begin, lambda had=had: had)  # type: ignore[misc]
        )
    events: list[Event] = []
    with ThreadPoolExecutor(3) as pool:
        crowd = Crowd(pool)

        def watch(event: Event) -> None:
            events.append(event)
            crowd.end_one()

        Search(folder, watch, workers=crowd).trials.listed("shipped", items)
    assert [event.number for event in events] == [2, 1, 4, 5, 6, 0]
    assert [event.done for event in events] == [2, 3, 4, 5, 6, 7]
    assert {event.wanted for event in events} == {7}


def test_what_a_rung_took_is_all_that_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is no part of a trial: its sampler's memory, its text, its write."""
    now = [0.0]
    monkeypatch.setattr("search.coordinator.time.perf_counter", lambda: now[0])
    write = Alone.write

    def slow(self: Alone, *told: Any) -> bool:
        now[0] += 3.0
        return write(self, *told)

    monkeypatch.setattr(Alone, "write", slow)
    folder = made_ladder(tmp_path / "run", "6 by params, 4 by depth", iso=True)
    Search(folder, lambda event: None).go()
    frame = folder.frame()
    for kind, trials in frame.groupby("kind"):
        # all writes but the last one
        assert trials["seconds.wall"].sum() == 3.0 * (len(trials) - 1), kind
    parts = [column for column in frame if str(column).startswith("seconds.")]
    assert (
        frame["seconds"].tolist() == frame[parts].drop(columns="seconds.wall").sum(axis=1).tolist()
    )


class Taken(Alone):
    """A ledger whose numbers are all another coordinator's: done, or in work."""

    def __init__(self, done: bool) -> None:
        super().__init__()
        self.done = done

    def claim(self, kind: str, number: int, key: str) -> bool:
        return False

    def written(self, kind: str, number: int) -> bool:
        return self.done


@pytest.mark.parametrize("done", [True, False])
def test_a_listed_number_that_was_written_as_another_network_is_waited_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    monkeypatch.setattr(Coordinator, "shared", True)
    folder = made_run(tmp_path / "run")
    trials = Coordinator(
        folder, folder.info, lambda event: None, lambda pulse: None, ledger=Taken(done)
    )
    item = Item(7, Record({"reason": None}), lambda record: None, lambda: False)
    assert trials.listed("shipped", [item]) == done
