"""A calibration's page in Chromium: it draws offline, answers choices, shows hostile text."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Visit
from synthetic_calibration import made_calibration
from synthetic_run import HOSTILE
from test_calibration_page import hostile

from reports.calibration import write_calibration_page

pytestmark = pytest.mark.browser


def test_every_panel_draws_every_score(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("table", {"low": 20, "high": 20})
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    scores = made[2].query("group == 'low' and kind != 'ceiling'")["score"].nunique()
    for name in ("#tau-0-0", "#tau-0-1"):
        assert page.locator(f"{name} .point").count() == scores
        assert page.locator(f"{name} .errorbar").count() == scores
        assert page.locator(f"{name} .yaxislayer-above text").count() == scores


def test_score_and_group_are_chosen(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("table", {"low": 14, "high": 9})
    made[1].loc[0, "score.naswot"] = float("nan")
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    points = page.locator("#scatter .point")
    assert points.count() == 23
    assert page.locator("#scatter .errorbar").count() == 23
    page.get_by_label("Score", exact=True).select_option("naswot")
    assert points.count() == 22
    assert "1 networks without this score" in str(page.locator("#scatter-note").text_content())
    page.get_by_label("Group", exact=True).select_option("high")
    assert points.count() == 9
    tau = made[2].query("group == 'high' and score == 'naswot'")["tau"].item()
    told = str(page.locator("#scatter-note").text_content())
    assert f"Tau {tau:.2f}".replace("-", "−") in told
    page.get_by_label("Score", exact=True).select_option("flops")
    assert str(page.locator("#scatter .xtitle").text_content()).strip() == "log2 FLOPs"


def test_hover_tells_the_network(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("sample", {"g": 8})
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    page.locator("#scatter .point").nth(3).hover(force=True)
    told = page.locator("#scatter .hovertext")
    told.wait_for()
    words = str(told.text_content())
    assert "network 3" in words
    assert "2 seeds from" in words
    assert "FLOPs" in words


def test_ways_of_comparing_are_switched(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("zoo", {"classic": 12, "modern": 12})
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    assert page.locator("#tau-0-0").is_visible()
    assert not page.locator("#tau-1-0").is_visible()
    page.get_by_text("Pairs of near FLOPs").locator("visible=true").first.click(force=True)
    page.locator("[name=how][value='1']").check(force=True)
    assert not page.locator("#tau-0-0").is_visible()
    assert page.locator("#tau-1-0").is_visible()
    box = page.locator("#tau-1-0").bounding_box()
    drawn = page.locator("#tau-1-0 .main-svg").first.bounding_box()
    assert box is not None
    assert drawn is not None
    assert abs(box["width"] - drawn["width"]) < 2
    assert page.locator("table.sortable").locator("visible=true").count() == 1


def test_a_click_on_a_heading_sorts(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("sample", {"g": 20})
    made[2].loc[made[2]["score"] == "zen", ["tau", "low", "high"]] = float("nan")
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    names = page.locator("table.sortable tbody tr th")
    page.get_by_role("button", name="ms", exact=True).click()
    taken = made[2].query("kind != 'ceiling'").set_index("score")["seconds"]
    first = str(names.first.evaluate("node => node.firstChild.textContent"))
    assert taken[first] == taken.max()
    tau = page.get_by_role("button", name="Tau")
    tau.click()
    tau.click()  # rising
    rows = names.evaluate_all("nodes => nodes.map((node) => node.firstChild.textContent)")
    assert rows[-1] == "zen"  # what is undefined stays last
    known = made[2].query("kind != 'ceiling' and score != 'zen'").set_index("score")["tau"]
    assert rows[0] == known.idxmin()


def test_figures_follow_the_dark(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("sample", {"g": 8})
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    ask = "node => getComputedStyle(node).fill"
    light = [page.locator(f"#{name} text").first.evaluate(ask) for name in ("tau-0-0", "scatter")]
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    dark = [page.locator(f"#{name} text").first.evaluate(ask) for name in ("tau-0-0", "scatter")]
    assert all(one != other for one, other in zip(light, dark, strict=True))
    assert page.locator("#scatter .point").count() == 8


def test_thousands_of_networks_stay_usable(visit: Visit, tmp_path: Path) -> None:
    made = made_calibration("table", {"all": 6_561}, scores=("naswot", "zen"))
    page = visit.open(write_calibration_page(*made, tmp_path / "report.html"))
    page.get_by_label("Score", exact=True).select_option("zen")
    page.wait_for_timeout(300)
    drawn = page.evaluate("byId('scatter').data.map((trace) => trace.x.length)")
    assert drawn == [6_561]


@pytest.mark.parametrize("width", [1280, 400])
def test_hostile_text_is_shown_as_text(visit: Visit, tmp_path: Path, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    page = visit.open(write_calibration_page(*hostile(), tmp_path / "report.html"))
    page.get_by_label("Score", exact=True).select_option(f"m:{HOSTILE}")
    page.locator("#scatter .point").first.hover(force=True)
    page.wait_for_timeout(300)
    assert HOSTILE in str(page.locator("h1").text_content())
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
