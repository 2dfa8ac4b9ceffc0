"""Networks scaled by rules: what comes of factors, of budgets, and of the short text."""

from __future__ import annotations

from pathlib import Path

import pytest

from archspec.cost import totals
from archspec.diff import differences
from archspec.errors import FitError, SpecError
from archspec.fit import BOUNDED, ENOUGH
from archspec.planning import plan_network
from archspec.scaling.growth import growth
from archspec.scaling.rule import parse_rule, read_rule
from archspec.scaling.scaled import Scaler
from archspec.scaling.solve import scale_to
from archspec.scaling.text import short_text
from archspec.small import small_images
from archspec.spec import parse_spec, read_spec

#: networks of every kind: stem tied to the first stage, exact heads, groups, turns, spelled blocks
BASES = (
    "resnet50", "cmt_s", "convnext_tiny", "swin_tiny", "efficientnet_b0", "regnety_016",
    "deit_small_patch16_224", "spach_ms_s_hybrid", "resnext50_32x4d", "replknet_31b",
    "maxvit_tiny_tf_224", "mobilenetv2_100", "pvt_v2_b2",
)  # fmt: skip
RULES = ("dwr", "uniform", "efficientnet", "cmt", "width", "depth")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("rule", RULES)
def test_the_short_text_reads_back_as_the_scaled_network(
    base: str, rule: str, tmp_path: Path
) -> None:
    scaler = Scaler(read_spec(base), read_rule(rule))
    for phi in (-0.7, 1.0, 1.9):
        scaled = scaler.at(phi)
        file = tmp_path / "scaled.yaml"
        file.write_text(short_text(base, (), scaler.text, scaled.values, "Scaled.", file))
        again = read_spec(str(file))
        assert differences(again, scaled.spec) == []
        assert len(file.read_text().splitlines()) < 20


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("rule", ["dwr", "efficientnet", "width"])
def test_a_budget_is_used_and_never_exceeded(base: str, rule: str) -> None:
    spec = read_spec(base)
    now = totals(plan_network(spec)).flops
    for times in (0.6, 2.3):
        landed = scale_to(spec, read_rule(rule), {"flops": times * now})
        reached = totals(plan_network(landed.scaled.spec)).flops
        assert landed.used == reached / (times * now)
        # one stage alone: 8 channels more are 5% of DeiT's multiply-adds
        assert (0.94 if len(spec.stages) == 1 else ENOUGH) <= landed.used <= 1


def test_no_network_of_the_rule_under_the_budget_is_larger() -> None:
    # every phi in steps of 0.01, against the solved one without its single steps
    scaler = Scaler(read_spec("convnext_tiny"), read_rule("uniform"))
    costs = [totals(scaler.at(place / 100).plan).flops for place in range(-100, 301)]
    for limit in (3e9, 7.5e9, 19e9):
        best = max(cost for cost in costs if cost <= limit)
        landed = scale_to(scaler.spec, scaler.rule, {"flops": limit})
        assert landed.used * limit >= min(best, ENOUGH * limit)


def test_two_budgets_bind_by_the_tighter_one() -> None:
    limits = {"flops": 4.5e9, "params": 30e6}
    landed = scale_to(read_spec("cmt_s"), read_rule("cmt"), limits)
    sums = totals(landed.scaled.plan)
    shares = {name: BOUNDED[name](sums) / limit for name, limit in limits.items()}
    assert max(shares.values()) == landed.used
    assert ENOUGH <= landed.used <= 1
    assert all(share <= 1 for share in shares.values())


def test_a_network_that_no_text_holds_is_scaled_too() -> None:
    small = small_images(read_spec("resnet18"), 32)
    scaled, used, _ = scale_to(small, read_rule("width"), {"flops": 100e6})
    assert 0.98 <= used <= 1
    assert used == totals(plan_network(scaled.spec)).flops / 100e6


def test_each_rule_moves_its_own_knob_alone() -> None:
    spec = read_spec("resnet50")
    before = [(stage.width, stage.count) for stage in spec.stages]
    for rule, moved in (("width", 0), ("depth", 1)):
        landed = scale_to(spec, read_rule(rule), {"flops": 8e9}).scaled.spec
        after = [(stage.width, stage.count) for stage in landed.stages]
        kept = 1 - moved
        assert [pair[kept] for pair in after] == [pair[kept] for pair in before]
        assert all(b[moved] > a[moved] for a, b in zip(before, after, strict=True))  # type: ignore[operator]
        assert landed.input.resolution == 224
    seen = scale_to(spec, read_rule("resolution"), {"flops": 8e9}).scaled.spec
    assert seen.stages == spec.stages
    costs = {side: totals(plan_network(spec.at((side, side)))).flops for side in range(4, 512, 4)}
    assert seen.input.resolution == max(side for side, cost in costs.items() if cost <= 8e9)


def test_blocks_that_take_turns_stay_whole_turns() -> None:
    spec = read_spec("swin_tiny")
    for phi in (0.3, 0.8, 1.5):
        deeper = Scaler(spec, read_rule("depth")).at(phi).spec
        # Swin: windows and shifted windows in pairs
        assert all(stage.count % 2 == 0 for stage in deeper.stages)


def test_spelled_blocks_share_the_depth() -> None:
    spec = read_spec("spach_ms_s_hybrid")  # stage 2: 2 of convolution, then 10 of attention
    grown = Scaler(spec, parse_rule("depth: 1.5", "deeper")).at(1).spec
    times = [[turn.times for turn in stage.blocks or ()] for stage in grown.stages]
    assert [sum(n or 0 for n in each) for each in times if each] == [
        round(1.5 * stage.count) for stage in spec.stages if stage.blocks
    ]
    assert times[2] == [3, 15]


def test_a_stem_that_enters_the_first_stage_keeps_its_width() -> None:
    for base in ("convnext_tiny", "deit_small_patch16_224", "replknet_31b"):
        wider = Scaler(read_spec(base), read_rule("width")).at(1)
        assert wider.plan.stem.out.channels == wider.spec.stages[0].width
    kept = Scaler(read_spec("resnet50"), read_rule("width")).at(1)
    assert kept.plan.stem.out.channels == 64


def test_heads_follow_the_width_at_the_same_head_width() -> None:
    spec = read_spec("spach_ms_s_hybrid")  # four heads at 256, 512 and 1024
    grown = Scaler(spec, parse_rule("width: 2", "wider")).at(1).spec
    heads = [stage.blocks[1].block[0].knobs["heads"] for stage in grown.stages[1:] if stage.blocks]
    assert heads == [8, 8, 8]


def test_windows_that_no_longer_divide_the_map_hold_the_side() -> None:
    scaled = Scaler(read_spec("swin_tiny"), read_rule("dwr")).at(1)
    assert scaled.factors.resolution == pytest.approx(2**0.05)
    assert scaled.spec.input.resolution == 224
    rows = growth(Scaler(read_spec("swin_tiny"), read_rule("dwr")), scaled)
    side = next(row for row in rows if row.what == "resolution")
    assert side.asked == pytest.approx(2**0.05)
    assert (side.reached, side.before, side.after) == (1, 224, 224)


def test_growth_tells_both_factors_and_the_costs() -> None:
    scaler = Scaler(read_spec("efficientnet_b0"), read_rule("efficientnet"))
    rows = {row.what: row for row in growth(scaler, scaler.at(1))}
    assert rows["depth"].asked == pytest.approx(1.2)
    # ceil(1.2 n) of 1, 2, 2, 3, 3, 4, 1
    assert rows["depth"].reached == pytest.approx((2 + 3 + 3 + 4 + 4 + 5 + 2) / 16)
    assert rows["law"].asked == pytest.approx(1.92, rel=1e-3)
    assert rows["flops"].after == totals(scaler.at(1).plan).flops


def test_a_stage_may_have_an_exponent_of_its_own_and_kernels_grow_to_odd_ones() -> None:
    rule = parse_rule(
        "depth: 2\nkernel: 1.3\nstages: {depth: [0, 0, 2, 1], kernel: [1, 1, 1, 0]}", "mine"
    )
    grown = Scaler(read_spec("convnext_tiny"), rule).at(1).spec
    assert [stage.count for stage in grown.stages] == [3, 3, 36, 6]
    kernels = [stage.block[0].knobs.get("kernel", 7) for stage in grown.stages if stage.block]
    assert kernels == [9, 9, 9, 7]


@pytest.mark.parametrize(
    ("base", "rule", "law"),
    [
        ("densenet121", "width", "stages.0 of densenet121 has none: its blocks decide it"),
        ("inception_v3", "dwr", "use a rule of depth or resolution"),
        ("resnet18", "resnet_rs", None),
        (
            "efficientnet_b0",
            "resnet_rs",
            "rule resnet_rs is for 4 stages, but efficientnet_b0 has 7",
        ),
        ("resnet152", "regnet", "no line has the 4 stages of resnet152, the nearest has 3"),
    ],
)
def test_a_rule_that_does_not_fit_a_network_is_told(base: str, rule: str, law: str | None) -> None:
    if law is None:
        Scaler(read_spec(base), read_rule(rule)).at(1)
        return
    with pytest.raises(SpecError, match=law):
        Scaler(read_spec(base), read_rule(rule)).at(1)


@pytest.mark.parametrize("phi", [400.0, 1e9, float("inf"), float("nan")])
def test_a_phi_that_overflows_is_one_line(phi: float) -> None:
    scaler = Scaler(read_spec("resnet50"), read_rule("efficientnet"))
    with pytest.raises(SpecError, match="choose a|finite number") as raised:
        scaler.at(phi)
    assert "\n" not in str(raised.value)


def test_a_target_below_what_the_least_costs_is_told_with_its_cost() -> None:
    with pytest.raises(FitError, match=r"cmt_s by rule cmt: too costly: the smallest takes"):
        scale_to(read_spec("cmt_s"), read_rule("cmt"), {"flops": 1000.0})


def test_a_network_outside_the_folder_of_the_text_cannot_be_extended(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "net.yaml"
    mine.parent.mkdir()
    mine.write_text("extends: resnet50\n")
    scaler = Scaler(read_spec(str(mine)), read_rule("width"))
    values = scaler.at(1).values
    beside = short_text(str(mine), (), scaler.text, values, "", mine.parent / "wider.yaml")
    assert "extends: net.yaml" in beside
    above = short_text(str(mine), (), scaler.text, values, "", tmp_path / "wider.yaml")
    assert "extends: mine/net.yaml" in above
    with pytest.raises(SpecError, match="extends stays inside its folder.*write it beside"):
        short_text(str(mine), (), scaler.text, values, "", tmp_path / "other" / "wider.yaml")


def test_a_budget_is_met_by_kernels_alone() -> None:
    rule = parse_rule("kernel: 1.4", "kernels")
    spec = read_spec("convnext_tiny")
    landed = scale_to(spec, rule, {"flops": 5e9})
    costs = [totals(Scaler(spec, rule).at(place / 50).plan).flops for place in range(400)]
    assert totals(landed.scaled.plan).flops == max(cost for cost in costs if cost <= 5e9)


def test_a_target_that_a_rule_cannot_reach_is_told() -> None:
    spec = read_spec("resnet50")
    for rule, limits in (("resolution", {"params": 30e6}), ("resnet_rs", {"flops": 500e9})):
        with pytest.raises(FitError, match=f"by rule {rule}: out of reach: the largest takes"):
            scale_to(spec, read_rule(rule), limits)


def test_every_group_width_is_its_own() -> None:
    text = """
    stem: [{conv: {width: 64, kernel: 4, stride: 4}}]
    stages:
    - width: 64
      depth: 4
      blocks:
      - [{bottleneck: {mid: w_out, group_width: 8}}]
      - [{bottleneck: {mid: w_out, group_width: 16}}]
    head: [{pool: global}, {linear: classes}]
    """
    spec = parse_spec(text, "groups")
    assert Scaler(spec, read_rule("depth")).at(0).values == {}
    wider = Scaler(spec, read_rule("dwr")).at(3).spec
    groups = [turn.block[0].knobs["group_width"] for turn in wider.stages[0].blocks or ()]
    # 8 and 16 times 8^0.4 = 2.3, to multiples of 8
    assert groups == [16, 40]
    assert (wider.stages[0].width or 0) % 80 == 0


def test_a_width_that_a_text_fixes_is_no_rules_to_move() -> None:
    for body in ("[{conv: {width: 48}}, {conv: {width: w_out}}]", "[{conv: {width: 6*8}}, same]"):
        text = f"""
    units:
      mine: {{body: {body.replace(", same", ", {conv: {width: w_out}}")}}}
    stages: [{{width: 64, block: [mine]}}]
    """
        with pytest.raises(SpecError, match="stages.0 of fixed fixes some, such as width in unit"):
            Scaler(parse_spec(text, "fixed"), read_rule("width"))
        Scaler(parse_spec(text, "fixed"), read_rule("depth"))


def test_spelled_blocks_are_never_left_out() -> None:
    spec = read_spec("spach_ms_s_hybrid")
    least = Scaler(spec, read_rule("depth")).at(-30).spec
    assert [stage.count for stage in least.stages] == [
        len(stage.blocks) if stage.blocks else 1 for stage in spec.stages
    ]
    smallest = totals(plan_network(least)).flops
    landed = scale_to(spec, read_rule("depth"), {"flops": 1.01 * smallest})
    assert landed.scaled.spec.stages == least.stages


@pytest.mark.parametrize("phi", [-5000.0, -1e5])
def test_a_phi_that_underflows_is_one_line(phi: float) -> None:
    with pytest.raises(SpecError, match="choose a phi nearer to 0"):
        Scaler(read_spec("resnet50"), read_rule("efficientnet")).at(phi)
