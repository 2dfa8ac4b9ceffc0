"""Pages of trainings and studies in Chromium: they draw offline, and show hostile text as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Visit
from synthetic_run import HOSTILE
from synthetic_training import finish, made_measures, made_study, made_training
from test_study_page import TIMES, TOPS

from reports.study import write_study_page
from reports.training import write_training_page

pytestmark = pytest.mark.browser


def test_a_training_draws_its_curves(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(write_training_page(finish(made_training(tmp_path / "run"))))
    for name, lines in (("accuracy", 3), ("loss", 3), ("rate", 1), ("speed", 1)):
        assert page.locator(f"#{name} .scatterlayer .trace").count() == lines
    page.get_by_role("button", name="Copy the command").click()
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "archspec train convnext_nano --data cifar10"


def test_figures_follow_the_dark(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(write_training_page(finish(made_training(tmp_path / "run"))))
    light = page.locator("#loss .ytitle").evaluate("node => getComputedStyle(node).fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(200)
    assert page.locator("#loss .ytitle").evaluate("node => getComputedStyle(node).fill") != light


def test_a_study_draws_its_panels_and_names_its_arms(visit: Visit, tmp_path: Path) -> None:
    papers = {"a": ", paper: {top1: 79.0}", "b": ", paper: {top1: 79.3}"}
    made = made_study(TOPS, arms=papers)
    page = visit.open(write_study_page(*made, tmp_path / "report.html"))
    assert page.locator("#arms .xaxislayer-above").count() == 3
    assert page.locator("#arms .errorbar").count() == 5  # three means, two differences
    assert page.locator("#arms .yaxislayer-above text").all_text_contents() == ["a", "b", "c"]
    names = page.locator("#cost .overlay text").all_text_contents()
    assert sorted(names) == ["a", "b", "c"]


def test_measures_are_drawn(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(write_study_page(*made_measures(TIMES), tmp_path / "report.html"))
    assert page.locator("#latency-0 .scatterlayer .point").count() == 3


@pytest.mark.parametrize("width", [1280, 420])
def test_hostile_text_is_shown_as_text(visit: Visit, tmp_path: Path, width: int) -> None:
    info, frame, summary = made_study({"a": [90.0, 91.0], "b": [92.0, "no luck"]})
    for table in (frame, summary):
        table["arm"] = table["arm"].replace("b", HOSTILE)
        table[["group", "note"]] = HOSTILE
    frame["reason"] = HOSTILE
    info |= dict.fromkeys(("name", "doc", "source", "data", "command", "created"), HOSTILE)
    page = visit.open(write_study_page(info, frame, summary, tmp_path / "report.html"))
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#arms .point").last.hover(force=True)
    page.wait_for_timeout(300)
    assert HOSTILE in str(page.locator("h1").text_content())
    assert page.locator(".reason").get_by_text(HOSTILE).count() == 1
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
