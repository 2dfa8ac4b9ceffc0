"""Modules of the weighted layers.

Shape suffixes: N images, C channels, H height, W width, T tokens.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from archspec.layers import Shape
from archspec.layers.convolution import Conv, DwConv
from archspec.layers.convolution import Linear as LinearLayer
from archspec.layers.layer import same_padding


class Linear(nn.Linear):
    """W x + b over channels, at each position; (N, C, H, W) or (N, T, C) alike."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return super().forward(x)
        # N C H W -> N H W C -> N C H W
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SameConv2d(nn.Conv2d):
    """Convolution of (N, C, H, W) padded as TensorFlow's SAME, to ceil(H / stride) rows."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            same_padding(
                int(x.shape[2 + axis]), self.kernel_size[axis], self.stride[axis], dilation
            )
            for axis, dilation in enumerate(self.dilation)
        )
        return super().forward(F.pad(x, (left, right, top, bottom)))


def convolution(layer: Conv | DwConv, shape: Shape, out: Shape) -> nn.Conv2d:
    """Convolution of (N, C, H, W); depthwise has as many groups as channels."""
    convolve, pads = nn.Conv2d, layer.pads
    if layer.same and layer.stride == (1, 1) and all(kernel % 2 for kernel in layer.kernel):
        # around stride 1 and an odd kernel SAME is symmetric, whatever the size
        high, wide = (layer.dilation * (kernel - 1) // 2 for kernel in layer.kernel)
        pads = (high, wide)
    elif layer.same:
        convolve, pads = SameConv2d, (0, 0)
    return convolve(
        shape.channels,
        out.channels,
        layer.kernel,
        stride=layer.stride,
        padding=pads,
        dilation=layer.dilation,
        groups=shape.channels if isinstance(layer, DwConv) else layer.groups,
        bias=layer.bias,
    )


def linear(layer: LinearLayer, shape: Shape) -> Linear:
    """Linear layer from the shape's channels to the layer's width."""
    return Linear(shape.channels, layer.width, bias=layer.bias)
