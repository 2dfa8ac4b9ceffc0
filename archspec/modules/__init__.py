"""Modules: what each layer and join becomes in PyTorch; mirrors archspec/layers/ file by file."""

from __future__ import annotations

from torch import nn

from archspec.layers.attention import Attention
from archspec.layers.channels import (
    Dropout,
    LayerScale,
    Scale,
    Shuffle,
    Slice,
    Softmax,
    SpaceToDepth,
    Upsample,
)
from archspec.layers.convolution import Conv, DwConv, Linear
from archspec.layers.normalization import Act, Norm
from archspec.layers.pooling import Pool
from archspec.layers.tokens import ClassToken, Flatten, Position, Take
from archspec.modules import attention, channels, convolution, normalization, pooling, tokens
from archspec.plan import LayerPlan


def layer_module(
    plan: LayerPlan, inner: dict[str, nn.Module], shared: nn.ParameterDict, path: str
) -> nn.Module:
    """The module of one layer; inner are the layer's own nodes, shared its stage's parameters."""
    layer, shape = plan.layer, plan.shape
    match layer:
        case Conv() | DwConv():
            return convolution.convolution(layer, shape, plan.out)
        case Linear():
            return convolution.linear(layer, shape)
        case Norm():
            return normalization.norm(layer, shape)
        case Act():
            return normalization.act(layer, shape)
        case Pool():
            return pooling.pool(layer)
        case Attention():
            ends = {knob: nodes.out for knob, nodes in plan.inner}
            return attention.Attention(layer, shape, inner, ends, shared, path)
        case LayerScale():
            return channels.LayerScale(shape.channels, layer.init)
        case Scale():
            return channels.Scale(layer.value)
        case Dropout():
            return nn.Dropout(layer.rate)
        case Slice():
            return channels.Slice(layer.start, layer.stop)
        case Shuffle():
            return channels.Shuffle(layer.groups)
        case Softmax():
            return channels.Softmax(layer.parts)
        case Upsample():
            return nn.Upsample(scale_factor=layer.size, mode=layer.kind)
        case SpaceToDepth():
            return channels.SpaceToDepth(layer.size)
        case ClassToken():
            return tokens.ClassToken(shape)
        case Position():
            return tokens.Position(shape, path)
        case Take():
            if layer.token == "map":
                return tokens.TakeMap(shape, path)
            return tokens.TakeToken(layer.token)
        case Flatten():
            return tokens.Flatten(shape, path)
    raise NotImplementedError(f"layer {layer.name} has no module")
