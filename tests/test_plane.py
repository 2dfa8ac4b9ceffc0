"""Searches for other than the score and one cost: page, folder and terminal tell of one front."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browsing import Visit
from rich.console import Console
from synthetic_run import made_frame
from tiny_runs import finished_run, made_run

from archspec.cli.found import finish
from reports.figures import history_figure
from reports.frames import best, history, scored
from reports.plane import ROOM, axis_label, found_rows, fronts, plane_of
from search import progress
from search.folder import RunFolder
from search.measuring import Measuring
from search.metrics import OBJECTIVES, PARAMS, direction

OTHERS = [
    ("params",),
    ("flops", "params"),
    ("score", "flops", "params"),
    ("flops", "params", "score"),
    ("params", "traffic", "activations"),
    ("latency", "params"),
    ("throughput", "params"),
    ("throughput", "score", "flops"),
]


def made_search(path: Path, *objectives: str, **changes: Any) -> RunFolder:
    """A run folder in which nothing is done yet, asked for these objectives."""
    measuring = Measuring(("latency", "throughput"), "cpu", "a processor", threads=1)
    return made_run(path, objectives=objectives, measuring=measuring, trials=60, **changes)


def timed_frame() -> pd.DataFrame:
    """A made-up frame whose networks were measured, too."""
    frame, draw = made_frame(), np.random.default_rng(1)
    told = frame["state"] == "scored"
    latency = draw.uniform(1e-3, 9e-3, len(frame))
    frame["latency"] = np.where(told, latency, np.nan)
    frame["throughput"] = np.where(told, draw.uniform(0.5, 1, len(frame)) / latency, np.nan)
    return frame


@pytest.fixture
def left(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunFolder:
    """The folder of a search for the objectives that the test names, once it is finished."""
    frame = timed_frame()
    monkeypatch.setattr(RunFolder, "frame", lambda self: frame)
    folder = made_search(tmp_path / "run", *request.param)
    finish(folder, as_json=False)
    return folder


def in_folder(folder: RunFolder) -> list[int]:
    """Numbers of the trials in `front/`, in the order of the files."""
    names = sorted(path.name for path in (folder.path / "front").iterdir())
    return [int(name.partition("trial")[2].removesuffix(".yaml")) for name in names]


def told_by(page: Path) -> dict[str, Any]:
    """The data of a page."""
    text = page.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def brute(frame: pd.DataFrame, objectives: tuple[str, ...]) -> set[int]:
    """Numbers of the search trials that no other beats."""
    rows = scored(frame, "search")
    signs = [-1.0 if direction(key) == "maximize" else 1.0 for key in objectives]
    points = rows[list(objectives)].to_numpy(float) * signs
    beaten = [
        any((other <= point).all() and (other < point).any() for other in points)
        for point in points
    ]
    return set(rows["number"][~np.array(beaten)])


@pytest.mark.parametrize("left", OTHERS, ids=",".join, indirect=True)
def test_the_pages_front_is_what_lies_in_the_folder_on_every_axis(left: RunFolder) -> None:
    frame, wanted = timed_frame(), in_folder(left)
    assert set(wanted) == brute(frame, left.info.objectives)
    page = left.path / "report.html"
    data = told_by(page)
    for rows in data["fronts"].values():
        assert sorted(frame["number"].iloc[rows]) == sorted(wanted)
    words = "network" if len(wanted) == 1 else "networks"
    size = f'<span id="front-size">{len(wanted)}</span><small id="front-word">{words}</small>'
    assert size in page.read_text("utf-8")


@pytest.mark.parametrize("left", [("score", "flops"), ("score",)], ids=",".join, indirect=True)
def test_of_the_score_and_a_cost_the_axis_chooses_the_front(left: RunFolder) -> None:
    frame, data = timed_frame(), told_by(left.path / "report.html")
    assert sorted(frame["number"].iloc[data["fronts"][data["axis"]]]) == sorted(in_folder(left))
    for key, rows in data["fronts"].items():
        numbers = set(frame["number"].iloc[rows])
        assert numbers == brute(frame, ("score", key)) if key in OBJECTIVES else numbers
    assert set(data["plane"]["lines"]) == set(data["plane"]["across"])


@pytest.mark.parametrize("left", OTHERS, ids=",".join, indirect=True)
def test_a_run_is_told_by_its_first_objective_and_the_score_where_it_is_one(
    left: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, aims = timed_frame(), left.info.objectives
    lead = "score" if "score" in aims else aims[0]
    searched = scored(frame, "search").set_index("number")
    values = searched[lead].loc[in_folder(left)].tolist()
    assert values == sorted(values, reverse=direction(lead) == "maximize")
    assert values[0] == (max if direction(lead) == "maximize" else min)(searched[lead])
    data = told_by(left.path / "report.html")
    assert data["plane"]["upright"]["key"] == lead
    assert data["objectives"][0] == [lead, direction(lead)]
    # the last step is the best there is
    assert data["histories"]["search"]["steps"][-1][3] == values[0]
    assert f"trial {in_folder(left)[0]}</small>" in (left.path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("left", "title", "heads"),
    [
        (("params",), "params", ["Mparams"]),
        (("flops", "params"), "FLOPs and params", ["GFLOPs", "Mparams"]),
        (
            ("flops", "params", "score"),
            "score, FLOPs and params",
            ["score", "GFLOPs", "Mparams"],
        ),
        (
            ("params", "traffic", "activations"),
            "params, memory traffic and activations",
            ["Mparams", "MB traffic", "M act."],
        ),
        (("latency", "params"), "latency and params", ["ms", "Mparams"]),
        (("score", "flops"), "score against GFLOPs (multiply-adds)", ["score", "GFLOPs"]),
        (("score", "traffic"), "score against Memory traffic, MB read and written", ["MB traffic"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
    indirect=["left"],
)
def test_the_terminal_names_all_objectives_and_has_a_column_of_each(
    left: RunFolder, title: str, heads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    finish(left, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    place = lines.index(f"front of {title}:")
    for head in heads:
        assert re.search(rf"(^|  ){re.escape(head)}(  |$)", lines[place + 1].strip())
    files = [int(found) for found in re.findall(r"\d+-trial(\d+)\.yaml  ", "\n".join(lines))]
    assert files == in_folder(left)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (("params",), "Objective: params. The score is no objective and is shown beside."),
        (
            ("latency", "params"),
            "Objectives: latency and params. The score is no objective and is shown beside.",
        ),
        (("params", "score"), "Objectives: score and params."),
        (("score",), "Objective: score."),
        (("flops", "score"), None),
    ],
    indirect=["left"],
)
def test_a_page_names_objectives_that_are_not_the_score_and_what_the_budget_bounds(
    left: RunFolder, words: str | None
) -> None:
    page = (left.path / "report.html").read_text("utf-8")
    assert re.findall(r"Objectives?: [^<]*", page) == ([] if words is None else [words])


def test_a_front_is_a_line_only_where_both_objectives_are_drawn(tmp_path: Path) -> None:
    frame = timed_frame()
    planes = {
        objectives: plane_of(made_search(tmp_path / str(place), *objectives).info, frame)
        for place, objectives in enumerate(OTHERS)
    }
    assert planes["flops", "params"].lines == ("params",)
    assert planes["latency", "params"].lines == ("params",)
    assert planes["params",].lines == planes["score", "flops", "params"].lines == ()
    assert planes["params",].first.key == "score"
    assert "params" not in {metric.key for metric in planes["params",].across}
    # from the cheapest to the dearest: the other objective falls along the line
    info = made_search(tmp_path / "last", "latency", "params").info
    rows = list(fronts(planes["latency", "params"], info, frame, "search")["params"])
    assert frame["params"].iloc[rows].is_monotonic_increasing
    assert frame["latency"].iloc[rows].is_monotonic_decreasing


def test_of_equal_networks_the_first_trial_is_the_best() -> None:
    frame = made_frame().iloc[:4].assign(state="scored", kind="search", params=[3.0, 2.0, 2.0, 9.0])
    assert best(frame, ("params",)) == (1,)
    assert best(frame.iloc[::-1], ("params",)) == (2,)


def test_history_goes_down_for_what_is_better_lower() -> None:
    frame = made_frame()
    found = history(frame, "search", PARAMS)
    values = [step.value for step in found.steps]
    assert values == sorted(values, reverse=True)
    assert values[-1] == scored(frame, "search")["params"].min()
    figure = history_figure([found], PARAMS)
    assert figure.layout.yaxis.title.text == "Lowest params so far, M"
    assert figure.data[0].y[-1] == values[-1] / PARAMS.divisor


def test_a_formula_is_not_drawn_along_an_axis(tmp_path: Path) -> None:
    folder = made_search(tmp_path / "run", "score", "flops")
    assert len(folder.info.score_label) > ROOM
    assert plane_of(folder.info, made_frame()).upright.title == "Score, depth+activations"
    assert axis_label("accuracy of a table", "table:" + ROOM * "x") == "accuracy of a table"


def test_a_search_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    folder = made_search(tmp_path / "run", "latency", "params")
    assert found_rows(folder.info, folder.frame()) == ()
    assert plane_of(folder.info, folder.frame()).upright == OBJECTIVES["latency"]


@pytest.mark.parametrize(
    ("objectives", "told"),
    [
        (("params", "score"), r"best -?\d+\.\d{3}$"),
        (("params",), r"lowest params \d+\.\d\d M$"),
        (("flops", "activations"), r"lowest FLOPs \d+\.\d\d MFLOPs$"),
    ],
)
def test_progress_tells_the_best_of_what_the_search_is_for(
    objectives: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "Console", lambda **asked: Console(**asked, width=200))
    folder = made_run(
        tmp_path / "run", objectives=objectives, trials=6, random_trials=2, sampler="random"
    )
    progress.watched(folder)
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    last = next(line for line in reversed(lines) if line.startswith("search 6/6"))
    assert re.search(told, last)
    lead = "score" if "score" in objectives else objectives[0]
    values = scored(folder.frame(), "search")[lead]
    if lead == "params":
        assert last.endswith(f"lowest params {PARAMS.shown(values.min())} M")
    elif lead == "score":
        assert last.endswith(f"best {values.max():.3f}")


def test_a_small_search_leaves_one_front(tmp_path: Path) -> None:
    """Made by a search, not made up: three objectives, two of which the page draws."""
    aims = ("score", "flops", "params")
    folder = finished_run(tmp_path / "run", objectives=aims, trials=16, sampler="random")
    finish(folder, as_json=False)
    data = told_by(folder.path / "report.html")
    numbers = [data["points"]["number"][row] for row in data["fronts"]["flops"]]
    assert sorted(numbers) == sorted(in_folder(folder))
    assert set(numbers) == brute(folder.frame(), aims)


@pytest.mark.browser
@pytest.mark.parametrize("left", OTHERS, ids=",".join, indirect=True)
def test_the_page_marks_and_lists_the_front_on_every_axis(left: RunFolder, visit: Visit) -> None:
    page = visit.open(left.path / "report.html", "#front .main-svg")
    wanted = in_folder(left)
    data = told_by(left.path / "report.html")
    for key in (data["axis"], *data["plane"]["across"]):
        page.locator(f"[name=axis][value={key}]").check(force=True)
        assert page.locator("#front-size").text_content() == str(len(wanted))
        # listed by rank
        cells = page.locator("#table tbody tr td:nth-child(2)").all_text_contents()
        assert list(map(int, cells)) == wanted
        front = page.locator("#front .scatterlayer .trace").nth(2)
        assert front.locator(".point").count() == len(wanted)
        lines = front.locator(".lines path").count()
        assert lines == (1 if key in data["plane"]["lines"] and len(wanted) > 1 else 0)
    assert page.locator("#panel h2").text_content() == f"Trial {wanted[0]}"
