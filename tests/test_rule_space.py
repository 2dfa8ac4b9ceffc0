"""Spaces of scaling rules: what they hold, the law of what they give, and what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_rules import tiny_base

from archspec.cost import totals
from archspec.diff import differences
from archspec.domains import Domain
from archspec.errors import FitError, SpecError
from archspec.planning import plan_network
from archspec.scaling.rule import parse_rule, read_rule
from archspec.scaling.solve import scale_to
from archspec.shipped import shipped_networks, shipped_rule_spaces
from archspec.spec import parse_spec, read_spec
from archspec.template import Pick, Template
from search.grid import every_point
from search.rule_space import RuleSpace
from search.rule_text import Rules, constants, in_constants, shares


def picked(values: Mapping[str, Any]) -> Pick:
    def pick(name: str, _domain: Domain) -> Any:
        return values[name]

    return pick


def shares_of(depth: float, width: float, resolution: float) -> Pick:
    values = {"depth": depth, "width": width, "resolution": resolution}
    return picked({f"shares.{knob}": value for knob, value in values.items()})


# Shipped spaces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped_rule_spaces())
def test_every_shipped_space_reads_dumps_and_reads_again(name: str) -> None:
    space = RuleSpace.read("cmt_s", name)
    space.check()
    again = RuleSpace.parse(space.dump(), space.name)
    assert again.dump() == space.dump()
    assert again.parameters == space.parameters
    assert again.side == 224


def test_spaces_of_rules_are_no_networks() -> None:
    assert not shipped_networks().keys() & shipped_rule_spaces().keys()


def test_what_the_shipped_spaces_search() -> None:
    three = {"shares.depth", "shares.width", "shares.resolution"}
    assert set(Rules.read("compound").parameters) == three
    assert set(Rules.read("kernel").parameters) == {*three, "shares.kernel"}
    assert set(Rules.read("grid").parameters) == {"depth", "width", "resolution"}
    # EfficientNet-B0 has seven stages, each with a depth and a width of its own
    stages = {f"stages.{knob}.{stage}" for knob in ("depth", "width") for stage in range(7)}
    assert set(RuleSpace.read("efficientnet_b0", "each_stage").parameters) == three | stages


# Constants ----------------------------------------------------------------------------------------


def test_constants_of_the_dwr_family_are_those_of_the_paper() -> None:
    """Dollar et al., arXiv 2103.06877, section 3: s = 2, alpha = 0.8: d = s^0.1, w = s^0.4,
    r = s^0.05."""
    found = constants(read_rule("dwr"), 4)
    assert found is not None
    asked = {"depth": 2**0.1, "width": 2**0.4, "resolution": 2**0.05, "group": 2**0.4}
    assert found == pytest.approx(asked, rel=1e-5)


def test_constants_of_published_rules_are_brought_to_a_doubling() -> None:
    """1.2 * 1.1^2 * 1.15^2 = 1.920 and 1.2 * 1.3^1.5 * 1.15^2 = 2.352, brought to 2."""
    for name, width, exponent in (("efficientnet", 1.1, 2.0), ("cmt", 1.3, 1.5)):
        power = math.log(2) / math.log(1.2 * width**exponent * 1.15**2)
        found = constants(read_rule(name), 4)
        assert found == pytest.approx(
            {"depth": 1.2**power, "width": width**power, "resolution": 1.15**power}, rel=1e-5
        )


def test_rules_of_points_have_no_constants() -> None:
    assert constants(read_rule("resnet_rs"), 4) is None


def test_shares_are_parts_of_log_flops() -> None:
    rule = Rules.read("compound").rule(shares_of(2, 1, 5))
    found = constants(rule, 4)
    assert found is not None
    assert shares(found, rule.law) == pytest.approx(
        {"depth": 2 / 8, "width": 1 / 8, "resolution": 5 / 8}, abs=1e-4
    )


def test_a_rule_in_constants_asks_for_the_same_networks() -> None:
    rule = read_rule("cmt")
    found = in_constants(rule, 4)
    stretch = math.log(2) / math.log(1.2 * 1.3**1.5 * 1.15**2)
    one, other = rule.factors(0.7 * stretch, 4), found.factors(0.7, 4)
    assert other.depth == pytest.approx(one.depth, rel=1e-5)
    assert other.width == pytest.approx(one.width, rel=1e-5)
    assert other.resolution == pytest.approx(one.resolution, rel=1e-5)
    assert (found.stem, found.heads, found.rounding) == (rule.stem, rule.heads, rule.rounding)


def test_what_is_found_reads_as_a_rule() -> None:
    rule = Rules.read("each_stage", 2).rule(
        picked(
            {
                "shares.depth": 4,
                "shares.width": 4,
                "shares.resolution": 0,
                "stages.depth.0": 0.0,
                "stages.depth.1": 2.0,
                "stages.width.0": 1.0,
                "stages.width.1": 0.5,
            }
        )
    )
    text = rule.dump()
    assert parse_rule(text, rule.name) == rule
    # depth is 2^(1/2) a phi and width 2^(1/4), each to the power of its stage's multiple; in the
    # geometric mean FLOPs so grow by 2^(1/2 + 2 * 3/16), of which a phi of constants is 2
    power = 1 / (1 / 2 + 2 * 3 / 16)
    assert rule.depth == pytest.approx((1.0, 2**power), rel=1e-5)
    assert rule.width == pytest.approx((2 ** (power / 4), 2 ** (power / 8)), rel=1e-5)


# The grid -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "highest", "exponent", "growth", "own"),
    [
        ("grid", (20, 8, 8), 2.0, 2.0, (1.2, 1.1, 1.15)),
        ("grid_cmt", (30, 16, 12), 1.5, 2.5, (1.2, 1.3, 1.15)),
    ],
)
def test_points_of_the_grid_are_those_near_the_law(
    name: str,
    highest: tuple[int, int, int],
    exponent: float,
    growth: float,
    own: tuple[float, float, float],
) -> None:
    """Steps of 0.05 from 1; the papers' own choices are among them."""
    every = itertools.product(*(range(count + 1) for count in highest))
    expected = set()
    for steps in every:
        d, w, r = (round(1 + 0.05 * step, 2) for step in steps)
        if abs(d * w**exponent * r**2 - growth) <= 0.06 * growth:
            expected.add((d, w, r))
    points = RuleSpace.read("cmt_s", name).points
    found = [tuple(point[key] for key in ("depth", "width", "resolution")) for point in points]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert own in expected


def test_every_point_goes_into_options() -> None:
    text = {
        "a": {"choice": {"x": {"k": {"range": [1, 3]}}, "y": 5}},
        "b": {"range": [0.0, 0.2], "step": 0.1},
        "c": {"choice": ["p", "q"], "tie": "t"},
        "d": {"choice": ["p", "q"], "tie": "t"},
    }
    points = list(every_point(Template(text).fill, "text"))
    first = [{"a": "x", "a=x.k": k} for k in (1, 2, 3)] + [{"a": "y"}]
    rest = itertools.product(first, (0.0, 0.1, 0.2), ("p", "q"))
    assert points == [{**a, "b": b, "t": t} for a, b, t in rest]


# Landing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["cmt_s", "efficientnet_b0", "resnet50"])
def test_every_rule_lands_on_the_budget(base: str) -> None:
    space = RuleSpace.read(base)
    limit = 2.0 * totals(plan_network(space.base)).flops
    for parts in ((1, 1, 1), (0, 3, 1), (5, 1, 0), (2, 0, 3)):
        found = space.propose(shares_of(*parts))({"flops": limit})
        # counted again, from the text
        spent = totals(plan_network(parse_spec(found.spec.dump()))).flops
        assert 0.98 * limit <= spent <= limit
        assert found.used == pytest.approx(spent / limit)


def test_a_rule_that_does_not_land_says_how_far_it_is(tmp_path: Path) -> None:
    space = RuleSpace.read(tiny_base(tmp_path))
    cost = totals(plan_network(space.base)).flops
    with pytest.raises(FitError, match=r"no step lands within 2% under the budget; the nearest"):
        space.propose(shares_of(1, 0, 0))({"flops": 1.05 * cost})


def test_the_base_of_a_run_names_no_files(tmp_path: Path) -> None:
    path = tiny_base(tmp_path)
    rule = "format: 1\ndepth: 2.0\n"
    (tmp_path / "mine.yaml").write_text(rule, encoding="utf-8")
    path.write_text(path.read_text() + "scaling: mine.yaml\nreference: {top1: 99}\n")
    base = RuleSpace.read(path).base
    assert base.scaling is None
    assert base.reference is None


# Refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("depth: 1.2\n", "has nothing to search"),
        ("shares: {depth: {range: [3, 1]}}\n", "rules.yaml:1:25: shares.depth.range: low <= high"),
        ("shares: {dept: {range: [0, 1]}}\n", "did you mean 'depth'"),
        ("share: {depth: {range: [0, 1]}}\n", "did you mean 'shares'"),
        ("depth: {range: [1.0, 2.0]}\nnear: {growth: 0.5}\n", "rules.yaml:2:16: near.growth"),
        ("depth: {range: [1.0, 2.0]}\nnear: {with: 0.5}\n", "did you mean 'within'"),
        ("depth: {range: [1.0, 2.0]}\neach_stage: 3\n", "each_stage is a mapping"),
        (
            "shares: {depth: 1}\neach_stage: {dept: {range: [0, 1]}}\n",
            "rules.yaml:2:14: each_stage.dept: unknown key",
        ),
        ("points: {choice: [[], []]}\n", "points"),
        ("depth: {range: [-2.0, -1.0]}\n", "depth: value > 0.0 must hold"),
        ("extends: cmtt\ndepth: {range: [1.0, 2.0]}\n", "did you mean 'cmt'"),
    ],
)
def test_a_wrong_text_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        RuleSpace.read("cmt_s", path).check()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_space_may_extend_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "wider.yaml"
    path.write_text(
        "extends: cmt\nwidth: {range: [1.0, 1.6], step: 0.1}\nset: {law: {width: 1.5}}\n"
    )
    rules = Rules.read(path)
    assert set(rules.parameters) == {"width"}
    found = rules.rule(picked({"width": 1.0}))
    assert (found.stem, found.heads, found.law.width) == (True, "keep", 1.5)


def test_a_base_that_no_rule_can_scale(tmp_path: Path) -> None:
    path = tmp_path / "flat.yaml"
    head = "head: [{pool: global}, {linear: classes}]\n"
    path.write_text("input: {resolution: 32}\nclasses: 10\n" + head, encoding="utf-8")
    with pytest.raises(SpecError, match="flat has no stages that rule compound could scale"):
        RuleSpace.read(path).check()
    with pytest.raises(SpecError, match="a domain stands where a value is needed"):
        RuleSpace.read("hybrid")


def test_rules_where_nothing_grows_are_no_rules(tmp_path: Path) -> None:
    rules = Rules.read("compound")
    with pytest.raises(SpecError, match="one share of depth, width and resolution is above 0"):
        rules.rule(shares_of(0, 0, 0))
    flat = {"depth": 1.0, "width": 1.0, "resolution": 1.0}
    path = tmp_path / "flat.yaml"
    path.write_text("".join(f"{key}: {{range: [1.0, 2.0]}}\n" for key in flat))
    with pytest.raises(SpecError, match="a rule moves one at least of depth, width"):
        Rules.read(path).rule(picked(flat))


def test_a_found_rule_gives_its_network_again_stem_and_head_included() -> None:
    # EfficientNet's own rule moves its stem and head, so rules that say nothing of them do, too
    space = RuleSpace.read("efficientnet_b0")
    limits = {"flops": 0.8e9}
    found = space.propose(picked({"shares.depth": 1, "shares.width": 4, "shares.resolution": 2}))
    landed = found(limits)
    assert landed.rule is not None
    again = scale_to(read_spec("efficientnet_b0"), parse_rule(landed.rule.dump()), limits).scaled
    assert differences(again.spec, landed.spec) == []
    assert again.plan.stem.out.channels > 32
