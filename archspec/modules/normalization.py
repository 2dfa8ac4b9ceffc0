"""Modules of norms and activations.

Shape suffixes: N images, C channels, H height, W width, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from archspec.layers import Shape
from archspec.layers.normalization import Act, ActKind, Norm


class LayerNorm(nn.LayerNorm):
    """(x - mean) / std * weight + bias over channels; (N, C, H, W) or (N, T, C) alike."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return super().forward(x)
        # N C H W -> N H W C -> N C H W
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def norm(layer: Norm, shape: Shape) -> nn.Module:
    """The norm over (N, C, H, W); a layer norm takes (N, T, C), too."""
    channels = shape.channels
    if layer.kind == "batch":
        return nn.BatchNorm2d(channels, eps=layer.eps, affine=layer.affine)
    if layer.kind == "layer":
        return LayerNorm(channels, eps=layer.eps, elementwise_affine=layer.affine)
    if layer.kind == "group":
        return nn.GroupNorm(layer.groups, channels, eps=layer.eps, affine=layer.affine)
    return nn.Identity()


def _gelu_tanh() -> nn.Module:
    return nn.GELU(approximate="tanh")


ACTS: dict[ActKind, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "gelu_tanh": _gelu_tanh,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}


def act(layer: Act) -> nn.Module:
    """The activation, element by element."""
    return ACTS[layer.kind]()
