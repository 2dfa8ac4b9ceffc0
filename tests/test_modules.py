from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archspec.build import build
from archspec.layers import Shape
from archspec.layers.attention import Attention as AttentionLayer
from archspec.layers.attention import Windows
from archspec.modules.attention import Attention, constants
from archspec.modules.channels import Shuffle, SpaceToDepth
from archspec.modules.merging import merged_state
from archspec.modules.tokens import ClassToken, TakeMap, TakeToken
from archspec.modules.windows import cut_windows, join_windows, relative_index
from archspec.spec import parse_spec

SHAPE = Shape(8, 6, 10)


def attention(**knobs: object) -> Attention:
    layer = AttentionLayer.model_validate({"heads": 2, **knobs})
    module = Attention(layer, SHAPE, None, None, nn.ParameterDict(), "here").double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def written_out(module: Attention, layer: AttentionLayer, x: Tensor) -> Tensor:
    """Attention of one image, position by position, from the definition; x is (C, H, W)."""
    cut = layer.windows(SHAPE) or Windows(
        SHAPE.height, SHAPE.width, 0, 0, SHAPE.height, SHAPE.width
    )
    padded = torch.zeros(8, cut.rows, cut.columns, dtype=x.dtype)
    padded[:, : SHAPE.height, : SHAPE.width] = x
    qkv = torch.einsum("oc,chw->hwo", module.to_qkv.weight, padded) + module.to_qkv.bias
    q, k, v = torch.unflatten(qkv, 2, (3, 2, 4)).unbind(2)
    across, along = cut.rows // cut.height, cut.columns // cut.width

    def place(row: int, column: int) -> tuple[object, object, int, int]:
        """Window, region of the shifted map, and position in the window."""
        down, right = (row - cut.shift_height) % cut.rows, (column - cut.shift_width) % cut.columns
        region = (down >= cut.rows - cut.shift_height, right >= cut.columns - cut.shift_width)
        if layer.partition == "grid":
            return (down % across, right % along), region, down // across, right // along
        window = (down // cut.height, right // cut.width)
        return window, region, down % cut.height, right % cut.width

    everywhere = [(row, column) for row in range(cut.rows) for column in range(cut.columns)]
    out = torch.zeros_like(q)
    for at in everywhere:
        window, region, row, column = place(*at)
        scores, values = [], []
        for other in everywhere:
            window_, region_, row_, column_ = place(*other)
            if window_ != window or region_ != region:
                continue
            score = (q[at] * k[other]).sum(1) / 2
            if layer.bias == "table":
                index = (row - row_ + cut.height - 1) * (2 * cut.width - 1)
                score = score + module.bias[index + column - column_ + cut.width - 1]
            elif layer.bias == "free":
                query, key = row * cut.width + column, row_ * cut.width + column_
                score = score + module.bias[:, query, key]
            scores.append(score)
            values.append(v[other])
        weights = torch.stack(scores).softmax(0)
        out[at] = (weights[..., None] * torch.stack(values)).sum(0)
    y: Tensor = module.proj(out.flatten(2))
    return y.permute(2, 0, 1)[:, : SHAPE.height, : SHAPE.width]


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"bias": "table"},
        {"bias": "free"},
        {"window": 2, "bias": "table"},
        {"window": 2, "shift": 1, "bias": "table"},
        {"window": 4, "shift": 1, "pad": True, "bias": "free"},
        {"window": 4, "shift": 2, "pad": True},
        {"window": 8, "shift": 3, "pad": True, "bias": "table"},
        {"window": 2, "partition": "grid", "bias": "table"},
        {"window": 4, "partition": "grid", "pad": True, "shift": 1},
    ],
    ids=str,
)
def test_attention_is_its_definition(knobs: dict[str, object]) -> None:
    torch.manual_seed(0)
    module = attention(**knobs)
    layer = AttentionLayer.model_validate({"heads": 2, **knobs})
    x = torch.randn(2, *SHAPE[:3], dtype=torch.float64)
    with torch.no_grad():
        expected = torch.stack([written_out(module, layer, image) for image in x])
        torch.testing.assert_close(module(x), expected, atol=1e-10, rtol=0)
        # memory format is no part of the function
        torch.testing.assert_close(module(x.to(memory_format=torch.channels_last)), expected)
    buffers = [buffer.numel() for buffer in module.buffers()]
    assert constants(layer, SHAPE) == sum(buffers)
    assert not any("index" in name or "apart" in name for name in module.state_dict())


@pytest.mark.parametrize("grid", [False, True])
def test_windows_are_undone(grid: bool) -> None:
    cut = Windows(4, 3, 1, 2, 8, 12)
    x = torch.randn(2, 6, 10, 5)
    windows = cut_windows(x, cut, grid, 6, 10)
    assert windows.shape == (2, 8, 12, 5)
    assert torch.equal(join_windows(windows, cut, grid, 6, 10), x)


def test_a_grid_window_is_spread_over_the_map() -> None:
    x = torch.arange(16.0).view(1, 4, 4, 1)
    cut = Windows(2, 2, 0, 0, 4, 4)
    assert cut_windows(x, cut, True, 4, 4)[0, 0, :, 0].tolist() == [0, 2, 8, 10]
    assert cut_windows(x, cut, False, 4, 4)[0, 0, :, 0].tolist() == [0, 1, 4, 5]


def test_relative_positions_are_query_minus_key() -> None:
    index = relative_index(2, 3)
    assert index[0, 0] == 7  # the middle of 3 x 5
    assert index[5, 0] == 14
    assert index[0, 5] == 0
    assert index[1, 0] == 8


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


def test_attention_over_tokens_ignores_how_they_lie() -> None:
    layer = AttentionLayer(heads=2)
    module = Attention(layer, SHAPE, None, None, nn.ParameterDict(), "here")
    x = torch.randn(2, *SHAPE[:3])
    tokens = module(x.flatten(2).transpose(1, 2))
    torch.testing.assert_close(module(x).flatten(2).transpose(1, 2), tokens)


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
