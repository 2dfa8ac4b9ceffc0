from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_run import HOSTILE, made_frame, made_info

from reports.figures import WEBGL_ABOVE, front_figure, history_figure
from reports.frames import agreements, front, history, scored, troubles
from reports.metrics import ACTIVATIONS, COSTS, FLOPS, Metric, score_metric
from reports.page import write_page
from reports.payload import payload, script_safe
from search.budgets import Budget


def frame_of(**columns: Sequence[object]) -> pd.DataFrame:
    """The made-up frame, all rows scored, cut to the length of the columns given here."""
    length = len(next(iter(columns.values())))
    frame = made_frame().iloc[:length].assign(state="scored", kind="search")
    for key, values in columns.items():
        frame[key] = pd.Series(list(values), index=frame.index)
    return frame


def beaten(rows: pd.DataFrame, position: int, metric: Metric) -> bool:
    """Does any other row cost no more and score no less, and differ or come first?"""
    mine = rows.iloc[position]
    for other in range(len(rows)):
        rival = rows.iloc[other]
        if rival[metric.key] <= mine[metric.key] and rival["score"] >= mine["score"]:
            equal = rival[metric.key] == mine[metric.key] and rival["score"] == mine["score"]
            if not equal or other < position:
                return True
    return False


@pytest.mark.parametrize("metric", COSTS, ids=lambda metric: metric.key)
def test_front_is_what_brute_force_finds(metric: Metric) -> None:
    frame = made_frame(search=50, random=10, seed=3)
    rows = scored(frame, "search")
    expected = {rows.index[at] for at in range(len(rows)) if not beaten(rows, at, metric)}
    found = front(frame, metric)
    assert {frame.index[position] for position in found.rows} == expected
    costs = [frame[metric.key].iloc[position] for position in found.rows]
    assert costs == sorted(costs)


def test_front_of_ties_keeps_the_first_trial() -> None:
    frame = frame_of(flops=[2.0, 1.0, 1.0, 1.0, 2.0], score=[5.0, 3.0, 3.0, 2.0, 3.0])
    assert front(frame).rows == (1, 0)


def test_front_counts_positions_where_the_index_does_not() -> None:
    frame = frame_of(flops=[1.0, 2.0], score=[1.0, 2.0]).set_index(pd.Index([70, 71]))
    assert front(frame).rows == (0, 1)


def test_front_leaves_out_what_was_not_scored_and_the_baselines() -> None:
    frame = frame_of(flops=[1.0, 1.0, 1.0, 1.0], score=[1.0, 9.0, 9.0, np.inf])
    frame["state"] = ["scored", "repeat", "scored", "scored"]
    frame["kind"] = ["search", "search", "random", "search"]
    assert front(frame).rows == (0,)
    assert front(frame, kinds=("search", "random")).rows == (2,)


def test_history_rises_and_counts_scored_trials_only() -> None:
    frame = frame_of(score=[1.0, 5.0, 0.5, 2.0], number=[10, 11, 12, 13])
    frame["state"] = ["scored", "repeat", "scored", "scored"]
    assert history(frame, "search") == ("search", 3, ((1, 0, 10, 1.0), (3, 3, 13, 2.0)))


def test_troubles_group_reasons_that_differ_in_figures() -> None:
    frame = frame_of(
        state=["infeasible", "infeasible", "failed", "failed"],
        reason=["needs 4.61 GFLOPs", "needs 5 GFLOPs", "needs 1 GFLOPs", None],
    )
    assert troubles(frame) == (
        ("infeasible", "needs 4.61 GFLOPs", (0, 1), True),
        ("failed", "needs 1 GFLOPs", (2,), False),
        ("failed", "no reason was recorded", (3,), False),
    )


def test_agreement_is_kendalls_tau_and_at_equal_flops_compares_only_neighbours() -> None:
    # The score rises with FLOPs from band to band, and falls with them inside each band.
    flops = [1.0e9, 1.01e9, 1.02e9, 4.0e9, 4.01e9, 4.02e9]
    frame = frame_of(flops=flops, score=[3.0, 2.0, 1.0, 6.0, 5.0, 4.0], depth=[7] * 6)
    by_key = {agreement.metric.key: agreement for agreement in agreements(frame)}
    assert by_key["flops"].overall == pytest.approx((9 - 6) / 15)
    assert by_key["flops"].equal_flops == pytest.approx(-1.0)
    assert by_key["depth"][1:] == (None, None)


def test_figures_show_every_scored_point_once_in_shown_units() -> None:
    frame, score = made_frame(), score_metric(made_info())
    figure = front_figure(frame, front(frame, ACTIVATIONS), score, budget=9e6)
    scores = [float(score) for trace in figure.data for score in trace.y]
    assert sorted(scores) == sorted(scored(frame)["score"])
    shown = {trace.meta: trace for trace in figure.data}
    cheapest = frame["activations"].iloc[front(frame, ACTIVATIONS).rows[0]]
    assert shown["front"].x[0] == pytest.approx(cheapest / 1e6)
    assert figure.layout.shapes[0].x0 == pytest.approx(9.0)


def test_figures_escape_what_plotly_would_read_as_markup() -> None:
    frame = made_frame(hostile=True)
    figure = front_figure(frame, front(frame), score_metric(made_info(score_label="<b>x")))
    assert "<img" not in figure.to_json().replace("\\u003c", "<")
    assert figure.layout.yaxis.title.text == "Score, &lt;b&gt;x"


def test_many_points_are_drawn_by_webgl() -> None:
    frame = made_frame(search=WEBGL_ABOVE + 1, random=0)
    figure = front_figure(frame, front(frame), score_metric(made_info()))
    assert figure.data[0].type == "scattergl"


def test_history_figure_reaches_the_last_scored_trial() -> None:
    frame = made_frame()
    figure = history_figure([history(frame, "search")], score_metric(made_info()))
    assert figure.data[0].x[-1] == len(scored(frame, "search"))


def test_payload_writes_each_line_of_a_spec_once_and_gives_specs_back() -> None:
    frame = made_frame()
    document = json.loads(json.dumps(payload(made_info(), frame, (), {})))
    lines = document["lines"]
    assert len(lines) == len(set(lines))
    back = ["\n".join(lines[at] for at in spec) for spec in document["specs"]]
    assert back == list(frame["spec"])


def test_script_safe_json_holds_no_tag_and_is_the_same_document() -> None:
    document = {"text": HOSTILE + "<!--\u2028"}
    text = script_safe(document)
    assert not re.search("[<>&\u2028]", text)
    assert json.loads(text) == document


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_escapes_every_text_and_names_no_other_file(tmp_path: Path) -> None:
    hostile = dict.fromkeys(("space", "space_text", "command", "score_label", "data"), HOSTILE)
    info = made_info(**hostile, versions={HOSTILE: HOSTILE}, device=HOSTILE, score=f"a:{HOSTILE}")
    path = write_page(info, made_frame(hostile=True), tmp_path / "report.html")
    tags = Tags()
    tags.feed(path.read_text(encoding="utf-8"))
    names = [tag for tag, _ in tags.found]
    assert "img" not in names
    assert names.count("script") == 3
    for _, attributes in tags.found:
        assert not [name for name in attributes if name in ("src", "onerror", "srcset")]
        assert (attributes.get("href") or "data:,") == "data:,"


def test_page_is_the_same_for_the_same_input(tmp_path: Path) -> None:
    one = write_page(made_info(), made_frame(), tmp_path / "one.html")
    other = write_page(made_info(), made_frame(), tmp_path / "other.html")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("rows", [0, 1])
def test_page_of_a_run_that_scored_nothing(tmp_path: Path, rows: int) -> None:
    frame = made_frame().iloc[:rows].assign(state="failed", score=np.nan, reason="no luck")
    text = write_page(made_info(budgets=()), frame, tmp_path / "report.html").read_text("utf-8")
    assert "<dt>Best score</dt><dd>none</dd>" in text
    assert ("no luck" in text) == (rows == 1)


def test_iso_runs_open_on_activations() -> None:
    assert payload(made_info(iso=True), made_frame(), (), {})["axis"] == "activations"


@pytest.mark.parametrize(
    ("score", "first", "iso", "axis"),
    [
        ("activations", "flops", True, "params"),
        ("activations", "params", True, "flops"),
        ("params", "flops", True, "activations"),
        ("naswot", "activations", True, "flops"),
        ("flops", "flops", False, "activations"),
        ("params", "flops", False, "flops"),
    ],
)
def test_a_count_as_the_score_is_not_drawn_against_itself(
    score: str, first: str, iso: bool, axis: str
) -> None:
    info = made_info(score=score, iso=iso, budgets=(Budget(first, 4.5e9),))
    assert payload(info, made_frame(), (), {})["axis"] == axis


def small_frame() -> pd.DataFrame:
    """Networks of less than 1 GFLOPs."""
    return made_frame().assign(flops=lambda frame: frame["flops"] / 100)


def test_a_page_of_small_networks_is_in_mflops() -> None:
    frame = small_frame()
    told: Any = payload(made_info(), frame, (), {})
    flops = told["metrics"]["flops"]
    assert (flops["divisor"], flops["short"]) == (1e6, "MFLOPs")
    assert told["points"]["flops"][0] == frame["flops"].iloc[0]  # the data keeps its counts
    figure = front_figure(frame, front(frame), score_metric(made_info()))
    assert figure.layout.xaxis.title.text == "MFLOPs (multiply-adds)"
    assert max(x for trace in figure.data for x in trace.x) == frame["flops"].max() / 1e6


def test_a_score_of_one_part_is_told_once() -> None:
    frame = made_frame()
    told: Any = payload(made_info(), frame, (), {})
    assert set(told["parts"]) == {"naswot", "depth"}
    frame["score"] = frame["part.naswot"]
    told = payload(made_info(), frame, (), {})
    assert set(told["parts"]) == {"depth"}
    # on a ladder a part may be the score of one rung alone
    frame.loc[frame["kind"] == "random", "part.naswot"] = None
    told = payload(made_info(), frame, (), {})
    assert set(told["parts"]) == {"depth"}


def test_the_best_score_is_written_without_an_exponent(tmp_path: Path) -> None:
    frame = made_frame()
    frame["score"] *= 1e5
    text = write_page(made_info(), frame, tmp_path / "page.html").read_text("utf-8")
    best = scored(frame, "search")["score"].max()
    assert f"<dt>Best score</dt><dd>{best:,.0f}<small>" in text


def test_reports_need_no_torch_and_no_optuna() -> None:
    code = "import sys, reports.page; print([m for m in ('torch', 'optuna') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_axis_titles_name_the_unit_once() -> None:
    assert FLOPS.title == "GFLOPs (multiply-adds)"
    assert ACTIVATIONS.title == "Activations, millions of elements"
