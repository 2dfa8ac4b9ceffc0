"""The page of a search of scaling rules: the triangle, the table, and one size up."""

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
from synthetic_run import HOSTILE, made_info
from tiny_rules import made_rules

from archspec.scaling.rule import read_rule
from reports.page import write_page
from reports.payload import payload
from reports.rules import compared, larger_figure, rule_shares, rules_page, shares_figure
from search.folder import RunInfo
from search.larger import held

#: alpha, beta and gamma of three rules, by score
FOUND = {3.0: (2.0, 1.0, 1.0), 2.0: (2**0.5, 2**0.125, 2**0.125), 1.0: (1.0, 2**0.25, 2**0.25)}


def rule_text(depth: float, width: float, resolution: float) -> str:
    return f"format: 1\nname: x\ndepth: {depth}\nwidth: {width}\nresolution: {resolution}\n"


def row(number: int, kind: str, score: float | None, **more: Any) -> dict[str, Any]:
    costs = dict.fromkeys(("flops", "params", "activations", "depth", "traffic"), 10.0 + number)
    state = "infeasible" if score is None else "scored"
    told = {"reason": "too costly" if score is None else None, "name": None, "used": 0.99}
    words = {"spec": "name: x", "stages": "8x2 basic", "resolution": "32x32", "target": 1.0}
    factors = dict.fromkeys(("depth", "width", "resolution"), None)
    base: dict[str, Any] = {"number": number, "kind": kind, "state": state, "score": score}
    base |= told | words | costs | {f"factor.{key}": value for key, value in factors.items()}
    return base | {"rule": None, "phi": 1.0, "of": None} | more


def made() -> pd.DataFrame:
    """Three found rules, two of them one size up in the other order; two published ones."""
    rows = []
    for number, (score, constants) in enumerate(FOUND.items()):
        named = dict(zip(("depth", "width", "resolution"), constants, strict=True))
        factors = {f"factor.{key}": value for key, value in named.items()}
        rows.append(row(number, "search", score, rule=rule_text(**named), **factors))
    rows += [
        row(0, "shipped", 2.5, name="small by resnet_rs", rule=read_rule("resnet_rs").dump()),
        row(1, "shipped", None, name=f"small by {HOSTILE}"),
        row(0, "larger", 4.0, of=0),
        row(1, "larger", 4.5, of=1),
        row(2, "larger", 3.0, of=2),
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def info(tmp_path: Path) -> RunInfo:
    return made_rules(tmp_path / "run").info


def test_shares_are_parts_of_the_growth() -> None:
    """depth^1 * width^2 * resolution^2 = 2: the second rule gives half of it to depth."""
    found = rule_shares(made())
    assert set(found) == {0, 1, 2}
    assert found[0] == pytest.approx({"depth": 1, "width": 0, "resolution": 0})
    assert found[1] == pytest.approx({"depth": 0.5, "width": 0.25, "resolution": 0.25})
    assert found[2] == pytest.approx({"depth": 0, "width": 0.5, "resolution": 0.5})


def test_the_triangle_holds_every_rule_in_constants() -> None:
    found = shares_figure(made()).data[0]
    assert list(found.customdata) == [0, 1, 2]
    assert np.allclose(np.add(np.add(found.a, found.b), found.c), 1, atol=1e-3)
    # one size up is another budget: its scores stretch no colours
    assert (found.marker.cmin, found.marker.cmax) == (1.0, 3.0)


def test_the_table_has_the_best_and_the_published_ones() -> None:
    rules = compared(made())
    assert [rule.name for rule in rules] == ["found, trial 0", "resnet_rs"]
    assert rules[0].words() == ("3.000", "2.000", "1.000", "1.000", "99.0%")
    assert rules[1].words()[1:4] == ("–", "–", "–")


def test_one_size_up_is_drawn_and_told(info: RunInfo) -> None:
    frame = made()
    found = held(frame, 0, 16)
    assert found is not None
    # of three pairs one is ordered otherwise
    assert found.tau == pytest.approx(1 / 3)
    points = larger_figure(frame, found, "score").data[0]
    assert list(zip(points.x, points.y, strict=True)) == [(3.0, 4.0), (2.0, 4.5), (1.0, 3.0)]
    assert list(points.customdata) == [5, 6, 7]
    shown = rules_page(info, frame)
    assert shown is not None
    assert "the order of 3 rules holds with Kendall's tau 0.33" in shown.holds


def test_the_page_says_what_was_found(info: RunInfo, tmp_path: Path) -> None:
    path = write_page(info, made(), tmp_path / "report.html", rules={0: "rules/01-trial0.yaml"})
    html = path.read_text(encoding="utf-8")
    assert "rules for small (compound)" in html
    assert HOSTILE not in html
    document = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert document is not None
    rules = json.loads(document[1])["rules"]
    assert rules["files"] == {"0": "rules/01-trial0.yaml"}
    assert rules["texts"][0] == rule_text(*FOUND[3.0])
    assert rules["constants"]["depth"][:3] == [2.0, pytest.approx(math.sqrt(2)), 1.0]


def test_the_page_of_a_search_of_networks_has_no_rules() -> None:
    frame = made().query("kind == 'search'").drop(columns=["of", "rule"])
    assert payload(made_info(), frame, (), {})["rules"] is None
    assert rules_page(made_info(), frame) is None


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_that_has_just_begun_has_a_page(info: RunInfo, tmp_path: Path, count: int) -> None:
    frame = made().iloc[[4, 0][: count + 1]]
    path = write_page(info, frame, tmp_path / "report.html")
    assert "Fewer than three rules" in path.read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_a_mark_of_the_triangle_shows_its_rule(
    info: RunInfo, tmp_path: Path, visit: Visit, width: int
) -> None:
    path = write_page(info, made(), tmp_path / "report.html", rules={1: "rules/02-trial1.yaml"})
    visit.page.set_viewport_size({"width": width, "height": 900})
    page = visit.open(path, "#rules-shares .point")
    mark = page.locator("#rules-shares .trace").first.locator(".point").nth(1)
    mark.hover(force=True)
    page.wait_for_selector("#tip:not([hidden])")
    box = mark.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    panel = page.locator("#panel")
    assert panel.locator("h2").text_content() == "Trial 1"
    told = panel.text_content() or ""
    assert "depth: 1.41421" in told
    assert "scale small.yaml --rule rules/02-trial1.yaml --to 1.93GFLOPs" in told
    assert page.locator("#rules-larger .point").count() == 3
    # no sideways scrolling of the page
    assert page.evaluate("document.documentElement.scrollWidth") == width
