"""The page of a search with a ladder: who was dropped where, and how well rungs agreed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browsing import Visit
from ladder_runs import made_ladder
from scipy.stats import kendalltau
from synthetic_run import HOSTILE

from reports.ladder import Agreed, agreement, by_search_trial, rungs, top
from reports.ladder_figure import MOST_MARKS, climb_figure
from reports.ladder_page import ladder_page
from reports.page import write_page
from search.folder import RunInfo

SENTENCE = "12 by activations, 5 by depth, 3 by naswot on 4 images"


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> RunInfo:
    return made_ladder(tmp_path_factory.mktemp("ladder") / "run", SENTENCE, iso=True).info


def row(number: int, kind: str, score: float | None, **more: Any) -> dict[str, Any]:
    costs = dict.fromkeys(("flops", "params", "activations", "depth", "traffic"), 10.0 + number)
    told = {"reason": None if score is not None else "out of memory", "name": None, "of": None}
    words = {"spec": "name: x", "stages": "8x2 basic", "resolution": "32x32", "target": 1.0}
    state = "failed" if score is None else "scored"
    known = {"number": number, "kind": kind, "state": state, "score": score, "seconds": 1.5}
    return known | told | words | costs | more


def made() -> pd.DataFrame:
    """Of twelve the best five are 11, 10, ..., 7; of these 9 fails, and 7, 8 and 11 are best."""
    rows = [row(number, "search", float(number)) for number in range(12)]
    rows += [row(12, "search", 3.0, state="repeat"), row(0, "random", 4.0)]
    upper = {11: 50.0, 10: 10.0, 9: None, 8: 60.0, 7: 70.0}
    rows += [row(place, "rung2", score, of=of) for place, (of, score) in enumerate(upper.items())]
    last = {7: 0.5, 8: 0.7, 11: 0.6}
    rows += [row(place, "rung3", score, of=of) for place, (of, score) in enumerate(last.items())]
    return by_search_trial(pd.DataFrame(rows))


def test_who_came_who_went_on_and_who_was_dropped(info: RunInfo) -> None:
    one, two, three = rungs(info, made())
    assert (one.wanted, two.wanted, three.wanted) == (12, 5, 3)
    assert one.on == (11, 10, 9, 8, 7)
    assert two.on == (7, 8, 11)
    assert three.on is None
    assert two.ranks == {7: 1, 8: 2, 11: 3, 10: 4}
    assert two.ended == (9,)
    assert two.states == {"scored": 4, "failed": 1}
    assert three.ranks == {8: 1, 11: 2, 7: 3}
    assert (one.seconds, two.seconds) == (13 * 1.5, 5 * 1.5)
    assert top(info, made()) == "rung3"


def test_a_rung_takes_the_time_that_passed_not_what_its_workers_spent(info: RunInfo) -> None:
    frame = made()
    # two workers: a trial of 1.5 seconds ends every 0.8; trials of old runs do not tell
    frame["seconds.wall"] = 0.8
    frame.loc[frame["kind"] == "rung2", "seconds.wall"] = math.nan
    one, two, _ = rungs(info, frame)
    assert one.seconds == pytest.approx(13 * 0.8)
    assert two.seconds == 5 * 1.5


def test_what_coordinators_do_at_once_counts_once(info: RunInfo) -> None:
    frame = made()
    start = pd.Timestamp("2026-01-31 14:05")
    searched = (frame["kind"] == "search").to_numpy()
    # of 13 trials 6 by one coordinator, 6 by another two seconds later, one the next day
    ends = [10.0 * place for place in range(1, 7)] + [10.0 * place + 2 for place in range(1, 7)]
    frame["seconds.wall"] = math.nan
    frame["finished"] = pd.NaT
    frame.loc[searched, "seconds.wall"] = [10.0] * 12 + [4.0]
    frame.loc[searched, "finished"] = [
        start + pd.Timedelta(seconds=seconds) for seconds in (*ends, 86_400.0)
    ]
    one, two, _ = rungs(info, frame)
    assert one.seconds == pytest.approx(62 + 4)
    # trials of old runs have no interval, and are added
    assert two.seconds == 5 * 1.5
    frame.loc[np.flatnonzero(searched)[-1], "seconds.wall"] = math.nan
    assert rungs(info, frame)[0].seconds == pytest.approx(62 + 1.5)


def test_agreement_is_kendalls_tau_of_those_on_both_rungs(info: RunInfo) -> None:
    """11, 10, 8, 7 have 50, 10, 60, 70: of six pairs only that of 11 and 10 is ordered alike."""
    one, two, _ = rungs(info, made())
    assert one.agreed is not None
    assert one.agreed.networks == 4
    assert one.agreed.tau == pytest.approx((1 - 5) / 6)
    assert one.agreed.words() == "−0.67 of 4"
    assert two.agreed is not None
    # 7, 8, 11 by 70, 60, 50 and 0.5, 0.7, 0.6
    assert two.agreed.tau == pytest.approx((1 - 2) / 3)


def test_the_interval_holds_what_scipy_says() -> None:
    draw = np.random.default_rng(1)
    one = draw.normal(size=60)
    other = one + draw.normal(size=60)
    found = agreement(one.tolist(), other.tolist(), 0)
    assert found is not None
    assert found.tau == pytest.approx(kendalltau(one, other).statistic)
    assert found.low < found.tau < found.high
    assert 0.1 < found.high - found.low < 0.5
    assert agreement([1.0, 2.0], [1.0, 2.0], 0) is None
    tied = agreement([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], 0)
    assert tied is not None
    assert math.isnan(tied.tau)
    assert tied.words() == "–"
    assert Agreed(200, 0.31, 0.12, 0.48).words() == "0.31 (0.12 to 0.48) of 200"


def test_a_line_ends_where_a_network_was_dropped(info: RunInfo) -> None:
    figure = climb_figure(rungs(info, made()))
    others, furthest = (list(zip(trace.x, trace.y, strict=True)) for trace in figure.data[:2])
    # 9 failed below the four that have a score, 10 was the last of these
    assert others == [(1, 3), (2, 5), (None, None), (1, 2), (2, 4), (None, None)]
    assert furthest[:4] == [(1, 5), (2, 1), (3, 3), (None, None)]
    marks = {trace.name: set(trace.customdata) for trace in figure.data[2:]}
    frame = made()
    assert marks["Furthest up"] == set(np.flatnonzero(frame["kind"] == "rung3"))
    assert {frame["number"].iloc[place] for place in marks["No score there"]} == {9}
    assert {frame["number"].iloc[place] for place in marks["Went on"]} == {7, 8, 9, 10, 11}
    dropped = frame.iloc[sorted(marks["Dropped"])]
    assert set(dropped[dropped["kind"] == "search"]["number"]) == set(range(7))
    assert set(dropped[dropped["kind"] == "rung2"]["number"]) == {10}


def test_of_a_large_rung_a_bar_stands_for_the_dropped(info: RunInfo) -> None:
    rows = [row(number, "search", float(number)) for number in range(MOST_MARKS + 100)]
    best = len(rows) - 1
    rows += [row(place, "rung2", 1.0 + place, of=best - place) for place in range(5)]
    frame = by_search_trial(pd.DataFrame(rows))
    figure = climb_figure(rungs(info, frame))
    (bar,) = figure.layout.shapes
    assert (bar.y0, bar.y1) == (6, MOST_MARKS + 100)
    assert not next(trace for trace in figure.data if trace.name == "Dropped").x
    page = ladder_page(info, frame)
    assert page is not None
    assert page.crowded
    assert page.unfinished.startswith("No network has a score on rung 3")


def test_a_rung_that_was_stopped_says_how_many_came_and_how_many_are_done(info: RunInfo) -> None:
    """Of the three that were sent to the last rung one is done."""
    frame = made()
    frame = frame[~((frame["kind"] == "rung3") & frame["number"].isin([7, 11]))]
    page = ladder_page(info, by_search_trial(frame))
    assert page is not None
    assert [line.came for line in page.lines] == ["13", "5", "3"]
    assert [line.scored for line in page.lines] == ["12", "4", "1"]
    assert page.unfinished == (
        "Rung 3 is done with 1 of 3 networks so far: archspec resume goes on."
    )


def test_finalists_are_told_in_the_unit_of_the_page(info: RunInfo, tmp_path: Path) -> None:
    for scale, unit, shown in ((1e6, "MFLOPs", "18.0"), (1e8, "GFLOPs", "1.80")):
        frame = made()
        frame["flops"] = (10.0 + frame["number"]) * scale  # trial 8 is the best
        html = write_page(info, frame, tmp_path / "report.html").read_text(encoding="utf-8")
        assert f'<th scope="col" class="figure">{unit}</th>' in html
        found = ladder_page(info, frame)
        assert found is not None
        assert (found.finalists[0].name, found.finalists[0].counts[0]) == ("Trial 8", shown)


def test_the_page_tells_the_last_rungs_networks(info: RunInfo, tmp_path: Path) -> None:
    frame = made()
    frame.loc[0, "spec"] = f"name: '{HOSTILE}'"
    path = write_page(info, frame, tmp_path / "report.html", files={8: "front/01-trial8.yaml"})
    html = path.read_text(encoding="utf-8")
    assert HOSTILE not in html
    assert "<dd>0.7000<small>trial 8</small></dd>" in html
    assert "12 by activations, 5 by depth, 3 by naswot on 4 images." in html
    assert "1 failed" in html
    document = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert document is not None
    ladder = json.loads(document[1])["ladder"]
    assert ladder["top"] == "rung3"
    assert ladder["climbs"]["8"] == [[8.0, 4], [60.0, 2], [0.7, 1]]
    assert ladder["climbs"]["9"] == [[9.0, 3], None]
    places = [frame["number"].iloc[place] for place in ladder["fronts"]["rung3"]["flops"]]
    assert places == [7, 8]


def test_a_run_that_has_just_begun_has_a_page(info: RunInfo, tmp_path: Path) -> None:
    for count in (0, 1, 13):
        frame = made().iloc[:count]
        assert top(info, frame) == "search"
        html = write_page(info, frame, tmp_path / f"{count}.html").read_text(encoding="utf-8")
        assert "No network has a score on rung 3" in html


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_rungs_are_switched_and_a_mark_shows_its_climb(
    info: RunInfo, tmp_path: Path, visit: Visit, width: int
) -> None:
    path = write_page(info, made(), tmp_path / "report.html", files={8: "front/01-trial8.yaml"})
    visit.page.set_viewport_size({"width": width, "height": 900})
    page = visit.open(path, "#climb .point")
    panel = page.locator("#panel")
    assert panel.locator("h2").text_content() == "Trial 8, rung 3"
    told = panel.text_content() or ""
    assert "On rung 20.7" not in told
    assert "On rung 260.00#2" in told
    assert "show front/01-trial8.yaml" in told
    assert page.locator("#table tbody tr").count() == 2
    page.locator("[name=rung][value=search]").check(force=True)
    # on rung 1 twelve networks, each better and dearer than the one before, and a random one
    page.wait_for_function("document.querySelectorAll('#table tbody tr').length === 12")
    assert "Random baseline" in (page.locator("#front-legend").text_content() or "")
    mark = page.locator("#climb .trace").last.locator(".point").first
    mark.scroll_into_view_if_needed()
    mark.click(force=True)
    page.wait_for_function("document.querySelector('#panel h2').textContent.endsWith('rung 3')")
    assert page.evaluate("document.documentElement.scrollWidth") == width
