from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from archspec.cost import Totals, leaves, totals
from archspec.planning import plan_network
from archspec.spec import parse_spec, read_spec

#: trainable parameters and multiply-adds (G) counted on the authors' code or timm, the attention's
#: two products included: ../shared/reference/computed.csv beside a checkout
COUNTED = [
    ("resnet50", 25_557_032, 4.0892),
    ("mobilenetv2_100", 3_504_872, 0.3008),
    ("efficientnet_b0", 5_288_548, 0.3858),
    ("regnety_040", 20_646_656, 3.9733),
    ("deit_small", 22_050_664, 4.5989),
    ("swin_tiny", 28_288_354, 4.4906),
    ("convnext_tiny", 28_589_128, 4.4555),
    ("cmt_s", 26_256_160, 4.0317),
    ("spach_ms_s_hybrid", 63_028_584, 11.0509),
    ("replknet_31b", 79_864_168, 15.4313),
    ("replknet_31b merged", 79_527_272, 15.3535),
]
SMALL = "input: {resolution: 32}\n"


def costs(text: str, head: str = SMALL) -> Totals:
    return totals(plan_network(parse_spec(head + text)))


@pytest.mark.parametrize(("name", "params", "gmacs"), COUNTED, ids=[row[0] for row in COUNTED])
def test_published_networks_are_counted_exactly(name: str, params: int, gmacs: float) -> None:
    source, _, form = name.partition(" ")
    spec = read_spec(source, [("form", form)] if form else [])
    sums = totals(plan_network(spec))
    assert sums.params == params
    assert round(sums.flops / 1e9, 4) == gmacs


@pytest.mark.parametrize(
    ("nodes", "params", "flops", "activations"),
    [
        # 3 -> 8 channels, 3x3, 32x32 out
        ("{conv: {width: 8, kernel: 3}}", 3 * 8 * 9, 3 * 8 * 9 * 1024, 8 * 1024),
        ("{conv: {width: 8, kernel: 3, bias: true}}", 3 * 8 * 9 + 8, 216 * 1024, 8 * 1024),
        ("{conv: {width: 8, kernel: 3, stride: 2}}", 216, 216 * 256, 8 * 256),
        ("{conv: {width: 6, groups: 3}}", 6, 6 * 1024, 6 * 1024),
        ("{dwconv: 5}", 75, 75 * 1024, 3 * 1024),
        ("{linear: 8}", 32, 24 * 1024, 8 * 1024),
        ("{norm: batch}", 6, 0, 0),
        ("{pool: global}, {linear: 10}", 40, 30, 10),
        ("act, {dropout: 0.1}, {scale: 2}, {slice: {stop: 2}}", 0, 0, 0),
        ("{layer_scale: 1}", 3, 0, 0),
        ("class_token", 3, 0, 0),
        ("class_token, position", 3 + 3 * 1025, 0, 0),
        # queries, keys, values, projection, and two products of 1024 x 1024 x 3
        (
            "{attention: {heads: 1}}",
            4 * (9 + 3),
            4 * 9 * 1024 + 2 * 1024 * 1024 * 3,
            4 * 3 * 1024 + 1024 * 1024 + 3 * 1024,
        ),
        # 16 windows of 8x8: products of 64 keys for each of 1024 queries
        (
            "{attention: {heads: 1, window: 8}}",
            48,
            4 * 9 * 1024 + 2 * 1024 * 64 * 3,
            4 * 3 * 1024 + 1024 * 64 + 3 * 1024,
        ),
        # 2 heads, queries and keys 5 wide, values 7 wide, 3 -> 8 channels
        (
            "{attention: {heads: 2, width: 8, key_dim: 5, value_dim: 7, qkv_bias: false}}",
            3 * (10 + 10 + 14) + 14 * 8 + 8,
            3 * 34 * 1024 + 2 * (5 + 7) * 1024 * 1024 + 14 * 8 * 1024,
            34 * 1024 + 2 * 1024 * 1024 + 14 * 1024 + 8 * 1024,
        ),
        # the products alone, and a table of 32 x 32 distances
        (
            "{attention: {heads: 1, qkv: false, project: false, bias: offset}}",
            1024,
            2 * 1024 * 1024,
            1024 * 1024 + 1024,
        ),
        (
            "{attention: {heads: 3, kind: cosine, window: [8, 4], project: false}}",
            36 + 3,
            9 * 3 * 1024 + 2 * 1024 * 32 * 3,
            9 * 1024 + 3 * 1024 * 32 + 3 * 1024,
        ),
        # a table of 8 x 4 distances
        (
            "{attention: {heads: 1, window: [8, 4], bias: offset, project: false}}",
            36 + 32,
            9 * 3 * 1024 + 2 * 1024 * 32 * 3,
            9 * 1024 + 1024 * 32 + 3 * 1024,
        ),
        # keys meet values and their number, 3 x 4 of them; then queries meet those
        (
            "{attention: {heads: 1, kind: linear, project: false}}",
            36,
            27 * 1024 + 2 * 3 * 4 * 1024,
            9 * 1024 + 3 * 4 + 4 * 1024,
        ),
        # 3 x 3 scores of channels, a temperature
        (
            "{attention: {heads: 1, kind: channel, project: false}}",
            36 + 1,
            27 * 1024 + 2 * 9 * 1024,
            9 * 1024 + 9 + 3 * 1024,
        ),
        # a quarter of the queries, by a depthwise convolution
        (
            "{attention: {heads: 1, q: [{dwconv: {kernel: 2, stride: 2}}]}}",
            12 + 48,
            12 * 256 + 9 * 256 + 18 * 1024 + 2 * 256 * 1024 * 3 + 9 * 256,
            3 * 256 + (3 * 256 + 6 * 1024) + (256 * 1024 + 3 * 256) + 3 * 256,
        ),
        ("{attach: [[{pool: global}, {conv: 3}], []]}", 9, 9, 3),
        ("{norm: rms}, {norm: {kind: rms, affine: false}}", 3, 0, 0),
        ("{norm: response}, {norm: affine}, {norm: layer}", 18, 0, 0),
        ("{norm: {kind: affine, bias: false}}, {norm: {kind: layer, bias: false}}", 6, 0, 0),
        ("{act: prelu}, {act: star_relu}, {act: elu}", 5, 0, 0),
        ("{softmax: 3}, {upsample: 2}, {pool: {kind: max, over: channels}}", 0, 0, 0),
        ("{upsample: 2}, {conv: 1}", 3, 3 * 64 * 64, 64 * 64),
        ("{conv: {width: 8, kernel: 4, stride: 3, same: true}}", 384, 384 * 121, 8 * 121),
        ("{token_mix: [{linear: tokens}]}", 1024 * 1025, 1024 * 1024 * 3, 3 * 1024),
        ("{add: [[{conv: 4}], [{conv: 4}]]}", 24, 24 * 1024, 8 * 1024),
        ("{mul: [[], [{pool: global}, {conv: 3}]]}", 9, 9, 3),
        ("{concat: [[], [{conv: 4}]]}, {conv: 1}", 12 + 7, 19 * 1024, 5 * 1024),
        ("{times: 3, do: [{conv: {kernel: 3}}]}", 3 * 81, 3 * 81 * 1024, 3 * 3 * 1024),
    ],
)
def test_counts_by_hand(nodes: str, params: int, flops: int, activations: int) -> None:
    sums = costs(f"stem: [{nodes}]")
    assert (sums.params, sums.flops, sums.activations) == (params, flops, activations)


@pytest.mark.parametrize(
    ("nodes", "field"),
    [
        ("{conv: 8}", 1),
        ("{conv: {kernel: 3}}", 3),
        ("{conv: {kernel: 3}}, {conv: {kernel: 3}}", 5),
        ("{conv: {kernel: 3, stride: 2}}, {conv: {kernel: 3}}", 7),
        ("{conv: {kernel: 7, stride: 2}}, {pool: {kind: max, kernel: 3, stride: 2}}", 11),
        ("{conv: {kernel: 4, stride: 4}}, {dwconv: 7}", 4 + 6 * 4),
        ("{conv: {kernel: 3, dilation: 2}}", 5),
        ("{conv: {kernel: [1, 5]}}", 5),
        ("{residual: [{dwconv: 3}, {dwconv: 3}]}", 5),
        ("{add: [[{dwconv: 3}], [{dwconv: 7}]]}", 7),
        ("{times: 10, do: [{dwconv: 3}]}", 21),
        ("{space_to_depth: 2}, {dwconv: 3}", 6),
        ("{attention: {heads: 1, window: 8}}", 8),
        ("{attention: {heads: 1, window: [2, 8]}}", 8),
        ("{conv: {kernel: 3}}, {upsample: 2}, {dwconv: 3}", 4),
        # of three equal neighbours and the next ones, two are seen at most
        ("{conv: {kernel: 3}}, {upsample: 3}, {dwconv: 3}", 4),
        ("{upsample: {size: 2, kind: bilinear}}", 2),
        ("{upsample: 3}, {dwconv: {stride: 3}}, {dwconv: 3}", 4),
        ("{pool: {kind: max, size: 4}}", 8),
        ("{pool: {kind: max, over: channels}}, {softmax: 1}, {norm: rms}", 1),
        ("{norm: response}", None),
        ("{attention: {heads: 1}}", None),
        ("{mul: [[], [{pool: global}, {conv: 3}]]}", None),
        ("{token_mix: [{linear: tokens}]}", None),
    ],
)
def test_receptive_fields_by_hand(nodes: str, field: int | None) -> None:
    assert costs(f"stem: [{nodes}]").receptive_field == field


def test_a_head_does_not_widen_the_receptive_field() -> None:
    text = "stem: [{conv: {width: 8, kernel: 3}}]\nhead: [{pool: global}, {linear: classes}]"
    assert costs(text).receptive_field == 3


@pytest.mark.parametrize(
    ("nodes", "depth"),
    [
        ("{conv: 8}, norm, act, {linear: 8}", 2),
        ("{residual: [{conv: 3}, {conv: 3}]}", 2),
        ("{residual: {do: [{conv: 6}], shortcut: [{conv: 6}]}}", 1),
        ("{add: [[{conv: 3}], [{conv: 3}, {conv: 3}]]}", 2),
        # queries (keys and values beside them), two products, the projection
        ("{attention: {heads: 1}}", 4),
        ("{attention: {heads: 1, project: false}}", 3),
        ("{attention: {heads: 1, kv: [{dwconv: {kernel: 2, stride: 2}}]}}", 5),
        ("{conv: 9}, {attention: {heads: 1, qkv: false}}", 4),
        ("{attention: {heads: 1, kind: linear}}", 4),
        ("{times: 50, do: [{conv: 3}]}", 50),
        ("{pool: global}, {dropout: 0.5}", 0),
    ],
)
def test_depth_by_hand(nodes: str, depth: int) -> None:
    assert costs(f"stem: [{nodes}]").depth == depth


def test_memory_traffic_counts_each_tensor_once() -> None:
    # in 3x32x32, weights 216, out 8x32x32, of 4 bytes each
    assert costs("stem: [{conv: {width: 8, kernel: 3}}]").traffic == 4 * (3072 + 216 + 8192)
    # an add reads two maps and writes one
    assert costs("stem: [{residual: []}]").traffic == 4 * 3 * 3072


def test_norms_and_pooling_are_fvcores_extra() -> None:
    sums = costs("stem: [norm, {norm: layer}]\nhead: [{pool: global}]")
    assert sums.flops == 0
    assert sums.fvcore_total == sums.other_flops == 2 * 3072 + 5 * 3072 + 3072


def test_upsampling_is_fvcores_extra() -> None:
    assert costs("stem: [{upsample: 2}]").other_flops == 3 * 64 * 64
    assert costs("stem: [{upsample: {size: 2, kind: bilinear}}]").other_flops == 4 * 3 * 64 * 64
    assert costs("stem: [{pool: {kind: max, size: 4}}]").other_flops == 0


@pytest.mark.parametrize(("kind", "bias"), [("free", 64 * 64), ("offset", 64), ("table", 15 * 15)])
def test_a_shared_bias_is_counted_once_a_stage(kind: str, bias: int) -> None:
    block = f"block: [{{attention: {{heads: 1, bias: {kind}, share: stage}}}}]"
    one, five = (
        costs(f"stages: [{{width: 3, depth: {depth}, {block}}}]", "input: {resolution: 8}\n")
        for depth in (1, 5)
    )
    assert one.params - bias == 48
    assert five.params - bias == 5 * 48


BLOCKS = {
    "convnext": "[{convnext: {kernel: 3}}]",
    "cmt": "[lpu, {lmhsa: {heads: 2, reduction: 2}}, irffn]",
    "se": "[{mbconv: {se: 0.25}}]",
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_repeats_cost_what_unrolled_blocks_cost(block: str) -> None:
    stem = "stem: [{conv: {width: 16, kernel: 2, stride: 2}}]\n"
    held = costs(f"{stem}stages: [{{width: 16, depth: 7, block: {block}}}]")
    unrolled = ", ".join(f"{{times: 1, block: {block}}}" for _ in range(7))
    spelled = costs(f"{stem}stages: [{{width: 16, blocks: [{unrolled}]}}]")
    assert held == spelled


def test_turns_cost_what_their_unrolled_blocks_cost() -> None:
    stem = "stem: [{conv: {width: 16, kernel: 2, stride: 2}}]\n"
    turns = "[[{convnext: {kernel: 3}}], [{convnext: {kernel: 5}}, mlp]]"
    held = costs(f"{stem}stages: [{{width: 16, depth: 5, blocks: {turns}}}]")
    a, b = (
        "{times: 1, block: [{convnext: {kernel: 3}}]}",
        ("{times: 1, block: [{convnext: {kernel: 5}}, mlp]}"),
    )
    assert held == costs(f"{stem}stages: [{{width: 16, blocks: [{a}, {b}, {a}, {b}, {a}]}}]")


def test_a_plan_of_depth_200_is_no_larger_than_one_of_depth_3() -> None:
    def runs(depth: int) -> list[int]:
        text = f"stages: [{{width: 64, depth: {depth}, block: {BLOCKS['cmt']}}}]"
        plan = plan_network(parse_spec(f"{SMALL}stem: [{{conv: 64}}]\n{text}"))
        assert plan.stages[0].depth == depth
        return [len(run.blocks) for run in plan.stages[0].runs]

    assert runs(200) == runs(3)


@pytest.mark.parametrize("name", ["resnet50", "cmt_s", "swin_tiny", "spach_ms_s_hybrid"])
def test_leaves_sum_to_the_totals(name: str) -> None:
    plan = plan_network(read_spec(name))
    params = flops = activations = 0
    for path, part in plan.parts():
        shared: set[tuple[str, int]] = set()
        for _, times, leaf in leaves(part, path):
            inner = {knob: nodes.out for knob, nodes in leaf.inner}
            cost = leaf.layer.cost(leaf.shape, leaf.out, inner)
            params += times * cost.params
            flops += times * cost.flops
            activations += times * cost.activations
            shared |= cost.shared
        params += sum(count for _, count in shared)
    sums = totals(plan)
    assert (params, flops, activations) == (sums.params, sums.flops, sums.activations)


def test_parts_sum_to_the_totals() -> None:
    plan = plan_network(read_spec("efficientnet_b0"))
    parts: list[Any] = [totals(part) for _, part in plan.parts()]
    whole = totals(plan)
    for key in ("params", "flops", "activations", "other_flops", "moved", "depth", "layers"):
        assert sum(getattr(part, key) for part in parts) == getattr(whole, key)


def test_counting_needs_no_torch() -> None:
    code = (
        "import sys, archspec.spec, archspec.planning, archspec.cost, archspec.diff\n"
        "import archspec.schema, archspec.template\n"
        "spec = archspec.spec.read_spec('cmt_s')\n"
        "archspec.cost.totals(archspec.planning.plan_network(spec))\n"
        "heavy = {'torch', 'numpy', 'optuna', 'pandas', 'typer', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
