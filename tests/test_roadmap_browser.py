"""The page of a roadmap in Chromium: it draws offline, fits narrow windows, shows text as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Visit
from synthetic_roadmap import made_roadmap, made_tops, made_trained
from synthetic_run import HOSTILE
from test_roadmap_page import hostile

from reports.roadmap import write_roadmap_page

pytestmark = pytest.mark.browser


def test_printed_figures_are_drawn_and_networks_copied(visit: Visit, tmp_path: Path) -> None:
    info, steps = made_roadmap()
    page = visit.open(write_roadmap_page(info, steps, None, tmp_path / "page.html"))
    assert page.locator("#staircase .barlayer .point").count() == 17
    assert page.locator("#relative .barlayer .point").count() == 54  # 18 rows, three costs
    names = page.locator("#staircase .yaxislayer-above text").all_text_contents()
    assert names[0] == "ResNet-50"
    assert names[-1] == "Swin-T"
    page.locator("summary", has_text="4 depthwise conv").click()
    page.get_by_role("button", name="Copy 4 depthwise conv").click()
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == steps["spec"][4]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reached_and_printed_figures_are_drawn(visit: Visit, tmp_path: Path, scheme: str) -> None:
    info, steps = made_roadmap()
    told, trained = made_trained(info, steps, made_tops())
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page = visit.open(write_roadmap_page(told, steps, trained, tmp_path / "page.html"))
    assert page.locator("#staircase .barlayer .point").count() == 16  # one failed
    assert page.locator("#staircase .xaxislayer-above").count() == 3
    page.locator("#staircase .barlayer .point").nth(1).hover(force=True)
    page.wait_for_selector("#staircase .hoverlayer .hovertext")


@pytest.mark.parametrize("width", [1280, 400])
def test_hostile_text_is_shown_as_text(visit: Visit, tmp_path: Path, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    page = visit.open(write_roadmap_page(*hostile(), tmp_path / "page.html"))
    assert HOSTILE in str(page.locator("h1").text_content())
    assert page.locator(".reason").get_by_text(HOSTILE).count() == 1
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
