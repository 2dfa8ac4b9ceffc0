from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_roadmap import CONVNEXT_B, CONVNEXT_T, RECIPE, made_roadmap, made_tops, made_trained
from synthetic_run import HOSTILE
from test_training_page import Words

from reports.roadmap import write_roadmap_page
from reports.roadmap_steps import Change, gathered, read_steps
from reports.roadmap_table import change
from reports.staircase import relative_figure, staircase_figure

# By hand: 90, 91, 92 have mean 91 and deviation 1; 92, 93.1, 93.9 have mean 93 and deviation
# sqrt(0.91) = 0.954; their differences 2, 2.1, 1.9 have mean 2 and deviation 0.1, and with
# Student's t of two degrees of freedom, 4.3027, half an interval of 0.248.
TOPS = {0: [90.0, 91.0, 92.0], 1: [92.0, 93.1, 93.9], 9: [93.0, 94.0, 95.0], 12: [91.0, 93.0, 95.3]}
IMAGENET = {"data": "imagenet", "train_count": 1_281_167, "classes": 1000, "side": None}


def page(
    path: Path, info: dict[str, Any], steps: pd.DataFrame, trained: pd.DataFrame | None = None
) -> tuple[Words, str]:
    words = Words(write_roadmap_page(info, steps, trained, path / "page.html"))
    return words, " ".join(" ".join(words.text).split())


def traces(figure: Any) -> dict[str, Any]:
    return {trace.meta: trace for trace in figure.data}


def tips(bars: Any) -> list[float]:
    """Where horizontal bars end."""
    return [base + length for base, length in zip(bars.base, bars.x, strict=True)]


@pytest.mark.parametrize("told", [CONVNEXT_T, CONVNEXT_B], ids=["table 10", "table 11"])
def test_bars_and_line_are_the_published_figures_and_our_costs(told: Any) -> None:
    figure = staircase_figure(read_steps(made_roadmap(told)[1]))
    shown = traces(figure)
    assert tips(shown["printed"]) == pytest.approx([row[1] for row in told[:-1]])
    assert shown["flops"].x == pytest.approx([row[4] for row in told])
    assert shown["printed marks"].x == pytest.approx([told[-1][1]])  # the reference
    (dashed,) = [shape for shape in figure.layout.shapes if shape.line.dash == "dash"]
    assert dashed.x0 == dashed.x1 == told[-1][1]


def test_deviations_are_those_of_the_paper() -> None:
    shown = traces(staircase_figure(read_steps(made_roadmap()[1])))
    assert shown["printed"].error_x.array == tuple(row[2] for row in CONVNEXT_T[:-1])
    shown = traces(staircase_figure(read_steps(made_roadmap(CONVNEXT_B)[1])))
    assert shown["printed"].error_x.array is None


def test_what_was_not_adopted_is_striped_and_off_the_line() -> None:
    shown = traces(staircase_figure(read_steps(made_roadmap()[1])))
    striped = [place for place, shape in enumerate(shown["printed"].marker.pattern.shape) if shape]
    assert striped == [10, 11]
    assert shown["stairs"].line.shape == "vh"
    adopted = [row[4] for place, row in enumerate(CONVNEXT_T[:-1]) if place not in (10, 11)]
    assert shown["stairs"].x == pytest.approx(adopted)


def test_an_axis_of_accuracy_says_where_it_begins() -> None:
    figure = staircase_figure(read_steps(made_roadmap()[1]))
    low, high = figure.layout.xaxis.range
    assert 0 < low < 76.13
    assert high > 81.97
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [f"Printed top-1, % (from {low:g})", "GFLOPs (multiply-adds)"]
    assert figure.layout.xaxis2.range[0] == 0


def test_the_papers_flops_are_marked_where_they_are_not_ours(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    shown = traces(staircase_figure(read_steps(steps)))
    assert shown["paper flops"].x == pytest.approx([4.46, 4.49])  # 4.1456 and 4.4555 by law
    _, text = page(tmp_path, info, steps)
    assert "4.460 +7.6% to ours" in text
    assert "4.490 +0.8% to ours" in text
    assert text.count("to ours") == 2
    assert "over 0.5% off ours at: BN to LN, separate downsampling conv (ConvNeXt-T)." in text
    assert text.count("paper FLOPs not reproduced by conv+linear MACs") == 2
    info, steps = made_roadmap(CONVNEXT_B)
    assert "paper flops" not in traces(staircase_figure(read_steps(steps)))
    assert "off ours" not in page(tmp_path, info, steps)[1]


def test_costs_change_against_the_row_that_a_step_starts_from(tmp_path: Path) -> None:
    words, text = page(tmp_path, *made_roadmap())
    assert "4.526 +10.7%" in text
    assert "4.210 +1.6%" in text  # kernel 9 against kernel 7
    assert "4.291 +3.5%" in text  # kernel 11 against kernel 7, not against kernel 9
    assert "12 ReLU to GELU starts from kernel size 7" in text
    assert "4.146 same" in text
    assert words.facts["Steps"] == "16 2 not adopted"
    assert words.facts["FLOPs, G"] == "4.09 → 4.46 +9.0%"
    assert words.facts["Printed top-1, percent"] == "76.13 → 81.97 +5.84"
    assert "Trained" not in words.facts
    assert "shown and never used" in text
    assert "FLOPs are multiply-adds" in text


def test_ratios_are_against_the_start_and_their_axes_are_alike() -> None:
    figure = relative_figure(read_steps(made_roadmap()[1]))
    assert tips(traces(figure)["flops"]) == pytest.approx([row[4] / 4.0892 for row in CONVNEXT_T])
    axes = [figure.layout.xaxis, figure.layout.xaxis2, figure.layout.xaxis3]
    assert {axis.type for axis in axes} == {"log"}
    assert len({axis.range for axis in axes}) == 1


def test_changes_alike_in_several_stages_stand_once(tmp_path: Path) -> None:
    alike = [Change(f"stages.{place}.block.act", "relu", "gelu") for place in (0, 1, 3)]
    other = Change("stages.2.block.act", "relu", "silu")
    stem = Change("stem", "[conv]", "[patch]")
    assert gathered([stem, alike[0], alike[1], other, alike[2]]) == (
        stem,
        Change("stages.0,1,3.block.act", "relu", "gelu"),
        other,
    )
    _, text = page(tmp_path, *made_roadmap())
    assert "stages.0,1,2,3.block.bottleneck.kernel 3 → 8" in text
    assert "stages.1,2,3.down.norm added layernorm2d" in text


def test_long_lists_of_changes_are_folded(tmp_path: Path) -> None:
    words, text = page(tmp_path, *made_roadmap())
    assert "5 changes of the recipe: epochs, optimizer, augment" in text
    assert "optimizer.name sgd → adamw" in text
    assert text.count("8 changes of the network: stages") == 2
    assert "1 change of" not in text  # a short one stands open
    assert "changes the recipe" in text


def test_each_network_can_be_copied_once(tmp_path: Path) -> None:
    words, text = page(tmp_path, *made_roadmap())
    copied = [told["data-copy"] for tag, told in words.tags if tag == "button"]
    assert sum(str(one).startswith("format: 1") for one in copied) == 17  # of 18 rows
    assert "0 ResNet-50, 1 enhanced recipe" in text


def test_reached_and_printed_share_no_axis_on_other_data() -> None:
    info, steps = made_roadmap()
    _, trained = made_trained(info, steps, TOPS)
    figure = staircase_figure(read_steps(steps, trained, 3), data="cifar10")
    shown = traces(figure)
    assert tips(shown["reached"]) == pytest.approx([91, 93, 94, 93.1])
    assert shown["reached"].error_x.array[:2] == pytest.approx((1, 0.91**0.5))
    assert sorted(shown["seeds"].x) == sorted(top for tops in TOPS.values() for top in tops)
    assert shown["printed marks"].x == pytest.approx([row[1] for row in CONVNEXT_T])
    axes = {name: shown[name].xaxis for name in ("reached", "seeds", "printed marks", "flops")}
    assert axes == {"reached": "x", "seeds": "x", "printed marks": "x2", "flops": "x3"}
    assert figure.layout.annotations[0].text.startswith("Top-1 on cifar10, % (from ")
    assert shown["absent"].text.count("\u2002not trained\u2002") == 13


def test_reached_and_printed_share_the_axis_of_one_data_set(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    told, trained = made_trained(info, steps, {0: [75.0, 75.4], 1: [78.0, 78.2]}, seeds=2)
    figure = staircase_figure(read_steps(steps, trained, 2), data="imagenet", apart=False)
    shown = traces(figure)
    assert shown["printed marks"].xaxis == shown["reached"].xaxis == "x"
    assert figure.layout.xaxis.range[0] < 75
    assert figure.layout.xaxis.range[1] > 81.97
    _, text = page(tmp_path, told | IMAGENET, steps, trained)
    assert "of the paper’s training on the same data" in text
    _, text = page(tmp_path, told, steps, trained)
    assert "on an axis of their own: compare their directions with ours" in text


def test_differences_are_paired_and_to_the_row_before_the_rejected(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    words, text = page(tmp_path, *_in_order(info, steps, TOPS))
    assert "93.00 ± 0.95 at 1.30 GFLOPs +2.00 +1.75 to +2.25 4.090" in text
    # step 12 starts from 9: -2, -1, 0.3, of mean -0.9 and deviation 1.153: half of it 2.865
    assert "93.10 ± 2.15 at 1.30 GFLOPs −0.90 −3.76 to +1.96 includes 0" in text
    assert words.facts["Trained"] == "4 of 17"
    assert "no top-1 of 8" in text


def test_a_lost_seed_leaves_no_interval(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    tops = {0: [90.0, 91.0, 92.0], 1: [92.0, 93.0]}  # whose seeds these are is not told
    _, text = page(tmp_path, *_in_order(info, steps, tops))
    assert "2 of 3 seeds at 1.30 GFLOPs +1.50 no interval" in text


def test_one_seed_tells_no_deviation(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    told, trained = made_trained(info, steps, {0: [90.0], 1: [92.5]}, seeds=1)
    words, text = page(tmp_path, told, steps, trained)
    assert "92.50 at 1.30 GFLOPs +2.50 no interval" in text
    assert "every difference may be chance" in text
    shown = traces(staircase_figure(read_steps(steps, trained, 1)))
    assert shown["reached"].error_x.array is None
    assert shown["seeds"].x == ()


def test_failures_are_told_with_their_reason(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    words, text = page(tmp_path, *_in_order(info, steps, made_tops()))
    assert "depthwise conv the loss was not finite at step 812" in text
    assert words.facts["Trained"] == "16 of 17, 1 failed"
    for told in ("cifar10, 50,000 training images, 10 classes", "small-image form at 32 pixels",
                 "30 epochs each", "3 trainings of each step"):  # fmt: skip
        assert told in text


def test_an_unfinished_training_is_no_failure(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    tops = {0: [90.0, 91.0, 92.0], 1: [92.0], 2: [], 3: "no luck"}
    words, text = page(tmp_path, *_in_order(info, steps, tops))
    assert "Not finished: 5 of 12 trainings are still to be done." in text
    assert words.facts["Trained"] == "2 of 17, 1 failed"
    words, text = page(tmp_path, *_in_order(info, steps, TOPS))
    assert "Not finished" not in text


def test_trainings_that_all_failed_leave_the_printed_bars(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    told, trained = made_trained(info, steps, {0: "no luck", 1: "no luck"})
    assert "printed" in traces(staircase_figure(read_steps(steps, trained, 3)))
    _, text = page(tmp_path, told, steps, trained)
    assert "no training is done yet" in text


def test_without_accuracies_costs_alone_are_drawn(tmp_path: Path) -> None:
    info, steps = made_roadmap()
    steps = steps.assign(paper_top1=None, paper_top1_std=None)
    figure = staircase_figure(read_steps(steps))
    assert [note.text for note in figure.layout.annotations] == [
        "GFLOPs (multiply-adds)", "Parameters, M", "Activations, M",
    ]  # fmt: skip
    assert [trace.meta for trace in figure.data if trace.meta == "stairs"] == ["stairs"] * 3
    words, text = page(tmp_path, info, steps)
    assert "No step has an accuracy, printed or reached" in text
    assert "Bars do not begin at 0" not in text
    assert "top-1" not in " ".join(words.facts)


def test_a_roadmap_of_recipe_edits_alone_is_drawn(tmp_path: Path) -> None:
    told = [("start", 79.0, None, None, 15.0), ("cosine", 79.3, None, None, 15.0)]
    info, steps = made_roadmap(told, rejected=(), references=0)
    shown = traces(staircase_figure(read_steps(steps)))
    assert shown["flops"].x == (15.0, 15.0)
    start, recipe = shown["printed"].marker.line.color
    assert start != recipe
    _, text = page(tmp_path, info, steps)
    assert "hollow" not in text
    assert "for comparison" not in text
    assert "Paper’s FLOPs" not in text


def test_a_bar_tells_what_its_step_changes(tmp_path: Path) -> None:
    info, steps = made_roadmap(CONVNEXT_T[:4], rejected=(), references=0)
    steps["recipe_changes"] = pd.Series([[], RECIPE, [], RECIPE])  # with the network, in the last
    bars = traces(staircase_figure(read_steps(steps)))["printed"].marker
    looks = list(zip(bars.color, bars.line.color, strict=True))
    assert len(set(looks)) == 4
    assert looks[3] == (looks[1][0], looks[2][1])
    _, text = page(tmp_path, info, steps)
    assert "the start changes the network changes the recipe changes both" in text
    _, text = page(tmp_path, *made_roadmap())
    assert "changes both" not in text


def test_ratios_far_apart_have_ticks_that_fit() -> None:
    told = [("small", None, None, None, 0.01), ("large", None, None, None, 20.0)]
    steps = read_steps(made_roadmap(told, rejected=(), references=0)[1])
    axis = relative_figure(steps).layout.xaxis
    assert axis.ticktext[-4:] == ("1×", "10×", "100×", "1000×")


@pytest.mark.parametrize(
    ("value", "base", "words"),
    [
        (110, 100, "+10.0%"),
        (90, 100, "−10.0%"),
        (100, 100, "same"),
        (100_040, 100_000, "+0.04%"),
        (100_001, 100_000, "under 0.01%"),
        (3_000, 100, "+2,900.0%"),
        (None, 100, ""),
        (100, None, ""),
    ],
)
def test_changes_in_words(value: float | None, base: float | None, words: str) -> None:
    assert change(value, base) == words


def test_every_text_is_escaped_and_no_other_file_is_named(tmp_path: Path) -> None:
    info, steps, trained = hostile()
    words, _ = page(tmp_path, info, steps, trained)
    names = [tag for tag, _ in words.tags]
    assert "img" not in names
    assert names.count("script") == 3
    for _, attributes in words.tags:
        assert not [name for name in attributes if name in ("src", "onerror", "srcset")]
    found = read_steps(steps, trained, 3)
    for figure in (staircase_figure(found, data=HOSTILE), relative_figure(found)):
        for trace in figure.data:
            shown = (*(trace.text or ()), *(getattr(trace, "hovertext", None) or ()))
            assert not any("<img" in text for text in shown)
        assert "<img" not in str(figure.layout)


def test_the_same_roadmap_gives_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("one.html", "other.html"):
        info, steps = made_roadmap()
        told, trained = made_trained(info, steps, made_tops())
        written.append(write_roadmap_page(told, steps, trained, tmp_path / name).read_bytes())
    assert written[0] == written[1]


def hostile() -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """A trained roadmap that has a hostile text wherever there is one."""
    info, steps = made_roadmap()
    told, trained = made_trained(info, steps, made_tops())
    edit = [{"path": HOSTILE, "before": HOSTILE, "after": HOSTILE, "kind": "changed"}]
    for key in ("note", "recipe", "spec", "paper_source"):
        steps[key] = HOSTILE
    steps["name"] = [f"{place}{HOSTILE}" for place in range(len(steps))]
    steps["from"] = [None, *steps["name"].iloc[:-2], None]
    for key in ("changes", "recipe_changes"):
        steps[key] = pd.Series([edit] * len(steps))
    trained["name"] = HOSTILE
    trained.loc[trained["reason"] != "", "reason"] = HOSTILE
    told |= dict.fromkeys(
        ("name", "doc", "source", "data", "command", "created", "device"), HOSTILE
    )
    return told | {"versions": {HOSTILE: HOSTILE}}, steps, trained


def _in_order(
    info: dict[str, Any], steps: pd.DataFrame, tops: Any
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """What a page takes, of a roadmap that was trained with three seeds."""
    told, trained = made_trained(info, steps, tops)
    return told, steps, trained
