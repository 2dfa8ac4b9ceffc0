"""Modules of the weighted layers.

Shape suffixes: N images, C channels, H height, W width, T tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from archspec.layers import Shape
from archspec.layers.convolution import Conv, DwConv
from archspec.layers.convolution import Linear as LinearLayer


class Linear(nn.Linear):
    """W x + b over channels, at each position; (N, C, H, W) or (N, T, C) alike."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return super().forward(x)
        # N C H W -> N H W C -> N C H W
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convolution(layer: Conv | DwConv, shape: Shape, out: Shape) -> nn.Conv2d:
    """Convolution of (N, C, H, W); depthwise has as many groups as channels."""
    return nn.Conv2d(
        shape.channels,
        out.channels,
        layer.kernel,
        stride=layer.stride,
        padding=layer.pads,
        dilation=layer.dilation,
        groups=shape.channels if isinstance(layer, DwConv) else layer.groups,
        bias=layer.bias,
    )


def linear(layer: LinearLayer, shape: Shape) -> Linear:
    """Linear layer from the shape's channels to the layer's width."""
    return Linear(shape.channels, layer.width, bias=layer.bias)
