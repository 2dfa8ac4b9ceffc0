from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from small_tensors import as_tokens, drawn, maps, mean
from torch import Tensor, nn

from archspec.build import build
from archspec.layers import Shape
from archspec.layers.convolution import Conv, DwConv
from archspec.layers.pooling import Pool
from archspec.modules.channels import Shuffle, Softmax, SpaceToDepth
from archspec.modules.convolution import convolution
from archspec.modules.merging import merged_state
from archspec.modules.pooling import pool
from archspec.modules.tokens import ClassToken, TakeMap, TakeToken
from archspec.spec import parse_spec

# Windows


def windows(size: int, kernel: int, stride: int, dilation: int = 1) -> list[list[int]]:
    """Positions of each window of TensorFlow's SAME along one axis, as its guide has it.

    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    reach = (kernel - 1) * dilation + 1
    pad = max(reach - (stride if size % stride == 0 else size % stride), 0)
    starts = [stride * index - pad // 2 for index in range(math.ceil(size / stride))]
    return [[start + dilation * tap for tap in range(kernel)] for start in starts]


def inside(x: Tensor, rows: list[int], columns: list[int]) -> list[tuple[int, int, float]]:
    """What a window sees of a map, by its taps; zeros outside are left out."""
    return [
        (i, j, float(x[row, column]))
        for (i, row), (j, column) in product(enumerate(rows), enumerate(columns))
        if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
    ]


#: what rows go through; columns take others of each list beside them
SIZES, KERNELS, STRIDES = (1, 2, 3, 5, 6, 7, 8), (1, 2, 3, 4, 5), (1, 2, 3)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", STRIDES)
def test_same_convolutions_pad_as_tensorflow(stride: int, dilation: int) -> None:
    for at, (size, kernel) in enumerate(product(SIZES, KERNELS)):
        beside = (SIZES[at % 7], KERNELS[at % 4], STRIDES[at % 3])
        shape = Shape(1, size, beside[0])
        kernels, strides = (kernel, beside[1]), (stride, beside[2])
        layer = Conv(width=1, kernel=kernels, stride=strides, dilation=dilation, same=True)
        out = layer.out(shape)
        module = drawn(convolution(layer, shape, out))
        x, weight = maps(shape, 1), module.get_parameter("weight")[0, 0]
        rows = windows(size, kernel, stride, dilation)
        columns = windows(beside[0], beside[1], beside[2], dilation)
        assert out == Shape(1, len(rows), len(columns))
        expected = [
            [sum(float(weight[i, j]) * v for i, j, v in inside(x[0, 0], row, column))]
            for row, column in product(rows, columns)
        ]
        found = module(x).view(-1, 1)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=x.dtype), msg=str(layer))


def test_same_depthwise_convolutions_pad_as_the_others() -> None:
    shape = Shape(4, 7, 8)
    layer = DwConv(kernel=(3, 4), stride=(2, 2), bias=True, same=True)
    module = drawn(convolution(layer, shape, layer.out(shape)))
    x, weight, bias = maps(shape), module.get_parameter("weight"), module.get_parameter("bias")
    rows, columns = windows(7, 3, 2), windows(8, 4, 2)
    for n, c, row, column in product(range(2), range(4), range(4), range(4)):
        seen = inside(x[n, c], rows[row], columns[column])
        expected = sum(float(weight[c, 0, i, j]) * v for i, j, v in seen) + float(bias[c])
        assert float(module(x)[n, c, row, column]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("stride", STRIDES)
def test_the_padding_of_same_pools_neither_wins_nor_counts(kind: str, stride: int) -> None:
    for at, (size, kernel) in enumerate(product(SIZES, KERNELS)):
        beside = (SIZES[at % 7], KERNELS[at % 4], (2, 3)[at % 2])
        if stride == 1 and kernel % 2 == 0:
            continue
        shape, kernels = Shape(1, size, beside[0]), (kernel, beside[1])
        layer = Pool.model_validate(
            {"kind": kind, "kernel": kernels, "stride": (stride, beside[2]), "same": True}
        )
        rows, columns = windows(size, kernel, stride), windows(*beside)
        assert layer.out(shape) == Shape(1, len(rows), len(columns))
        x = -1 - maps(shape, 1).abs()  # a zero would win
        expected = []
        for row, column in product(rows, columns):
            seen = [v for _, _, v in inside(x[0, 0], row, column)]
            expected.append(max(seen) if kind == "max" else mean(seen))
        assert pool(layer)(x).flatten().tolist() == pytest.approx(expected), layer


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_pools_to_a_size_and_over_channels(kind: str) -> None:
    fold = max if kind == "max" else mean
    x = maps(Shape(3, 7, 10))
    y = pool(Pool.model_validate({"kind": kind, "size": (3, 4)}))(x)
    assert y.shape == (2, 3, 3, 4)
    for n, c, row, column in product(range(2), range(3), range(3), range(4)):
        rows = range(7 * row // 3, math.ceil(7 * (row + 1) / 3))
        columns = range(10 * column // 4, math.ceil(10 * (column + 1) / 4))
        seen = [float(x[n, c, i, j]) for i, j in product(rows, columns)]
        assert float(y[n, c, row, column]) == pytest.approx(fold(seen))
    y = pool(Pool.model_validate({"kind": kind, "over": "channels"}))(x)
    assert y.shape == (2, 1, 7, 10)
    for n, row, column in product(range(2), range(7), range(10)):
        assert float(y[n, 0, row, column]) == pytest.approx(fold(x[n, :, row, column].tolist()))


# Channels


def test_softmax_is_across_the_parts() -> None:
    x = maps()
    y = Softmax(3)(x)
    for n, c, row, column in product(range(2), range(6), range(3), range(5)):
        # channels 0 and 1 are the first part, so that 0 meets 2 and 4
        parts = [math.exp(x[n, (c % 2) + 2 * part, row, column]) for part in range(3)]
        assert float(y[n, c, row, column]) == pytest.approx(parts[c // 2] / sum(parts))
    torch.testing.assert_close(Softmax(3)(as_tokens(x)), as_tokens(y))


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_upsample_by_the_nearest_position_or_between_positions(kind: str) -> None:
    spec = parse_spec(
        "input: {channels: 2, resolution: [3, 4]}\n"
        f"stem: [{{upsample: {{size: 3, kind: {kind}}}}}]"
    )
    x = maps(Shape(2, 3, 4), 1)
    y = build(spec).double()(x)
    assert y.shape == (1, 2, 9, 12)

    def seen(size: int, position: int) -> list[tuple[int, float]]:
        """Where a position lies in the smaller map, and how much of each neighbour it takes."""
        if kind == "nearest":
            return [(position // 3, 1.0)]
        centre = min(max((position + 0.5) / 3 - 0.5, 0), size - 1)
        low = int(centre)
        return [(low, 1 - centre + low), (min(low + 1, size - 1), centre - low)]

    for c, row, column in product(range(2), range(9), range(12)):
        pairs = product(seen(3, row), seen(4, column))
        expected = sum(a * b * float(x[0, c, i, j]) for (i, a), (j, b) in pairs)
        assert float(y[0, c, row, column]) == pytest.approx(expected)


def test_space_to_depth_reads_columns_first() -> None:
    x = torch.randn(2, 3, 4, 6)
    squares = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
    assert torch.equal(SpaceToDepth(2)(x), torch.cat(squares, 1))


def test_shuffle_interleaves_maps_and_tokens_alike() -> None:
    x = torch.randn(2, 6, 3, 5)
    y = Shuffle(2)(x)
    assert torch.equal(y, x[:, [0, 3, 1, 4, 2, 5]])
    tokens = Shuffle(2)(x.flatten(2).transpose(1, 2))
    assert torch.equal(tokens, y.flatten(2).transpose(1, 2))


def test_tokens_are_extras_in_order_then_the_map() -> None:
    x = torch.randn(2, 4, 3, 5)
    first, second = ClassToken(Shape(4, 3, 5)), ClassToken(Shape(4, 3, 5, 1))
    y = second(first(x))
    assert y.shape == (2, 17, 4)
    assert torch.equal(TakeToken(0)(y)[:, :, 0, 0], first.weight[0].expand(2, -1))
    assert torch.equal(TakeToken(1)(y)[:, :, 0, 0], second.weight[0].expand(2, -1))
    assert torch.equal(TakeMap(Shape(4, 3, 5, 2), "here")(y), x)


def test_attach_puts_positions_before_those_of_the_last() -> None:
    text = "class_token, {attach: [[{take: 0}], [{take: map}, {pool: global}], []]}"
    model = build(parse_spec(f"input: {{channels: 4, resolution: [2, 3]}}\nstem: [{text}]"))
    x = torch.randn(2, 4, 2, 3)
    y = model.stem(x)
    token = model.get_parameter("stem.class_token.weight")[0].expand(2, -1)
    expected = [token, x.mean((2, 3)), token, *x.flatten(2).unbind(2)]
    torch.testing.assert_close(y, torch.stack(expected, 1))


@pytest.mark.parametrize(
    ("branches", "rule"),
    [
        ("[{pool: global}], [{pool: {kind: max, over: channels}}]", "channels"),
        ("[{pool: {kind: avg, size: [2, 1]}}], [{pool: {kind: max, size: [1, 3]}}]", "rows"),
    ],
)
def test_products_broadcast_where_an_axis_is_one(branches: str, rule: str) -> None:
    text = f"input: {{channels: 4, resolution: [2, 3]}}\nstem: [{{mul: [{branches}]}}]"
    model = build(parse_spec(text))
    x = torch.randn(2, 4, 2, 3)
    y = model.stem(x)
    assert y.shape == x.shape
    for n, c, i, j in product(range(2), range(4), range(2), range(3)):
        if rule == "rows":
            expected = mean(x[n, c, i].tolist()) * max(x[n, c, :, j].tolist())
        else:
            expected = mean(x[n, c].flatten().tolist()) * max(x[n, :, i, j].tolist())
        assert float(y[n, c, i, j]) == pytest.approx(expected, abs=1e-6)


MERGE = """
input: {channels: 6, resolution: 9}
units: {pair: {body: [{conv: {kernel: 5, groups: 3, bias: true}}, norm]}}
stem:
- merge: [[pair], [{conv: {kernel: [3, 1], groups: 3}}, {norm: {affine: false}}], [norm], []]
- merge: [[{dwconv: 7}, norm], [{dwconv: 3}]]
- merge: [[{dwconv: [3, 1]}, norm], [{dwconv: [1, 5]}], []]
- merge:
  - [{conv: {width: 4, kernel: 3, stride: 2}}]
  - [{conv: {width: 4, stride: 2, bias: true}}, norm]
"""


def test_merged_weights_give_the_same_function() -> None:
    torch.manual_seed(0)
    train = build(parse_spec(MERGE)).double()
    x = torch.randn(4, 6, 9, 9, dtype=torch.float64)
    train(x)  # moves the running statistics
    for parameter in train.parameters():
        nn.init.normal_(parameter)
    merged = build(parse_spec(MERGE + "form: merged\n")).double().eval()
    merged.load_state_dict(merged_state(train))
    with torch.no_grad():
        torch.testing.assert_close(merged(x), train.eval()(x))


@pytest.mark.parametrize(
    ("add", "expected"), [("true", 3), ("false", 2), ("w > 3", 2), ("w_in < 4 and rows == 2", 3)]
)
def test_a_residual_adds_where_its_expression_holds(add: str, expected: int) -> None:
    text = f"stem: [{{residual: {{do: [{{scale: 2}}], add: {add}}}}}]"
    model = build(parse_spec(f"input: {{resolution: 2}}\n{text}"))
    assert torch.equal(model(torch.ones(1, 3, 2, 2)), torch.full((1, 3, 2, 2), float(expected)))
