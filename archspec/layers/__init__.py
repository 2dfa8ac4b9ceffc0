"""Layers: knobs, shape law and cost law of each primitive; no torch."""

from __future__ import annotations

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
from archspec.layers.layer import Cost, Layer
from archspec.layers.normalization import Act, Defaults, Norm
from archspec.layers.pooling import Pool
from archspec.layers.shape import Shape
from archspec.layers.tokens import ClassToken, Flatten, Position, Take

#: every layer by its word in YAML
LAYERS: dict[str, type[Layer]] = {
    layer.name: layer
    for layer in (
        Conv,
        DwConv,
        Linear,
        Norm,
        Act,
        Pool,
        Attention,
        LayerScale,
        Scale,
        Dropout,
        ClassToken,
        Position,
        Take,
        Slice,
        Shuffle,
        Softmax,
        SpaceToDepth,
        Upsample,
        Flatten,
    )
}

__all__ = ["LAYERS", "Cost", "Defaults", "Layer", "Shape"]
