"""Laws of layers: what fits, what comes out, and the one line where something does not fit."""

from __future__ import annotations

import pytest

from archspec.errors import SpecError
from archspec.layers import Shape
from archspec.planning import plan_network
from archspec.spec import parse_spec

BASE = "input: {channels: 12, resolution: [8, 6]}\n"


def out(nodes: str, keys: str = "") -> Shape:
    return plan_network(parse_spec(f"{BASE}{keys}stem: [{nodes}]")).out


#: nodes, the path that the line must name, words that it must hold
WRONG = [
    # attention
    ("{attention: {kind: cosin}}", "attention.kind", ["'cosin'", "did you mean 'cosine'"]),
    ("{attention: {kind: linear, window: 2}}", "attention", ["kind linear", "drop window"]),
    ("{attention: {kind: channel, bias: free}}", "attention", ["kind channel", "bias"]),
    ("{attention: {kind: channel, heads: 2, key_dim: 2}}", "attention", ["of one size"]),
    ("{attention: {kind: channel, kv: [{dwconv: 3}]}}", "attention", ["drop q and kv"]),
    ("{attention: {window: 2, q: [{dwconv: 3}]}}", "attention", ["q and kv", "drop the window"]),
    ("{attention: {heads: 2, width: 9}}", "attention", ["heads=2, width=9", "head_dim"]),
    ("{attention: {heads: 5, key_dim: 2}}", "attention", ["heads=5, width=12"]),
    (
        "{attention: {heads: 1, qkv: false, key_dim: 5, value_dim: 4}}",
        "attention",
        ["side by side", "width=12, heads=1, key_dim=5, value_dim=4"],
    ),
    ("{conv: 2}, {attention: {qkv: false}}", "attention", ["side by side", "width=2"]),
    ("{attention: {qkv: false, kv: [{conv: 24}]}}", "attention", ["q and kv to make them", "24"]),
    (
        "{attention: {heads: 1, qkv: false, q: [{conv: 4}], kv: [{conv: 9}]}}",
        "attention",
        ["width=4, 9", "4, 8"],
    ),
    ("class_token, {attention: {bias: offset}}", "attention", ["works on a map", "{take: map}"]),
    ("{attention: {bias: offset, kv: [{dwconv: {stride: 2}}]}}", "attention", ["keys on the map"]),
    ("{attention: {bias: table, q: [{dwconv: {stride: 2}}]}}", "attention", ["a relative"]),
    ("{attention: {q: [{conv: 7}], kv: [nrm]}}", "attention.kv.nrm", ["did you mean 'norm'"]),
    ("{attention: {width: 0}}", "attention.width", [">= 1", "0"]),
    ("{attention: {window: [3, 2]}}", "attention", ["window=3x2, map=8x6", "pad: true"]),
    ("{attention: {window: [4, 2], shift: 2}}", "attention", ["shift=2, window=4x2"]),
    # norms and activations
    ("{norm: bias}", "norm.kind", ["legal: batch, layer, group, rms, response, affine, none"]),
    ("{norm: {kind: batch, bias: false}}", "norm", ["layer and affine", "kind batch"]),
    ("{norm: {kind: rms, bias: false}}", "norm", ["kind rms"]),
    ("{norm: {kind: response, affine: false}}", "norm", ["kind response is nothing without"]),
    ("{norm: {kind: affine, affine: false}}", "norm", ["kind affine is nothing without"]),
    ("class_token, {norm: response}", "norm", ["a response norm works on a map"]),
    ("{norm: {kind: group, groups: 5}}", "norm", ["groups=5, width=12"]),
    ("{act: {kind: leaky_relu, slope: 2}}", "act.slope", ["<= 1", "2"]),
    ("{act: star_rule}", "act.kind", ["did you mean 'star_relu'"]),
    # channels
    ("{softmax: 5}", "softmax", ["parts must divide", "parts=5, width=12"]),
    ("softmax", "softmax", ["'parts' is missing"]),
    ("class_token, {upsample: 2}", "upsample", ["extra token", "{take: map}"]),
    ("{upsample: {kind: cubic}}", "upsample.kind", ["legal: nearest, bilinear"]),
    ("{upsample: 0}", "upsample.size", [">= 1"]),
    # windows
    ("{conv: {kernel: 3, padding: 1, same: true}}", "conv", ["either stated or same: true"]),
    ("{dwconv: {padding: 0, same: true}}", "dwconv", ["either stated or same: true"]),
    ("{pool: {kind: max, padding: 1, same: true}}", "pool", ["neither padding nor ceil"]),
    ("{pool: {kind: max, ceil: true, same: true}}", "pool", ["neither padding nor ceil"]),
    ("{pool: {kind: avg, stride: 1, same: true}}", "pool", ["an odd kernel", "(2, 2)"]),
    ("{pool: {kind: max, over: width}}", "pool.over", ["legal: map, channels"]),
    ("class_token, {pool: {kind: max, over: channels}}", "pool", ["works on a map"]),
    ("{pool: {kind: global, over: channels}}", "pool", ["over: channels", "avg or max"]),
    ("{pool: {kind: max, over: channels, size: 2}}", "pool", ["over: channels", "no size"]),
    (
        "{merge: [[{conv: {kernel: 3, stride: 2, same: true}}], [{conv: {stride: 2}}]]}",
        "merge",
        ["odd kernels"],
    ),
    ("{merge: [[{conv: {kernel: 4, same: true}}], []]}", "merge", ["odd kernels"]),
    # joins
    ("{mul: [[], [{conv: 5}]]}", "mul", ["equal shapes, or 1 on an axis", "12x8x6, 5x8x6"]),
    ("{mul: [[], [{pool: {kind: max, size: [8, 3]}}]]}", "mul", ["12x8x6, 12x8x3"]),
    ("{attach: [[{conv: 5}], []]}", "attach", ["one width", "5x8x6, 12x8x6"]),
    ("class_token, {mul: [[], [{take: map}]]}", "mul", ["12x8x6+1, 12x8x6"]),
]


@pytest.mark.parametrize(("nodes", "path", "words"), WRONG, ids=[row[0] for row in WRONG])
def test_what_does_not_fit_is_told_in_one_line(nodes: str, path: str, words: list[str]) -> None:
    with pytest.raises(SpecError) as raised:
        out(nodes)
    line = str(raised.value)
    assert line.startswith("text:2:")
    assert f" stem.{path}: " in line
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("nodes", "shape"),
    [
        ("{attention: {heads: 3, width: 9}}", (9, 8, 6)),
        ("{attention: {heads: 3, width: 9, project: false}}", (9, 8, 6)),
        ("{attention: {heads: 3, value_dim: 5, project: false}}", (15, 8, 6)),
        ("{attention: {heads: 3, value_dim: 5}}", (12, 8, 6)),
        ("{attention: {heads: 5, key_dim: 1, value_dim: 2}}", (12, 8, 6)),
        ("{attention: {heads: 2, qkv: false}}", (4, 8, 6)),
        ("{attention: {heads: 2, qkv: false, width: 7, key_dim: 1, value_dim: 4}}", (7, 8, 6)),
        (
            "{attention: {heads: 2, qkv: false, key_dim: 1, value_dim: 4, project: false}}",
            (8, 8, 6),
        ),
        ("{attention: {window: [4, 3], shift: 1}}", (12, 8, 6)),
        ("{attention: {window: [rows, 1]}}", (12, 8, 6)),
        ("class_token, {attention: {kind: channel, width: 6}}", (6, 8, 6, 1)),
        ("{attention: {q: [{dwconv: {stride: 2}}], width: 6}}", (6, 4, 3)),
        ("{attention: {kv: [{dwconv: {stride: 2}}]}}", (12, 8, 6)),
        ("class_token, {attention: {q: [{take: 0}]}}", (12, 1, 1)),
        ("{attention: {heads: 1, qkv: false, q: [{conv: 5}], kv: [{conv: 10}]}}", (5, 8, 6)),
        ("{attention: {heads: 1, qkv: false, kv: [{conv: 10}], q: [{conv: 5}]}}", (5, 8, 6)),
        ("{attach: [[{pool: global}], [{pool: {kind: avg, size: 2}}], []]}", (12, 8, 6, 5)),
        ("class_token, {attach: [[{take: 0}], []]}", (12, 8, 6, 2)),
        ("{softmax: 3}", (12, 8, 6)),
        ("{upsample: 3}", (12, 24, 18)),
        ("{pool: {kind: max, over: channels}}", (1, 8, 6)),
        ("{pool: {kind: max, size: [3, 2]}}", (12, 3, 2)),
        ("{conv: {kernel: 3, stride: 5, same: true}}", (12, 2, 2)),
        ("{dwconv: {kernel: 2, same: true}}", (12, 8, 6)),
        ("{pool: {kind: max, kernel: 2, stride: 5, same: true}}", (12, 2, 2)),
        # a map larger than the window that is to slide over it is needed no more
        ("{conv: {kernel: 99, same: true}}", (12, 8, 6)),
        ("{mul: [[{pool: global}], [{pool: {kind: avg, over: channels}}]]}", (12, 8, 6)),
        ("{mul: [[{pool: {kind: max, size: [8, 1]}}], [{pool: global}]]}", (12, 8, 1)),
    ],
)
def test_what_comes_out(nodes: str, shape: tuple[int, ...]) -> None:
    assert out(nodes) == Shape(*shape)


@pytest.mark.parametrize(
    ("node", "half", "same"),
    [
        ("{conv: {kernel: 4, stride: 3}}", (3, 3), (3, 2)),
        ("{dwconv: {kernel: 2}}", (9, 7), (8, 6)),
        ("{pool: {kind: max, kernel: 3, stride: 5}}", (2, 2), (2, 2)),
        ("{pool: {kind: avg, kernel: 3, stride: 3}}", (2, 2), (3, 2)),
        ("{conv: {kernel: 2, padding: null}}", (9, 7), (8, 6)),
        # what is stated stands
        ("{conv: {kernel: 4, stride: 3, padding: 0}}", (2, 1), (2, 1)),
        ("{dwconv: {kernel: 2, same: false}}", (9, 7), (9, 7)),
        ("{pool: {kind: avg, same: false, kernel: 3, stride: 3}}", (2, 2), (2, 2)),
    ],
)
def test_unstated_padding_is_the_defaults(
    node: str, half: tuple[int, int], same: tuple[int, int]
) -> None:
    assert out(node)[1:3] == out(node, "defaults: {padding: half}\n")[1:3] == half
    assert out(node, "defaults: {padding: same}\n")[1:3] == same
