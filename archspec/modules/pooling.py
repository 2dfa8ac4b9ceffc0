"""Modules of pooling over a map, (N, C, H, W)."""

from __future__ import annotations

from torch import nn

from archspec.layers.pooling import Pool


def pool(layer: Pool) -> nn.Module:
    """Average or maximum over windows, or an average to one map size."""
    if layer.kind == "global":
        return nn.AdaptiveAvgPool2d(1)
    if layer.size is not None:
        return nn.AdaptiveAvgPool2d(layer.size)
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
