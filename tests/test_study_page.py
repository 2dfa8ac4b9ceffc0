from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import HOSTILE
from synthetic_training import Made, made_measures, made_study
from test_training_page import Words

from reports.arms import arms
from reports.comparison import comparison_figure, cost_figure
from reports.latencies import latencies, latency_figure
from reports.study import write_study_page

# Three seeds of a and b. By hand: a has mean 91, sd 1, and Student's t for two degrees of freedom
# is 4.3027, so half the interval is 4.3027 / sqrt(3) = 2.484. b - a is 2, 2.1, 1.9: mean 2, sd 0.1,
# half 0.248. c - a is 1, -1, 0.3: mean 0.1, sd 1.0149, half 2.521.
TOPS = {"a": [90.0, 91.0, 92.0], "b": [92.0, 93.1, 93.9], "c": [91.0, 90.0, 92.3]}


def page(made: Made, path: Path) -> tuple[Words, str]:
    words = Words(write_study_page(*made, path / "report.html"))
    return words, " ".join(" ".join(words.text).split())


def traces(figure: Any) -> dict[str, Any]:
    return {trace.meta: trace for trace in figure.data}


def test_the_table_tells_means_intervals_and_differences(tmp_path: Path) -> None:
    words, text = page(made_study(TOPS), tmp_path)
    assert "91.00 ± 2.48 3 baseline" in text
    assert "± 2.37 3 +2.00 +1.75 to +2.25" in text  # b: sd 0.9539
    assert "3 +0.10 −2.42 to +2.62 the interval includes 0" in text
    assert text.count("the interval includes 0") == 1
    assert "11.0 0.500 9.80 91.00" in text  # millions, GFLOPs, millions
    assert words.facts["Differences apart from 0"] == "1 of 2"
    assert words.facts["Baseline"] == "91.00% a"
    assert words.facts["Trainings done"] == "9 of 9"


def test_the_protocol_is_told_in_words(tmp_path: Path) -> None:
    _, text = page(made_study(TOPS, text="doc: What widths do."), tmp_path)
    for words in ("What widths do.", "cifar10, 50,000 training images, 10 classes",
                  "small-image form at 32 pixels", "quick, 15 epochs, batch 128",
                  "3 trainings of each arm", "archspec study made --data cifar10",
                  "no epoch was chosen by its test result",
                  "The recipe, as trained: all arms"):  # fmt: skip
        assert words in text


def test_one_seed_has_no_interval_and_the_page_says_so(tmp_path: Path) -> None:
    made = made_study({"a": [90.0], "b": [92.5]})
    _, text = page(made, tmp_path)
    assert "every difference here may be chance" in text
    assert "92.50 1 +2.50 one seed: no interval" in text
    assert "±" not in text
    found = arms(made[1], made[2])
    assert found[1].difference == (2.5, None, None, False)
    shown = traces(comparison_figure(found))
    assert shown["means"].error_x.array == (None, None)


def test_equal_differences_have_no_interval_and_leave_nothing_out(tmp_path: Path) -> None:
    made = made_study({"a": [90.0, 92.0], "b": [91.0, 93.0], "c": [95.0, 95.0]})
    words, text = page(made, tmp_path)
    assert "2 +1.00 no spread: no interval" in text
    assert "95.00 no spread 2 +4.00" in text
    assert words.facts["Differences apart from 0"] == "0 of 1"
    found = arms(made[1], made[2])
    assert found[1].difference == (1.0, None, None, True)
    shown = traces(comparison_figure(found))
    hollow, other = shown["differences"].marker.color
    assert hollow == other != shown["differences"].marker.line.color
    assert shown["differences"].error_x.array[0] is None
    assert "no spread over seeds" in shown["differences"].text[0]


def test_some_arms_of_one_seed_are_counted(tmp_path: Path) -> None:
    _, text = page(made_study({"a": [90.0, 91.0], "b": [92.5, None]}), tmp_path)
    assert "1 of 2 arms have one seed" in text
    assert "Not finished: 1 of 4 trainings have not been run yet." in text


def test_failures_stand_with_their_reasons_once(tmp_path: Path) -> None:
    made = made_study({"a": [90.0, 91.0, 92.0], "b": ["out of luck", 92.0, "out of luck"]})
    words, text = page(made, tmp_path)
    assert "b seed 0, seed 2 out of luck" in text
    assert text.count("out of luck") == 1
    assert words.facts["Trainings done"] == "4 of 6, 2 failed"


def test_a_study_that_trained_nothing_yet_says_so(tmp_path: Path) -> None:
    _, text = page(made_study({"a": [None, None], "b": ["no luck", None]}), tmp_path)
    assert "No training is done" in text
    assert "no luck" in text


def test_the_figure_shows_means_intervals_and_single_seeds() -> None:
    _, frame, summary = made_study(TOPS)
    shown = traces(comparison_figure(arms(frame, summary)))
    means, seeds, differences = shown["means"], shown["seeds"], shown["differences"]
    assert means.x == pytest.approx((91, 93, 91.1))
    assert means.error_x.array[0] == pytest.approx(4.30265 / math.sqrt(3), rel=1e-5)
    assert sorted(seeds.x) == sorted(top for tops in TOPS.values() for top in tops)
    assert differences.x == pytest.approx((2, 0.1))
    filled, hollow = differences.marker.color
    assert filled == differences.marker.line.color != hollow


def test_published_figures_have_a_panel_of_their_own(tmp_path: Path) -> None:
    papers = {"a": ", paper: {top1: 79.0}", "b": ", paper: {top1: 79.3}"}
    made = made_study(TOPS, arms=papers)
    shown = traces(comparison_figure(arms(made[1], made[2])))
    published = shown["published"]
    assert published.x == pytest.approx((0.3,))
    axes = {trace.xaxis or "x" for trace in shown.values()}
    assert axes == {"x", "x2", "x3"}
    assert published.xaxis == "x3"
    for trace in shown.values():  # 79 is nowhere among ours
        assert all(top > 80 or top < 10 for top in trace.x)
    _, text = page(made, tmp_path)
    assert "79.30 +0.30" in text
    assert "not to be compared with the top-1 beside them" in text


def test_without_published_figures_nothing_is_said_of_them(tmp_path: Path) -> None:
    _, text = page(made_study(TOPS), tmp_path)
    assert "ublished" not in text


def test_a_ladder_is_a_staircase_of_steps(tmp_path: Path) -> None:
    made = made_study(TOPS, text="cumulative: true")
    shown = traces(comparison_figure(arms(made[1], made[2]), ladder=True))
    stairs = shown["stairs"]
    assert stairs.x == pytest.approx((91, 93, 91.1))
    assert stairs.line.shape == "vh"
    assert shown["differences"].x == pytest.approx((2, -1.9))
    _, text = page(made, tmp_path)
    assert "to the arm before" in text
    assert "Not run" not in text


def test_a_part_of_a_ladder_names_the_arm_that_a_difference_is_to(tmp_path: Path) -> None:
    info, frame, summary = made_study({"a": [90.0], "c": [92.5]}, text="cumulative: true")
    _, text = page((info | {"left_out": ["b"]}, frame, summary), tmp_path)
    assert "92.50 1 +2.50 to a one seed: no interval" in text
    assert "Not run: b; a difference across that is of several steps." in text


def test_a_ladder_with_one_baseline_for_all_is_told_so(tmp_path: Path) -> None:
    _, text = page(made_study(TOPS, text="cumulative: true\nbaseline: a"), tmp_path)
    assert "to the baseline" in text
    assert "arm before" not in text


def test_groups_have_baselines_of_their_own(tmp_path: Path) -> None:
    groups = {"a": ", group: small", "b": ", group: large", "c": ", group: large"}
    made = made_study(TOPS, arms=groups)
    found = arms(made[1], made[2])
    assert [arm.against for arm in found] == [None, None, "b"]
    assert [trace.name for trace in cost_figure(found).data] == ["small", "large"]
    words, _ = page(made, tmp_path)
    assert "Baseline" not in words.facts  # there are two


def test_accuracy_against_flops_only_where_flops_differ(tmp_path: Path) -> None:
    made = made_study(TOPS)
    (trace,) = cost_figure(arms(made[1], made[2])).data
    assert trace.x == pytest.approx((0.5, 1, 2))
    assert trace.y == pytest.approx((91, 93, 91.1))
    assert "Accuracy against FLOPs" in page(made, tmp_path)[1]
    text = page(made_study(TOPS, flops=(5e8, 5.1e8)), tmp_path)[1]
    assert "All arms cost the same within 3%" in text
    assert "Accuracy against FLOPs" not in text


TIMES: dict[str, dict[str, float | None]] = {
    "a": {"224x224": 4.0, "800x1280": 80.0},
    "b": {"224x224": 6.0, "800x1280": None},
}


def test_measures_tell_latency_spread_and_ratio(tmp_path: Path) -> None:
    made = made_measures(TIMES)
    words, text = page(made, tmp_path)
    assert "224x224 1.00 10.0 0.200 4.00 3.60 to 4.80 512 baseline" in text
    assert "224x224 2.00 10.0 0.200 6.00 5.40 to 7.20 512 1.50× FLOPs 2.00×" in text
    assert "b 800x1280 needs more than 80 GB" in text
    assert words.facts["Device"] == "H100"
    assert words.facts["Measured"] == "3 of 4, 1 failed"


def test_the_latency_figure_has_a_log_axis_and_the_spread() -> None:
    figure = latency_figure(latencies(made_measures(TIMES)[2]))
    one, other = figure.data
    assert figure.layout.yaxis.type == "log"
    assert one.y == (4.0, 80.0)
    assert one.error_y.array == pytest.approx((0.8, 16))
    assert one.error_y.arrayminus == pytest.approx((0.4, 8))
    assert other.y == (6.0,)
    assert figure.layout.xaxis.ticktext == ("224x224", "800x1280")


def test_every_text_is_escaped_and_no_other_file_is_named(tmp_path: Path) -> None:
    info, frame, summary = made_study({"a": [90.0, 91.0], "b": [92.0, "no luck"]})
    for table in (frame, summary):
        table["arm"] = table["arm"].replace("b", HOSTILE)
        table[["group", "note"]] = HOSTILE
    summary["baseline"] = summary["baseline"].where(summary["baseline"].isna(), HOSTILE)
    frame["reason"] = HOSTILE
    info |= dict.fromkeys(("name", "doc", "source", "data", "command", "created"), HOSTILE)
    info["versions"] = {HOSTILE: HOSTILE}
    words, _ = page((info, frame, summary), tmp_path)
    names = [tag for tag, _ in words.tags]
    assert "img" not in names
    assert names.count("script") == 3
    for _, attributes in words.tags:
        assert not [name for name in attributes if name in ("src", "onerror", "srcset")]
    found = arms(frame, summary)
    for figure in (comparison_figure(found, data=HOSTILE), cost_figure(found, data=HOSTILE)):
        for trace in figure.data:
            assert not any("<img" in text for text in trace.text or ())
            assert "<img" not in str(trace.name)
        assert "<img" not in str(figure.layout)


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    one = write_study_page(*made_study(TOPS), tmp_path / "one.html")
    other = write_study_page(*made_study(TOPS), tmp_path / "other.html")
    assert one.read_bytes() == other.read_bytes()
