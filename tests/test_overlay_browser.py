"""The page of several searches in Chromium: it draws offline, switches, and shows text as text."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browsing import Visit
from PIL import Image
from playwright.sync_api import Locator
from synthetic_run import HOSTILE
from synthetic_searches import Trial, made_search

from reports.overlay import write_overlay_page
from reports.overlay_progress import compare

pytestmark = pytest.mark.browser

TRIALS: list[Trial] = [(1.0, 4e9), (3.0, 3e9), (2.0, 1e9)]


def made_page(path: Path, name: str = "tpe") -> Path:
    runs = [
        made_search(TRIALS[seed:], [(0.5, 4e9), (1.5, 2e9)], sampler=sampler, seed=seed)
        for sampler in (name, "gp")
        for seed in (0, 1)
    ]
    return write_overlay_page(compare(runs), f"archspec report {name}", "today", path / "page.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_and_bands_are_drawn(visit: Visit, tmp_path: Path, scheme: str) -> None:
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page = visit.open(made_page(tmp_path), "#best .main-svg")
    for chart in ("volume", "front-flops", "best"):
        # two samplers and random search, each with its band between two bare lines
        assert page.locator(f"#{chart} .scatterlayer .trace").count() == 9
        assert page.locator(f"#{chart} .js-fill").count() == 3
    page.locator("#volume .legendtoggle").first.click()
    page.wait_for_function("document.querySelectorAll('#volume .scatterlayer .trace').length == 6")


def test_the_switch_shows_another_cost_at_full_width(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(made_page(tmp_path), "#best .main-svg")
    assert not page.locator("#front-depth").is_visible()
    wide = page.locator("#front-flops .main-svg").first.evaluate("chart => chart.clientWidth")
    page.locator(".switch").get_by_text("Depth").click()
    assert not page.locator("#front-flops").is_visible()
    page.wait_for_function(
        f"document.querySelector('#front-depth .main-svg').clientWidth === {wide}"
    )
    assert page.locator("#front-depth .xtitle").text_content() == (
        "Depth, weighted layers on the longest path"
    )


@pytest.mark.parametrize("width", [1280, 400])
def test_hostile_text_is_shown_as_text(visit: Visit, tmp_path: Path, width: int) -> None:
    page = visit.open(made_page(tmp_path, HOSTILE), "#best .main-svg")
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#front-flops .point").first.hover(force=True)
    page.wait_for_timeout(300)
    assert HOSTILE in page.locator("tbody th").all_text_contents()
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def shades(pane: Locator) -> list[int]:
    """How far the left and the right edge are from the ground of the page, in levels of 255."""
    shot = np.asarray(Image.open(BytesIO(pane.screenshot())).convert("RGB"), dtype=int)
    ground = pane.evaluate("() => getComputedStyle(document.body).backgroundColor")
    level = np.array([int(part) for part in ground.strip("rgb()").split(",")])
    # the median over rows: most of them have no letter at an edge
    return [int(abs(np.median(shot[:, at], axis=0) - level).max()) for at in (1, -2)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_is_shaded_where_it_is_cut_off(visit: Visit, tmp_path: Path, scheme: str) -> None:
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visit.page.set_viewport_size({"width": 400, "height": 900})
    page = visit.open(made_page(tmp_path), "#best .main-svg")
    pane = page.locator(".scroll").first
    left, right = shades(pane)
    assert left == 0
    assert right > 15
    pane.evaluate("pane => pane.scrollTo(pane.scrollWidth, 0)")
    left, right = shades(pane)
    assert left > 15
    assert right == 0
    page.set_viewport_size({"width": 1400, "height": 900})
    assert shades(pane) == [0, 0]
