"""A search of several workers: nothing that is finished is lost, and nothing is scored twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import FEW, finished_run, interrupt_after, lasting, made_run

from search.folder import RunFolder
from search.run import Search
from search.workers import WorkersAsked, open_workers


def with_workers(folder: RunFolder, count: int, after: int | None = None) -> None:
    watch = {} if after is None else {"watch": interrupt_after(after)}
    with open_workers(WorkersAsked(count)) as workers:
        Search(folder, **watch, workers=workers).go()  # type: ignore[arg-type]


def numbers(frame: pd.DataFrame, kind: str) -> list[int]:
    return sorted(frame[frame["kind"] == kind]["number"])


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "qmc"])
def test_two_workers_do_what_was_asked_for(tmp_path: Path, sampler: str) -> None:
    folder = made_run(tmp_path / "run", sampler=sampler, trials=15, random_trials=5)
    with_workers(folder, 2)
    frame = folder.frame()
    for kind, wanted in (("search", 15), ("random", 5)):
        rows = frame[frame["kind"] == kind]
        assert (rows["state"] == "scored").sum() == wanted
        assert numbers(frame, kind) == list(range(len(rows)))
        scored = Counter(
            trial.user_attrs["key"]
            for trial in folder.trials(kind)
            if trial.user_attrs["state"] == "scored"
        )
        assert set(scored.values()) == {1}


def test_a_space_of_three_networks_is_scored_three_times(tmp_path: Path) -> None:
    """All that are proposed at once are the same few: whoever comes second is told."""
    folder = made_run(tmp_path / "run", FEW, sampler="random", trials=3, random_trials=0, iso=True)
    with_workers(folder, 3)
    frame = folder.frame()
    assert (frame["state"] == "scored").sum() == 3
    assert frame[frame["state"] == "scored"]["spec"].nunique() == 3


def test_stopped_and_gone_on_nothing_is_lost_or_scored_twice(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", trials=16, random_trials=0)
    for after in (3, 5):
        before = folder.frame()
        with pytest.raises(KeyboardInterrupt):
            with_workers(folder, 2, after)
        kept = RunFolder.open(folder.path).frame().set_index("number")
        specs = before.set_index("number")["spec"]
        assert list(kept.loc[specs.index, "spec"]) == list(specs)
    with_workers(RunFolder.open(folder.path), 2)
    frame = RunFolder.open(folder.path).frame()
    assert (frame["state"] == "scored").sum() == 16
    assert numbers(frame, "search") == list(range(len(frame)))
    assert not frame[frame["state"] == "scored"]["spec"].duplicated().any()


def test_one_worker_finds_what_no_worker_finds(tmp_path: Path) -> None:
    alone = finished_run(tmp_path / "alone", trials=8, random_trials=3).frame()
    folder = made_run(tmp_path / "one", trials=8, random_trials=3)
    with_workers(folder, 1)
    pd.testing.assert_frame_equal(lasting(folder.frame()), lasting(alone))
