"""The page of scaling curves and its tables, from curves whose exponents are known."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from synthetic_curves import made_curves, made_row, made_rule
from synthetic_run import HOSTILE

from archspec.scaling.curve import slopes
from reports.palette import DARK, LIGHT
from reports.scaling import write_scaling_page
from reports.scaling_lines import scaling_figure
from reports.scaling_table import curve_markdown, networks, rules_table


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): row[key] for key in row} for row in frame.to_dict(orient="records")]


def test_slopes_are_the_powers_that_the_costs_follow() -> None:
    for rule, power in (("steep", 1.0), ("flat", 0.5)):
        found = slopes([made_row(rule, phi, power) for phi in (0, 1, 2)])
        wanted = {"params": 1.0, "activations": power, "traffic": power, "latency_ms": 0.75}
        assert found == pytest.approx(wanted, abs=1e-6)


def test_slopes_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    flops = np.exp(rng.normal(size=9)) * 1e9
    params = flops**0.7 * np.exp(0.2 * rng.normal(size=9))
    made = [{"flops": x, "params": y} for x, y in zip(flops, params, strict=True)]
    wanted = np.polyfit(np.log(flops), np.log(params), 1)[0]
    assert slopes(made)["params"] == pytest.approx(wanted)


@pytest.mark.parametrize("gap", [None, math.nan])
def test_what_was_not_timed_is_no_part_of_a_slope(gap: float | None) -> None:
    made = [made_row("flat", phi, 0.5) for phi in (0, 1, 2)]
    made[1]["latency_ms"] = gap
    assert slopes(made)["latency_ms"] == pytest.approx(0.75)
    made[2]["latency_ms"] = gap
    assert "latency_ms" not in slopes(made)


def test_the_table_shows_exponents_beside_the_law() -> None:
    info, frame = made_curves()
    table = rules_table(info["rules"], records(frame))
    steep, flat = table.rows
    assert [cell.words for cell in steep.cells[:6]] == [
        "2.00×", "1.00", "1.00", "1.00", "0.75", "4.00×",
    ]  # fmt: skip
    assert steep.cells[0].below == ("printed 2.50",)
    assert flat.cells[2].words == "0.50"
    assert flat.cells[2].below == ("law 0.50",)
    assert flat.cells[0].below == ()


def test_a_table_without_latency_has_no_column_of_it() -> None:
    info, frame = made_curves(timed=False)
    heads = [head.words for head in rules_table(info["rules"], records(frame)).heads]
    assert "Latency" not in heads
    assert len(heads) == 6


def test_markdown_has_a_row_a_rule_and_no_latency() -> None:
    info, frame = made_curves()
    rows = records(frame)
    lines = curve_markdown(info["rules"], rows).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].split("|")[1].strip() == "the base"
    assert lines[3] == (
        "| steep | 2.00× (printed 2.50) | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 "
        "| 16.0 | 100 | 40.0 | 288 | 18 |"
    )
    assert lines[4].split("|")[5].strip() == "0.50"
    untimed, other = made_curves(timed=False)
    assert curve_markdown(untimed["rules"], records(other)) == "\n".join(lines) + "\n"


def test_the_figure_has_a_panel_a_cost_and_draws_the_reference_slopes() -> None:
    _, frame = made_curves()
    for palette in (LIGHT, DARK):
        figure = scaling_figure(frame, palette)
        panels = {trace.meta for trace in figure.data}
        assert panels == {
            "params", "activations", "traffic", "latency_ms", "side", "blocks", "reference",
        }  # fmt: skip
        steep, root = [trace for trace in figure.data if trace.meta == "reference"]
        assert steep.y[1] / steep.y[0] == pytest.approx(4)
        assert root.y[1] / root.y[0] == pytest.approx(2)
        # one entry of the legend a rule, for all panels
        assert [t.name for t in figure.data if t.showlegend] == ["steep", "flat"]


def test_a_figure_without_latency_has_one_panel_less() -> None:
    _, frame = made_curves(timed=False)
    figure = scaling_figure(frame)
    assert "latency_ms" not in {trace.meta for trace in figure.data}


def test_every_point_lies_inside_its_axes() -> None:
    _, frame = made_curves()
    figure = scaling_figure(frame)
    for trace in figure.data:
        for axis, values in (("xaxis", trace.x), ("yaxis", trace.y)):
            name = axis + str(trace[axis])[1:]
            low, high = figure.layout[name].range
            assert all(low <= math.log10(value) <= high for value in values), name
            assert len(figure.layout[name].tickvals) >= 2


def test_curves_that_scale_down_are_drawn() -> None:
    rows = [made_row("flat", phi, 0.5) for phi in (0, -1, -2)]
    figure = scaling_figure(pd.DataFrame(rows))
    steep = next(trace for trace in figure.data if trace.meta == "reference")
    assert steep.y[1] / steep.y[0] == pytest.approx(0.25)


def test_the_base_is_no_network_to_copy() -> None:
    found = networks([made_row("flat", phi, 0.5) for phi in (0, 1, 2)])
    assert [one.words for one in found] == ["8.00 GFLOPs, phi 1.00", "16.0 GFLOPs, phi 2.00"]
    assert found[0].text == made_row("flat", 1, 0.5)["text"]


def test_the_page_tells_what_was_skipped_and_is_the_same_each_time(tmp_path: Path) -> None:
    info, frame = made_curves()
    frame.loc[2, "latency_ms"] = math.nan
    frame["latency_note"] = [None, None, "a pass is expected to take 12 s", None, None, None]
    first = write_scaling_page(info, frame, tmp_path / "a.html").read_bytes()
    assert write_scaling_page(info, frame, tmp_path / "b.html").read_bytes() == first
    text = first.decode()
    assert "made has 4 stages, but got 7" in text
    assert "a pass is expected to take 12 s" in text
    assert html.escape(info["command"]) in text
    assert "4.00 G" in text
    assert "http://" not in text.replace("http://www.w3.org", "").partition("<script")[0]


def test_a_page_of_a_base_alone_says_so(tmp_path: Path) -> None:
    info, frame = made_curves(timed=False)
    base = frame[frame["phi"] == 0]
    text = write_scaling_page(info, base, tmp_path / "page.html").read_text("utf-8")
    assert "there is nothing to draw" in text


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    info, frame = made_curves()
    info |= dict.fromkeys(("name", "doc", "command", "created", "device"), HOSTILE)
    info["rules"] = [made_rule(HOSTILE, 2.0, None, 0.5)]
    info["skipped"] = {HOSTILE: HOSTILE}
    frame[["rule", "text", "latency_note"]] = HOSTILE
    text = write_scaling_page(info, frame, tmp_path / "page.html").read_text("utf-8")
    assert HOSTILE not in text
    assert str(escape(HOSTILE)) in text
