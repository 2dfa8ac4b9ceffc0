"""The page in Chromium: it works offline, answers clicks, and shows hostile text as text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from browsing import Visit
from playwright.sync_api import (
    Locator,
    Page,
)
from synthetic_run import HOSTILE, made_frame, made_info

from reports.frames import front, scored
from reports.metrics import ACTIVATIONS, FLOPS
from reports.page import write_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return made_frame()


@pytest.fixture(scope="module")
def path(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    first = int(frame["number"].iloc[front(frame).rows[0]])
    files = {first: "runs/my run/front/01.yaml"}
    return write_page(made_info(), frame, folder / "report.html", files=files)


def marks(page: Page, role: int) -> Locator:
    """The marks of one trace: 0 search, 1 random, 2 front, 3 shipped."""
    return page.locator("#front .scatterlayer .trace").nth(role).locator(".point")


def shown_spec(page: Page) -> str:
    return str(page.locator("#panel pre.yaml").text_content())


def test_a_click_on_a_mark_shows_its_exact_spec(
    visit: Visit, path: Path, frame: pd.DataFrame
) -> None:
    page = visit.open(path, "#front .main-svg")
    row = front(frame).rows[1]
    marks(page, 2).nth(1).hover(force=True)
    page.wait_for_selector("#tip:not([hidden])")
    box = marks(page, 2).nth(1).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#panel h2").text_content() == f"Trial {frame['number'].iloc[row]}"
    assert shown_spec(page) == frame["spec"].iloc[row]


def test_hover_tells_cost_score_and_one_stage_a_line(
    visit: Visit, path: Path, frame: pd.DataFrame
) -> None:
    page = visit.open(path, "#front .main-svg")
    marks(page, 2).nth(0).hover(force=True)
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    stages = str(frame["stages"].iloc[front(frame).rows[0]]).split(" | ")
    assert tip.locator("li").all_text_contents() == stages
    assert "GFLOPs" in str(tip.text_content())


def test_copy_and_save_give_the_exact_yaml(
    visit: Visit, path: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    page = visit.open(path, "#front .main-svg")
    page.locator("#table tbody tr").nth(2).click()
    spec = shown_spec(page)
    assert spec in list(frame["spec"])
    page.get_by_role("button", name="Copy the YAML").click()
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == spec
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    download.value.save_as(tmp_path / "saved.yaml")
    assert (tmp_path / "saved.yaml").read_text(encoding="utf-8") == spec


def test_the_switch_redraws_front_and_table(visit: Visit, path: Path, frame: pd.DataFrame) -> None:
    page = visit.open(path, "#front .main-svg")
    assert marks(page, 2).count() == len(front(frame, FLOPS).rows)
    page.locator(".switch").get_by_text("Activations").click()
    numbers = frame["number"].iloc[list(front(frame, ACTIVATIONS).rows)]
    assert marks(page, 2).count() == len(numbers)
    assert page.locator("#front .xtitle").text_content() == ACTIVATIONS.title
    cells = page.locator("#table tbody tr td:nth-child(2)").all_text_contents()
    assert sorted(map(int, cells)) == sorted(numbers)
    assert page.locator("#front-title").text_content() == "Score against activations"


def test_the_table_sorts_by_its_headings(visit: Visit, path: Path) -> None:
    page = visit.open(path, "#front .main-svg")
    heading = page.get_by_role("button", name="GFLOPs")
    heading.click()
    cells = [float(cell) for cell in page.locator("#table td:nth-child(4)").all_text_contents()]
    assert cells == sorted(cells)
    page.locator("#table thead button").nth(3).click()
    cells = [float(cell) for cell in page.locator("#table td:nth-child(4)").all_text_contents()]
    assert cells == sorted(cells, reverse=True)


def test_next_commands_name_the_file_quoted_for_a_shell(visit: Visit, path: Path) -> None:
    page = visit.open(path, "#front .main-svg")
    page.locator("#table tbody tr").last.click()
    commands = page.locator("#panel .command pre").all_text_contents()
    assert "archspec show 'runs/my run/front/01.yaml' --layers" in commands


def test_an_infeasible_trial_opens_with_its_reason(
    visit: Visit, path: Path, frame: pd.DataFrame
) -> None:
    page = visit.open(path, "#front .main-svg")
    infeasible = frame.reset_index()[frame["state"].to_numpy() == "infeasible"]
    for place in (0, -1):  # a search trial, and one of the random baseline with its own number
        row = infeasible.iloc[place]
        page.locator(f".numbers [data-row='{row['index']}']").click()
        assert page.locator("#panel .why").text_content() == row["reason"]
        assert str(row["number"]) in str(page.locator("#panel h2").text_content())


def test_series_can_be_hidden_and_the_chart_follows_the_dark(visit: Visit, path: Path) -> None:
    page = visit.open(path, "#front .main-svg")
    page.locator("#front-legend").get_by_text("Random baseline").click()
    assert page.locator("#front .scatterlayer .trace").count() == 3
    light = page.locator("#front .xtitle").evaluate("node => getComputedStyle(node).fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(200)
    assert page.locator("#front .xtitle").evaluate("node => getComputedStyle(node).fill") != light


def test_names_of_shipped_networks_do_not_overlap(visit: Visit, path: Path) -> None:
    page = visit.open(path, "#front .main-svg")
    for width in (1400, 420):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        boxes = page.locator("#front .overlay text:not(.budget)").evaluate_all(
            "names => names.map((name) => { const { x, y, width, height } = name.getBBox();"
            " return [x, y, x + width, y + height]; })"
        )
        assert len(boxes) == 7
        for at, one in enumerate(boxes):
            for other in boxes[:at]:
                wide = min(one[2], other[2]) - max(one[0], other[0])
                high = min(one[3], other[3]) - max(one[1], other[1])
                assert wide <= 1 or high <= 1


@pytest.mark.parametrize("width", [1400, 420])
def test_hostile_text_is_shown_as_text(visit: Visit, tmp_path: Path, width: int) -> None:
    hostile = dict.fromkeys(("space", "space_text", "command", "score_label", "data"), HOSTILE)
    frame = made_frame(hostile=True)
    frame.loc[frame["kind"] == "search", "stages"] = f"{HOSTILE} | {HOSTILE}"
    frame[f"knob.{HOSTILE}"] = HOSTILE
    frame[f"part.{HOSTILE}"] = 1.0
    info = made_info(**hostile)
    page = visit.open(write_page(info, frame, tmp_path / "report.html", next_commands=[HOSTILE]))
    page.set_viewport_size({"width": width, "height": 900})
    marks(page, 3).last.hover(force=True)
    for number in (0, 3):
        page.evaluate(f"select({number})")
    page.locator("#table tbody tr").first.click()
    page.wait_for_timeout(200)
    assert HOSTILE in str(page.locator("h1").text_content())
    assert page.locator(".reason").get_by_text(HOSTILE).count() == 1
    assert page.locator("#panel").get_by_text(HOSTILE).count() >= 2
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_run_that_scored_nothing_says_so(visit: Visit, tmp_path: Path) -> None:
    frame = made_frame().assign(state="failed", score=None, reason="no luck")
    page = visit.open(write_page(made_info(), frame, tmp_path / "report.html"))
    assert "no front" in str(page.locator("#panel").text_content())


def test_ten_thousand_trials_stay_smooth(visit: Visit, tmp_path: Path) -> None:
    frame = made_frame(search=9000, random=1000)
    path = write_page(made_info(), frame, tmp_path / "report.html")
    assert path.stat().st_size < 16e6
    page = visit.open(path, "#front .main-svg")
    assert page.evaluate("points.number.length") == len(frame)
    millis = page.evaluate(
        "() => { const start = performance.now(); select(5); return performance.now() - start; }"
    )
    assert millis < 500
    assert len(scored(frame)) > 8000
