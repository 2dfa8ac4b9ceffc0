"""What a search leaves and prints when it is done."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import FEW, finished_run, interrupt_after, made_run

from archspec.cli.found import finish
from search.folder import RunFolder
from search.run import Search


def told(folder: RunFolder, flops: list[float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The FLOPs at the head of each file of the front, where the networks had these."""
    frame = folder.frame()
    searched = frame["kind"] == "search"
    # the dearer one has the better score, so that both are on the front
    frame = (
        frame[searched]
        .iloc[: len(flops)]
        .assign(state="scored", flops=flops, score=range(len(flops)))
    )
    monkeypatch.setattr(RunFolder, "frame", lambda self: pd.DataFrame(frame))
    finish(folder, as_json=False)
    heads = [path.read_text("utf-8") for path in sorted((folder.path / "front").iterdir())]
    return [re.findall(r"^# (\S+ [GM]FLOPs)", head, re.M)[0] for head in heads]


def test_a_front_has_one_unit_of_flops_that_of_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished_run(tmp_path / "run", FEW, trials=3, random_trials=0, sampler="random")
    assert told(folder, [0.8125e9, 1.25e9], monkeypatch) == ["1.250 GFLOPs", "0.812 GFLOPs"]
    printed = capsys.readouterr().out
    assert "GFLOPs" in printed
    assert re.search(r"\b0\.812\b", printed)
    assert told(folder, [0.8125e9, 0.925e9], monkeypatch) == ["925.00 MFLOPs", "812.50 MFLOPs"]
    printed = capsys.readouterr().out
    assert "MFLOPs" in printed
    assert re.search(r"\b812\.50\b", printed)


def test_what_a_stopped_search_lacks_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_run(tmp_path / "run", trials=9, random_trials=0, sampler="random", score="params")
    with pytest.raises(KeyboardInterrupt):
        Search(folder, interrupt_after(4)).go()
    folder = RunFolder.open(folder.path)
    done = int((folder.frame()["state"] == "scored").sum())
    finish(folder, as_json=False)
    words = f"note: {done} of 9 trials are scored so far; where the search was stopped, archspec "
    assert words + f"resume {folder.path} goes on" in capsys.readouterr().out


def test_a_baseline_that_wins_or_has_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished_run(tmp_path / "run", trials=3, random_trials=2, sampler="random")
    frame = folder.frame()
    drawn = frame["kind"] == "random"
    lucky = frame.assign(score=frame["score"].where(~drawn, 100.0))
    unfit = frame.assign(
        state=frame["state"].where(~drawn, "infeasible"),
        reason=frame["reason"].where(~drawn, "too costly"),
    )
    told = []
    for told_frame in (frame.assign(score=frame["score"].where(~drawn, -1e9)), lucky, unfit):
        monkeypatch.setattr(RunFolder, "frame", lambda self, it=told_frame: it)
        finish(folder, as_json=False)
        told.append(re.findall(r"^note: (.*)$", capsys.readouterr().out, re.M))
    assert told[0] == []
    assert told[1] == [
        "the best random network scored 100.000, more than any that was searched for"
    ]
    count = int(drawn.sum())
    assert told[2] == [f"none of {count} random networks was scored, such as: too costly"]
