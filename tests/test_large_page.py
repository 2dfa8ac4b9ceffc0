"""The page of a large search: what keeps it quick, whatever the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import Visit
from synthetic_run import made_frame, made_info

from reports.figures import WEBGL_ABOVE
from reports.page import write_page
from reports.payload import payload


@pytest.mark.parametrize(("trials", "kind"), [(WEBGL_ABOVE + 1, "scattergl"), (60, "scatter")])
def test_many_points_are_drawn_by_webgl_and_stand_in_the_page_once(trials: int, kind: str) -> None:
    frame = made_frame(search=trials, random=0)
    found: Any = payload(made_info(), frame, (), {})
    for look in (found["figures"]["light"]["front"], found["figures"]["dark"]["front"]):
        assert [trace["type"] for trace in look["data"]] == [kind] * 4
        assert not any({"x", "y", "text", "customdata"} & set(trace) for trace in look["data"])
    assert len(found["points"]["score"]) == len(frame)


@pytest.mark.browser
def test_a_long_front_comes_into_its_table_as_it_is_scrolled(visit: Visit, tmp_path: Path) -> None:
    frame = made_frame(search=400, random=0)
    whole = frame[(frame["kind"] == "search") & (frame["state"] == "scored")].reset_index(drop=True)
    whole["score"] = whole["flops"]  # then every network is on the front
    page = visit.open(write_page(made_info(), whole, tmp_path / "a.html"), "#front .main-svg")
    rows = page.locator("#table tbody tr")
    assert page.locator("#front-size").text_content() == str(len(whole))
    assert rows.count() < 100
    for _ in range(10):
        page.locator("#table").evaluate("table => table.parentElement.scrollTo(0, 1e7)")
        page.wait_for_timeout(20)
    assert rows.count() == len(whole)
    numbers = [int(text) for text in page.locator("#table td:nth-child(2)").all_text_contents()]
    assert numbers == list(whole.sort_values("score", ascending=False)["number"])
