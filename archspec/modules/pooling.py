"""Modules of pooling over a map, (N, C, H, W)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from archspec.layers.layer import same_padding
from archspec.layers.pooling import Pool


class SamePool(nn.Module):
    """Average or maximum padded as TensorFlow's SAME; padding neither wins nor counts."""

    def __init__(self, layer: Pool) -> None:
        super().__init__()
        self.highest, self.kernel, self.stride = layer.kind == "max", layer.kernel, layer.steps

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            same_padding(int(x.shape[2 + axis]), self.kernel[axis], self.stride[axis])
            for axis in (0, 1)
        )
        # the odd zero at the end is a last incomplete window: torch leaves out what is not there
        ceil = bottom > top or right > left
        if self.highest:
            return F.max_pool2d(x, self.kernel, self.stride, (top, left), ceil_mode=ceil)
        return F.avg_pool2d(x, self.kernel, self.stride, (top, left), ceil, False)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}, highest={self.highest}"


class ChannelPool(nn.Module):
    """Mean or maximum of all channels; (N, C, H, W) to (N, 1, H, W)."""

    def __init__(self, highest: bool) -> None:
        super().__init__()
        self.highest = highest

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(1, keepdim=True) if self.highest else x.mean(1, keepdim=True)

    def extra_repr(self) -> str:
        return "max" if self.highest else "avg"


def pool(layer: Pool) -> nn.Module:
    """Average or maximum over windows, or an average to one map size."""
    if layer.kind == "global":
        return nn.AdaptiveAvgPool2d(1)
    if layer.over == "channels":
        return ChannelPool(layer.kind == "max")
    if layer.size is not None:
        adaptive = nn.AdaptiveMaxPool2d if layer.kind == "max" else nn.AdaptiveAvgPool2d
        return adaptive(layer.size)
    if layer.same:
        return SamePool(layer)
    if layer.kind == "max":
        return nn.MaxPool2d(
            layer.kernel, stride=layer.steps, padding=layer.pads, ceil_mode=layer.ceil
        )
    return nn.AvgPool2d(
        layer.kernel,
        stride=layer.steps,
        padding=layer.pads,
        ceil_mode=layer.ceil,
        count_include_pad=layer.count_pad,
    )
