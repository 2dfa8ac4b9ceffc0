"""RegNet's quantised line: the published nets, the fit back, and the laws of any line."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.cost import leaves
from archspec.errors import LawError
from archspec.layers.convolution import Conv
from archspec.planning import plan_network
from archspec.scaling.line import Line, fit_line, parse_line, scaled_line
from archspec.spec import read_spec

#: d, w0, wa, wm and g; facebookresearch/pycls, configs/dds_baselines/regnetx and regnety
PUBLISHED = {
    "regnetx_002": (13, 24, 36.44, 2.49, 8),
    "regnetx_004": (22, 24, 24.48, 2.54, 16),
    "regnetx_006": (16, 48, 36.97, 2.24, 24),
    "regnetx_008": (16, 56, 35.73, 2.28, 16),
    "regnetx_016": (18, 80, 34.01, 2.25, 24),
    "regnetx_032": (25, 88, 26.31, 2.25, 48),
    "regnetx_040": (23, 96, 38.65, 2.43, 40),
    "regnetx_064": (17, 184, 60.83, 2.07, 56),
    "regnetx_080": (23, 80, 49.56, 2.88, 120),
    "regnetx_120": (19, 168, 73.36, 2.37, 112),
    "regnetx_160": (22, 216, 55.59, 2.1, 128),
    "regnetx_320": (23, 320, 69.86, 2.0, 168),
    "regnety_002": (13, 24, 36.44, 2.49, 8),
    "regnety_004": (16, 48, 27.89, 2.09, 8),
    "regnety_006": (15, 48, 32.54, 2.32, 16),
    "regnety_008": (14, 56, 38.84, 2.4, 16),
    "regnety_016": (27, 48, 20.71, 2.65, 24),
    "regnety_032": (21, 80, 42.63, 2.66, 24),
    "regnety_040": (22, 96, 31.41, 2.24, 64),
    "regnety_064": (25, 112, 33.22, 2.27, 72),
    "regnety_080": (17, 192, 76.82, 2.19, 56),
    "regnety_120": (19, 168, 73.36, 2.37, 112),
    "regnety_160": (18, 200, 106.23, 2.48, 112),
    "regnety_320": (20, 232, 115.89, 2.53, 232),
}
NETS = {
    "resnet50": ((256, 512, 1024, 2048), (3, 4, 6, 3), 1),
    "convnext_tiny": ((96, 192, 384, 768), (3, 3, 9, 3), 1),
    "cmt_s": ((64, 128, 256, 512), (3, 3, 16, 3), 1),
    "groups of 40": ((120, 280, 520), (4, 2, 9), 40),
    "falling": ((512, 256, 128), (2, 3, 4), 1),
    "one stage": ((384,), (12,), 64),
}
ASCENDING = st.lists(st.integers(8, 1500), min_size=1, max_size=5, unique=True).map(sorted)


@st.composite
def lines(draw: st.DrawFn, groups: tuple[int, ...] = (1, 2, 5, 8, 24, 112, 4000)) -> Line:
    depth = draw(st.integers(1, 40))
    w0 = 8 * draw(st.integers(1, 40))
    wa = draw(st.integers(0, 12_000)) / 100
    wm = draw(st.integers(130, 350)) / 100
    return Line(depth, w0, wa, wm, draw(st.sampled_from(groups)))


def per_block(widths: tuple[int, ...], depths: tuple[int, ...]) -> list[int]:
    return [width for width, depth in zip(widths, depths, strict=True) for _ in range(depth)]


def misfit(ours: list[int], net: list[int]) -> float:
    """e_fit of section 3.3, written out: the mean over blocks of |log ratio of widths|."""
    return float(np.abs(np.log(np.array(ours) / np.array(net))).mean())


def shipped_stages(name: str) -> tuple[list[int], list[int]]:
    stages = read_spec(name).stages
    return [stage.width or 0 for stage in stages], [stage.depth or 0 for stage in stages]


def shipped_groups(name: str) -> list[int]:
    """The group width of each stage's 3x3 convolutions, in the network that a spec becomes."""
    found = []
    for stage in plan_network(read_spec(name)).stages:
        convs = [one.layer for _, _, one in leaves(stage) if isinstance(one.layer, Conv)]
        grouped = {stage.out.channels // conv.groups for conv in convs if conv.groups > 1}
        (width,) = grouped or {stage.out.channels}  # a single group is no group
        found.append(width)
    return found


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_numbers_give_the_shipped_stages(name: str) -> None:
    line = Line(*PUBLISHED[name])
    widths, depths, groups = line.stages()
    assert (list(widths), list(depths)) == shipped_stages(name)
    assert list(groups) == shipped_groups(name)


def test_a_group_is_never_wider_than_its_stage() -> None:
    # RegNetX-8.0GF: 80 channels and groups of 120; torchvision and timm build it with 80.
    assert Line(*PUBLISHED["regnetx_080"]).stages() == (
        (80, 240, 720, 1920),
        (2, 5, 15, 1),
        (80, 120, 120, 120),
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_fit_finds_a_line_of_each_published_net(name: str) -> None:
    widths, depths = shipped_stages(name)
    published = Line(*PUBLISHED[name])
    line, error, exact = fit_line(widths, depths, published.group_width)
    assert exact
    assert error == 0
    assert line.stages()[:2] == (tuple(widths), tuple(depths))
    assert len(str(line)) <= len(str(published))


@pytest.mark.parametrize("name", NETS)
def test_no_line_of_a_coarse_grid_is_nearer_than_the_fit(name: str) -> None:
    widths, depths, group = NETS[name]
    net = np.array(per_block(widths, depths), dtype=float)
    w0 = np.arange(8, 2 * max(widths), max(8, max(widths) // 256 * 8))[:, None, None, None]
    wm = np.arange(1.1, 4, 0.1)[None, :, None, None]
    wa = np.linspace(0, 2 * max(widths) / len(net), 60)[None, None, :, None]
    # Equations 2 to 4 and the rounding to multiples of 8 and of the group width.
    s = np.round(np.log(1 + wa * np.arange(len(net)) / w0) / np.log(wm))
    w = np.round(w0 * wm**s / 8) * 8
    g = np.minimum(group, w)
    w = np.maximum(g, np.round(w / g) * g)
    # widths never fall from block to block, so that stages are where they rise
    alike = 1 + (np.diff(w, axis=-1) > 0).sum(axis=-1) == len(widths)
    best = float(np.abs(np.log(w / net)).mean(axis=-1)[alike].min())
    fit = fit_line(widths, depths, group)
    stages = fit.line.stages()
    assert fit.error == pytest.approx(
        misfit(per_block(stages.widths, stages.depths), per_block(widths, depths)), abs=1e-12
    )
    assert fit.error <= best + 1e-9


def test_resnet_50_lies_near_a_line_but_on_none() -> None:
    # He et al., arXiv 1512.03385: no line has 3, 4, 6 and 3 blocks of widths that double.
    fit = fit_line((256, 512, 1024, 2048), (3, 4, 6, 3), 1)
    assert not fit.exact
    assert 0 < fit.error < 0.1


def test_a_net_of_one_width_lies_on_a_flat_line() -> None:
    fit = fit_line([384], [12], 64)
    assert fit == (Line(12, 384, 0, 2, 64), 0, True)


@settings(max_examples=25, deadline=None)
@given(lines(groups=(1, 8, 24, 112)))
def test_the_stages_of_any_line_are_fitted_without_error(line: Line) -> None:
    widths, depths, _ = line.stages()
    assert fit_line(widths, depths, line.group_width).error == 0


@settings(max_examples=25, deadline=None)
@given(ASCENDING, st.data())
def test_the_fit_takes_any_net_and_tells_its_error(widths: list[int], data: st.DataObject) -> None:
    depths = [data.draw(st.integers(1, 9)) for _ in widths]
    fit = fit_line(widths, depths, 8)
    ours, found, _ = fit.line.stages()
    net = per_block(tuple(widths), tuple(depths))
    assert fit.error == pytest.approx(misfit(per_block(ours, found), net), abs=1e-12)
    assert fit.exact == ((ours, found) == (tuple(widths), tuple(depths)))
    # A line of one width is always there, so no fit is worse than the best of these.
    flat = min(misfit([width] * len(net), net) for width in range(8, 1600, 8))
    assert fit.error <= flat + 1e-9


@given(lines())
def test_stages_ascend_and_add_up_to_the_depth(line: Line) -> None:
    widths, depths, groups = line.stages()
    assert sum(depths) == line.depth
    assert min(depths) >= 1
    assert all(narrow <= wide for narrow, wide in pairwise(widths))
    assert all(width % group == 0 for width, group in zip(widths, groups, strict=True))
    if 8 % line.group_width == 0:
        assert all(narrow < wide for narrow, wide in pairwise(widths))
    if line.group_width == 1 or line.group_width % 8 == 0:
        assert all(width % 8 == 0 for width in widths)


@given(lines(groups=(1,)))
def test_a_block_is_within_half_a_step_of_the_line(line: Line) -> None:
    for block, width in enumerate(per_block(*line.stages()[:2])):
        straight = line.w0 + line.wa * block
        assert straight / math.sqrt(line.wm) - 4.001 <= width
        assert width <= straight * math.sqrt(line.wm) + 4.001


def test_a_flat_line_is_one_stage() -> None:
    assert Line(7, 64, 0, 2.5, 16).stages() == ((64,), (7,), (16,))


def test_halves_round_to_even() -> None:
    # Of groups of 16: 24 are 1.5 and 40 are 2.5 groups, and both become 2 as numpy rounds.
    assert Line(1, 24, 0, 2, 16).stages().widths == (32,)
    assert Line(1, 40, 0, 2, 16).stages().widths == (32,)


@given(lines())
def test_a_line_reads_back_from_its_text(line: Line) -> None:
    assert parse_line(str(line)) == line


def test_the_text_of_a_line_may_come_in_any_order() -> None:
    line = Line(13, 24, 36.44, 2.49, 8)
    assert str(line) == "d=13,w0=24,wa=36.44,wm=2.49,g=8"
    assert parse_line(" g = 8, wm=2.49 ,wa=3.644e1,w0=24,d=13") == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' of a line is no `name=number`; write it like d=13"),
        ("d=13,w0=24,wa=36,wm=2.5", "a line lacks g;"),
        ("d=13", "a line lacks w0, wa, wm, g;"),
        ("d=13,w0=24,wa=36,wm=2.5,g=8,d=14", "'d' stands twice"),
        ("d=13,w0=24,wa=36,wm=2.5,g=8,wb=1", "unknown 'wb' in a line; legal: d, w0, wa, wm, g"),
        ("d=13,w0=24,wa=x,wm=2.5,g=8", "'wa=x' of a line has no number after `=`"),
        ("d=13,w0=24,wa=nan,wm=2.5,g=8", "'wa=nan' of a line has no number after `=`"),
        ("d=13.5,w0=24,wa=36,wm=2.5,g=8", "'d' of a line is a whole number, but got 'd=13.5'"),
        ("d=" + "9" * 400 + ",w0=24,wa=36,wm=2.5,g=8", "'d' of a line is a whole number"),
        ("d=0,w0=24,wa=36,wm=2.5,g=8", "1 <= d <= 10000, but got d=0"),
        ("d=10001,w0=24,wa=0,wm=2.5,g=8", "1 <= d <= 10000, but got d=10001"),
        ("d=13,w0=-8,wa=36,wm=2.5,g=8", "1 <= w0 <= 100000, but got w0=-8"),
        ("d=13,w0=20,wa=36,wm=2.5,g=8", "w0 of a line is a multiple of 8, but got w0=20; 16"),
        ("d=13,w0=24,wa=-1,wm=2.5,g=8", "wa >= 0, but got wa=-1"),
        ("d=13,w0=24,wa=1e999,wm=2.5,g=8", "finite wa >= 0, but got wa=inf"),
        ("d=13,w0=24,wa=36,wm=1,g=8", "wm > 1, but got wm=1"),
        ("d=13,w0=24,wa=36,wm=2.5,g=0", "1 <= g <= 100000, but got g=0"),
        ("d=13,w0=24,wa=99999,wm=2.5,g=8", "above 100000; lower d, wa or wm"),
        ("d=13,w0=24,wa=1e308,wm=2.5,g=8", "inf wide, above 100000"),
        ("d=13,w0=24,wa=1e300,wm=1e200,g=8", "2.4e+201 wide, above 100000"),
        ("d=13,w0=24,wa=1e307,wm=1e204,g=8", "inf wide, above 100000"),
    ],
)
def test_a_wrong_line_gets_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(LawError, match=re.escape(words)) as caught:
        parse_line(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("widths", "depths", "group", "words"),
    [
        ([], [], 1, "at least one stage, but got 0 widths and 0 depths"),
        ([64, 128], [3], 1, "got 2 widths and 1 depths"),
        ([64, 0], [3, 3], 1, "widths of 1 to 100000, but got 0"),
        ([64, 128], [3, 0], 1, "depths of 1 to 10000, but got 0"),
        ([64, 128], [9000, 2000], 1, "at most 10000 blocks, but got 11000"),
        ([64, 128], [3, 3], 0, "a group width of 1 to 100000, but got 0"),
    ],
)
def test_stages_of_no_net_are_not_fitted(
    widths: list[int], depths: list[int], group: int, words: str
) -> None:
    with pytest.raises(LawError, match=re.escape(words)):
        fit_line(widths, depths, group)


def test_scaling_by_one_changes_nothing() -> None:
    for numbers in PUBLISHED.values():
        line = Line(*numbers)
        scaled = scaled_line(line, 1, 1, 1)
        assert (scaled.wa, scaled.wm) == pytest.approx((line.wa, line.wm))
        assert scaled.stages() == line.stages()


def test_scaling_multiplies_depth_both_ends_and_groups() -> None:
    line = Line(13, 24, 36, 2.5, 16)
    wider = scaled_line(line, 2, 2, 2)
    assert (wider.depth, wider.w0, wider.wm, wider.group_width) == (26, 48, 2.5, 32)
    # The last u is 24 + 36*12 = 456 before, and twice that after 25 steps.
    assert wider.w0 + wider.wa * 25 == pytest.approx(912)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("factor", [0.9, 1.3, 2.0, 3.7])
def test_stages_keep_their_shares_of_the_depth_and_widths_their_factor(
    name: str, factor: float
) -> None:
    line = Line(*PUBLISHED[name])
    before, after = line.stages(), scaled_line(line, 1, factor, 1).stages()
    assert len(after.widths) == len(before.widths)
    pairs = zip(before.depths, after.depths, strict=True)
    assert max(abs(one - other) for one, other in pairs) <= 1
    # the group width stays here, and a width moves by half of it and by half a step of 8
    widest = after.widths[-1] - before.widths[-1] * factor
    assert abs(widest) <= (4 + line.group_width / 2) * (1 + factor)


@pytest.mark.parametrize(
    ("group", "factor", "scaled"),
    # pycls, models/scaler.py: up to 2 as they are, up to 5 to 4, else multiples of 8
    [(1, 0.2, 1), (1, 1.7, 2), (2, 1.5, 4), (8, 0.6, 4), (8, 0.75, 8), (24, 1.6, 40), (20, 1, 16)],
)
def test_group_widths_round_as_in_pycls(group: int, factor: float, scaled: int) -> None:
    assert scaled_line(Line(4, 64, 20, 2, group), 1, 1, factor).group_width == scaled


def test_a_line_of_one_block_scales_its_slope_by_width() -> None:
    assert scaled_line(Line(1, 64, 20, 2, 8), 3, 2, 1) == Line(3, 128, 40, 2, 8)
    assert scaled_line(Line(3, 64, 20, 2, 8), 0.1, 2, 1) == Line(1, 128, 40, 2, 8)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ((0, 1, 1), "a depth factor is above 0 and at most 1000000, but got 0"),
        ((1, math.nan, 1), "a width factor is above 0 and at most 1000000, but got nan"),
        ((1, 1, math.inf), "a group width factor is above 0 and at most 1000000, but got inf"),
        ((10_000, 1, 1), "1 <= d <= 10000, but got d=130000"),
        ((1, 1_000, 1), "above 100000; lower d, wa or wm"),
    ],
)
def test_a_line_is_not_scaled_out_of_its_laws(
    factors: tuple[float, float, float], words: str
) -> None:
    with pytest.raises(LawError, match=re.escape(words)):
        scaled_line(Line(13, 24, 36.44, 2.49, 8), *factors)
