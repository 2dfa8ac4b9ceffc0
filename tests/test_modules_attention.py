from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archspec.layers import Shape
from archspec.layers.attention import Attention as AttentionLayer
from archspec.layers.attention import Windows
from archspec.modules.attention import Attention, constants
from archspec.modules.windows import cut_windows, join_windows, offset_index, relative_index

SHAPE = Shape(8, 6, 10)


class Thinned(nn.Module):
    """Every second row and column, and one channel more."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x[:, :1] * 2], 1)[:, :, ::2, ::2]


class Coarse(nn.Module):
    """Every second row and column."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2, ::2]


#: nodes that queries, and keys and values, may pass, and where they end
INNER = {"q": (Coarse(), Shape(8, 3, 5)), "kv": (Thinned(), Shape(9, 3, 5))}


def ends_of(inner: Sequence[str]) -> dict[str, Shape]:
    return {knob: INNER[knob][1] for knob in inner}


def attention(layer: AttentionLayer, shape: Shape = SHAPE, inner: Sequence[str] = ()) -> Attention:
    modules = {knob: INNER[knob][0] for knob in inner}
    module = Attention(layer, shape, modules, ends_of(inner), nn.ParameterDict(), "here")
    module = module.double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def heads_of(
    knobs: dict[str, object], inner: Sequence[str], module: Attention, x: Tensor
) -> list[Tensor]:
    """Queries, keys and values from the definition; each (rows, columns, heads, width)."""
    number, width = int(str(knobs["heads"])), int(str(knobs.get("width", 8)))
    key = int(str(knobs.get("key_dim", width // number)))
    value = int(str(knobs.get("value_dim", width // number)))

    def mapped(linear: nn.Linear | None, source: Tensor) -> Tensor:
        if linear is None:
            return source.permute(1, 2, 0)
        y = torch.einsum("oc,chw->hwo", linear.weight, source)
        return y if linear.bias is None else y + linear.bias

    if inner:
        queries = x[:, ::2, ::2] if "q" in inner else x
        source = Thinned()(x[None])[0] if "kv" in inner else x
        both = mapped(module.to_kv, source)
        parts = [mapped(module.to_q, queries), both[..., : number * key], both[..., number * key :]]
    else:
        ends = (number * key, 2 * number * key)
        made = mapped(module.to_qkv, x)
        parts = [made[..., a:b] for a, b in zip((0, *ends), (*ends, None), strict=True)]
    assert [part.shape[2] for part in parts] == [number * key] * 2 + [number * value]
    return [torch.unflatten(part, 2, (number, -1)) for part in parts]


def over_channels(module: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Channels of a head attend to each other, channel by channel."""
    out = torch.zeros_like(v)
    for head in range(q.shape[2]):
        for channel in range(q.shape[3]):
            mine = q[:, :, head, channel]
            weights = []
            for other in range(k.shape[3]):
                its = k[:, :, head, other]
                cosine = (mine * its).sum() / math.sqrt((mine**2).sum() * (its**2).sum())
                weights.append(float((module.temperature[head, 0, 0] * cosine).exp()))
            for other, weight in enumerate(weights):
                out[:, :, head, channel] += weight / sum(weights) * v[:, :, head, other]
    return out


def written_out(
    module: Attention,
    layer: AttentionLayer,
    knobs: dict[str, object],
    inner: Sequence[str],
    x: Tensor,
) -> Tensor:
    """Attention of one image, position by position, from the definition; x is (C, H, W)."""
    cut = layer.windows(SHAPE) or Windows(
        SHAPE.height, SHAPE.width, 0, 0, SHAPE.height, SHAPE.width
    )
    padded = torch.zeros(len(x), cut.rows, cut.columns, dtype=x.dtype)
    padded[:, : SHAPE.height, : SHAPE.width] = x
    q, k, v = heads_of(knobs, inner, module, padded)
    step = 2 if "q" in inner else 1  # between queries, in positions of the map
    across, along = cut.rows // cut.height, cut.columns // cut.width

    def place(row: int, column: int) -> tuple[object, object, int, int]:
        """Window, region of the shifted map, and position in the window."""
        down, right = (row - cut.shift_height) % cut.rows, (column - cut.shift_width) % cut.columns
        region = (down >= cut.rows - cut.shift_height, right >= cut.columns - cut.shift_width)
        if layer.partition == "grid":
            return (down % across, right % along), region, down // across, right // along
        window = (down // cut.height, right // cut.width)
        return window, region, down % cut.height, right % cut.width

    def weight(at: tuple[int, int], other: tuple[int, int], inside: tuple[int, ...]) -> Tensor:
        """How much a query takes of a key, before the sum is made one; a number a head."""
        row, column, row_, column_ = inside
        product = (q[at] * k[other]).sum(1)
        if layer.kind == "linear":
            return (q[at].clamp(min=0) * k[other].clamp(min=0)).sum(1)
        if layer.kind == "cosine":
            lengths = torch.sqrt((q[at] ** 2).sum(1) * (k[other] ** 2).sum(1))
            score = product / lengths * module.scale[:, 0, 0].exp().clamp(max=100)
        else:
            score = product / math.sqrt(q.shape[3])
        if layer.bias == "table":
            index = (row - row_ + cut.height - 1) * (2 * cut.width - 1)
            score = score + module.bias[index + column - column_ + cut.width - 1]
        elif layer.bias == "offset":
            score = score + module.bias[abs(row - row_) * cut.width + abs(column - column_)]
        elif layer.bias == "free" and layer.window:
            score = score + module.bias[:, row * cut.width + column, row_ * cut.width + column_]
        elif layer.bias == "free":
            query, key = at[0] * q.shape[1] + at[1], other[0] * k.shape[1] + other[1]
            score = score + module.bias[:, query, key]
        return score.exp()

    out = torch.zeros(*q.shape[:3], v.shape[3], dtype=x.dtype)
    if layer.kind == "channel":
        out = over_channels(module, q, k, v)
    else:
        for at in product(range(q.shape[0]), range(q.shape[1])):
            window, region, *inside = place(step * at[0], step * at[1])
            total = torch.zeros(q.shape[2], 1, dtype=x.dtype)
            for other in product(range(k.shape[0]), range(k.shape[1])):
                window_, region_, *inside_ = place(*other)
                if window_ == window and region_ == region:
                    share = weight(at, other, (*inside, *inside_))[:, None]
                    out[at] += share * v[other]
                    total += share
            total[total == 0] = 1  # relu may leave nothing to share out
            out[at] /= total
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
        {"bias": "offset"},
        {"window": 4, "shift": 1, "pad": True, "bias": "offset"},
        {"key_dim": 3},
        {"value_dim": 7, "qkv_bias": False},
        {"heads": 3, "key_dim": 2, "value_dim": 5, "bias": "offset"},
        {"width": 12, "key_dim": 2, "window": 2, "shift": 1},
        {"width": 12, "value_dim": 2, "project": False},
        {"window": [3, 4], "shift": 2, "pad": True, "bias": "table"},
        {"window": [6, 2], "shift": 1, "bias": "offset"},
        {"inner": ["kv"], "bias": "free"},
        {"inner": ["kv"], "key_dim": 3, "value_dim": 5},
        {"inner": ["q"], "bias": "free", "width": 12, "key_dim": 3},
        {"inner": ["q"], "bias": "offset", "value_dim": 3, "project": False},
        {"inner": ["q", "kv"], "kind": "cosine", "bias": "free"},
        {
            "inner": ["kv", "q"],
            "qkv": False,
            "heads": 1,
            "key_dim": 8,
            "value_dim": 1,
            "project": False,
        },
        {"qkv": False, "key_dim": 1, "value_dim": 2, "window": 4, "shift": 1, "pad": True},
        {"qkv": False, "heads": 1, "key_dim": 3, "value_dim": 2, "project": False},
        {"kind": "cosine"},
        {"kind": "cosine", "window": 4, "shift": 1, "pad": True, "bias": "table"},
        {"kind": "cosine", "inner": ["kv"], "key_dim": 3},
        {"kind": "linear", "key_dim": 6},
        {"kind": "linear", "inner": ["q", "kv"], "value_dim": 3, "project": False},
        {"kind": "channel"},
        {"kind": "channel", "width": 12, "heads": 3},
    ],
    ids=str,
)
def test_attention_is_its_definition(knobs: dict[str, object]) -> None:
    torch.manual_seed(0)
    knobs = {"heads": 2, **knobs}
    inner: Any = knobs.pop("inner", ())
    layer = AttentionLayer.model_validate(knobs)
    module = attention(layer, inner=inner)
    x = torch.randn(2, *SHAPE[:3], dtype=torch.float64)
    with torch.no_grad():
        expected = torch.stack([written_out(module, layer, knobs, inner, image) for image in x])
        torch.testing.assert_close(module(x), expected, atol=1e-10, rtol=0)
        # memory format is no part of the function
        torch.testing.assert_close(module(x.to(memory_format=torch.channels_last)), expected)
    assert tuple(expected.shape[1:]) == layer.out_with(SHAPE, ends_of(inner))[:3]
    assert not any("index" in name or "apart" in name for name in module.state_dict())
    kept = sum(buffer.numel() for buffer in module.buffers())
    assert constants(layer, SHAPE) >= kept if inner else constants(layer, SHAPE) == kept


def test_the_scale_of_cosines_is_at_most_100() -> None:
    layer = AttentionLayer(heads=2, kind="cosine")
    module, x = attention(layer), torch.randn(1, *SHAPE[:3], dtype=torch.float64)
    found = []
    for scale in (math.log(99), math.log(100), math.log(500)):
        nn.init.constant_(module.scale, scale)
        found.append(module(x))
    assert not torch.equal(found[0], found[1])
    torch.testing.assert_close(found[1], found[2])


def test_linear_attention_that_sees_nothing_is_zero() -> None:
    layer = AttentionLayer(heads=2, kind="linear", qkv=False, project=False)
    y = attention(layer, Shape(24, 2, 2))(-torch.ones(1, 24, 2, 2, dtype=torch.float64))
    assert torch.equal(y, torch.zeros(1, 8, 2, 2, dtype=torch.float64))


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


def test_offsets_are_distances_without_direction() -> None:
    index = offset_index((2, 3), (2, 3))
    assert index[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert index[4].tolist() == [4, 3, 4, 1, 0, 1]
    assert torch.equal(index, index.T)
    # of a coarser map, each query stands at the first of its positions
    assert torch.equal(offset_index((1, 2), (2, 3)), index[[0, 2]])


@pytest.mark.parametrize("kind", ["dot", "cosine", "linear", "channel"])
def test_attention_over_tokens_ignores_how_they_lie(kind: str) -> None:
    layer = AttentionLayer.model_validate({"heads": 2, "kind": kind, "width": 12})
    module = attention(layer)
    x = torch.randn(2, *SHAPE[:3], dtype=torch.float64)
    tokens = module(x.flatten(2).transpose(1, 2))
    assert tokens.shape == (2, 60, 12)
    torch.testing.assert_close(module(x).flatten(2).transpose(1, 2), tokens)
