"""The page of scaling curves in Chromium: it draws offline, fits narrow windows, copies specs."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Visit
from synthetic_curves import made_curves, made_row
from synthetic_run import HOSTILE

from reports.scaling import write_scaling_page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_panel_is_drawn(visit: Visit, tmp_path: Path, scheme: str) -> None:
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page = visit.open(write_scaling_page(*made_curves(), tmp_path / "page.html"))
    assert page.locator("#curves .xaxislayer-above").count() == 6
    assert page.locator("#curves .scatterlayer .point").count() == 36  # 6 networks, 6 panels
    page.locator("#curves .point").last.hover(force=True)
    page.wait_for_selector("#curves .hoverlayer .hovertext")


def test_a_rule_is_hidden_in_all_panels_at_once(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(write_scaling_page(*made_curves(), tmp_path / "page.html"))
    page.locator("#curves .legendtoggle").first.click()
    page.wait_for_function("document.querySelectorAll('#curves .scatterlayer .point').length == 18")


def test_a_network_is_copied(visit: Visit, tmp_path: Path) -> None:
    page = visit.open(write_scaling_page(*made_curves(), tmp_path / "page.html"))
    page.locator("summary", has_text="flat: 3 networks").click()
    page.locator("details[open] summary", has_text="8.00 GFLOPs").click()
    page.get_by_role("button", name="Copy flat, 8.00 GFLOPs").click()
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == made_row("flat", 1, 0.5)["text"]


@pytest.mark.parametrize("width", [1280, 400])
def test_hostile_text_is_shown_as_text(visit: Visit, tmp_path: Path, width: int) -> None:
    info, frame = made_curves()
    info |= dict.fromkeys(("name", "doc", "command", "created"), HOSTILE)
    info["skipped"] = {HOSTILE: HOSTILE}
    frame["rule"] = frame["rule"].replace("flat", HOSTILE)
    page = visit.open(write_scaling_page(info, frame, tmp_path / "page.html"))
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#curves .point").last.hover(force=True)
    page.wait_for_timeout(300)
    assert HOSTILE in str(page.locator("h1").text_content())
    assert page.locator(".reason").get_by_text(HOSTILE).count() == 1
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
