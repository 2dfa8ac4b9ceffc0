"""What becomes of trials: searches that come to nothing, and what a trial took."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ladder_runs import made_ladder
from tiny_runs import BUDGET, interrupt_after, lasting, made_run, tiny_space
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.planning import plan_network
from archspec.spec import read_spec
from search.coordinator import HOPELESS, At
from search.folder import RunFolder
from search.ledger import Alone
from search.measuring import Measuring, hardware_of
from search.record import Record
from search.run import Search

#: a score that no network has
NEVER = "def score(probe):\n    raise ValueError('no score')\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a score in it."""
    (tmp_path / "scores_never.py").write_text(NEVER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_search_whose_trials_all_fail_ends_with_the_reason(here: Path) -> None:
    command = ["search", str(tiny_space(here)), "--budget", f"{BUDGET:.0f}FLOPs"]
    command += ["--score", "scores_never:score", "--trials", "500", "--random", "100"]
    command += [
        "--sampler",
        "random",
        "--no-shipped",
        "--device",
        "cpu",
        "--out",
        str(here / "run"),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1, done.output
    assert re.search(r"^\d\d failed, such as: .*ValueError: no score$", done.stdout, re.M)
    frame = RunFolder.open(here / "run").frame()
    assert list(frame["kind"]) == ["search"] * HOPELESS
    assert set(frame["state"]) <= {"failed", "infeasible"}
    again = CliRunner().invoke(app, ["resume", str(here / "run")])
    assert again.exit_code == 1
    assert len(RunFolder.open(here / "run").frame()) == HOPELESS


@pytest.mark.slow
def test_stopped_and_gone_on_with_it_ends_at_the_same_trial(here: Path) -> None:
    changes: dict[str, Any] = {
        "score": "scores_never:score",
        "device": "cpu",
        "trials": 100,
        "sampler": "random",
    }
    whole = made_run(here / "whole", **changes)
    Search(whole).go()
    parts = made_run(here / "parts", **changes)
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
    at, limits = At("search", 0, 0, 6), {"latency": 0.04}
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
